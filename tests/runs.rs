//! Whole runs on ports in memory: what they do with too little time, with answers that are missing, with many
//! notices, and what they say of themselves.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use fraud_job_watch::local::state::Memory;
use fraud_job_watch::message::Message;
use fraud_job_watch::ports::{
    Claimed, Clock, Listing, ListingError, Page, Ports, PublishError, Recorded, State, Store,
    StoreError, Topic,
};
use fraud_job_watch::run::{Failure, Outcome, Tick, run};
use fraud_job_watch::settings::WatchSettings;
use fraud_job_watch::watch::{Change, Item, JobId, Key, Listed, NoticeId, Source};
use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, advance, sleep};

/// A world whose store and topics take their time. Clones share it.
#[derive(Clone)]
struct World {
    jobs: Rc<RefCell<Vec<Listed>>>,
    /// Not listed, and cannot be asked for.
    hidden: Rc<RefCell<Option<&'static str>>>,
    table: Memory,
    records_fail: Rc<Cell<bool>>,
    latency: Duration,
    topic: Rc<Kept>,
    urgent: Option<Rc<Kept>>,
    digest_above: usize,
    begun: Instant,
}

/// A topic.
#[derive(Default)]
struct Kept {
    published: RefCell<Vec<Message>>,
    fails: Cell<bool>,
    subscribers: Option<u64>,
}

#[derive(Clone)]
struct Slow(World, Rc<Kept>);

impl World {
    fn new(latency: Duration) -> Self {
        Self {
            jobs: Rc::default(),
            hidden: Rc::default(),
            table: Memory::default(),
            records_fail: Rc::default(),
            latency,
            topic: Rc::default(),
            urgent: None,
            digest_above: 5,
            begun: Instant::now(),
        }
    }

