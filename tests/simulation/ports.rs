//! The ports of one run, and what befalls them.
//!
//! What takes place is written down here, at the world's side, so that a defect that stands between the run and
//! these ports cannot hide it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use fastrand::Rng;
use fraud_job_watch::message::Message;
use fraud_job_watch::ports::{
    Claimed, Clock, Listing, ListingError, Owed, Page, PublishError, Recorded, State, Store,
    StoreError, Topic,
};
use fraud_job_watch::watch::{Change, Item, JobId, Key, Listed, NoticeId, TopicArn};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use super::ledger::{Attempt, Claim, Look, Settling};
use super::oracle;
use super::plan::{Effect, Fault, Invocation, Tokens, Trigger};
use super::world::World;

/// One run's side of the world.
pub(crate) struct Process {
    pub(crate) world: Rc<World>,
    /// Its place in the ledger.
    pub(crate) run: usize,
    plan: Invocation,
    counts: RefCell<BTreeMap<Effect, u32>>,
    tokens: RefCell<Vec<String>>,
    pages: Cell<u32>,
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

    fn trace(&self, line: impl FnOnce() -> String) {
        self.world
            .trace(|| format!("run {}: {}", self.plan.number, line()));
    }

    /// What befalls the next effect of this kind.
    fn next(&self, effect: Effect) -> Option<Fault> {
        let mut counts = self.counts.borrow_mut();
        let count = counts.entry(effect).or_default();
        *count += 1;
        let befalls = |trigger: &Trigger| match trigger {
            Trigger::Nth(kind, nth) => *kind == effect && nth == count,
            Trigger::Every(kind) => *kind == effect,
        };
        let fault = self
            .plan
            .faults
            .iter()
            .find(|(trigger, _)| befalls(trigger));
        let fault = fault.map(|(_, fault)| *fault);
        // Only a message can be refused.
        fault.filter(|fault| *fault != Fault::IsRefused || effect == Effect::Publish)
    }

    /// One effect: `action` is it taking place, `lost` what is answered if no good answer comes.
    async fn effect<T: 'static>(
        &self,
        fault: Option<Fault>,
        what: impl Fn() -> String,
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
                self.trace(|| format!("{}: {fault}", what()));
                *self
                    .world
                    .ledger
                    .borrow_mut()
                    .faults
                    .entry(fault.name())
                    .or_default() += 1;
            }
            None => self.trace(&what),
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
                let what = what();
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
    fn met<T, E>(&self, answer: Result<T, E>) -> Result<T, E> {
        if answer.is_err() {
            self.world.ledger.borrow_mut().runs[self.run].met_error = true;
        }
        answer
    }

    fn stale(&self, seconds: u32) -> Timestamp {
        self.world.now() - SignedDuration::from_secs(i64::from(seconds))
    }

    /// The jobs as this run is shown them at `at`, and what the world notes of that.
    fn show(&self, only: Option<&JobId>, at: Timestamp) -> Vec<(Listed, Look)> {
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
            let listed = life.view(as_of, gaps)?;
            let look = Look::new(place, &listed, at, as_of);
            Some((listed, look))
        });
        shown.collect()
    }

    /// Writes down what was shown.
    fn showed(&self, look: Look) {
        let mut ledger = self.world.ledger.borrow_mut();
        ledger.runs[self.run].looks.push(look);
    }
}

/// What a run has of the world; as a topic, it is this one.
#[derive(Clone)]
pub(crate) struct Port {
    pub(crate) process: Rc<Process>,
    pub(crate) topic: TopicArn,
}

impl Listing for Port {
    async fn page(&self, token: Option<&str>) -> Result<Page, ListingError> {
        let fault = self.process.next(Effect::Page);
        let process = Rc::clone(&self.process);
        let token = token.map(str::to_owned);
        let what = {
            let token = token.clone();
            move || format!("page at {}", token.as_deref().unwrap_or("the beginning"))
        };
        let asked_at = self.process.world.now();
        let action = async move { Ok(page(&process, token.as_deref(), asked_at)) };
        let lost = || Err(ListingError::Failed("as scripted".to_owned()));
        let answer = self.process.effect(fault, what, action, lost).await;
        // Shown is what arrives.
        let (page, looks) = self.process.met(answer)?;
        looks.into_iter().for_each(|look| self.process.showed(look));
        if page.next.is_none() {
            let mut ledger = self.process.world.ledger.borrow_mut();
            ledger.runs[self.process.run].saw_the_end = true;
        }
        Ok(page)
    }

