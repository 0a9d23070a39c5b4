//! Whole runs on ports in memory: what they do with too little time, with answers that are missing or refused, with
//! many notices and with topics that take none, and what they say of themselves.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use fraud_job_watch::local::state::Memory;
use fraud_job_watch::message::{Body, Message};
use fraud_job_watch::ports::{
    Claimed, Clock, Listing, ListingError, Page, Pending, Ports, PublishError, Recorded, State,
    Store, StoreError, Topic, UnreadableItem,
};
use fraud_job_watch::run::{Failure, Outcome, RunInput, run};
use fraud_job_watch::settings::WatchSettings;
use fraud_job_watch::watch::{Change, Item, JobId, Key, ListedJob, Source, TopicArn};
use jiff::{SignedDuration, Timestamp};
use tokio::time::{Instant, advance, sleep};

/// A world whose store and topics take their time. Clones share it.
#[derive(Clone)]
struct World {
    jobs: Rc<RefCell<Vec<ListedJob>>>,
    /// Not listed, and cannot be asked for.
    hidden: Rc<RefCell<Option<&'static str>>>,
    /// Who asks by id is told of another job.
    answers_with_another: Rc<Cell<bool>>,
    /// Who asks by id is told of that job, listed or not.
    finds_by_id: Rc<Cell<bool>>,
    /// Writes last as long as everything else.
    records_take_their_time: Rc<Cell<bool>>,
    writes: Rc<Cell<usize>>,
    /// The most that were under way at once.
    most_writes: Rc<Cell<usize>>,
    service: Rc<Service>,
    table: Memory,
    loads_fail: Rc<Cell<bool>>,
    records_fail: Rc<Cell<bool>>,
    /// Of claims: only those that let go.
    letting_go_fails: Rc<Cell<bool>>,
    /// What cannot be read of the table.
    unreadable: Rc<RefCell<Vec<UnreadableItem>>>,
    latency: Duration,
    topic: Rc<Kept>,
    urgent: Option<Rc<Kept>>,
    digest_above: usize,
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
}

impl Default for Service {
    fn default() -> Self {
        Self {
            page_size: Cell::new(1_000),
            latency: Cell::default(),
            refuses: RefCell::new(Box::new(|_| false)),
            broken_page: Cell::default(),
            calls: RefCell::default(),
        }
    }
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
    /// It never answers who subscribes.
    hides_subscribers: bool,
}

/// What a topic does with a message.
#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Takes,
    Fails,
    Refuses,
    Throttles,
    Hangs,
}

impl Kept {
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
            hides_subscribers: false,
        }
    }

    fn mood_for(&self, message: &Message) -> Mood {
        let is_of = |job: &str| events(message).iter().any(|event| event["subject"] == job);
        match self.only_of.get() {
            Some(job) if !is_of(job) => Mood::Takes,
            Some(_) | None => self.mood.get(),
        }
    }
}

#[derive(Clone)]
struct Slow(World, Rc<Kept>);

impl World {
    fn new(latency: Duration) -> Self {
        Self {
            jobs: Rc::default(),
            hidden: Rc::default(),
            answers_with_another: Rc::default(),
            finds_by_id: Rc::default(),
            records_take_their_time: Rc::default(),
            writes: Rc::default(),
            most_writes: Rc::default(),
            service: Rc::default(),
            table: Memory::default(),
            loads_fail: Rc::default(),
            records_fail: Rc::default(),
            letting_go_fails: Rc::default(),
            unreadable: Rc::default(),
            latency,
            topic: Rc::new(Kept::named("jobs")),
            urgent: None,
            digest_above: 5,
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
        let input = RunInput {
            source: &source,
            settings: &settings,
            run: name,
            time_given,
        };
        run(&ports, &input).await
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
        let shown = shown.filter(|job| job.job_id.as_deref() != *self.hidden.borrow());
        Ok(Page {
            jobs: shown.cloned().collect(),
            next: (upto < jobs.len()).then(|| (number + 1).to_string()),
        })
    }

    async fn ask(&self, id: &JobId) -> Result<Option<ListedJob>, ListingError> {
        self.called().await?;
        if self.answers_with_another.get() {
            let another = self
                .jobs
                .borrow()
                .iter()
                .find(|job| job.job_id.as_deref() != Some(id.as_str()))
                .cloned();
            return Ok(another);
        }
        if self.finds_by_id.get() {
            let jobs = self.jobs.borrow();
            let is_it = |job: &&ListedJob| job.job_id.as_deref() == Some(id.as_str());
            return Ok(jobs.iter().find(is_it).cloned());
        }
        match *self.hidden.borrow() {
            Some(hidden) if hidden == id.as_str() => {
                Err(ListingError::Failed("access denied".to_owned()))
            }
            Some(_) | None => Ok(None),
        }
    }
}

impl Store for World {
    async fn load(&self, now: Timestamp) -> Result<State, StoreError> {
        if self.loads_fail.get() {
            return Err(StoreError::Failed("no such table".to_owned()));
        }
        let mut state = self.table.load(now).await?;
        state.unreadable = self.unreadable.borrow().clone();
        let lost: Vec<_> = state.unreadable.iter().map(|it| it.job.clone()).collect();
        state
            .records
            .retain(|record| !lost.contains(&Some(record.job.id.clone())));
        Ok(state)
    }

