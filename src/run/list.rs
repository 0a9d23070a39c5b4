//! The listing, page by page.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Failure;
use super::pace::Pace;
use crate::ports::{Listing, Page};

/// Pages that may wait to be judged.
pub(super) const PAGES_AHEAD: usize = 16;

/// What a listing gives: pages, and then how it ended.
pub(super) enum ListingEvent {
    /// A page, and when it was asked for.
    Page(Timestamp, Page),
    /// There are no more.
    Complete,
    /// Its time was spent.
    Spent,
    /// A page could not be had.
    Failed(Failure),
}

/// Lists, until nobody takes the pages.
pub(super) async fn list(
    listing: &impl Listing,
    now: impl Fn() -> Timestamp,
    pace: &Pace,
    until: Option<Instant>,
    events: mpsc::Sender<ListingEvent>,
) {
    let end = list_pages(listing, now, pace, until, &events).await;
    let _ = events.send(end).await;
}

/// Lists page by page, and says how that ended. A page that is refused for its rate is asked for again. A token that
/// was given before, not only by the last page, ends it.
async fn list_pages(
    listing: &impl Listing,
    now: impl Fn() -> Timestamp,
    pace: &Pace,
    until: Option<Instant>,
    events: &mpsc::Sender<ListingEvent>,
) -> ListingEvent {
    let mut given = HashSet::new();
    let mut token: Option<String> = None;
    for number in 1u64.. {
        let ask = async || {
            let asked_at = now();
            Ok((asked_at, listing.page(token.as_deref()).await?))
        };
        // Nobody takes pages once the state could not be loaded, and then no pause is worth its time.
        let answer = tokio::select! {
            biased;
            () = events.closed() => return ListingEvent::Spent,
            answer = pace.call(until, ask) => answer,
        };
        let (asked_at, mut page) = match answer {
            Some(Ok(answer)) => answer,
            Some(Err(error)) => {
                let why = format!("page {number}: {error}");
                return ListingEvent::Failed(Failure::ListingFailed(why));
            }
            None => return ListingEvent::Spent,
        };
        token = page.next.take().filter(|token| !token.is_empty());
        if events
            .send(ListingEvent::Page(asked_at, page))
            .await
            .is_err()
        {
            return ListingEvent::Spent;
        }
        match &token {
            None => return ListingEvent::Complete,
            Some(token) => {
                // A hash is enough to know it by, and a million jobs have twenty thousand tokens.
                let mut hasher = DefaultHasher::new();
                token.hash(&mut hasher);
                if !given.insert(hasher.finish()) {
                    return ListingEvent::Failed(Failure::ListingLooped(number));
                }
            }
        }
    }
    ListingEvent::Spent
}

/// All pages, or why they could not be had, however long it takes. `progress` is told of each page.
#[cfg(feature = "preview")]
pub async fn list_all(
    listing: &impl Listing,
    mut progress: impl FnMut(&Page),
) -> Result<Vec<Page>, Failure> {
    let (sender, mut events) = mpsc::channel(PAGES_AHEAD);
    let pace = Pace::default();
    let mut pages = Vec::new();
    let take = async {
        while let Some(event) = events.recv().await {
            match event {
                ListingEvent::Page(_, page) => {
                    progress(&page);
                    pages.push(page);
                }
                ListingEvent::Failed(failure) => return Err(failure),
                ListingEvent::Complete | ListingEvent::Spent => {}
            }
        }
        Ok(pages)
    };
    tokio::join!(list(listing, Timestamp::now, &pace, None, sender), take).1
}
