//! The listing, page by page.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Failure;
use super::pace::Pace;
use crate::ports::{Clock, Listing, Page};

/// How the listing ended.
pub(super) enum Listed {
    Whole,
    Spent,
    Failed(Failure),
}

/// Lists page by page. A page that is refused for its rate is asked for again. A token that was given before, not only
/// by the last page, ends it.
pub(super) async fn list<L: Listing, C: Clock>(
    listing: &L,
    clock: &C,
    pace: &Pace,
    pages: mpsc::Sender<(Timestamp, Page)>,
    until: Option<Instant>,
) -> Listed {
    let mut given = HashSet::new();
    let mut token: Option<String> = None;
    for number in 1u64.. {
        let ask = async || {
            let asked_at = clock.now();
            Ok((asked_at, listing.page(token.as_deref()).await?))
        };
        // Nobody takes pages once the state could not be loaded, and then no pause is worth its time.
        let answer = tokio::select! {
            biased;
            () = pages.closed() => return Listed::Spent,
            answer = pace.call(until, ask) => answer,
        };
        let (asked_at, mut page) = match answer {
            Some(Ok(answer)) => answer,
            Some(Err(error)) => {
                return Listed::Failed(Failure::ListingFailed(format!("page {number}: {error}")));
            }
            None => return Listed::Spent,
        };
        token = page.next.take().filter(|token| !token.is_empty());
        if pages.send((asked_at, page)).await.is_err() {
            return Listed::Spent;
        }
        match &token {
            None => return Listed::Whole,
            Some(token) => {
                // A hash is enough to know it by, and a million jobs have twenty thousand tokens.
                let mut hasher = DefaultHasher::new();
                token.hash(&mut hasher);
                if !given.insert(hasher.finish()) {
                    return Listed::Failed(Failure::ListingLooped(number));
                }
            }
        }
    }
    Listed::Spent
}