    async fn read(&self, key: &Key, now: Timestamp) -> Result<Option<Item>, StoreError> {
        self.table.read(key, now).await
    }

    async fn record(&self, change: &Change, now: Timestamp) -> Result<Recorded, StoreError> {
        if self.records_fail.get() && matches!(change.item, Item::Job(_)) {
            return Err(StoreError::Failed("throttled".to_owned()));
        }
        if self.records_take_their_time.get() {
            self.writes.set(self.writes.get() + 1);
            self.most_writes
                .set(self.most_writes.get().max(self.writes.get()));
            sleep(self.latency).await;
            self.writes.set(self.writes.get() - 1);
        }
        self.table.record(change, now).await
    }

    async fn claim(
        &self,
        pending: &Pending,
        by: &str,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Claimed, StoreError> {
        sleep(self.latency).await;
        if until <= now && self.letting_go_fails.get() {
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
            Mood::Takes => {}
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
        if self.1.hides_subscribers {
            return std::future::pending().await;
        }
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
        if outcome.answer.pending == 0 {
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
async fn an_answer_about_another_job_is_counted_and_concludes_nothing() {
    let world = World::new(Duration::ZERO);
    for id in ["missed", "other"] {
        world.start(id, "IN_PROGRESS");
    }
    world.run("begins", None).await;
    world.hidden.replace(Some("missed"));
    world.answers_with_another.set(true);
    for name in ["one", "two", "three"] {
        advance(Duration::from_secs(300)).await;
        let outcome = world.run(name, None).await;
        assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
        assert_eq!(outcome.answer.unreadable, 1);
    }
    assert_eq!(World::kinds(&world.topic), ["began"], "nothing vanished");
}

/// The service says of each that it is not there, and yet a page was not seen.
#[tokio::test(start_paused = true)]
async fn nothing_vanishes_in_runs_whose_listing_is_incomplete() {
    let world = World::new(Duration::ZERO);
    world.service.page_size.set(1);
    for id in ["gone", "on_the_next_page"] {
        world.start(id, "IN_PROGRESS");
    }
    world.run("begins", None).await;
    world.jobs.borrow_mut().remove(0);
    world.start("last", "IN_PROGRESS");
    world.service.broken_page.set(Some(1));
    for name in ["one", "two", "three"] {
        advance(Duration::from_secs(300)).await;
        let outcome = world.run(name, None).await;
        assert!(matches!(outcome.failures[..], [Failure::ListingFailed(_)]));
    }
    assert_eq!(World::kinds(&world.topic), ["began"]);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_the_listing_misses_is_judged_by_what_its_id_finds() {
    let world = World::new(Duration::ZERO);
    for id in ["other", "missed"] {
        world.start(id, "IN_PROGRESS");
    }
    world.run("begins", None).await;
    advance(Duration::from_secs(300)).await;
    world.end("missed", "FAILED");
    world.hidden.replace(Some("missed"));
    world.finds_by_id.set(true);
    let outcome = world.run("second", None).await;
    assert_eq!(outcome.answer.unreadable, 0);
    assert_eq!(World::kinds(&world.topic), ["began", "failed"]);
}

#[tokio::test(start_paused = true)]
async fn each_job_that_cannot_be_understood_is_counted() {
    let world = World::new(Duration::ZERO);
    world.start("a", "IN_PROGRESS");
    world.hidden.replace(Some("none of these"));
    for _ in 0..3 {
        world.jobs.borrow_mut().push(ListedJob::default());
    }
    let answer = world.run("first", None).await.answer;
    assert_eq!((answer.jobs, answer.unreadable), (4, 3));
}

#[tokio::test(start_paused = true)]
async fn a_job_that_fell_silent_before_the_watch_began_is_told() {
    let world = World::new(Duration::ZERO);
    world.start("silent", "IN_PROGRESS");
    advance(Duration::from_secs(5 * 3600)).await;
    world.run("first", None).await;
    let mut kinds = World::kinds(&world.topic);
    kinds.sort();
    assert_eq!(kinds, ["began", "stalled"]);
}

#[tokio::test(start_paused = true)]
async fn no_more_than_sixteen_writes_are_under_way_at_once() {
    let world = World::new(Duration::from_millis(20));
    for i in 0..100 {
        world.start(&format!("j{i:03}"), "IN_PROGRESS");
    }
    world.records_take_their_time.set(true);
    world.run("first", None).await;
    assert_eq!(world.most_writes.get(), 16);
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_does_not_say_who_subscribes_holds_a_run_up_for_five_seconds_only() {
    let world = World {
        topic: Rc::new(Kept {
            hides_subscribers: true,
            ..Kept::named("jobs")
        }),
        ..World::new(Duration::ZERO)
    };
    let begun = Instant::now();
    let outcome = world.run("first", None).await;
    assert_eq!(outcome.gauges.subscribers, None);
    assert_eq!(begun.elapsed(), Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn the_watch_does_not_begin_while_something_could_not_be_recorded() {
    let world = World::new(Duration::ZERO);
    world.jobs.borrow_mut().push(ListedJob {
        job_id: Some("timeless".to_owned()),
        status: Some("FAILED".to_owned()),
        ..ListedJob::default()
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
        let (world, urgent) = World::with_urgent();
        for id in ["a", "b"] {
            world.start(id, "IN_PROGRESS");
        }
        world.run("first", None).await;
        advance(Duration::from_secs(120)).await;
        world.end_all(|i| ["COMPLETE", "FAILED"][i]);
        if urgent_fails {
            urgent.mood.set(Mood::Fails);
        }
        let outcome = world.run("second", None).await;
        assert_eq!(World::kinds(&world.topic), ["began", "completed"]);
        if urgent_fails {
            assert!(matches!(outcome.failures[..], [Failure::PublishFailed(_)]));
            urgent.mood.set(Mood::Takes);
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
            world.topic.mood.set(Mood::Fails);
            let outcome = world.run("fails", None).await;
            assert_eq!((outcome.answer.published, outcome.answer.pending), (0, 300));
            world.topic.mood.set(Mood::Takes);
        }
        let outcome = world.run("second", None).await;
        assert_eq!((outcome.answer.published, outcome.answer.pending), (300, 0));
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
            ..Kept::named("jobs")
        }),
        urgent: Some(Rc::new(Kept {
            subscribers: Some(1),
            ..Kept::named("urgent")
        })),
        ..World::new(Duration::ZERO)
    };
    world.start("a", "IN_PROGRESS");
    world.topic.mood.set(Mood::Fails);
    let first = world.run("first", None).await.gauges;
    assert_eq!(first.subscribers, Some(1), "of the topic that has fewer");
    assert_eq!(first.oldest_sign_of_life, Some(SignedDuration::ZERO));
    advance(Duration::from_secs(600)).await;
    let second = world.run("second", None).await.gauges;
    assert_eq!(
        second.oldest_sign_of_life,
        Some(SignedDuration::from_mins(10))
    );
    assert_eq!(second.oldest_pending, SignedDuration::from_mins(10));
    world.topic.mood.set(Mood::Takes);
    world.end_all(|_| "COMPLETE");
    let third = world.run("third", None).await.gauges;
    assert_eq!(third.oldest_sign_of_life, None, "none is active");
    assert_eq!(third.oldest_pending, SignedDuration::ZERO);
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
        (301, 22)
    );
    assert_eq!(by_status["IN_PROGRESS"], 1);
    assert_eq!(by_status["(others)"], 280);
}

/// So many calls a second, and as many at once.
fn allows(per_second: u32) -> impl FnMut(Duration) -> bool {
    let (most, mut left, mut before) =
        (f64::from(per_second), f64::from(per_second), Duration::ZERO);
    move |at| {
        left = most.min(left + most * (at - before).as_secs_f64());
        before = at;
        let refuses = left < 0.999;
        if !refuses {
            left -= 1.0;
        }
        refuses
    }
}

const FIVE_MINUTES: Option<Duration> = Some(Duration::from_secs(300));

#[tokio::test(start_paused = true)]
async fn where_nothing_is_refused_nothing_waits() {
    let world = World::new(Duration::ZERO);
    for i in 0..40 {
        world.start(&format!("j{i:02}"), "IN_PROGRESS");
    }
    world.service.page_size.set(1);
    let outcome = world.run("first", FIVE_MINUTES).await;
    assert_eq!((outcome.answer.pages, outcome.answer.took_ms), (40, 0));
}

#[tokio::test(start_paused = true)]
async fn a_throttled_listing_goes_on_slower_until_all_is_seen() {
    // Calls a second, and how long forty pages may take.
    for (per_second, most) in [(1, 50), (2, 25), (3, 25), (5, 15)] {
        let world = World::new(Duration::ZERO);
        for i in 0..40 {
            world.start(&format!("j{i:02}"), "IN_PROGRESS");
        }
        world.service.page_size.set(1);
        world.refuse(allows(per_second));
        let outcome = world.run("first", FIVE_MINUTES).await;
        assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
        assert_eq!(outcome.answer.pages, 40);
        assert!(outcome.answer.complete && outcome.answer.began);
        let took = world.begun.elapsed();
        assert!(took < Duration::from_secs(most), "{per_second}/s: {took:?}");
        // It has found its pace.
        let asked = world.service.calls.borrow().len();
        assert!(asked <= 40 + 3, "{per_second}/s: {asked} calls");
    }
}

#[tokio::test(start_paused = true)]
async fn each_refusal_makes_the_pauses_and_the_intervals_longer_up_to_a_bound() {
    for (refusals, pauses_ms, interval_ms) in [
        (1, &[1_000][..], 250),
        (2, &[1_000, 2_000], 500),
        (3, &[1_000, 2_000, 4_000], 1_000),
        (5, &[1_000, 2_000, 4_000, 4_000, 4_000], 1_000),
    ] {
        let world = World::new(Duration::ZERO);
        for id in ["a", "b", "c", "d"] {
            world.start(id, "IN_PROGRESS");
        }
        world.service.page_size.set(1);
        let mut left = refusals;
        world.refuse(move |_| {
            left -= i32::from(left > 0) + i32::from(left == 0);
            left >= 0
        });
        let outcome = world.run("first", FIVE_MINUTES).await;
        assert!(outcome.answer.complete);
        let intervals: Vec<_> = world.intervals().iter().map(Duration::as_millis).collect();
        let (paused, paced) = intervals.split_at(pauses_ms.len());
        assert_eq!(paused, pauses_ms);
        assert_eq!(paced, [interval_ms; 3]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_listing_that_is_refused_until_its_time_is_spent_is_incomplete_and_no_failure() {
    let world = World::new(Duration::ZERO);
    for id in ["a", "b"] {
        world.start(id, "IN_PROGRESS");
    }
    world.run("first", FIVE_MINUTES).await;
    advance(Duration::from_secs(120)).await;
    // Something waits to be delivered.
    world.topic.mood.set(Mood::Fails);
    world.end("a", "FAILED");
    world.run("tells nobody", FIVE_MINUTES).await;
    world.topic.mood.set(Mood::Takes);

    for given in [10, 300] {
        world.refuse(|_| true);
        let given = Duration::from_secs(given);
        let started = Instant::now();
        let outcome = world.run(&format!("refused {given:?}"), Some(given)).await;
        assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
        assert!(!outcome.answer.complete);
        assert_eq!(outcome.answer.pages, 0);
        // Delivery has its time, whatever the questions by id would still wait for.
        assert!(
            started.elapsed() < given * 9 / 10,
            "{:?}",
            started.elapsed()
        );
        assert!(started.elapsed() > given / 3, "{:?}", started.elapsed());
        let calls = world.service.calls.borrow().len();
        assert!(calls < 80, "{calls} calls");
    }
    assert_eq!(World::kinds(&world.topic), ["began", "failed"]);

    world.refuse(|_| false);
    world.end("b", "COMPLETE");
    let outcome = world.run("answered", FIVE_MINUTES).await;
    assert!(outcome.answer.complete);
    assert_eq!(World::kinds(&world.topic), ["began", "failed", "completed"]);
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_state_cannot_be_loaded_does_not_wait_for_a_throttled_listing() {
    let world = World::new(Duration::ZERO);
    world.loads_fail.set(true);
    world.refuse(|_| true);
    let outcome = world.run("first", FIVE_MINUTES).await;
    assert!(matches!(
        outcome.failures[..],
        [Failure::StateUnreadable(_)]
    ));
    assert_eq!(outcome.answer.took_ms, 0);
}

#[tokio::test(start_paused = true)]
async fn a_page_is_of_when_it_was_answered_and_not_of_when_it_was_first_refused() {
    let world = World::new(Duration::ZERO);
    world.start("a", "IN_PROGRESS");
    world.refuse(|at| at < Duration::from_secs(100));
    world.run("first", FIVE_MINUTES).await;
    let record = world
        .table
        .job(&"a".to_owned().try_into().unwrap())
        .unwrap();
    let asked_at = *world.service.calls.borrow().last().unwrap();
    assert!(asked_at > Duration::from_secs(100));
    let base: Timestamp = "2026-03-02T00:00:00Z".parse().unwrap();
    assert_eq!(
        record.first_seen_at,
        base + SignedDuration::try_from(asked_at).unwrap()
    );
}

/// Thirty active jobs that are known and no longer listed.
async fn thirty_unlisted() -> World {
    let world = World::new(Duration::ZERO);
    for i in 0..30 {
        world.start(&format!("j{i:02}"), "IN_PROGRESS");
    }
    world.run("first", FIVE_MINUTES).await;
    advance(Duration::from_secs(120)).await;
    world.jobs.borrow_mut().clear();
    world
}

#[tokio::test(start_paused = true)]
async fn questions_by_id_that_are_refused_together_slow_down_together() {
    let world = thirty_unlisted().await;
    let since = world.begun.elapsed();
    world.service.latency.set(Duration::from_millis(50));
    // The page passes; the sixteen questions that come with it do not.
    let mut calls = 0;
    world.refuse(move |_| {
        calls += 1;
        (2..=17).contains(&calls)
    });
    let outcome = world.run("asks", FIVE_MINUTES).await;
    assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
    assert!(outcome.answer.complete);
    // One refusal: a pause of a second, and then four a second.
    let calls = world.service.calls.borrow().clone();
    assert_eq!(calls.len(), 1 + 16 + 30);
    let after = calls[17..].iter().map(|at| (*at - since).as_millis());
    let expected = (0..30).map(|n| 1_100 + 250 * n);
    assert!(after.eq(expected), "{calls:?}");
    // All were asked for: a second look makes them vanished.
    advance(Duration::from_secs(120)).await;
    world.refuse(|_| false);
    let outcome = world.run("looks again", FIVE_MINUTES).await;
    assert_eq!(outcome.answer.notices["vanished"], 30);
}

#[tokio::test(start_paused = true)]
async fn questions_by_id_that_stay_refused_leave_the_run_incomplete_and_conclude_nothing() {
    let world = thirty_unlisted().await;
    for name in ["one", "two"] {
        let mut calls = 0;
        world.refuse(move |_| {
            calls += 1;
            calls > 11
        });
        let started = Instant::now();
        let outcome = world.run(name, FIVE_MINUTES).await;
        assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
        assert!(!outcome.answer.complete);
        // In the middle between the end of the listing and that of the run.
        let ends = Duration::from_millis(240_000 + 59_500 / 2);
        assert!(started.elapsed() <= ends, "{:?}", started.elapsed());
        assert!(started.elapsed() + Duration::from_secs(4) >= ends);
        advance(Duration::from_secs(120)).await;
    }
    let told = World::kinds(&world.topic);
    assert!(
        told.iter().filter(|kind| *kind == "vanished").count() <= 10,
        "{told:?}"
    );
}

/// Three jobs, known and active, with nothing told but that the watch began.
async fn three_active(world: &World) {
    for id in ["a", "b", "c"] {
        world.start(id, "IN_PROGRESS");
    }
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

#[tokio::test(start_paused = true)]
async fn what_a_passing_fault_kept_back_goes_out_with_the_very_next_run() {
    for letting_go_fails in [false, true] {
        let world = World::new(Duration::ZERO);
        three_active(&world).await;
        world.end_all(|_| "COMPLETE");
        world.topic.mood.set(Mood::Fails);
        world.letting_go_fails.set(letting_go_fails);
        let outcome = world.run("fails", None).await;
        assert_eq!(
            outcome.failures.len(),
            3,
            "one for each message: {:?}",
            outcome.failures
        );
        assert_eq!(world.topic.tries.get(), 3, "none holds up another");
        world.topic.mood.set(Mood::Takes);
        let outcome = world.run("next", None).await;
        assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
        if letting_go_fails {
            assert_eq!(
                outcome.answer.published, 0,
                "the claims must end by themselves"
            );
            advance(Duration::from_secs(61)).await;
            world.run("later", None).await;
        }
        assert_eq!(World::kinds(&world.topic), ["completed"; 3]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_throttles_is_left_alone_until_the_next_run_and_nothing_is_lost() {
    for digest_above in [5, 1] {
        let (mut world, urgent) = World::with_urgent();
        world.digest_above = digest_above;
        three_active(&world).await;
        world.end_all(|i| ["COMPLETE", "COMPLETE", "FAILED"][i]);
        world.topic.mood.set(Mood::Throttles);
        let outcome = world.run("throttled", None).await;
        assert_eq!(world.topic.tries.get(), 1);
        assert_eq!((outcome.answer.published, outcome.answer.pending), (1, 2));
        assert_eq!(World::kinds(&urgent), ["failed"], "the other topic goes on");
        let [Failure::PublishFailed(why)] = &outcome.failures[..] else {
            panic!("{:?}", outcome.failures)
        };
        assert!(
            why.contains("123456789012:jobs") && why.contains("\"a\""),
            "{why}"
        );
        world.topic.mood.set(Mood::Takes);
        let outcome = world.run("next", None).await;
        assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
        assert_eq!(World::kinds(&world.topic), ["completed"; 2]);
    }
}

#[tokio::test(start_paused = true)]
async fn one_jobs_messages_that_do_not_pass_hold_up_no_others() {
    for mood in [Mood::Fails, Mood::Refuses] {
        let world = World::new(Duration::ZERO);
        three_active(&world).await;
        world.end_all(|_| "FAILED");
        world.topic.mood.set(mood);
        world.topic.only_of.set(Some("a"));
        for name in ["one", "two"] {
            let outcome = world.run(name, None).await;
            assert_eq!(outcome.answer.pending, 1);
            let [Failure::PublishFailed(why)] = &outcome.failures[..] else {
                panic!("{:?}", outcome.failures)
            };
            for part in [
                "failed notice of job \"a\"",
                "123456789012:jobs",
                "as scripted",
            ] {
                assert!(why.contains(part), "{part:?} is missing in {why:?}");
            }
        }
        // Refused, it is tried in its smallest form as well.
        let tries = if mood == Mood::Refuses { 2 } else { 1 };
        assert_eq!(world.topic.tries.get(), 2 + 2 * tries);
        assert_eq!(World::told(&world.topic).len(), 2);
        world.topic.mood.set(Mood::Takes);
        world.run("three", None).await;
        let told = World::told(&world.topic);
        assert_eq!((told.len(), told.values().sum::<usize>()), (3, 3));
    }
}

#[tokio::test(start_paused = true)]
async fn a_digest_that_does_not_pass_names_some_of_its_jobs() {
    let world = World {
        digest_above: 1,
        ..World::new(Duration::ZERO)
    };
    for i in 0..7 {
        world.start(&format!("j{i}"), "IN_PROGRESS");
    }
    world.run("first", None).await;
    world.end_all(|_| "FAILED");
    world.topic.mood.set(Mood::Fails);
    let outcome = world.run("second", None).await;
    let [Failure::PublishFailed(why)] = &outcome.failures[..] else {
        panic!("{:?}", outcome.failures)
    };
    let named = r#"a digest of 7 notices of jobs ["j0", "j1", "j2", "j3", "j4"] and 2 more to arn"#;
    assert!(why.contains(named), "{why}");
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_hangs_costs_the_other_nothing() {
    let (world, urgent) = World::with_urgent();
    three_active(&world).await;
    world.end_all(|i| ["COMPLETE", "FAILED", "FAILED"][i]);
    urgent.mood.set(Mood::Hangs);
    let outcome = world.run("hangs", Some(Duration::from_secs(20))).await;
    assert_eq!(World::kinds(&world.topic), ["completed"]);
    assert!(outcome.answer.pending >= 1);
    urgent.mood.set(Mood::Takes);
    advance(Duration::from_secs(61)).await;
    world.run("next", None).await;
    assert_eq!(World::told(&urgent).len(), 2);
}

/// `a` is told as stalled.
async fn stalled(world: &World) {
    world.start("a", "IN_PROGRESS");
    world.run("first", None).await;
    world.topic.published.borrow_mut().clear();
    advance(Duration::from_secs(2 * 3600)).await;
    world.run("stalls", None).await;
}

fn ids(topic: &Kept, kind: &str) -> Vec<String> {
    let published = topic.published.borrow();
    let events = published.iter().flat_map(events);
    let of_kind = events.filter(|event| event["data"]["kind"] == kind);
    of_kind
        .map(|event| event["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn how_a_stall_ends_is_told_where_the_stall_was() {
    for (ends, kind) in [("IN_PROGRESS", "recovered"), ("COMPLETE", "completed")] {
        let (world, urgent) = World::with_urgent();
        stalled(&world).await;
        assert_eq!(World::kinds(&urgent), ["stalled"]);
        world.beat("a");
        if ends == "COMPLETE" {
            world.end("a", ends);
        }
        let outcome = world.run("ends", None).await;
        assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
        assert_eq!(outcome.answer.pending, 0);
        assert_eq!(World::kinds(&world.topic), [kind]);
        assert_eq!(World::kinds(&urgent), ["stalled", kind]);
        assert_eq!(ids(&world.topic, kind), ids(&urgent, kind), "one id");
    }
}

#[tokio::test(start_paused = true)]
async fn each_topic_has_its_own_claim_its_own_order_and_its_own_faults() {
    let (world, urgent) = World::with_urgent();
    urgent.mood.set(Mood::Fails);
    stalled(&world).await;
    world.beat("a");
    let outcome = world.run("recovers", None).await;
    // To the one topic it goes at once; to the other it waits for the stall.
    assert_eq!(World::kinds(&world.topic), ["recovered"]);
    assert_eq!(outcome.answer.pending, 2);
    let [Failure::PublishFailed(why)] = &outcome.failures[..] else {
        panic!("{:?}", outcome.failures)
    };
    for part in [
        "stalled notice of job \"a\"",
        "123456789012:urgent",
        "as scripted",
    ] {
        assert!(why.contains(part), "{part:?} is missing in {why:?}");
    }
    urgent.mood.set(Mood::Takes);
    let outcome = world.run("mended", None).await;
    assert_eq!(outcome.answer.pending, 0);
    assert_eq!(World::kinds(&urgent), ["stalled", "recovered"]);
    assert_eq!(World::kinds(&world.topic), ["recovered"], "and once");
}

#[tokio::test(start_paused = true)]
async fn what_is_bad_goes_out_before_what_is_older() {
    let world = World::new(Duration::ZERO);
    three_active(&world).await;
    world.topic.mood.set(Mood::Fails);
    world.end("a", "COMPLETE");
    world.run("older", None).await;
    advance(Duration::from_secs(120)).await;
    world.end("c", "COMPLETE");
    world.run("later", None).await;
    advance(Duration::from_secs(120)).await;
    world.end("b", "FAILED");
    world.topic.mood.set(Mood::Takes);
    world.run("all", None).await;
    let published = world.topic.published.borrow();
    let jobs: Vec<_> = published
        .iter()
        .map(|it| it.event["subject"].clone())
        .collect();
    assert_eq!(jobs, ["b", "a", "c"]);
}

/// What the first message of this kind says to an email subscriber.
fn email(topic: &Kept, kind: &str) -> String {
    let published = topic.published.borrow();
    let is_it = |message: &&Message| message.event["data"]["kind"] == kind;
    match &published.iter().find(is_it).unwrap().body {
        Body::Plain(text) => text.clone(),
        Body::PerProtocol(forms) => {
            let form = forms.iter().find(|(protocol, _)| *protocol == "email");
            form.unwrap().1.clone()
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_goes_out_late_says_how_its_job_stands_by_then() {
    const ALIVE: &str = "Since then the job has shown life again.";
    const ANOTHER: &str = "Since then another job";
    // Whether the stall is told late, and how the job goes on.
    for (is_late, restarts, says) in [
        (false, false, None),
        (true, false, Some(ALIVE)),
        (true, true, Some(ANOTHER)),
    ] {
        let world = World::new(Duration::ZERO);
        if is_late {
            world.topic.mood.set(Mood::Fails);
        }
        stalled(&world).await;
        advance(Duration::from_secs(120)).await;
        let now = world.time();
        world.beat("a");
        if restarts {
            world.change("a", |job| job.start_time = now);
        }
        world.topic.mood.set(Mood::Takes);
        world.run("late", None).await;
        let told = email(&world.topic, "stalled");
        let noticed = if is_late { "(2 min ago)" } else { "(now)" };
        assert!(told.contains(noticed), "{told}");
        for line in [ALIVE, ANOTHER] {
            assert_eq!(told.contains(line), says == Some(line), "{told}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_goes_out_at_once_has_nothing_to_add() {
    let world = World::new(Duration::ZERO);
    world.start("a", "IN_PROGRESS");
    world.run("first", None).await;
    world.jobs.borrow_mut().clear();
    for name in ["misses it", "misses it again"] {
        advance(Duration::from_secs(120)).await;
        world.run(name, None).await;
    }
    let told = email(&world.topic, "vanished");
    assert!(!told.contains("Since then"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn what_is_for_a_topic_that_is_no_longer_configured_goes_elsewhere_or_is_dropped() {
    // To the new urgent topic, if there is one, and else to the only one.
    for new in [None, Some(Rc::new(Kept::named("new")))] {
        let (world, urgent) = World::with_urgent();
        urgent.mood.set(Mood::Fails);
        stalled(&world).await;
        world.beat("a");
        let outcome = world.run("recovers", None).await;
        assert_eq!(outcome.answer.pending, 2, "both, to the urgent topic");
        world.topic.published.borrow_mut().clear();

        let replaced = World {
            urgent: new.clone(),
            ..world.clone()
        };
        let outcome = replaced.run("without it", None).await;
        assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
        assert_eq!(outcome.answer.pending, 0);
        let told = World::kinds(new.as_ref().unwrap_or(&world.topic));
        assert_eq!(
            told,
            ["stalled"],
            "the recovery was told on the other topic"
        );
        let left = world.table.load(world.now()).await.unwrap().outbox;
        assert!(left.is_empty(), "{left:?}");
        assert!(urgent.published.borrow().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_dropped_now_is_dropped_later() {
    let (world, urgent) = World::with_urgent();
    stalled(&world).await;
    world.beat("a");
    urgent.mood.set(Mood::Fails);
    world.run("recovers", None).await;
    let alone = World {
        urgent: None,
        latency: Duration::from_millis(10),
        ..world.clone()
    };
    // No time is left when it comes to that.
    let outcome = alone.run("no time", Some(Duration::from_millis(500))).await;
    assert_eq!(outcome.answer.pending, 1);
    let outcome = alone.run("time", None).await;
    assert_eq!(outcome.answer.pending, 0);
    assert_eq!(World::kinds(&world.topic), ["recovered"]);
}

fn unreadable(job: &str, error: StoreError) -> UnreadableItem {
    UnreadableItem {
        job: Some(job.to_owned().try_into().unwrap()),
        error,
    }
}

#[tokio::test(start_paused = true)]
async fn a_stored_item_that_makes_no_sense_costs_its_job_and_no_other() {
    let broken = StoreError::Failed("item \"job#a\": it has no `key`".to_owned());
    let newer = StoreError::TooNew("item \"job#a\" needs format 9".to_owned());
    for (error, error_type) in [(broken, "StateUnreadable"), (newer, "StateTooNew")] {
        let world = World::new(Duration::ZERO);
        three_active(&world).await;
        let id: JobId = "a".to_owned().try_into().unwrap();
        let before = world.table.job(&id).unwrap();
        world
            .unreadable
            .replace(vec![unreadable("a", error.clone())]);

        // Silent for too long, then ended: nothing is written or told of it.
        advance(Duration::from_secs(2 * 3600)).await;
        for id in ["b", "c"] {
            world.beat(id);
        }
        let outcome = world.run("silent", None).await;
        assert_eq!(outcome.failures.len(), 1, "{:?}", outcome.failures);
        world.end_all(|_| "COMPLETE");
        let outcome = world.run("ended", None).await;
        assert_eq!(World::kinds(&world.topic), ["completed"; 2]);
        assert_eq!(world.table.job(&id), Some(before));
        assert_eq!((outcome.answer.jobs, outcome.answer.published), (3, 2));
        assert!(outcome.answer.complete, "the listing was");
        let [failure] = &outcome.failures[..] else {
            panic!("{:?}", outcome.failures)
        };
        assert_eq!(failure.error_type(), error_type);
        assert!(
            failure.to_string().contains(&error.to_string()),
            "{failure}"
        );

        // Once it is mended, its end is told.
        world.unreadable.replace(Vec::new());
        let outcome = world.run("mended", None).await;
        assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
        assert_eq!(World::told(&world.topic).len(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stored_notice_that_makes_no_sense_holds_up_no_other() {
    let world = World::new(Duration::ZERO);
    three_active(&world).await;
    world.unreadable.replace(vec![UnreadableItem {
        job: None,
        error: StoreError::Failed("item \"outbox#1\": it has no `notice`".to_owned()),
    }]);
    world.end_all(|_| "COMPLETE");
    let outcome = world.run("passes over", None).await;
    assert_eq!(World::kinds(&world.topic), ["completed"; 3]);
    assert!(matches!(
        outcome.failures[..],
        [Failure::ItemsUnreadable(_)]
    ));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_said_beside_whatever_else_went_wrong() {
    let world = World::new(Duration::ZERO);
    three_active(&world).await;
    let items = (0..60).map(|i| {
        let item = format!("item {i}");
        let error = match i % 10 {
            0 => StoreError::TooNew(item),
            _ => StoreError::Failed(item),
        };
        unreadable("a", error)
    });
    world.unreadable.replace(items.collect());
    world.end_all(|_| "COMPLETE");
    // The listing fails at its last page, and a message does not pass.
    world.service.page_size.set(2);
    world.service.broken_page.set(Some(1));
    world.topic.mood.set(Mood::Fails);
    let outcome = world.run("all at once", None).await;
    let types: Vec<_> = outcome.failures.iter().map(Failure::error_type).collect();
    assert_eq!(
        types,
        [
            "ListingFailed",
            "PublishFailed",
            "StateUnreadable",
            "StateTooNew"
        ]
    );
    assert!(!outcome.answer.complete);
    let said = outcome.failures[2].to_string();
    assert!(
        said.contains("item 1; item 2;") && said.contains("; and 4 more"),
        "{said}"
    );
    assert_eq!((outcome.answer.jobs, outcome.answer.pending), (2, 1));
}
