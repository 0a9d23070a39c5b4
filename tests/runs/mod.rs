//! Whole runs on ports in memory: what they do with too little time, with answers that are missing or refused, with
//! many notices and with topics that take none, and what they say of themselves. And one invocation of each sort, of one
//! source and of two.

mod delivery;
mod detectors;
mod invocation;
mod observing;
mod outcome;
mod recording;
pub(crate) mod sources;
mod throttling;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use fraud_job_watch::invoke::{Failed, Invocation, invoke};
use fraud_job_watch::local::state::Memory;
use fraud_job_watch::message::{Body, Message};
use fraud_job_watch::ports::{
    Claimed, Listing, ListingError, Page, Pending, Ports, PublishError, Recorded, State, Store,
    StoreError, Topic, UnreadableItem,
};
use fraud_job_watch::run::{Answer, Failure, Gauges, Outcome, RunInput, Subscribers, run};
use fraud_job_watch::settings::WatchSettings;
use fraud_job_watch::watch::{
    Change, DetectorRecord, Item, JobId, Key, ListedJob, Record, Source, SourceKind, TopicArn,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::time::{Instant, advance, sleep};

/// A world whose store and topics take their time. Clones share it.
#[derive(Clone)]
pub(crate) struct World {
    jobs: Rc<RefCell<Vec<ListedJob>>>,
    service: Rc<Service>,
    table: Memory,
    store: Rc<StoreFaults>,
    latency: Duration,
    topic: Rc<Kept>,
    urgent: Option<Rc<Kept>>,
    alarms: Option<Rc<Kept>>,
    digest_above: usize,
    expect: &'static str,
    begun: Instant,
}

/// How the listing is answered.
struct Service {
    page_size: Cell<usize>,
    /// From a call to its answer.
    latency: Cell<Duration>,
    /// Whether a call is refused for its rate, by when it came.
    refuses: RefCell<Box<dyn FnMut(Duration) -> bool>>,
    /// This page cannot be had at all.
    broken_page: Cell<Option<usize>>,
    /// When each call came.
    calls: RefCell<Vec<Duration>>,
    /// Not listed, and cannot be asked for.
    hidden: Cell<Option<&'static str>>,
    /// Who asks by id is told of another job.
    answers_with_another: Cell<bool>,
    /// Who asks by id is told of that job, listed or not.
    finds_by_id: Cell<bool>,
}

impl Default for Service {
    fn default() -> Self {
        Self {
            page_size: Cell::new(1_000),
            latency: Cell::default(),
            refuses: RefCell::new(Box::new(|_| false)),
            broken_page: Cell::default(),
            calls: RefCell::default(),
            hidden: Cell::default(),
            answers_with_another: Cell::default(),
            finds_by_id: Cell::default(),
        }
    }
}

/// What goes wrong with the table.
#[derive(Default)]
struct StoreFaults {
    /// Writes last as long as everything else.
    records_take_their_time: Cell<bool>,
    writes: Cell<usize>,
    /// The most that were under way at once.
    most_writes: Cell<usize>,
    loads_fail: Cell<bool>,
    records_fail: Cell<bool>,
    /// What becomes of the next writes, before all others pass.
    next_writes: RefCell<VecDeque<Fault>>,
    /// What a load gives, instead of what is stored.
    stale: RefCell<Option<State>>,
    /// Of claims: only those that let go.
    letting_go_fails: Cell<bool>,
    /// What cannot be read of the table.
    unreadable: RefCell<Vec<UnreadableItem>>,
}

/// A topic.
struct Kept {
    arn: TopicArn,
    published: RefCell<Vec<Message>>,
    /// How many messages it was given, taken or not.
    tries: Cell<usize>,
    mood: Cell<Mood>,
    /// The only job whose messages it does not take; without it, it takes none.
    only_of: Cell<Option<&'static str>>,
    subscribers: Option<u64>,
    /// How often it was asked for them.
    asked: Cell<usize>,
    /// It never answers who subscribes.
    hides_subscribers: bool,
}

/// What a topic does with a message.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Takes,
    Fails,
    Refuses,
    /// What has more than one form.
    RefusesForms,
    Throttles,
    Hangs,
}

impl Kept {
    /// One that so many have subscribed to, as far as it says.
    fn heard_by(subscribers: Option<u64>, name: &str) -> Rc<Self> {
        Rc::new(Self {
            subscribers,
            ..Self::named(name)
        })
    }

    fn named(name: &str) -> Self {
        Self {
            arn: format!("arn:aws:sns:eu-west-1:123456789012:{name}")
                .try_into()
                .unwrap(),
            published: RefCell::default(),
            tries: Cell::default(),
            mood: Cell::new(Mood::Takes),
            only_of: Cell::default(),
            subscribers: None,
            asked: Cell::default(),
            hides_subscribers: false,
        }
    }

