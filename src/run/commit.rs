//! One change recorded, whatever other runs do meanwhile: in a conflict it is judged again, against what they left.

use jiff::Timestamp;
use tokio::time::Instant;

use super::time_limits::bounded;
use crate::ports::{Recorded, Store, StoreError, World};
use crate::watch::{Change, Item};

/// How often a change is tried when other runs are faster, before it is left to the next run.
const TRIES: usize = 3;

/// What became of a change after all tries.
pub(super) enum CommitOutcome {
    /// It is recorded, by this run; rebased if another run recorded something meanwhile.
    Recorded { change: Change, is_rebased: bool },
    /// Another run was faster, and what it left needs no change.
    Superseded(Option<Item>),
    /// Time ran out; it is unknown whether it is recorded.
    TimedOut,
    /// It is unknown whether it is recorded, or other runs were faster too often.
    Failed(StoreError),
}

/// Records a change. `rebase` judges again, against what another run left. If it is unknown whether the change was
/// recorded, the item is read and judged once more; a second time it is left to the next run.
pub(super) async fn commit<W: World>(
    world: &W,
    until: Option<Instant>,
    mut change: Change,
    rebase: impl Fn(Option<&Item>, Timestamp) -> Option<Change>,
) -> CommitOutcome {
    let store = world.store();
    let (mut doubted, mut is_rebased) = (false, false);
    for _ in 0..TRIES {
        let now = world.now();
        let standing = match bounded(until, store.record(&change, now)).await {
            Some(Ok(Recorded::Done)) => return CommitOutcome::Recorded { change, is_rebased },
            Some(Ok(Recorded::Conflict(item))) => item,
            Some(Err(error)) if doubted => return CommitOutcome::Failed(error),
            Some(Err(error)) => {
                doubted = true;
                match bounded(until, store.read(&change.item.key(), now)).await {
                    Some(Ok(item)) => item,
                    Some(Err(_)) => return CommitOutcome::Failed(error),
                    None => return CommitOutcome::TimedOut,
                }
            }
            None => return CommitOutcome::TimedOut,
        };
        if standing.as_ref() == Some(&change.item) {
            return CommitOutcome::Recorded { change, is_rebased };
        }
        match rebase(standing.as_ref(), now) {
            Some(next) => {
                is_rebased |= next.expected != change.expected;
                change = next;
            }
            None => return CommitOutcome::Superseded(standing),
        }
    }
    CommitOutcome::Failed(StoreError::Failed(format!(
        "other runs were faster {TRIES} times"
    )))
}
