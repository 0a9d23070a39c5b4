//! What a run needs of the world.
//!
//! Futures are dropped when their run's time is spent, so an effect may or may not have taken place whenever
//! its answer was not seen.

use std::future::Future;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::message::Message;
use crate::watch::{
    Baseline, Change, DetectorRecord, Item, JobId, Key, ListedJob, Notice, Record, TopicArn, Topics,
};

/// One page of the listing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The jobs, in no promised order.
    pub jobs: Vec<ListedJob>,
    /// What to ask the next page with; the last page has none.
    pub next: Option<String>,
}

/// The jobs of one source.
pub trait Listing {
    /// The first page, or the one that `token` stands for.
    fn page(&self, token: Option<&str>) -> impl Future<Output = Result<Page, ListingError>>;

    /// The job with this id, or whatever the service has answered instead; `None` if there is none.
    fn ask(&self, id: &JobId) -> impl Future<Output = Result<Option<ListedJob>, ListingError>>;
}

impl<L: Listing> Listing for &L {
    async fn page(&self, token: Option<&str>) -> Result<Page, ListingError> {
        L::page(self, token).await
    }

    async fn ask(&self, id: &JobId) -> Result<Option<ListedJob>, ListingError> {
        L::ask(self, id).await
    }
}

/// A page or a job could not be had, after all retries.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ListingError {
    /// The call was refused for its rate: it may pass after a pause.
    #[error("{0}")]
    Throttled(String),
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

/// Everything stored for one watch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// What the watch remembers; `None` before its first run.
    pub baseline: Option<Baseline>,
    /// The jobs that are active or ended lately, expired ones left out.
    pub records: Vec<Record>,
    /// The detectors that EXPECT names, or once named.
    pub detectors: Vec<DetectorRecord>,
    /// What waits to be delivered.
    pub outbox: Vec<Pending>,
    /// What is stored and cannot be understood. It is left untouched.
    pub unreadable: Vec<UnreadableItem>,
}

/// A stored item, other than the watch's own, that cannot be understood.
#[derive(Clone, Debug, PartialEq)]
pub struct UnreadableItem {
    /// What it is filed under, if it is the record of a job or a detector.
    pub key: Option<Key>,
    /// What is wrong; it names the item.
    pub error: StoreError,
}

/// A notice that waits until it is delivered to one topic.
///
/// What is for two topics is stored twice under one id; each copy is delivered by itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pending {
    /// What to tell.
    pub notice: Notice,
    /// The topic that it is for.
    pub topic: TopicArn,
    /// Its place among the notices of its item: the revision that it was recorded with, and its place there.
    pub order: (u64, u64),
}

impl Pending {
    /// What it is filed under: its notice and topic.
    pub fn key(&self) -> String {
        format!("{}#{}", self.notice.id, self.topic)
    }
}

impl Change {
    /// What is pending once the change is made: each notice for each of its topics.
    pub fn pending(&self) -> impl Iterator<Item = Pending> {
        let rev = self.item.rev();
        (0..).zip(&self.notices).flat_map(move |(place, notice)| {
            notice.topics.iter().map(move |topic| Pending {
                notice: notice.clone(),
                topic: topic.clone(),
                order: (rev, place),
            })
        })
    }
}

/// What became of a change.
#[derive(Clone, Debug, PartialEq)]
pub enum Recorded {
    /// It is made.
    Done,
    /// It is not made, because this is stored instead of what was expected. It may be this very change, made by an
    /// earlier attempt whose answer was lost.
    Conflict(Option<Item>),
}

/// What became of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// The notice is this run's to deliver until the claim ends.
    Mine,
    /// Another run's claim has not ended.
    Held,
    /// It is pending no longer: it has been delivered.
    Gone,
}

/// What a watch keeps between runs; each write is all or nothing.
pub trait Store {
    /// Everything, possibly not the newest. It is an error only if the watch's own item cannot be had.
    fn load(&self, now: Timestamp) -> impl Future<Output = Result<State, StoreError>>;