    fn mood_for(&self, message: &Message) -> Mood {
        let is_of = |job: &str| message.events().iter().any(|event| event["subject"] == job);
        match self.only_of.get() {
            Some(job) if !is_of(job) => Mood::Takes,
            Some(_) | None => self.mood.get(),
        }
    }
}

/// An invocation that watches these, by the settings of the first of them.
async fn invoked(
    watched: &[(Source, &World)],
    payload: Value,
    time_given: Option<Duration>,
    measure: impl FnOnce(&Outcome),
) -> Result<Answer, Failed> {
    let (_, first) = watched[0];
    let invocation = Invocation {
        settings: &first.settings(),
        request_id: "request",
        run_id: "invoked",
        time_given,
    };
    let ports = watched
        .iter()
        .map(|(source, world)| (source.clone(), world.ports()));
    let watched: Vec<_> = ports.collect();
    invoke(&watched, &invocation, &payload, measure).await
}

fn source() -> Source {
    let arn = "arn:aws:frauddetector:eu-west-1:123456789012:batch-prediction";
    arn.parse().unwrap()
}

/// A write that fails, as far as the run knows.
#[derive(Clone, Copy)]
enum Fault {
    NotMade,
    AnswerLost,
}

#[derive(Clone)]
struct Slow(World, Rc<Kept>);

impl World {
    fn new(latency: Duration) -> Self {
        Self {
            jobs: Rc::default(),
            service: Rc::default(),
            table: Memory::default(),
            store: Rc::default(),
            latency,
            topic: Rc::new(Kept::named("jobs")),
            urgent: None,
            alarms: None,
            digest_above: 5,
            expect: "",
            begun: Instant::now(),
        }
    }

    fn with_urgent() -> (Self, Rc<Kept>) {
        let urgent = Rc::new(Kept::named("urgent"));
        let world = Self {
            urgent: Some(Rc::clone(&urgent)),
            ..Self::new(Duration::ZERO)
        };
        (world, urgent)
    }

    fn time(&self) -> Option<String> {
        Some(self.now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
    }

    fn start(&self, id: &str, status: &str) {
        self.jobs.borrow_mut().push(ListedJob {
            job_id: Some(id.to_owned()),
            status: Some(status.to_owned()),
            start_time: self.time(),
            last_heartbeat_time: self.time(),
            ..ListedJob::default()
        });
    }

    fn start_all<'a>(&self, ids: impl IntoIterator<Item = &'a str>) {
        for id in ids {
            self.start(id, "IN_PROGRESS");
        }
    }

    /// From j000 on.
    fn start_many(&self, count: usize) {
        for number in 0..count {
            self.start(&format!("j{number:03}"), "IN_PROGRESS");
        }
    }

    /// Changes a job as the service shows it.
    fn change(&self, id: &str, change: impl FnOnce(&mut ListedJob)) {
        let mut jobs = self.jobs.borrow_mut();
        let is_it = |job: &&mut ListedJob| job.job_id.as_deref() == Some(id);
        change(jobs.iter_mut().find(is_it).unwrap());
    }

    fn beat(&self, id: &str) {
        let now = self.time();
        self.change(id, |job| job.last_heartbeat_time = now);
    }

    fn end(&self, id: &str, status: &str) {
        let now = self.time();
        self.change(id, |job| {
            job.status = Some(status.to_owned());
            job.completion_time = now;
        });
    }

    fn end_all(&self, status: impl Fn(usize) -> &'static str) {
        let now = self.time();
        for (i, job) in self.jobs.borrow_mut().iter_mut().enumerate() {
            job.status = Some(status(i).to_owned());
            job.completion_time = now.clone();
        }
    }

    async fn run(&self, name: &str, time_given: Option<Duration>) -> Outcome {
        self.with_input(name, time_given, async |ports, input| {
            run(&ports, input).await
        })
        .await
    }

    /// A run in which nothing fails.
    async fn good_run(&self, name: &str, time_given: Option<Duration>) -> Outcome {
        let outcome = self.run(name, time_given).await;
        assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
        outcome
    }

    pub(crate) async fn invoke(
        &self,
        payload: Value,
        time_given: Option<Duration>,
    ) -> Result<Answer, Failed> {
        self.measured(payload, time_given, |_| ()).await
    }

    /// An invocation, and what its metrics are made of.
    async fn measured(
        &self,
        payload: Value,
        time_given: Option<Duration>,
        measure: impl FnOnce(&Outcome),
    ) -> Result<Answer, Failed> {
        let watched = [(source(), self)];
        invoked(&watched, payload, time_given, measure).await
    }

    async fn stored(&self) -> State {
        self.table.load(self.now()).await.unwrap()
    }

