//! The delivery promise, by the real run on ports in memory, with a virtual clock and a seed: it dies or loses an
//! answer at each effect in turn, runs overlap, reads are stale, publishing fails.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use fastrand::Rng;
use fraud_job_watch::local::state::Memory;
use fraud_job_watch::message::Message;
use fraud_job_watch::ports::{
    Claimed, Clock, Listing, ListingError, Page, Ports, PublishError, Recorded, State, Store,
    StoreError, Topic,
};
use fraud_job_watch::run::{Outcome, Tick, run};
use fraud_job_watch::settings::WatchSettings;
use fraud_job_watch::watch::{Change, Item, JobId, Key, Kind, Listed, NoticeId, Policy, Source};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio::time::Instant;

/// What goes wrong with one effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// It fails, and did not take place.
    Fails,
    /// It takes place, and its answer is lost.
    LosesAnswer,
    /// The process dies before it.
    DiesBefore,
    /// The process dies when it has taken place.
    DiesAfter,
}

const FAULTS: [Fault; 4] = [
    Fault::Fails,
    Fault::LosesAnswer,
    Fault::DiesBefore,
    Fault::DiesAfter,
];

/// The world that runs share: the jobs, the table, the topic, the time.
struct World {
    jobs: RefCell<Vec<Listed>>,
    table: Memory,
    /// What the next load shows instead of the table, once.
    stale: RefCell<Option<State>>,
    published: RefCell<Vec<Message>>,
    recorded: RefCell<BTreeSet<NoticeId>>,
    effects: RefCell<BTreeMap<&'static str, usize>>,
    /// Why a repeat of a notice is allowed.
    excused: RefCell<BTreeSet<NoticeId>>,
    /// The effect that met a fault last.
    faulted: Cell<&'static str>,
    begun: Instant,
    rng: RefCell<Rng>,
}

const PAGE: usize = 3;

impl World {
    fn new(seed: u64) -> Rc<Self> {
        Rc::new(Self {
            jobs: RefCell::default(),
            table: Memory::default(),
            stale: RefCell::default(),
            published: RefCell::default(),
            recorded: RefCell::default(),
            effects: RefCell::default(),
            excused: RefCell::default(),
            faulted: Cell::default(),
            begun: Instant::now(),
            rng: RefCell::new(Rng::with_seed(seed)),
        })
    }

    fn now(&self) -> Timestamp {
        let base: Timestamp = "2026-03-02T00:00:00Z".parse().unwrap();
        base + SignedDuration::try_from(self.begun.elapsed()).unwrap()
    }