    async fn ask(&self, id: &JobId) -> Result<Option<Listed>, ListingError> {
        let fault = self.process.next(Effect::Ask);
        let (process, asked) = (Rc::clone(&self.process), id.clone());
        let asked_at = self.process.world.now();
        let action = async move {
            // The latest of this id: two at once there never are.
            let found = process.show(Some(&asked), asked_at);
            Ok(found.into_iter().max_by_key(|(_, look)| look.life))
        };
        let what = || format!("ask for job {id}");
        let lost = || Err(ListingError::Failed("as scripted".to_owned()));
        let answer = self.process.effect(fault, what, action, lost).await;
        let found = self.process.met(answer)?;
        Ok(match found {
            Some((listed, look)) => {
                self.process.showed(look);
                Some(listed)
            }
            None => {
                let mut ledger = self.process.world.ledger.borrow_mut();
                let absent = &mut ledger.runs[self.process.run].absent;
                absent.insert(id.to_string(), asked_at);
                None
            }
        })
    }
}

fn page(process: &Process, token: Option<&str>, asked_at: Timestamp) -> (Page, Vec<Look>) {
    let view = process.plan.view;
    let jobs = process.show(None, asked_at);
    let number = process.pages.replace(process.pages.get() + 1) + 1;
    let from = token.map_or(0, |token| {
        token.split('.').next().unwrap().parse::<usize>().unwrap()
    });
    let from = from.min(jobs.len());
    let to = jobs.len().min(from + view.page);
    let fresh = |place: usize| format!("{place}.{number}");
    let (listed, mut looks) = jobs[from..to].iter().cloned().unzip();
    let mut page = Page {
        jobs: listed,
        next: (to < jobs.len()).then(|| fresh(to)),
    };
    let mut tokens = process.tokens.borrow_mut();
    match view.tokens {
        Some((after, Tokens::Repeat)) if number > after && token.is_some() => {
            page.next = token.map(str::to_owned);
        }
        Some((after, Tokens::Loop)) if number > after && !tokens.is_empty() => {
            page.next = tokens.first().cloned();
        }
        Some((after, Tokens::EmptyPage)) if number == after + 1 => {
            looks = Vec::new();
            page = Page {
                jobs: Vec::new(),
                next: Some(fresh(from)),
            };
        }
        Some(_) | None => {}
    }
    tokens.extend(page.next.clone());
    (page, looks)
}

fn failed<T>() -> Result<T, StoreError> {
    Err(StoreError::Failed("as scripted".to_owned()))
}

impl Store for Port {
    async fn load(&self, now: Timestamp) -> Result<State, StoreError> {
        let fault = self.process.next(Effect::Load);
        let process = Rc::clone(&self.process);
        let action = async move {
            let state = match process.plan.view.table_stale {
                0 => process.world.table.load(now).await?,
                seconds => process.world.state_at(process.stale(seconds)),
            };
            Ok(state)
        };
        let answer = self
            .process
            .effect(fault, || "load".to_owned(), action, failed)
            .await;
        self.process.met(answer)
    }

    async fn read(&self, key: &Key, now: Timestamp) -> Result<Option<Item>, StoreError> {
        let fault = self.process.next(Effect::Read);
        let (table, key) = (self.process.world.table.clone(), key.clone());
        let what = format!("read {key}");
        let action = async move { table.read(&key, now).await };
        self.process
            .effect(fault, || what.clone(), action, failed)
            .await
    }

    async fn record(&self, change: &Change, now: Timestamp) -> Result<Recorded, StoreError> {
        let fault = self.process.next(Effect::Record);
        let (process, wanted) = (Rc::clone(&self.process), change.clone());
        let what = || {
            let notices: Vec<_> = change.notices.iter().map(|n| n.kind.to_string()).collect();
            let key = change.item.key();
            match notices.as_slice() {
                [] => format!("record {key} at revision {}", change.item.rev()),
                _ => format!("record {key}, owing {}", notices.join(" and ")),
            }
        };
        let action = async move {
            let recorded = process.world.table.record(&wanted, now).await?;
            match &recorded {
                Recorded::Done => {
                    process.world.written().await;
                    oracle::delivery::on_record(&process.world, process.run, &wanted);
                }
                Recorded::Lost(_) => process.trace(|| format!("{} is lost", wanted.item.key())),
            }
            Ok(recorded)
        };
        self.process.effect(fault, what, action, failed).await
    }