    /// One item as it is now; `None` if it is absent or expired.
    fn read(
        &self,
        key: &Key,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<Item>, StoreError>>;

    /// Writes the item and what is pending, if what the change expects is stored. After an error it may be written.
    fn record(
        &self,
        change: &Change,
        now: Timestamp,
    ) -> impl Future<Output = Result<Recorded, StoreError>>;

    /// Claims a notice for the run `by`, if it is pending and no other run's claim lasts. An `until` that is not after
    /// `now` ends the claim.
    fn claim(
        &self,
        pending: &Pending,
        by: &str,
        until: Timestamp,
        now: Timestamp,
    ) -> impl Future<Output = Result<Claimed, StoreError>>;

    /// Forgets a pending notice. Doing it twice is harmless.
    fn settle(&self, pending: &Pending) -> impl Future<Output = Result<(), StoreError>>;
}

/// The state could not be read or written, after all retries.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// A call failed, or an item makes no sense.
    #[error("{0}")]
    Failed(String),
    /// An item was written by a newer version, which says that this one cannot read it. It is left untouched.
    #[error("{0}")]
    TooNew(String),
}

/// Where messages go.
pub trait Topic {
    /// Its ARN.
    fn arn(&self) -> &TopicArn;

    /// Waits until a message more does not exceed the topic's rate.
    fn ready(&self) -> impl Future<Output = ()>;

    /// Publishes one message. After [`PublishError::Failed`] it is unknown whether it went out.
    fn publish(&self, message: &Message) -> impl Future<Output = Result<(), PublishError>>;

    /// How many subscribers have confirmed; `None` if that is not known.
    fn subscribers(&self) -> impl Future<Output = Option<u64>> {
        async { None }
    }
}

/// A message did not go out.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PublishError {
    /// This message will never pass as it is.
    #[error("{0}")]
    Refused(String),
    /// It did not pass because of the topic's rate: no other would.
    #[error("{0}")]
    Throttled(String),
    /// It may pass another time, or has passed and its answer was lost.
    #[error("{0}")]
    Failed(String),
}

/// The world as one run sees it.
pub trait World {
    /// The jobs.
    type Listing: Listing;
    /// What is kept.
    type Store: Store;
    /// Where messages go.
    type Topic: Topic;

    /// The jobs.
    fn listing(&self) -> &Self::Listing;
    /// What is kept.
    fn store(&self) -> &Self::Store;
    /// Where messages go.
    fn topic(&self) -> &Self::Topic;
    /// Where those that somebody should look at go instead.
    fn urgent(&self) -> Option<&Self::Topic>;
    /// Where alarms go. Nothing is published there; only its subscribers are counted.
    fn alarms(&self) -> Option<&Self::Topic>;
    /// What time it is.
    fn now(&self) -> Timestamp;

    /// The topics that notices are for.
    fn topics(&self) -> Topics {
        Topics {
            main: self.topic().arn().clone(),
            urgent: self.urgent().map(|topic| topic.arn().clone()),
        }
    }
}

/// A world that is put together.
#[derive(Clone, Debug)]
pub struct Ports<L, S, T, C> {
    /// The jobs.
    pub listing: L,
    /// What is kept.
    pub store: S,
    /// Where messages go.
    pub topic: T,
    /// Where those that somebody should look at go instead.
    pub urgent: Option<T>,
    /// Where alarms go.
    pub alarms: Option<T>,
    /// What time it is.
    pub clock: C,
}

impl<L: Listing, S: Store, T: Topic, C: Fn() -> Timestamp> World for Ports<L, S, T, C> {
    type Listing = L;
    type Store = S;
    type Topic = T;

    fn listing(&self) -> &L {
        &self.listing
    }

    fn store(&self) -> &S {
        &self.store
    }

    fn topic(&self) -> &T {
        &self.topic
    }

    fn urgent(&self) -> Option<&T> {
        self.urgent.as_ref()
    }

    fn alarms(&self) -> Option<&T> {
        self.alarms.as_ref()
    }

    fn now(&self) -> Timestamp {
        (self.clock)()
    }
}
