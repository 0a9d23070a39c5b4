//! What a run says of itself: what it did, how things stand, and what went wrong.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde::Serialize;
use tracing::error;

use crate::ports::{StoreError, UnreadableItem};
use crate::watch::SourceKind;

/// What a run says of itself. Of an invocation that watches several sources it is the sum of what they say.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Answer {
    /// Jobs listed.
    pub jobs: u64,
    /// Pages listed.
    pub pages: u64,
    /// Whether all pages were seen and judged.
    pub complete: bool,
    /// Jobs listed, by status.
    pub by_status: BTreeMap<String, u64>,
    /// Notices newly recorded, by kind.
    pub notices: BTreeMap<String, u64>,
    /// Notices published.
    pub published: u64,
    /// Notices that are still pending.
    pub pending: u64,
    /// Listed jobs that could not be understood.
    pub unreadable: u64,
    /// Whether this was the first complete listing of the watch.
    pub began: bool,
    /// Whether nothing was written and nothing published.
    pub dry_run: bool,
    /// What would have been published; of a dry run only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub would_publish: Option<Vec<serde_json::Value>>,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// What each source says, if there are several.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sources: BTreeMap<&'static str, Answer>,
}

impl Answer {
    fn add(&mut self, other: &Self) {
        let sum = |counts: &mut BTreeMap<String, u64>, more: &BTreeMap<String, u64>| {
            for (name, count) in more {
                *counts.entry(name.clone()).or_default() += count;
            }
        };
        self.jobs += other.jobs;
        self.pages += other.pages;
        self.complete &= other.complete;
        sum(&mut self.by_status, &other.by_status);
        sum(&mut self.notices, &other.notices);
        self.published += other.published;
        self.pending += other.pending;
        self.unreadable += other.unreadable;
        self.began |= other.began;
        self.took_ms += other.took_ms;
    }
}

/// What a run saw of how things stand when it ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// How long the oldest notice has been pending; zero if none is, `None` if no state could be read.
    pub oldest_pending: Option<SignedDuration>,
    /// How long ago the active job that has been silent longest showed a sign of life.
    pub oldest_sign_of_life: Option<SignedDuration>,
    /// How many subscribers have confirmed; `None` unless each topic says. An
    /// invocation asks once.
    pub subscribers: Option<Subscribers>,
}

/// How many subscribers of the topics, that of the alarms among them, have confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscribers {
    /// Of the topic that has fewest.
    pub fewest: u64,
    /// Of all topics.
    pub all: u64,
}

impl Gauges {
    fn add(&mut self, other: &Self) {
        self.oldest_pending = self.oldest_pending.max(other.oldest_pending);
        self.oldest_sign_of_life = self.oldest_sign_of_life.max(other.oldest_sign_of_life);
    }
}

/// What a run did, and what went wrong in it, in the order in which it did.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// What it did.
    pub answer: Answer,
    /// How things stand.
    pub gauges: Gauges,
    /// What went wrong; a run with any has failed.
    pub failures: Vec<Failure>,
}

impl Outcome {
    /// That of an invocation, of those of its sources.
    pub(crate) fn of_invocation(outcomes: Vec<(SourceKind, Self)>) -> Self {
        let mut outcomes = outcomes.into_iter();
        let Some((source, mut sum)) = outcomes.next() else {
            return Self::default();
        };
        let mut rest = outcomes.peekable();
        if rest.peek().is_none() {
            return sum;
        }
        let mut would_publish = sum.answer.would_publish.take();
        let mut sources = BTreeMap::from([(source.as_str(), sum.answer.clone())]);
        for (source, mut outcome) in rest {
            let events = outcome.answer.would_publish.take();
            would_publish = would_publish.map(|all| {
                all.into_iter()
                    .chain(events.into_iter().flatten())
                    .collect()
            });
            sum.answer.add(&outcome.answer);
            sum.gauges.add(&outcome.gauges);
            sum.failures.append(&mut outcome.failures);
            sources.insert(source.as_str(), outcome.answer);
        }
        sum.answer.would_publish = would_publish;
        sum.answer.sources = sources;
        sum
    }

    pub(crate) fn fail(&mut self, failure: Failure) {
        error!(error_type = failure.error_type(), "{failure}");
        self.failures.push(failure);
    }
}

/// At most this many stored items that could not be read are listed.
const ITEMS_LISTED: usize = 50;

/// Why a run failed. What could be done was done; what is pending stays pending, and the next run goes on from there.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Failure {
    /// The state could not be loaded, so nothing was judged.
    #[error("the state could not be read, so nothing was judged; the next run tries again: {0}")]
    StateUnreadable(String),
    /// The state was written by a newer version.
    #[error(
        "the state was written by a newer version and is left untouched; deploy that version again: {0}"
    )]
    StateTooNew(String),
    /// Stored items could not be understood.
    #[error(
        "stored items could not be read and were passed over, with what they are of; all else was done; mend or delete them: {0}"
    )]
    ItemsUnreadable(String),
    /// Stored items were written by a newer version.
    #[error(
        "stored items were written by a newer version and were passed over, with what they are of; all else was done; deploy that version again: {0}"
    )]
    ItemsTooNew(String),
    /// A page or a job could not be had.
    #[error("not all jobs could be seen; what was seen stands, and the next run lists again: {0}")]
    ListingFailed(String),
    /// The service gave a token that it had given before.
    #[error(
        "the listing repeats itself at page {0}, so it is incomplete; what was seen stands, and the next run lists again"
    )]
    ListingLooped(u64),
    /// A change could not be recorded.
    #[error("a change could not be recorded; the next run sees it again: {0}")]
    RecordFailed(String),
    /// The test notice could not be published.
    #[error("the test notice was not published; invoke it again when that is mended: {0}")]
    TestFailed(String),
    /// A notice could not be delivered.
    #[error("a notice was not delivered; it stays pending, and the next run tries again: {0}")]
    PublishFailed(String),
}

impl Failure {
    /// Its name in the answer of the Lambda.
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::StateUnreadable(_) | Self::ItemsUnreadable(_) => "StateUnreadable",
            Self::StateTooNew(_) | Self::ItemsTooNew(_) => "StateTooNew",
            Self::ListingFailed(_) => "ListingFailed",
            Self::ListingLooped(_) => "ListingLooped",
            Self::RecordFailed(_) => "RecordFailed",
            Self::PublishFailed(_) | Self::TestFailed(_) => "PublishFailed",
        }
    }

    /// What to say of stored items that were passed over: each is named, up to a bound.
    pub(super) fn unreadable(items: Vec<UnreadableItem>) -> impl Iterator<Item = Self> {
        let errors = items.into_iter().map(|item| item.error);
        let (newer, broken) = errors.partition(|error| matches!(error, StoreError::TooNew(_)));
        let listed = |errors: Vec<StoreError>| {
            let listed = errors.iter().take(ITEMS_LISTED);
            let mut texts: Vec<_> = listed.map(ToString::to_string).collect();
            let more = errors.len() - texts.len();
            texts.extend((more > 0).then(|| format!("and {more} more")));
            (!texts.is_empty()).then(|| texts.join("; "))
        };
        let broken = listed(broken).map(Self::ItemsUnreadable);
        let newer = listed(newer).map(Self::ItemsTooNew);
        broken.into_iter().chain(newer)
    }

    pub(super) fn load(error: StoreError) -> Self {
        match error {
            StoreError::Failed(text) => Self::StateUnreadable(text),
            StoreError::TooNew(text) => Self::StateTooNew(text),
        }
    }
}
