//! Fetching the listing, page after page.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Failure;
use super::pace::Pace;
use crate::ports::{Listing, Page, World};

/// Pages that may wait to be judged.
pub(super) const PAGES_AHEAD: usize = 16;

/// What a listing gives: pages, each with the time when it was asked for, and then how it ended.
pub(super) type PageOrEnd = Result<(Timestamp, Page), ListingEnd>;

pub(super) enum ListingEnd {
    Complete,
    TimedOut,
    Failed(Failure),
}

/// Lists for whoever takes the pages. Nobody does once the state could not be loaded, and then no pause is worth its
/// time.
pub(super) async fn list_for<W: World>(
    pages: mpsc::Sender<PageOrEnd>,
    world: &W,
    pace: &Pace,
    until: Option<Instant>,
) {
    let listing = async {
        let send = async |page| drop(pages.send(Ok(page)).await);
        let end = list(world.listing(), || world.now(), pace, until, send).await;
        drop(pages.send(Err(end)).await);
    };
    tokio::select! {
        biased;
        () = pages.closed() => {}
        () = listing => {}
    }
}

/// Lists page by page, and says how that ended. A page that is refused for its rate is asked for again. A token that
/// was given before, not only by the last page, ends it.
async fn list(
    listing: &impl Listing,
    now: impl Fn() -> Timestamp,
    pace: &Pace,
    until: Option<Instant>,
    mut take: impl AsyncFnMut((Timestamp, Page)),
) -> ListingEnd {
    let mut given = HashSet::new();
    let mut token: Option<String> = None;
    let mut number = 0;
    loop {
        number += 1;
        let ask = async || {
            let asked_at = now();
            Ok((asked_at, listing.page(token.as_deref()).await?))
        };
        let (asked_at, mut page) = match pace.call(until, ask).await {
            Some(Ok(answer)) => answer,
            Some(Err(error)) => {
                let why = format!("page {number}: {error}");
                return ListingEnd::Failed(Failure::ListingFailed(why));
            }
            None => return ListingEnd::TimedOut,
        };
        token = page.next.take().filter(|token| !token.is_empty());
        take((asked_at, page)).await;
        let Some(token) = &token else {
            return ListingEnd::Complete;
        };
        // A hash is enough to know it by, and a million jobs have twenty thousand tokens.
        let mut hasher = DefaultHasher::new();
        token.hash(&mut hasher);
        if !given.insert(hasher.finish()) {
            return ListingEnd::Failed(Failure::ListingLooped(number));
        }
    }
}

/// Lists all pages, however long it takes, or says why they could not be had.
#[cfg(feature = "preview")]
pub async fn list_all(listing: &impl Listing, mut take: impl FnMut(Page)) -> Result<(), Failure> {
    let take = async |(_, page)| take(page);
    match list(listing, Timestamp::now, &Pace::default(), None, take).await {
        ListingEnd::Complete | ListingEnd::TimedOut => Ok(()),
        ListingEnd::Failed(failure) => Err(failure),
    }
}