    fn time(&self) -> Option<String> {
        Some(self.now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
    }

    fn start(&self, id: &str, status: &str) {
        self.jobs.borrow_mut().push(Listed {
            job_id: Some(id.to_owned()),
            status: Some(status.to_owned()),
            start_time: self.time(),
            last_heartbeat_time: self.time(),
            ..Listed::default()
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
        let source: Source = "arn:aws:frauddetector:eu-west-1:123456789012:batch-prediction"
            .parse()
            .unwrap();
        let settings = WatchSettings {
            digest_above: self.digest_above,
            ..WatchSettings::read(|_| None).unwrap()
        };
        let ports = Ports {
            listing: self.clone(),
            store: self.clone(),
            topic: Slow(self.clone(), Rc::clone(&self.topic)),
            urgent: self.urgent.clone().map(|topic| Slow(self.clone(), topic)),
            clock: self.clone(),
        };
        let tick = Tick {
            source: &source,
            settings: &settings,
            run: name,
            time_given,
        };
        run(&ports, &tick).await
    }

    /// Notice ids, with how often each was published.
    fn told(topic: &Kept) -> BTreeMap<String, usize> {
        let mut told = BTreeMap::new();
        for message in topic.published.borrow().iter() {
            for event in events(message) {
                *told
                    .entry(event["id"].as_str().unwrap().to_owned())
                    .or_default() += 1;
            }
        }
        told
    }

    fn kinds(topic: &Kept) -> Vec<String> {
        let published = topic.published.borrow();
        let events = published.iter().flat_map(events);
        events
            .map(|event| event["data"]["kind"].as_str().unwrap().to_owned())
            .collect()
    }
}

fn events(message: &Message) -> Vec<serde_json::Value> {
    match message.event.pointer("/data/events") {
        Some(events) => events.as_array().unwrap().clone(),
        None => vec![message.event.clone()],
    }
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        let base: Timestamp = "2026-03-02T00:00:00Z".parse().unwrap();
        base + SignedDuration::try_from(self.begun.elapsed()).unwrap()
    }
}

impl Listing for World {
    async fn page(&self, _: Option<&str>) -> Result<Page, ListingError> {
        let jobs = self.jobs.borrow();
        let shown = jobs
            .iter()
            .filter(|job| job.job_id.as_deref() != *self.hidden.borrow());
        Ok(Page {
            jobs: shown.cloned().collect(),
            next: None,
        })
    }

    async fn ask(&self, id: &JobId) -> Result<Option<Listed>, ListingError> {
        match *self.hidden.borrow() {
            Some(hidden) if hidden == id.as_str() => Err(ListingError("throttled".to_owned())),
            Some(_) | None => Ok(None),
        }
    }
}

impl Store for World {
    async fn load(&self, now: Timestamp) -> Result<State, StoreError> {
        self.table.load(now).await
    }

    async fn read(&self, key: &Key, now: Timestamp) -> Result<Option<Item>, StoreError> {
        self.table.read(key, now).await
    }

    async fn record(&self, change: &Change, now: Timestamp) -> Result<Recorded, StoreError> {
        if self.records_fail.get() && matches!(change.item, Item::Job(_)) {
            return Err(StoreError::Failed("throttled".to_owned()));
        }
        self.table.record(change, now).await
    }

    async fn claim(
        &self,
        id: &NoticeId,
        by: &str,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Claimed, StoreError> {
        sleep(self.latency).await;
        self.table.claim(id, by, until, now).await
    }

    async fn settle(&self, id: &NoticeId) -> Result<(), StoreError> {
        sleep(self.latency).await;
        self.table.settle(id).await
    }
}

impl Topic for Slow {
    async fn ready(&self) {}

    async fn publish(&self, message: &Message) -> Result<(), PublishError> {
        let Self(world, topic) = self;
        sleep(world.latency).await;
        if topic.fails.get() {
            return Err(PublishError::Failed("no such topic".to_owned()));
        }
        // It is out, and its answer is under way.
        topic.published.borrow_mut().push(message.clone());
        sleep(world.latency).await;
        Ok(())
    }

    async fn subscribers(&self) -> Option<u64> {
        self.1.subscribers
    }
}

#[tokio::test(start_paused = true)]
async fn a_backlog_that_takes_many_runs_repeats_nothing() {
    let world = World {
        digest_above: 1_000,
        ..World::new(Duration::from_millis(20))
    };
    for i in 0..1_000 {
        world.start(&format!("j{i:04}"), "IN_PROGRESS");
    }
    world.run("first", None).await;
    advance(Duration::from_secs(120)).await;
    world.end_all(|_| "COMPLETE");
    let mut runs = 0;
    loop {
        let given = Duration::from_millis(10_000 + 7 * runs);
        let outcome = world.run(&format!("r{runs}"), Some(given)).await;
        assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
        assert!(outcome.answer.published > 0, "run {runs} told nothing");
        runs += 1;
        advance(Duration::from_secs(290)).await;
        if outcome.answer.owed == 0 {
            break;
        }
    }
    assert!(runs > 5, "{runs} runs");
    let told = World::told(&world.topic);
    assert_eq!(told.len(), 1_001);
    assert!(told.values().all(|times| *times == 1));
}

#[tokio::test(start_paused = true)]
async fn nobody_is_called_stalled_while_the_one_before_cannot_be_seen() {
    let world = World::new(Duration::ZERO);
    world.start("first", "IN_PROGRESS");
    advance(Duration::from_secs(1)).await;
    world.start("waits", "IN_PROGRESS_INITIALIZING");
    world.run("begins", None).await;
    advance(Duration::from_secs(2 * 3600)).await;
    world.hidden.replace(Some("first"));
    let outcome = world.run("blind", None).await;
    assert!(matches!(outcome.failures[..], [Failure::ListingFailed(_)]));
    assert_eq!(World::kinds(&world.topic), ["began"]);
}

#[tokio::test(start_paused = true)]
async fn the_watch_does_not_begin_while_something_could_not_be_recorded() {
    let world = World::new(Duration::ZERO);
    world.jobs.borrow_mut().push(Listed {
        job_id: Some("timeless".to_owned()),
        status: Some("FAILED".to_owned()),
        ..Listed::default()
    });
    world.records_fail.set(true);
    let outcome = world.run("first", None).await;
    assert!(!outcome.answer.began);
    world.records_fail.set(false);
    for name in ["second", "third"] {
        let outcome = world.run(name, None).await;
        assert!(outcome.failures.is_empty());
    }
    assert_eq!(World::kinds(&world.topic), ["began"], "history is not news");
}

#[tokio::test(start_paused = true)]
async fn errors_go_to_the_urgent_topic_and_each_topic_bears_the_others_failing() {
    for urgent_fails in [false, true] {
        let world = World {
            urgent: Some(Rc::default()),
            ..World::new(Duration::ZERO)
        };
        let urgent = world.urgent.clone().unwrap();
        for id in ["a", "b"] {
            world.start(id, "IN_PROGRESS");
        }
        world.run("first", None).await;
        advance(Duration::from_secs(120)).await;
        world.end_all(|i| ["COMPLETE", "FAILED"][i]);
        urgent.fails.set(urgent_fails);
        let outcome = world.run("second", None).await;
        assert_eq!(World::kinds(&world.topic), ["began", "completed"]);
        if urgent_fails {
            assert!(matches!(outcome.failures[..], [Failure::PublishFailed(_)]));
            urgent.fails.set(false);
            // The claim of the run that failed must end first.
            advance(Duration::from_secs(61)).await;
            world.run("third", None).await;
        }
        assert_eq!(World::kinds(&urgent), ["failed"]);
    }
}

#[tokio::test(start_paused = true)]
async fn three_hundred_changes_are_few_messages_and_none_is_lost() {
    for fails in [false, true] {
        let world = World::new(Duration::from_millis(5));
        for i in 0..300 {
            world.start(&format!("j{i:03}"), "IN_PROGRESS");
        }
        world.run("first", None).await;
        world.topic.published.borrow_mut().clear();
        advance(Duration::from_secs(120)).await;
        world.end_all(|i| if i % 3 == 0 { "FAILED" } else { "COMPLETE" });
        if fails {
            world.topic.fails.set(true);
            let outcome = world.run("fails", None).await;
            assert_eq!((outcome.answer.published, outcome.answer.owed), (0, 300));
            world.topic.fails.set(false);
            // The claims of the run that failed must end first.
            advance(Duration::from_secs(61)).await;
        }
        let outcome = world.run("second", None).await;
        assert_eq!((outcome.answer.published, outcome.answer.owed), (300, 0));
        let told = World::told(&world.topic);
        assert_eq!(told.len(), 300);
        assert!(told.values().all(|times| *times == 1));
        let messages = world.topic.published.borrow().len();
        assert!(messages <= 3, "{messages} messages");
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_says_how_things_stand() {
    let world = World {
        topic: Rc::new(Kept {
            subscribers: Some(3),
            ..Kept::default()
        }),
        urgent: Some(Rc::new(Kept {
            subscribers: Some(1),
            ..Kept::default()
        })),
        ..World::new(Duration::ZERO)
    };
    world.start("a", "IN_PROGRESS");
    world.topic.fails.set(true);
    let first = world.run("first", None).await.gauges;
    assert_eq!(first.subscribers, Some(1), "of the topic that has fewer");
    assert_eq!(first.oldest_sign_of_life, Some(SignedDuration::ZERO));
    advance(Duration::from_secs(600)).await;
    let second = world.run("second", None).await.gauges;
    assert_eq!(
        second.oldest_sign_of_life,
        Some(SignedDuration::from_mins(10))
    );
    assert_eq!(second.oldest_owed, SignedDuration::from_mins(10));
    world.topic.fails.set(false);
    advance(Duration::from_secs(61)).await;
    world.end_all(|_| "COMPLETE");
    let third = world.run("third", None).await.gauges;
    assert_eq!(third.oldest_sign_of_life, None, "none is active");
    assert_eq!(third.oldest_owed, SignedDuration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn however_many_statuses_there_are_the_answer_has_a_bound() {
    let world = World::new(Duration::ZERO);
    for i in 0..300 {
        world.start(&format!("j{i:03}"), &format!("NEW_{i}"));
    }
    world.start("known", "IN_PROGRESS");
    let by_status = world.run("first", None).await.answer.by_status;
    assert_eq!(
        (by_status.values().sum::<u64>(), by_status.len()),
        (301, 102)
    );
    assert_eq!(by_status["IN_PROGRESS"], 1);
    assert_eq!(by_status["(others)"], 200);
}