    fn text(&self) -> Option<String> {
        Some(self.now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
    }

    /// Adds a job that starts now, and beats.
    fn start(&self, id: &str) {
        self.jobs.borrow_mut().push(Listed {
            job_id: Some(id.to_owned()),
            status: Some("IN_PROGRESS".to_owned()),
            start_time: self.text(),
            last_heartbeat_time: self.text(),
            ..Listed::default()
        });
    }

    fn change(&self, id: &str, change: impl FnOnce(&mut Listed)) {
        let mut jobs = self.jobs.borrow_mut();
        change(
            jobs.iter_mut()
                .find(|job| job.job_id.as_deref() == Some(id))
                .unwrap(),
        );
    }

    fn beat(&self, id: &str) {
        let now = self.text();
        self.change(id, |job| job.last_heartbeat_time = now);
    }

    fn end(&self, id: &str, status: &str) {
        let now = self.text();
        self.change(id, |job| {
            job.status = Some(status.to_owned());
            job.completion_time = now.clone();
            job.last_heartbeat_time = now;
        });
    }

    fn delete(&self, id: &str) {
        self.jobs
            .borrow_mut()
            .retain(|job| job.job_id.as_deref() != Some(id));
    }

    /// What was published of jobs, in order: kind and job.
    fn told(&self) -> Vec<(String, String)> {
        let of = |message: &Message| {
            let event = &message.event;
            (
                event["data"]["kind"].as_str().unwrap().to_owned(),
                event["subject"].as_str().unwrap().to_owned(),
            )
        };
        self.published
            .borrow()
            .iter()
            .map(of)
            .filter(|(kind, _)| kind != "began")
            .collect()
    }

    fn times_published(&self) -> BTreeMap<NoticeId, usize> {
        let mut times = BTreeMap::new();
        for message in self.published.borrow().iter() {
            *times
                .entry(serde_json::from_value(message.event["id"].clone()).unwrap())
                .or_default() += 1;
        }
        times
    }

    fn writes(&self) -> usize {
        let effects = self.effects.borrow();
        ["record", "claim", "settle", "publish"]
            .iter()
            .filter_map(|name| effects.get(name))
            .sum()
    }

    /// Everything recorded was published, and more than once only with a cause.
    fn check(&self, story: &str) {
        let times = self.times_published();
        for id in self.recorded.borrow().iter() {
            assert!(
                times.contains_key(id),
                "{story}: recorded, but never published: {id}"
            );
        }
        for (id, times) in times {
            assert!(
                times == 1 || self.excused.borrow().contains(&id),
                "{story}: published {times} times without a cause: {id}"
            );
        }
    }
}

/// One process: it meets a fault at its `at`th effect, if it gets there.
struct Process {
    world: Rc<World>,
    at: Option<(usize, Fault)>,
    done: Cell<usize>,
    died: Notify,
    slow: bool,
}

impl Process {
    async fn effect<T>(
        &self,
        name: &'static str,
        action: impl Future<Output = T>,
        lost: impl FnOnce() -> T,
    ) -> T {
        if self.slow {
            let pause = self.world.rng.borrow_mut().u64(0..40);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        let number = self.done.replace(self.done.get() + 1);
        *self.world.effects.borrow_mut().entry(name).or_default() += 1;
        let fault = self
            .at
            .filter(|(at, _)| *at == number)
            .map(|(_, fault)| fault);
        if fault.is_some() {
            self.world.faulted.set(name);
        }
        match fault {
            None => action.await,
            Some(Fault::Fails) => lost(),
            Some(Fault::LosesAnswer) => {
                action.await;
                lost()
            }
            Some(Fault::DiesBefore) => self.die().await,
            Some(Fault::DiesAfter) => {
                action.await;
                self.die().await
            }
        }
    }

    async fn die<T>(&self) -> T {
        self.died.notify_one();
        std::future::pending().await
    }

    /// Whether the fault at hand is this one of this effect: a repeat of `id` has a cause.
    fn excuse(&self, id: &NoticeId, causes: &[Fault]) {
        if self
            .at
            .is_some_and(|(at, fault)| at == self.done.get() && causes.contains(&fault))
        {
            self.world.excused.borrow_mut().insert(id.clone());
        }
    }
}

struct Port(Rc<Process>);

impl Listing for Port {
    async fn page(&self, token: Option<&str>) -> Result<Page, ListingError> {
        let action = async {
            let jobs = self.0.world.jobs.borrow();
            let from = token.map_or(0, |token| token.parse().unwrap());
            let to = jobs.len().min(from + PAGE);
            Ok(Page {
                jobs: jobs[from.min(to)..to].to_vec(),
                next: (to < jobs.len()).then(|| to.to_string()),
            })
        };
        self.0
            .effect("page", action, || {
                Err(ListingError("as scripted".to_owned()))
            })
            .await
    }

    async fn ask(&self, id: &JobId) -> Result<Option<Listed>, ListingError> {
        let action = async {
            let jobs = self.0.world.jobs.borrow();
            Ok(jobs
                .iter()
                .find(|job| job.job_id.as_deref() == Some(id.as_str()))
                .cloned())
        };
        self.0
            .effect("ask", action, || {
                Err(ListingError("as scripted".to_owned()))
            })
            .await
    }
}

fn failed<T>() -> Result<T, StoreError> {
    Err(StoreError::Failed("as scripted".to_owned()))
}

impl Store for Port {
    async fn load(&self, now: Timestamp) -> Result<State, StoreError> {
        let world = &self.0.world;
        let stale = world.stale.borrow_mut().take();
        let action = async {
            match stale {
                Some(state) => Ok(state),
                None => world.table.load(now).await,
            }
        };
        self.0.effect("load", action, failed).await
    }

