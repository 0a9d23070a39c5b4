//! One run, and the only place that orders effects.
//!
//! Load the state and list the jobs, both started together; judge what is seen, and record each change as it comes; ask
//! by id for known active jobs that were not listed; judge what only the whole listing says; deliver all that is pending,
//! by this run or an earlier one: claim, publish, settle. Whatever dies in between, what is recorded stays pending until
//! it was published.

mod commit;
mod deliver;
mod detectors;
mod known;
mod list;
mod observe;
mod outcome;
mod pace;
mod time_limits;
mod writes;

use std::future::{Future, ready};
use std::time::Duration;

use futures_util::FutureExt as _;
use jiff::SignedDuration;
use tokio::sync::mpsc;

use known::{Known, load};
#[cfg(feature = "preview")]
pub use list::list_all;
use list::{ListingEnd, PAGES_AHEAD, PageOrEnd, list_for};
pub use outcome::{Answer, Failure, Gauges, Outcome, Subscribers};
use pace::Pace;
pub use time_limits::time_given;
pub(crate) use time_limits::{TimeLimits, bounded};
use writes::Writes;

use crate::ports::{Pending, World};
use crate::settings::WatchSettings;
use crate::watch::judge::RunContext;
use crate::watch::{Observed, Source};

/// What one run is given.
#[derive(Clone, Copy, Debug)]
pub struct RunInput<'a> {
    /// Whose jobs.
    pub source: &'a Source,
    /// What is reported, when, and how.
    pub settings: &'a WatchSettings,
    /// The name of this run, unlike that of any other: it owns the claims that the run makes.
    pub run_id: &'a str,
    /// How long the run may take; without it, as long as it likes.
    pub time_given: Option<Duration>,
}

/// How many subscribers have confirmed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counted {
    /// Of all topics, if each says.
    pub(crate) of_topics: Option<Subscribers>,
    /// Of that of the alarms.
    pub(crate) of_alarms: Option<u64>,
}

/// Runs once.
pub async fn run<W: World>(world: &W, input: &RunInput<'_>) -> Outcome {
    run_counting(world, input, ready(Counted::default())).await
}

/// Runs once while the subscribers are counted. If there is a topic of alarms, delivery waits for that.
pub(crate) async fn run_counting<W: World>(
    world: &W,
    input: &RunInput<'_>,
    subscribers: impl Future<Output = Counted>,
) -> Outcome {
    let limits = TimeLimits::start(input.time_given);
    let subscribers = bounded(limits.subscribers_until(), subscribers);
    let subscribers = subscribers.map(Option::unwrap_or_default).shared();
    let (pace, topics) = (Pace::default(), world.topics());
    let (sender, pages) = mpsc::channel(PAGES_AHEAD);
    let listing = list_for(sender, world, &pace, limits.list_until());
    let work = async {
        let known = match load(world, input, limits.list_until()).await {
            Ok(known) => known,
            Err(failure) => return not_loaded(failure, pages).await,
        };
        let baseline = known.baseline.clone();
        let detectors = detectors::names(&input.settings.policy, &known);
        let context = RunContext {
            source: input.source,
            policy: &input.settings.policy,
            topics: &topics,
            baseline: &baseline,
            run: input.run_id,
            now: world.now(),
        };
        let mut run = Run {
            world,
            input,
            limits,
            context,
            known,
            observed: Observed::new(input.source.kind(), detectors.into_iter()),
            writes: Writes::default(),
            outcome: Outcome::default(),
            has_timed_out: false,
        };
        run.judge_pages(pages).await;
        run.look_up(&pace).await;
        run.judge_active_jobs().await;
        run.judge_detectors().await;
        run.begin().await;
        // Whoever has no alarms waits for no count.
        let counted = match run.world.alarms() {
            Some(_) => subscribers.clone().await,
            None => Counted::default(),
        };
        run.judge_alarm_topic(counted.of_alarms).await;
        run.deliver().await;
        run.finish()
    };
    let ((), mut outcome, counted) = tokio::join!(biased; listing, work, subscribers.clone());
    outcome.gauges.subscribers = counted.of_topics;
    outcome.answer.took_ms = limits.took_ms();
    outcome
}

struct Run<'a, W: World> {
    world: &'a W,
    input: &'a RunInput<'a>,
    limits: TimeLimits,
    context: RunContext<'a>,
    known: Known,
    observed: Observed,
    writes: Writes<'a>,
    outcome: Outcome,
    /// Time ran out before everything was judged.
    has_timed_out: bool,
}

impl<W: World> Run<'_, W> {
    fn finish(mut self) -> Outcome {
        for failure in Failure::unreadable(self.known.unreadable) {
            self.outcome.fail(failure);
        }
        let now = self.world.now();
        let age = |at| now.duration_since(at).max(SignedDuration::ZERO);
        let recorded_at = |pending: &Pending| pending.notice.recorded_at;
        let oldest_pending = self.known.outbox.iter().map(recorded_at).min();
        let oldest_sign = self.observed.oldest_sign_of_life(&self.known.records, now);
        let Outcome { answer, gauges, .. } = &mut self.outcome;
        gauges.oldest_pending = Some(oldest_pending.map(age).unwrap_or_default());
        let has_heartbeats = self.input.source.kind().has_heartbeats();
        gauges.oldest_sign_of_life = oldest_sign.filter(|_| has_heartbeats).map(age);
        answer.by_status = self.observed.statuses.by_status().clone();
        answer.pending = self.known.outbox.len() as u64;
        answer.complete = self.observed.is_complete && !self.has_timed_out;
        self.outcome
    }
}

/// Nothing could be judged. The listing ends when nobody takes its pages; if it has failed, that is said as well.
async fn not_loaded(failure: Failure, mut pages: mpsc::Receiver<PageOrEnd>) -> Outcome {
    let mut outcome = Outcome::default();
    outcome.fail(failure);
    pages.close();
    while let Some(page) = pages.recv().await {
        if let Err(ListingEnd::Failed(failure)) = page {
            outcome.fail(failure);
        }
    }
    outcome
}
