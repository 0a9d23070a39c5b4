//! When each part of a run must have ended, so that none takes the time of those that follow; and how long a claim lasts.

use std::future::Future;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

/// The listing leaves a third of the time given to what follows, and no more than this.
const MOST_TIME_AFTER_LISTING: Duration = Duration::from_secs(60);
const SUBSCRIBERS_TIMEOUT: Duration = Duration::from_secs(5);
/// What is kept of the time given, to answer in.
const ANSWER_MARGIN: Duration = Duration::from_millis(500);
/// What is kept of the time to settle in, so that a run whose time ends repeats nothing. Of short runs, less.
const SETTLE_MARGIN: Duration = Duration::from_secs(5);
/// How long a claim lasts, unless the run ends sooner.
const CLAIM_LIFETIME: Duration = Duration::from_secs(60);
/// A claim outlasts what is done under it by this much.
const CLAIM_MARGIN: Duration = Duration::from_secs(5);

/// The deadlines of one run. Without a time given, nothing but a claim has one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TimeLimits {
    started: Instant,
    time_given: Option<Duration>,
}

impl TimeLimits {
    pub(crate) fn start(time_given: Option<Duration>) -> Self {
        Self {
            started: Instant::now(),
            time_given,
        }
    }

    pub(crate) fn took_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// What is left of the time given, in equal parts.
    pub(crate) fn share(&self, parts: u32) -> Option<Duration> {
        let left = self.time_given?.saturating_sub(self.started.elapsed());
        left.checked_div(parts)
    }

    /// The deadline of the listing.
    pub(super) fn list_until(&self) -> Option<Instant> {
        let given = self.time_given?;
        let rest = (given / 3).min(MOST_TIME_AFTER_LISTING);
        Some(self.started + given.saturating_sub(rest))
    }

    /// Of the look-ups by id, in the middle of what is left after the listing: delivery needs its time, however long
    /// the service refuses to answer.
    pub(super) fn look_up_until(&self) -> Option<Instant> {
        let (list_until, work_until) = (self.list_until()?, self.work_until()?);
        let left = work_until.saturating_duration_since(list_until);
        Some(work_until.min(list_until + left / 2))
    }

    /// Of all that a run does.
    pub(crate) fn work_until(&self) -> Option<Instant> {
        let given = self.time_given?;
        Some(self.started + given.saturating_sub(ANSWER_MARGIN))
    }

    /// Of the question for the number of subscribers: delivery may wait for it.
    pub(super) fn subscribers_until(&self) -> Option<Instant> {
        let until = self.started + SUBSCRIBERS_TIMEOUT;
        self.list_until().into_iter().chain([until]).min()
    }

    /// Of what is published now: before its claim ends, and early enough to be settled in time. `None` if too little
    /// time is left to begin with it.
    pub(super) fn publish_until(&self) -> Option<Instant> {
        let now = Instant::now();
        let under_claim = now + (CLAIM_LIFETIME - CLAIM_MARGIN);
        let (Some(given), Some(work_until)) = (self.time_given, self.work_until()) else {
            return Some(under_claim);
        };
        let settle = SETTLE_MARGIN.min(given / 30);
        let publish_until = work_until.checked_sub(settle)?;
        (publish_until.saturating_duration_since(now) >= settle)
            .then(|| publish_until.min(under_claim))
    }
}

/// When a claim ends under which something is published until then.
pub(super) fn claim_until(publish_until: Instant, now: Timestamp) -> Timestamp {
    let lasts = publish_until.saturating_duration_since(Instant::now()) + CLAIM_MARGIN;
    now.saturating_add(lasts).unwrap_or(now)
}

/// What the future gives, or `None` if it takes longer than until then.
pub(crate) async fn bounded<F: Future>(until: Option<Instant>, future: F) -> Option<F::Output> {
    match until {
        Some(until) => tokio::time::timeout_at(until, future).await.ok(),
        None => Some(future.await),
    }
}

/// How much of the time given is left; `None` if the deadline was past from the start, as with emulators that
/// send one in 1970.
pub fn time_given(deadline_ms: u64, now: Timestamp) -> Option<Duration> {
    let now_ms = u64::try_from(now.as_millisecond()).unwrap_or(0);
    deadline_ms
        .checked_sub(now_ms)
        .filter(|left| *left > 0)
        .map(Duration::from_millis)
}
