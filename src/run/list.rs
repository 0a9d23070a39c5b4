//! The listing, page by page.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{Failure, bounded};
use crate::ports::{Clock, Listing, Page};

/// How the listing ended.
pub(super) enum Listed {
    Whole,
    Spent,
    Failed(Failure),
}

/// Lists page by page. A token that was given before, not only by the last page, ends it.
pub(super) async fn list<L: Listing, C: Clock>(
    listing: &L,
    clock: &C,
    pages: mpsc::Sender<(Timestamp, Page)>,
    until: Option<Instant>,
) -> Listed {
    let mut given = HashSet::new();
    let mut token: Option<String> = None;
    for number in 1u64.. {
        let asked_at = clock.now();
        let mut page = match bounded(until, listing.page(token.as_deref())).await {
            Some(Ok(page)) => page,
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
