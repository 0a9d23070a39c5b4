//! One change recorded, whatever other runs do meanwhile.

use jiff::Timestamp;
use tokio::time::Instant;

use super::bounded;
use crate::ports::{Clock, Ports, Recorded, Store, StoreError};
use crate::watch::{Change, Item};

/// How often a change is judged anew when another run was faster, before it is left to the next run.
const TRIES: usize = 3;

/// What became of a change after all tries.
pub(super) enum Commit {
    /// It is recorded, by this run.
    Made(Change),
    /// It is recorded, by this run, on top of what another run recorded meanwhile.
    MadeAnew(Change),
    /// Another run was faster, and what it left needs no change.
    Moot(Option<Item>),
    /// Time was spent; it is unknown whether it is recorded.
    Spent,
    /// It is unknown whether it is recorded, or other runs were faster too often.
    Failed(StoreError),
}

/// Records a change. `anew` judges again against what another run left. If it is unknown whether the change was
/// recorded, the item is read and judged once more; a second time it is left to the next run.
pub(super) async fn commit<L, S: Store, T, C: Clock>(
    ports: &Ports<L, S, T, C>,
    until: Option<Instant>,
    mut change: Change,
    anew: impl Fn(Option<&Item>, Timestamp) -> Option<Change>,
) -> Commit {
    let made = |change, is_anew| match is_anew {
        true => Commit::MadeAnew(change),
        false => Commit::Made(change),
    };
    let (mut doubted, mut is_anew) = (false, false);
    for _ in 0..TRIES {
        let now = ports.clock.now();
        let standing = match bounded(until, ports.store.record(&change, now)).await {
            Some(Ok(Recorded::Done)) => return made(change, is_anew),
            Some(Ok(Recorded::Conflict(item))) => item,
            Some(Err(error)) if doubted => return Commit::Failed(error),
            Some(Err(error)) => {
                doubted = true;
                match bounded(until, ports.store.read(&change.item.key(), now)).await {
                    Some(Ok(item)) => item,
                    Some(Err(_)) => return Commit::Failed(error),
                    None => return Commit::Spent,
                }
            }
            None => return Commit::Spent,
        };
        if standing.as_ref().is_some_and(|item| *item == change.item) {
            return made(change, is_anew);
        }
        match anew(standing.as_ref(), now) {
            Some(next) => {
                is_anew |= next.expected != change.expected;
                change = next;
            }
            None => return Commit::Moot(standing),
        }
    }
    Commit::Failed(StoreError::Failed(format!(
        "other runs were faster {TRIES} times"
    )))
}
