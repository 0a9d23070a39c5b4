//! What a run says of itself: what it did, how things stand, and what went wrong.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde::Serialize;
use tracing::error;

use super::Failure;

/// What a run says of itself.
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
}

/// What a run saw of how things stand when it ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// How long the oldest notice has been pending; zero if none is, `None` if the state could not be read.
    pub oldest_pending: Option<SignedDuration>,
    /// How long ago the active job that has been silent longest showed a sign of life.
    pub oldest_sign_of_life: Option<SignedDuration>,
    /// How many subscribers have confirmed: of two topics the one with fewer.
    pub subscribers: Option<u64>,
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
    pub(crate) fn fail(&mut self, failure: Failure) {
        error!(error_type = failure.error_type(), "{failure}");
        self.failures.push(failure);
    }
}
