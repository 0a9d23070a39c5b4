//! One run as a process: what befalls its effects, and what it is shown.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use fastrand::Rng;
use fraud_job_watch::watch::{JobId, ListedJob};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use super::ledger::Look;
use super::plan::{Effect, Fault, Invocation, Trigger};
use super::world::World;

/// One run's side of the world.
pub(crate) struct Process {
    pub(crate) world: Rc<World>,
    /// Its place in the ledger.
    pub(crate) run: usize,
    pub(super) plan: Invocation,
    counts: RefCell<BTreeMap<Effect, u32>>,
    pub(super) tokens: RefCell<Vec<String>>,
    pub(super) pages: Cell<u32>,
    rng: RefCell<Rng>,
    pub(crate) died: Notify,
    frozen_until: Cell<Option<Instant>>,
}

impl Process {
    pub(crate) fn new(world: Rc<World>, run: usize, plan: Invocation, seed: u64) -> Rc<Self> {
        let seed = seed ^ u64::from(plan.number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Rc::new(Self {
            world,
            run,
            plan,
            counts: RefCell::default(),
            tokens: RefCell::default(),
            pages: Cell::default(),
            rng: RefCell::new(Rng::with_seed(seed)),
            died: Notify::new(),
            frozen_until: Cell::default(),
        })
    }

    pub(crate) fn counts(&self) -> BTreeMap<Effect, u32> {
        self.counts.borrow().clone()
    }

    /// Polls the run, but not while it is frozen.
    pub(crate) async fn freezable<F: Future>(&self, run: F) -> F::Output {
        let mut run = pin!(run);
        loop {
            let output = poll_fn(|cx| match run.as_mut().poll(cx) {
                Poll::Ready(output) => Poll::Ready(Some(output)),
                Poll::Pending if self.frozen_until.get().is_some() => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            })
            .await;
            match (output, self.frozen_until.take()) {
                (Some(output), _) => return output,
                (None, Some(until)) => sleep_until(until).await,
                (None, None) => {}
            }
        }
    }

    pub(super) fn trace(&self, line: impl FnOnce() -> String) {
        self.world
            .trace(|| format!("run {}: {}", self.plan.number, line()));
    }

    /// What befalls the next effect of this kind.
    pub(super) fn next(&self, effect: Effect) -> Option<Fault> {
        let mut counts = self.counts.borrow_mut();
        let count = counts.entry(effect).or_default();
        *count += 1;
        let befalls = |trigger: &Trigger| match trigger {
            Trigger::Nth(kind, nth) => *kind == effect && nth == count,
            Trigger::Every(kind) => *kind == effect,
        };
        let mut faults = self.plan.faults.iter();
        let fault = faults.find(|(trigger, _)| befalls(trigger));
        let fault = fault.map(|(_, fault)| *fault);
        // Only a message can be refused.
        fault.filter(|fault| *fault != Fault::IsRefused || effect == Effect::Publish)
    }

    /// One effect: `action` is it taking place, `lost` what is answered if no good answer comes.
    pub(super) async fn effect<T: 'static>(
        &self,
        fault: Option<Fault>,
        what: String,
        action: impl Future<Output = T> + 'static,
        lost: impl Fn() -> T,
    ) -> T {
        let pause = self.plan.latency.as_millis() as u64;
        let (before, after) = {
            let mut rng = self.rng.borrow_mut();
            (rng.u64(0..=pause / 2), rng.u64(0..=pause / 2))
        };
        sleep(Duration::from_millis(before)).await;
        match fault {
            Some(fault) => {
                self.trace(|| format!("{what}: {fault}"));
                let mut ledger = self.world.ledger.borrow_mut();
                *ledger.faults.entry(fault.name()).or_default() += 1;
            }
            None => self.trace(|| what.clone()),
        }
        let answer = match fault {
            None => action.await,
            Some(Fault::Fails | Fault::IsRefused) => lost(),
            Some(Fault::LosesAnswer) => {
                action.await;
                lost()
            }
            Some(Fault::DiesBefore) => self.die().await,
            Some(Fault::DiesAfter) => {
                action.await;
                self.die().await
            }
            Some(Fault::IsSlow(ms)) => {
                sleep(Duration::from_millis(ms)).await;
                action.await
            }
            Some(Fault::AnswersSlowly(ms)) => {
                let answer = action.await;
                sleep(Duration::from_millis(ms)).await;
                answer
            }
            Some(Fault::Hangs) => std::future::pending().await,
            Some(Fault::HangsAfter) => {
                action.await;
                std::future::pending().await
            }
            Some(Fault::LandsLate(ms)) => {
                let (world, number) = (Rc::clone(&self.world), self.plan.number);
                tokio::task::spawn_local(async move {
                    sleep(Duration::from_millis(ms)).await;
                    world.trace(|| format!("run {number}: {what}: lands now"));
                    action.await;
                });
                lost()
            }
            Some(Fault::FreezesBefore(ms)) => {
                self.freeze(ms).await;
                action.await
            }
            Some(Fault::FreezesAfter(ms)) => {
                let answer = action.await;
                self.freeze(ms).await;
                answer
            }
        };
        sleep(Duration::from_millis(after)).await;
        answer
    }

    async fn die<T>(&self) -> T {
        self.died.notify_one();
        std::future::pending().await
    }

    async fn freeze(&self, ms: u64) {
        self.world.ledger.borrow_mut().runs[self.run].froze = true;
        self.frozen_until
            .set(Some(Instant::now() + Duration::from_millis(ms)));
        tokio::task::yield_now().await;
    }

    /// Notes an answer that the run must not take for success.
    pub(super) fn met<T, E>(&self, answer: Result<T, E>) -> Result<T, E> {
        if answer.is_err() {
            self.world.ledger.borrow_mut().runs[self.run].met_error = true;
        }
        answer
    }

    pub(super) fn stale(&self, seconds: u32) -> Timestamp {
        self.world.now() - SignedDuration::from_secs(i64::from(seconds))
    }

    /// The jobs as this run is shown them at `at`, and what the world notes of that.
    pub(super) fn show(&self, only: Option<&JobId>, at: Timestamp) -> Vec<(ListedJob, Look)> {
        let (world, view) = (&self.world, self.plan.view);
        let as_of = self.stale(view.jobs_stale);
        let lives = world.lives.borrow();
        let mut places: Vec<_> = (0..lives.len()).collect();
        Rng::with_seed(view.shuffle).shuffle(&mut places);
        let omitted = view.omits.filter(|_| only.is_none());
        let gaps = view.has_gaps.then_some(view.shuffle);
        let shown = places.into_iter().filter_map(|place| {
            let life = &lives[place];
            let is_asked = only.is_none_or(|id| id.as_str() == life.id);
            if !is_asked || [omitted, view.misses].contains(&Some(life.id)) {
                return None;
            }
            // Whether it is there at all is never stale when it is asked for by its id.
            let as_of = match only {
                Some(_) if !life.is_visible(world.now()) => return None,
                Some(_) if !life.is_visible(as_of) => world.now(),
                Some(_) | None => as_of,
            };
            let listed = life.view(as_of, gaps, world.are_imports)?;
            let look = Look::new(place, &listed, at, as_of);
            Some((listed, look))
        });
        shown.collect()
    }

    /// Writes down what was shown.
    pub(super) fn showed(&self, look: Look) {
        let mut ledger = self.world.ledger.borrow_mut();
        ledger.runs[self.run].looks.push(look);
    }
}
