//! Patience with a service that refuses calls for their rate.
//!
//! Nothing waits until a call is refused, after the SDK's own tries. From then on calls begin at intervals, which
//! double with each refusal, and a refused call is made again after a pause that grows with them. All calls to the
//! service share one pace, so those that are under way together slow down together.

use std::cell::Cell;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tracing::{debug, warn};

use super::time_limits::bounded;
use crate::ports::ListingError;

/// Between the beginnings of two calls, after the first refusal. The service documents no rate; calls like these were
/// refused elsewhere from one to five a second on.
const FIRST_INTERVAL: Duration = Duration::from_millis(250);
/// At most this is between two calls. A slower service refuses some of them, and the pauses slow them down further.
const LONGEST_INTERVAL: Duration = Duration::from_secs(1);
/// After a refusal nothing is asked for this many intervals, so that the service has calls to give again.
const PAUSE: u32 = 4;

#[derive(Debug, Default)]
pub(super) struct Pace(Cell<PaceState>);

#[derive(Clone, Copy, Debug, Default)]
struct PaceState {
    interval: Duration,
    /// Before this no call begins.
    next: Option<Instant>,
    /// When a refusal last made it slower.
    slowed_at: Option<Instant>,
}

impl Pace {
    /// What the call answers, made again as long as it is refused for its rate; `None` if the time is spent first.
    pub(super) async fn call<T>(
        &self,
        until: Option<Instant>,
        call: impl AsyncFn() -> Result<T, ListingError>,
    ) -> Option<Result<T, ListingError>> {
        loop {
            let begun = self.wait_for_slot(until).await?;
            match bounded(until, call()).await {
                Some(Err(ListingError::Throttled(why))) => self.slow_down(begun, &why),
                answer => return answer,
            }
        }
    }

    /// Waits until a call may begin, and says when it does; `None` if that is too late.
    async fn wait_for_slot(&self, until: Option<Instant>) -> Option<Instant> {
        // A slot is taken only when its time has come: who leaves the queue takes none.
        loop {
            let (now, state) = (Instant::now(), self.0.get());
            match state.next.filter(|next| *next > now) {
                Some(next) if until.is_some_and(|until| next >= until) => return None,
                Some(next) => sleep_until(next).await,
                None => {
                    let next = Some(now + state.interval);
                    self.0.set(PaceState { next, ..state });
                    return Some(now);
                }
            }
        }
    }

    /// Takes in that a call was refused. Calls that had begun before the last refusal did not know of it: however many
    /// of them are refused as well, they are one refusal.
    fn slow_down(&self, begun: Instant, why: &str) {
        let state = self.0.get();
        if state.slowed_at.is_some_and(|slowed_at| begun <= slowed_at) {
            return;
        }
        if state.slowed_at.is_none() {
            warn!("calls are refused for their rate, so they go on slower: {why}");
        }
        let now = Instant::now();
        let interval = (2 * state.interval).clamp(FIRST_INTERVAL, LONGEST_INTERVAL);
        debug!(?interval, "refused: {why}");
        self.0.set(PaceState {
            interval,
            next: Some(now + PAUSE * interval),
            slowed_at: Some(now),
        });
    }
}