    async fn with_input<T>(
        &self,
        name: &str,
        time_given: Option<Duration>,
        act: impl AsyncFnOnce(Ports<Self, Self, Slow, Clock>, &RunInput<'_>) -> T,
    ) -> T {
        let input = RunInput {
            source: &source(),
            settings: &self.settings(),
            run_id: name,
            time_given,
        };
        act(self.ports(), &input).await
    }

    fn settings(&self) -> WatchSettings {
        WatchSettings {
            digest_above: self.digest_above,
            ..WatchSettings::read(|name| (name == "EXPECT").then(|| self.expect.to_owned()))
                .unwrap()
        }
    }

    fn ports(&self) -> Ports<Self, Self, Slow, Clock> {
        let world = self.clone();
        Ports {
            listing: self.clone(),
            store: self.clone(),
            topic: Slow(self.clone(), Rc::clone(&self.topic)),
            urgent: self.urgent.clone().map(|topic| Slow(self.clone(), topic)),
            alarms: self.alarms.clone().map(|topic| Slow(self.clone(), topic)),
            clock: Box::new(move || world.now()),
        }
    }

    /// Notice ids, with how often each was published.
    fn told(topic: &Kept) -> BTreeMap<String, usize> {
        let mut told = BTreeMap::new();
        for message in topic.published.borrow().iter() {
            for event in message.events() {
                *told
                    .entry(event["id"].as_str().unwrap().to_owned())
                    .or_default() += 1;
            }
        }
        told
    }

    fn kinds(topic: &Kept) -> Vec<String> {
        let published = topic.published.borrow();
        let events = published.iter().flat_map(Message::events);
        events
            .map(|event| event["data"]["kind"].as_str().unwrap().to_owned())
            .collect()
    }
}

type Clock = Box<dyn Fn() -> Timestamp>;

impl World {
    fn now(&self) -> Timestamp {
        let base: Timestamp = "2026-03-02T00:00:00Z".parse().unwrap();
        base + SignedDuration::try_from(self.begun.elapsed()).unwrap()
    }
}

impl World {
    async fn called(&self) -> Result<(), ListingError> {
        let at = self.begun.elapsed();
        self.service.calls.borrow_mut().push(at);
        let refused = (self.service.refuses.borrow_mut())(at);
        if !self.service.latency.get().is_zero() {
            sleep(self.service.latency.get()).await;
        }
        match refused {
            true => Err(ListingError::Throttled("rate exceeded".to_owned())),
            false => Ok(()),
        }
    }

    fn refuse(&self, refuses: impl FnMut(Duration) -> bool + 'static) {
        *self.service.refuses.borrow_mut() = Box::new(refuses);
        self.service.calls.borrow_mut().clear();
    }

    /// Between the calls, one after the other.
    fn intervals(&self) -> Vec<Duration> {
        let calls = self.service.calls.borrow();
        calls.windows(2).map(|pair| pair[1] - pair[0]).collect()
    }
}

impl Listing for World {
    async fn page(&self, token: Option<&str>) -> Result<Page, ListingError> {
        self.called().await?;
        let number: usize = token.map_or(0, |token| token.parse().unwrap());
        if self.service.broken_page.get() == Some(number) {
            return Err(ListingError::Failed("access denied".to_owned()));
        }
        let jobs = self.jobs.borrow();
        let size = self.service.page_size.get();
        let (skipped, upto) = (number * size, (number + 1) * size);
        let shown = jobs.iter().skip(skipped).take(size);
        let hidden = self.service.hidden.get();
        let shown = shown.filter(|job| hidden.is_none() || job.job_id.as_deref() != hidden);
        Ok(Page {
            jobs: shown.cloned().collect(),
            next: (upto < jobs.len()).then(|| (number + 1).to_string()),
        })
    }

    async fn ask(&self, id: &JobId) -> Result<Option<ListedJob>, ListingError> {
        self.called().await?;
        let (jobs, service) = (self.jobs.borrow(), &self.service);
        let is_it = |job: &ListedJob| job.job_id.as_deref() == Some(id.as_str());
        if service.answers_with_another.get() {
            return Ok(jobs.iter().find(|job| !is_it(job)).cloned());
        }
        if service.finds_by_id.get() {
            return Ok(jobs.iter().find(|job| is_it(job)).cloned());
        }
        match service.hidden.get() == Some(id.as_str()) {
            true => Err(ListingError::Failed("access denied".to_owned())),
            false => Ok(None),
        }
    }
}

impl Store for World {
    async fn load(&self, now: Timestamp) -> Result<State, StoreError> {
        if self.store.loads_fail.get() {
            return Err(StoreError::Failed("no such table".to_owned()));
        }
        if let Some(stale) = self.store.stale.take() {
            return Ok(stale);
        }
        let mut state = self.table.load(now).await?;
        state.unreadable = self.store.unreadable.borrow().clone();
        let lost: Vec<_> = state.unreadable.iter().map(|it| it.key.clone()).collect();
        let is_lost = |key| lost.contains(&Some(key));
        let key = |record: &Record| Key::Job(record.job.id.clone());
        state.records.retain(|record| !is_lost(key(record)));
        let key = |record: &DetectorRecord| Key::Detector(record.name.clone());
        state.detectors.retain(|record| !is_lost(key(record)));
        Ok(state)
    }