    async fn read(&self, key: &Key, now: Timestamp) -> Result<Option<Item>, StoreError> {
        self.0
            .effect("read", self.0.world.table.read(key, now), failed)
            .await
    }

    async fn record(&self, change: &Change, now: Timestamp) -> Result<Recorded, StoreError> {
        let action = async {
            let recorded = self.0.world.table.record(change, now).await;
            if let Ok(Recorded::Done) = recorded {
                self.0
                    .world
                    .recorded
                    .borrow_mut()
                    .extend(change.notices.iter().map(|notice| notice.id.clone()));
            }
            recorded
        };
        self.0.effect("record", action, failed).await
    }

    async fn claim(
        &self,
        id: &NoticeId,
        by: &str,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Claimed, StoreError> {
        self.0
            .effect(
                "claim",
                self.0.world.table.claim(id, by, until, now),
                failed,
            )
            .await
    }

    async fn settle(&self, id: &NoticeId) -> Result<(), StoreError> {
        self.0.excuse(id, &[Fault::Fails, Fault::DiesBefore]);
        self.0
            .effect("settle", self.0.world.table.settle(id), failed)
            .await
    }
}

impl Topic for Port {
    async fn ready(&self) {}

    async fn publish(&self, message: &Message) -> Result<(), PublishError> {
        self.0.excuse(
            &serde_json::from_value(message.event["id"].clone()).unwrap(),
            &[Fault::LosesAnswer, Fault::DiesAfter],
        );
        let action = async {
            self.0.world.published.borrow_mut().push(message.clone());
            Ok(())
        };
        self.0
            .effect("publish", action, || {
                Err(PublishError::Failed("as scripted".to_owned()))
            })
            .await
    }
}

impl Clock for Port {
    fn now(&self) -> Timestamp {
        self.0.world.now()
    }
}

/// A run with this name. `None` if it died. The second value is how many effects it had.
async fn process(
    world: &Rc<World>,
    name: &str,
    at: Option<(usize, Fault)>,
    slow: bool,
) -> (Option<Outcome>, usize) {
    let process = Rc::new(Process {
        world: Rc::clone(world),
        at,
        done: Cell::new(0),
        died: Notify::new(),
        slow,
    });
    let port = || Port(Rc::clone(&process));
    let ports = Ports {
        listing: port(),
        store: port(),
        topic: port(),
        urgent: None,
        clock: port(),
    };
    let source: Source = "arn:aws:frauddetector:eu-west-1:123456789012:batch-prediction"
        .parse()
        .unwrap();
    let settings = WatchSettings {
        name: None,
        policy: Policy {
            stall_after: SignedDuration::from_hours(1),
            remind_after: None,
            notify_on: Kind::CHOICES.into_iter().collect(),
        },
        digest_above: 5,
    };
    let tick = Tick {
        source: &source,
        settings: &settings,
        run: name,
        time_given: Some(Duration::from_secs(60)),
    };
    let outcome = tokio::select! {
        biased;
        () = process.died.notified() => None,
        outcome = run(&ports, &tick) => Some(outcome),
    };
    (outcome, process.done.get())
}

/// A run in which nothing goes wrong.
async fn good(world: &Rc<World>, name: &str) -> Outcome {
    let (outcome, _) = process(world, name, None, false).await;
    let outcome = outcome.unwrap();
    assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
    outcome
}

async fn pass(minutes: u64) {
    tokio::time::advance(Duration::from_secs(60 * minutes)).await;
}

fn pairs(pairs: &[(&str, &str)]) -> BTreeSet<(String, String)> {
    pairs
        .iter()
        .map(|(kind, job)| ((*kind).to_owned(), (*job).to_owned()))
        .collect()
}

/// A day in which each kind of change comes once: what it should tell.
async fn eventful() -> (Rc<World>, BTreeSet<(String, String)>) {
    let world = World::new(0);
    for id in [
        "completes",
        "fails",
        "is-canceled",
        "stalls",
        "vanishes",
        "goes-on",
    ] {
        world.start(id);
    }
    good(&world, "first").await;
    assert_eq!(world.told(), []);
    pass(90).await;
    world.end("completes", "COMPLETE");
    world.end("fails", "FAILED");
    world.end("is-canceled", "CANCELED");
    world.delete("vanishes");
    world.beat("goes-on");
    let told = [
        ("completed", "completes"),
        ("failed", "fails"),
        ("canceled", "is-canceled"),
        ("stalled", "stalls"),
        ("vanished", "vanishes"),
    ];
    (world, pairs(&told))
}

#[tokio::test(start_paused = true)]
async fn each_thing_is_told_once_and_an_idle_run_writes_nothing() {
    let (world, expected) = eventful().await;
    let outcome = good(&world, "second").await;
    assert_eq!(world.told().into_iter().collect::<BTreeSet<_>>(), expected);
    assert_eq!((outcome.answer.published, outcome.answer.owed), (5, 0));
    let writes = world.writes();
    pass(5).await;
    world.beat("goes-on");
    good(&world, "third").await;
    assert_eq!(world.writes(), writes, "an idle run writes nothing");
    world.check("no fault");
}

#[tokio::test(start_paused = true)]
async fn nothing_is_lost_whatever_dies_at_any_effect() {
    let mut stories = 0;
    for fault in FAULTS {
        for at in 0.. {
            let (world, expected) = eventful().await;
            let (_, effects) = process(&world, "faulty", Some((at, fault)), false).await;
            if effects <= at {
                break;
            }
            let story = format!("{fault:?} at effect {at}");
            pass(5).await;
            world.beat("goes-on");
            good(&world, "second").await;
            assert_eq!(
                world.told().into_iter().collect::<BTreeSet<_>>(),
                expected,
                "{story}"
            );
            world.check(&story);
            let writes = world.writes();
            pass(5).await;
            world.beat("goes-on");
            let idle = good(&world, "third").await;
            assert_eq!((world.writes(), idle.answer.owed), (writes, 0), "{story}");
            stories += 1;
        }
    }
    assert!(stories > 4 * 20, "only {stories} stories");
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_answer_was_lost_is_known_as_ones_own_and_told_in_the_same_run() {
    let mut writes = 0;
    for at in 0.. {
        let (world, expected) = eventful().await;
        let (outcome, effects) =
            process(&world, "faulty", Some((at, Fault::LosesAnswer)), false).await;
        if effects <= at {
            break;
        }
        if world.faulted.get() == "record" {
            let outcome = outcome.unwrap();
            assert_eq!(world.told().into_iter().collect::<BTreeSet<_>>(), expected);
            assert_eq!(
                (outcome.answer.owed, outcome.failures.len()),
                (0, 0),
                "at effect {at}"
            );
            writes += 1;
        }
    }
    assert_eq!(writes, 5);
}

#[tokio::test(start_paused = true)]
async fn the_first_run_may_die_anywhere_too() {
    for fault in FAULTS {
        for at in 0.. {
            let world = World::new(0);
            world.start("old");
            world.end("old", "FAILED");
            pass(10).await;
            world.start("active");
            let (_, effects) = process(&world, "faulty", Some((at, fault)), false).await;
            if effects <= at {
                break;
            }
            pass(2).await;
            good(&world, "second").await;
            assert_eq!(
                world.told(),
                [],
                "the first run is quiet: {fault:?} at effect {at}"
            );
            world.end("active", "COMPLETE");
            good(&world, "third").await;
            assert_eq!(world.told().len(), 1);
            world.check(&format!("{fault:?} at effect {at}"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn two_runs_at_once_tell_each_thing_once() {
    for seed in 0..300 {
        let (world, expected) = eventful().await;
        *world.rng.borrow_mut() = Rng::with_seed(seed);
        let (one, two) = tokio::join!(
            process(&world, "one", None, true),
            process(&world, "two", None, true)
        );
        let mut recorded = 0;
        for (outcome, _) in [one, two] {
            let outcome = outcome.unwrap();
            assert_eq!(outcome.failures.len(), 0, "seed {seed}");
            recorded += outcome.answer.notices.values().sum::<u64>();
        }
        assert_eq!(recorded, 5, "seed {seed}: each change has one winner");
        pass(2).await;
        good(&world, "third").await;
        let told = world.told();
        assert_eq!(
            (told.len(), told.into_iter().collect::<BTreeSet<_>>()),
            (expected.len(), expected),
            "seed {seed}"
        );
        world.check(&format!("seed {seed}"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stale_read_tells_nothing_twice() {
    let (world, expected) = eventful().await;
    let before = world.table.load(world.now()).await.unwrap();
    good(&world, "second").await;
    *world.stale.borrow_mut() = Some(before);
    good(&world, "third").await;
    *world.stale.borrow_mut() = Some(State::default());
    good(&world, "fourth").await;
    let told = world.told();
    assert_eq!(
        (told.len(), told.into_iter().collect::<BTreeSet<_>>()),
        (expected.len(), expected)
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_owed_goes_out_in_order_when_the_job_has_moved_on() {
    let world = World::new(0);
    world.start("job");
    good(&world, "first").await;
    pass(90).await;
    // Load, page, record, claim, and then the publish fails.
    let (outcome, _) = process(&world, "second", Some((4, Fault::Fails)), false).await;
    let outcome = outcome.unwrap();
    assert_eq!(
        (outcome.answer.owed, outcome.failures.len()),
        (1, 1),
        "{:?}",
        outcome.failures
    );
    assert_eq!(outcome.failures[0].error_type(), "PublishFailed");
    pass(5).await;
    world.end("job", "COMPLETE");
    good(&world, "third").await;
    world.delete("job");
    pass(5).await;
    good(&world, "fourth").await;
    let told = [("stalled", "job"), ("completed", "job")]
        .map(|(kind, job)| (kind.to_owned(), job.to_owned()));
    assert_eq!(world.told(), told);
}

/// Many days by chance: jobs are born, beat, stall, end and go; runs die, fail and overlap. When the faults end,
/// everything recorded has been told, and an idle run writes nothing.
#[tokio::test(start_paused = true)]
async fn days_by_chance() {
    for seed in 0..300 {
        let world = World::new(seed);
        let mut names = 0;
        for step in 0..30 {
            let roll = world.rng.borrow_mut().u32(0..100);
            let ids: Vec<String> = world
                .jobs
                .borrow()
                .iter()
                .filter(|job| job.completion_time.is_none())
                .filter_map(|job| job.job_id.clone())
                .collect();
            let pick = world.rng.borrow_mut().choice(ids);
            match (roll, pick) {
                (0..25, _) => {
                    names += 1;
                    world.start(&format!("job-{names}"));
                }
                (25..55, Some(id)) => world.beat(&id),
                (55..65, Some(id)) => world.end(&id, "COMPLETE"),
                (65..75, Some(id)) => world.end(&id, "FAILED"),
                (75..80, Some(id)) => world.delete(&id),
                (_, _) => {}
            }
            let (minutes, at, fault, twice) = {
                let mut rng = world.rng.borrow_mut();
                (
                    rng.u64(2..30),
                    rng.usize(0..25),
                    FAULTS[rng.usize(0..4)],
                    rng.u32(0..4) == 0,
                )
            };
            pass(minutes).await;
            let (one, two) = (format!("{step}-one"), format!("{step}-two"));
            let first = process(&world, &one, Some((at, fault)), true);
            if twice {
                tokio::join!(first, process(&world, &two, None, true));
            } else {
                first.await;
            }
        }
        pass(2).await;
        let last = good(&world, "last").await;
        assert_eq!(last.answer.owed, 0, "seed {seed}");
        world.check(&format!("seed {seed}"));
        let writes = world.writes();
        good(&world, "idle").await;
        assert_eq!(
            world.writes(),
            writes,
            "seed {seed}: an idle run writes nothing"
        );
    }
}