    async fn claim(
        &self,
        owed: &Owed,
        by: &str,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Claimed, StoreError> {
        let fault = self.process.next(Effect::Claim);
        let (process, owed, by) = (Rc::clone(&self.process), owed.clone(), by.to_owned());
        let what = format!("claim {}", self.process.world.called(&owed));
        let action = async move {
            let claimed = process.world.table.claim(&owed, &by, until, now).await?;
            process.trace(|| format!("the claim is {claimed:?}"));
            if claimed == Claimed::Mine {
                process.world.written().await;
                let mut ledger = process.world.ledger.borrow_mut();
                let is_it = |claim: &Claim| {
                    claim.run == process.run
                        && claim.id == owed.notice.id
                        && claim.topic == owed.topic
                };
                // It lets go: what it claimed before ends here.
                ledger.claims.retain(|claim| until > now || !is_it(claim));
                ledger.claims.push(Claim {
                    run: process.run,
                    id: owed.notice.id,
                    topic: owed.topic,
                    until,
                });
            }
            Ok(claimed)
        };
        let answer = self
            .process
            .effect(fault, || what.clone(), action, failed)
            .await;
        self.process.met(answer)
    }

    async fn settle(&self, owed: &Owed) -> Result<(), StoreError> {
        let fault = self.process.next(Effect::Settle);
        let process = Rc::clone(&self.process);
        let place = {
            let mut ledger = self.process.world.ledger.borrow_mut();
            ledger.settlings.push(Settling {
                run: self.process.run,
                id: owed.notice.id.clone(),
                topic: owed.topic.clone(),
                fault,
                took_place: None,
            });
            ledger.settlings.len() - 1
        };
        let what = format!("settle {}", self.process.world.called(owed));
        let owed = owed.clone();
        let action = async move {
            process.world.table.settle(&owed).await?;
            process.world.written().await;
            let now = process.world.now();
            process.world.ledger.borrow_mut().settlings[place].took_place = Some(now);
            Ok(())
        };
        let answer = self
            .process
            .effect(fault, || what.clone(), action, failed)
            .await;
        self.process.met(answer)
    }
}

/// The notices that a message tells: their ids, and their events.
pub(crate) fn carried(message: &Message) -> Vec<(NoticeId, serde_json::Value)> {
    let id = |event: &serde_json::Value| serde_json::from_value(event["id"].clone()).unwrap();
    let events = match message.event.pointer("/data/events") {
        Some(events) => events.as_array().unwrap().clone(),
        None => vec![message.event.clone()],
    };
    events
        .into_iter()
        .map(|event| (id(&event), event))
        .collect()
}

impl Topic for Port {
    fn arn(&self) -> &TopicArn {
        &self.topic
    }

    async fn ready(&self) {}

    async fn publish(&self, message: &Message) -> Result<(), PublishError> {
        let fault = self.process.next(Effect::Publish);
        let process = Rc::clone(&self.process);
        let (ids, events): (Vec<_>, Vec<_>) = carried(message).into_iter().unzip();
        let place = {
            let mut ledger = self.process.world.ledger.borrow_mut();
            ledger.attempts.push(Attempt {
                run: self.process.run,
                topic: self.topic.clone(),
                ids: ids.clone(),
                events,
                fault,
                took_place: None,
            });
            ledger.attempts.len() - 1
        };
        let world = &self.process.world;
        let names: Vec<_> = ids.iter().map(|id| world.named(id, &self.topic)).collect();
        let action = async move {
            oracle::delivery::on_publish(&process.world, place);
            Ok(())
        };
        let lost = || {
            if fault == Some(Fault::IsRefused) {
                return Err(PublishError::Refused("as scripted".to_owned()));
            }
            Err(PublishError::Failed("as scripted".to_owned()))
        };
        let what = || format!("publish {}", names.join(" and "));
        let answer = self.process.effect(fault, what, action, lost).await;
        match answer {
            Err(PublishError::Refused(_)) => answer,
            answer => self.process.met(answer),
        }
    }
}

impl Clock for Port {
    fn now(&self) -> Timestamp {
        self.process.world.now()
    }
}