    async fn read(&self, key: &Key, now: Timestamp) -> Result<Option<Item>, StoreError> {
        self.table.read(key, now).await
    }

    async fn record(&self, change: &Change, now: Timestamp) -> Result<Recorded, StoreError> {
        let faults = &self.store;
        if faults.records_fail.get() && matches!(change.item, Item::Job(_)) {
            return Err(StoreError::Failed("throttled".to_owned()));
        }
        if faults.records_take_their_time.get() {
            let writes = faults.writes.get() + 1;
            faults.writes.set(writes);
            faults.most_writes.set(faults.most_writes.get().max(writes));
            sleep(self.latency).await;
            faults.writes.set(faults.writes.get() - 1);
        }
        let fault = faults.next_writes.borrow_mut().pop_front();
        if matches!(fault, Some(Fault::NotMade)) {
            return Err(StoreError::Failed("no answer".to_owned()));
        }
        let recorded = self.table.record(change, now).await;
        match fault {
            Some(_) => Err(StoreError::Failed("no answer".to_owned())),
            None => recorded,
        }
    }

    async fn claim(
        &self,
        pending: &Pending,
        by: &str,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Claimed, StoreError> {
        sleep(self.latency).await;
        if until <= now && self.store.letting_go_fails.get() {
            return Err(StoreError::Failed("throttled".to_owned()));
        }
        self.table.claim(pending, by, until, now).await
    }

    async fn settle(&self, pending: &Pending) -> Result<(), StoreError> {
        sleep(self.latency).await;
        self.table.settle(pending).await
    }
}

impl Topic for Slow {
    fn arn(&self) -> &TopicArn {
        &self.1.arn
    }

    async fn ready(&self) {}

    async fn publish(&self, message: &Message) -> Result<(), PublishError> {
        let Self(world, topic) = self;
        sleep(world.latency).await;
        topic.tries.set(topic.tries.get() + 1);
        let as_scripted = "as scripted".to_owned();
        match topic.mood_for(message) {
            Mood::RefusesForms if message.subject.is_some() => {
                return Err(PublishError::Refused(as_scripted));
            }
            Mood::Takes | Mood::RefusesForms => {}
            Mood::Fails => return Err(PublishError::Failed(as_scripted)),
            Mood::Refuses => return Err(PublishError::Refused(as_scripted)),
            Mood::Throttles => return Err(PublishError::Throttled(as_scripted)),
            Mood::Hangs => sleep(Duration::from_secs(15)).await,
        }
        // It is out, and its answer is under way.
        topic.published.borrow_mut().push(message.clone());
        sleep(world.latency).await;
        Ok(())
    }

    async fn subscribers(&self) -> Option<u64> {
        self.1.asked.set(self.1.asked.get() + 1);
        if self.1.hides_subscribers {
            return std::future::pending().await;
        }
        self.1.subscribers
    }
}

const FIVE_MINUTES: Option<Duration> = Some(Duration::from_secs(300));

/// Three jobs, known and active, with nothing told but that the watch began.
async fn three_active(world: &World) {
    world.start_all(["a", "b", "c"]);
    world.run("first", None).await;
    for topic in [Some(&world.topic), world.urgent.as_ref()]
        .into_iter()
        .flatten()
    {
        topic.published.borrow_mut().clear();
        topic.tries.set(0);
    }
    advance(Duration::from_secs(120)).await;
}

/// A job that failed just now, and one without an id.
pub(crate) fn two_jobs() -> World {
    let world = World::new(Duration::ZERO);
    world.start("job", "IN_PROGRESS");
    world.end("job", "FAILED");
    world.change("job", |job| {
        job.failure_reason = Some("secret words".to_owned());
        job.input_path = Some("s3://secret/path".to_owned());
    });
    world.jobs.borrow_mut().push(ListedJob::default());
    world
}

/// `a` is told as stalled.
async fn stalled(world: &World) {
    world.start("a", "IN_PROGRESS");
    world.run("first", None).await;
    world.topic.published.borrow_mut().clear();
    advance(Duration::from_secs(2 * 3600)).await;
    world.run("stalls", None).await;
}
