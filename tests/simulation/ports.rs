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
    Claimed, Clock, Listing, ListingError, Page, PublishError, Recorded, State, Store, StoreError,
    Topic,
};
use fraud_job_watch::watch::{Change, Item, JobId, Key, Listed, NoticeId, Phase};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use super::oracle;
use super::plan::{Effect, Fault, Invocation, Tokens, Trigger};
use super::world::{Attempt, Claim, Settling, Shown, World};

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

    /// The jobs as this run is shown them.
    fn show(&self, only: Option<&JobId>) -> Vec<Listed> {
        let world = &self.world;
        let as_of = self.stale(self.plan.view.jobs_stale);
        let mut lives = world.lives.borrow().clone();
        Rng::with_seed(self.plan.view.shuffle).shuffle(&mut lives);
        let omitted = self.plan.view.omits.filter(|_| only.is_none());
        // Whether it is there at all is never stale when it is asked for by its id.
        let is_there = |at| move |life: &&super::world::Life| life.is_visible(at);
        lives
            .iter()
            .filter(|life| only.is_none_or(|id| id.as_str() == life.id))
            .filter(|life| Some(life.id) != omitted)
            .filter_map(|life| {
                let at = match only {
                    Some(_) if !is_there(world.now())(&life) => return None,
                    Some(_) if life.is_visible(as_of) => as_of,
                    Some(_) => world.now(),
                    None => as_of,
                };
                life.view(at)
            })
            .collect()
    }

    /// Writes down what was shown.
    fn showed(&self, listed: &Listed, as_of: Timestamp) {
        let time = |text: &Option<String>| text.as_deref().unwrap().parse::<Timestamp>().unwrap();
        let lives = self.world.lives.borrow();
        let id = listed.job_id.as_deref().unwrap();
        let start = time(&listed.start_time);
        let life = lives
            .iter()
            .find(|life| life.id == id && life.start == start)
            .unwrap();
        let shown = Shown {
            start,
            status: listed.status.clone().unwrap(),
            heartbeat: time(&listed.last_heartbeat_time),
            as_of,
        };
        let mut ledger = self.world.ledger.borrow_mut();
        let all = &mut ledger.runs[self.run].shown;
        // The later start is the job of this id.
        if all.get(life.id).is_none_or(|before| before.start <= start) {
            all.insert(life.id, shown);
        }
    }
}

#[derive(Clone)]
pub(crate) struct Port(pub(crate) Rc<Process>);

impl Listing for Port {
    async fn page(&self, token: Option<&str>) -> Result<Page, ListingError> {
        let fault = self.0.next(Effect::Page);
        let process = Rc::clone(&self.0);
        let token = token.map(str::to_owned);
        let what = {
            let token = token.clone();
            move || format!("page at {}", token.as_deref().unwrap_or("the beginning"))
        };
        let action = async move {
            let as_of = process.stale(process.plan.view.jobs_stale);
            Ok((page(&process, token.as_deref()), as_of))
        };
        let lost = || Err(ListingError("as scripted".to_owned()));
        let answer = self.0.effect(fault, what, action, lost).await;
        // Shown is what arrives.
        let (page, as_of) = self.0.met(answer)?;
        for job in &page.jobs {
            self.0.showed(job, as_of);
        }
        if page.next.is_none() {
            self.0.world.ledger.borrow_mut().runs[self.0.run].saw_the_end = true;
        }
        Ok(page)
    }

    async fn ask(&self, id: &JobId) -> Result<Option<Listed>, ListingError> {
        let fault = self.0.next(Effect::Ask);
        let (process, asked) = (Rc::clone(&self.0), id.clone());
        let action = async move {
            // The latest of this id: two at once there never are.
            let found = process.show(Some(&asked)).pop();
            if found.is_none() {
                let mut ledger = process.world.ledger.borrow_mut();
                ledger.runs[process.run].absent.insert(asked.to_string());
            }
            Ok((found, process.stale(process.plan.view.jobs_stale)))
        };
        let what = || format!("ask for job {id}");
        let lost = || Err(ListingError("as scripted".to_owned()));
        let answer = self.0.effect(fault, what, action, lost).await;
        let (found, as_of) = self.0.met(answer)?;
        if let Some(job) = &found {
            self.0.showed(job, as_of);
        }
        Ok(found)
    }
}

fn page(process: &Process, token: Option<&str>) -> Page {
    let view = process.plan.view;
    let jobs = process.show(None);
    let number = process.pages.replace(process.pages.get() + 1) + 1;
    let from = token.map_or(0, |token| {
        token.split('.').next().unwrap().parse::<usize>().unwrap()
    });
    let from = from.min(jobs.len());
    let to = jobs.len().min(from + view.page);
    let fresh = |place: usize| format!("{place}.{number}");
    let mut page = Page {
        jobs: jobs[from..to].to_vec(),
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
            page = Page {
                jobs: Vec::new(),
                next: Some(fresh(from)),
            };
        }
        Some(_) | None => {}
    }
    tokens.extend(page.next.clone());
    page
}

fn failed<T>() -> Result<T, StoreError> {
    Err(StoreError::Failed("as scripted".to_owned()))
}

impl Store for Port {
    async fn load(&self, now: Timestamp) -> Result<State, StoreError> {
        let fault = self.0.next(Effect::Load);
        let process = Rc::clone(&self.0);
        let action = async move {
            let state = match process.plan.view.table_stale {
                0 => process.world.table.load(now).await?,
                seconds => process.world.state_at(process.stale(seconds)),
            };
            let active = state.records.iter();
            let active = active.filter(|record| record.phase == Phase::Active);
            process.world.ledger.borrow_mut().runs[process.run].loaded =
                active.map(|record| record.job.id.to_string()).collect();
            Ok(state)
        };
        let answer = self
            .0
            .effect(fault, || "load".to_owned(), action, failed)
            .await;
        self.0.met(answer)
    }

    async fn read(&self, key: &Key, now: Timestamp) -> Result<Option<Item>, StoreError> {
        let fault = self.0.next(Effect::Read);
        let (table, key) = (self.0.world.table.clone(), key.clone());
        let what = format!("read {key}");
        let action = async move { table.read(&key, now).await };
        self.0.effect(fault, || what.clone(), action, failed).await
    }

    async fn record(&self, change: &Change, now: Timestamp) -> Result<Recorded, StoreError> {
        let fault = self.0.next(Effect::Record);
        let (process, wanted) = (Rc::clone(&self.0), change.clone());
        let called = self.0.world.now();
        let what = || {
            let notices: Vec<_> = change.notices.iter().map(|n| n.kind.to_string()).collect();
            let key = change.item.key();
            match notices.as_slice() {
                [] => format!("record {key} at revision {}", change.item.rev()),
                _ => format!("record {key}, owing {}", notices.join(" and ")),
            }
        };
        let action = async move {
            let before = process.world.table.read(&wanted.item.key(), now).await?;
            let recorded = process.world.table.record(&wanted, now).await?;
            match &recorded {
                Recorded::Done => {
                    process.world.written().await;
                    oracle::on_record(&process.world, process.run, &wanted, before, called);
                }
                Recorded::Lost(_) => process.trace(|| format!("{} is lost", wanted.item.key())),
            }
            Ok(recorded)
        };
        self.0.effect(fault, what, action, failed).await
    }

    async fn claim(
        &self,
        id: &NoticeId,
        by: &str,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Claimed, StoreError> {
        let fault = self.0.next(Effect::Claim);
        let (process, notice, by) = (Rc::clone(&self.0), id.clone(), by.to_owned());
        let what = format!("claim {}", named(&self.0.world, id));
        let action = async move {
            let claimed = process.world.table.claim(&notice, &by, until, now).await?;
            process.trace(|| format!("the claim is {claimed:?}"));
            if claimed == Claimed::Mine {
                process.world.written().await;
                process.world.ledger.borrow_mut().claims.push(Claim {
                    run: process.run,
                    id: notice,
                    until,
                });
            }
            Ok(claimed)
        };
        let answer = self.0.effect(fault, || what.clone(), action, failed).await;
        self.0.met(answer)
    }

    async fn settle(&self, id: &NoticeId) -> Result<(), StoreError> {
        let fault = self.0.next(Effect::Settle);
        let process = Rc::clone(&self.0);
        let place = {
            let mut ledger = self.0.world.ledger.borrow_mut();
            ledger.settlings.push(Settling {
                run: self.0.run,
                id: id.clone(),
                fault,
                took_place: None,
            });
            ledger.settlings.len() - 1
        };
        let what = format!("settle {}", named(&self.0.world, id));
        let notice = id.clone();
        let action = async move {
            process.world.table.settle(&notice).await?;
            process.world.written().await;
            let now = process.world.now();
            process.world.ledger.borrow_mut().settlings[place].took_place = Some(now);
            Ok(())
        };
        let answer = self.0.effect(fault, || what.clone(), action, failed).await;
        self.0.met(answer)
    }
}

/// What a notice is called in a story.
pub(crate) fn named(world: &World, id: &NoticeId) -> String {
    let ledger = world.ledger.borrow();
    match ledger.notice(id) {
        Some(notice) => oracle::name(notice),
        None => format!("an unknown notice, {:.8}", id.as_str()),
    }
}

/// The notices that a message tells.
pub(crate) fn ids(message: &Message) -> Vec<NoticeId> {
    let id = |event: &serde_json::Value| serde_json::from_value(event["id"].clone()).unwrap();
    match message.event.pointer("/data/events") {
        Some(events) => events.as_array().unwrap().iter().map(id).collect(),
        None => vec![id(&message.event)],
    }
}

impl Topic for Port {
    async fn ready(&self) {}

    async fn publish(&self, message: &Message) -> Result<(), PublishError> {
        let fault = self.0.next(Effect::Publish);
        let process = Rc::clone(&self.0);
        let ids = ids(message);
        let place = {
            let mut ledger = self.0.world.ledger.borrow_mut();
            ledger.attempts.push(Attempt {
                run: self.0.run,
                ids: ids.clone(),
                fault,
                took_place: None,
            });
            ledger.attempts.len() - 1
        };
        let names: Vec<_> = ids.iter().map(|id| named(&self.0.world, id)).collect();
        let action = async move {
            oracle::on_publish(&process.world, place);
            Ok(())
        };
        let lost = || {
            if fault == Some(Fault::IsRefused) {
                return Err(PublishError::Refused("as scripted".to_owned()));
            }
            Err(PublishError::Failed("as scripted".to_owned()))
        };
        let what = || format!("publish {}", names.join(" and "));
        let answer = self.0.effect(fault, what, action, lost).await;
        match answer {
            Err(PublishError::Refused(_)) => answer,
            answer => self.0.met(answer),
        }
    }
}

impl Clock for Port {
    fn now(&self) -> Timestamp {
        self.0.world.now()
    }
}
