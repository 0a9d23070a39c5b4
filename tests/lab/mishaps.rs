//! The real process on a day that goes wrong: killed at a call, before or after the call takes effect, or throttled,
//! failed, cut off or left hanging there. Then a new process goes on, and the subscriber must have got every notice,
//! and a repeat only where the promise allows it, with the same id.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt};
use serde_json::{Value, json};

use super::emulators::World;
use super::fraud_detector::{FraudDetector, ago, import, job, with};
use super::function::Function;
use super::proxy::{Mishap, Proxy, Which};
use super::runtime_api::RuntimeApi;

/// What a run goes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Day {
    /// One job completes: one page, one record, one claim, one publish, one settle.
    OneEnds,
    /// The watch begins.
    First,
    /// One completes, one fails, one stalls, one vanishes, and there are two pages.
    Eventful,
    /// Both sources are watched: one job completes, and one import fails.
    OfBoth,
}

/// One case: what befalls the run, and how long it is given.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    day: Day,
    mishap: Option<(Which, Mishap)>,
    /// Another process runs at the same time.
    with_another: bool,
}

/// What came of it.
pub(crate) struct Done {
    pub(crate) calls: Vec<String>,
    /// How many notices came more than once.
    pub(crate) repeats: usize,
}

/// Short, so that the claim of a killed run ends soon: 5 s later. Yet a run that is not killed must end in it, also
/// when others run beside it.
fn little(day: Day) -> Duration {
    Duration::from_secs(match day {
        Day::OneEnds => 4,
        Day::First | Day::Eventful | Day::OfBoth => 10,
    })
}

/// Enough for three attempts of 5 s, also for the first of two sources, in its half.
const AMPLE: Duration = Duration::from_secs(80);

fn jobs(day: Day) -> Vec<Value> {
    let ids = match day {
        Day::OneEnds | Day::OfBoth => vec!["completes"],
        Day::First => vec!["one", "two"],
        Day::Eventful => vec!["completes", "fails", "vanishes"],
    };
    let mut jobs: Vec<_> = ids.into_iter().map(|id| job(id, "IN_PROGRESS")).collect();
    if day == Day::Eventful {
        let long_ago = ago(Duration::from_secs(48 * 3_600));
        let times = json!({"startTime": long_ago, "lastHeartbeatTime": long_ago, "completionTime": long_ago});
        let old = (0..60).map(|n| with(job(&format!("old-{n}"), "COMPLETE"), times.clone()));
        jobs.extend(old);
    }
    jobs
}

/// Lets the day's changes happen, and says what should be told of them.
fn change(detector: &FraudDetector, day: Day) -> Vec<(&'static str, &'static str)> {
    let now = ago(Duration::ZERO);
    detector.update(|jobs| {
        for job in jobs.iter_mut() {
            let members = match job["jobId"].as_str().unwrap() {
                "completes" => json!({"status": "COMPLETE", "completionTime": now}),
                "fails" => json!({"status": "FAILED", "completionTime": now}),
                _ => continue,
            };
            if day != Day::First {
                *job = with(job.take(), members);
            }
        }
        if day == Day::Eventful {
            let long_ago = ago(Duration::from_secs(2 * 3_600));
            // It has processed nothing, so one look is enough.
            let times = json!({"startTime": long_ago, "lastHeartbeatTime": long_ago, "processedRecordsCount": 0});
            jobs.push(with(job("stalls", "IN_PROGRESS"), times));
        }
    });
    if day == Day::OfBoth {
        let failed = json!({"status": "FAILED", "completionTime": now});
        detector.update_imports(|imports| imports[0] = with(imports[0].take(), failed));
    }
    match day {
        Day::OneEnds => vec![("completed", "completes")],
        Day::OfBoth => vec![("completed", "completes"), ("failed", "import")],
        Day::First => vec![("began", "fraud-job-watch")],
        Day::Eventful => vec![
            ("completed", "completes"),
            ("failed", "fails"),
            ("stalled", "stalls"),
            ("vanished", "vanishes"),
        ],
    }
}

struct Stage {
    day: Day,
    detector: FraudDetector,
    world: World,
    api: RuntimeApi,
    proxy: Proxy,
}

impl Stage {
    async fn new(day: Day) -> Self {
        let (detector, world) = (FraudDetector::start(), World::new().await);
        let env = world.env();
        let of = |name: &str| env.iter().find(|(key, _)| key == name).unwrap().1.as_str();
        let proxy = Proxy::start(&[
            ("AWS_ENDPOINT_URL_SNS", of("AWS_ENDPOINT_URL_SNS")),
            ("AWS_ENDPOINT_URL_DYNAMODB", of("AWS_ENDPOINT_URL_DYNAMODB")),
            ("AWS_ENDPOINT_URL_FRAUDDETECTOR", &detector.url()),
        ]);
        detector.set_jobs(jobs(day));
        detector.set_imports(vec![import("import", "IN_PROGRESS")]);
        Self {
            day,
            detector,
            world,
            api: RuntimeApi::default(),
            proxy,
        }
    }

    fn function(&self) -> Function {
        let watch = match self.day {
            Day::OfBoth => "batch-predictions,batch-imports",
            Day::OneEnds | Day::First | Day::Eventful => "",
        };
        let watch = [("WATCH".to_owned(), watch.to_owned())];
        let env = self.world.env().into_iter().chain(self.proxy.env());
        let env = env.chain(watch);
        Function::start(&self.api, env!("CARGO_BIN_EXE_fraud-job-watch"), env)
    }

    /// How often each notice came: its kind, its subject and its id.
    async fn told(&self) -> BTreeMap<(String, String, String), usize> {
        let mut told = BTreeMap::new();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        for envelope in self.world.received().await {
            let event: Value = serde_json::from_str(envelope["Message"].as_str().unwrap()).unwrap();
            let key = (
                text(&event["data"]["kind"]),
                text(&event["subject"]),
                text(&event["id"]),
            );
            *told.entry(key).or_default() += 1;
        }
        told
    }
}

/// Plays one case, and checks what came of it.
pub(crate) async fn play(case: Case) -> Done {
    let stage = Stage::new(case.day).await;
    let first = stage.function();
    if case.day != Day::First {
        let began = stage.api.invoke(json!({}), AMPLE).await.unwrap();
        assert_eq!(began["pending"], 0, "{case:?}");
        stage.told().await;
    }
    if case.day == Day::Eventful {
        // It takes two looks to know that a job is gone, a minute apart.
        let is_it = |job: &Value| job["jobId"] == "vanishes";
        stage.detector.update(|jobs| jobs.retain(|job| !is_it(job)));
        stage.api.invoke(json!({}), AMPLE).await.unwrap();
        stage.world.back_date("vanishes", "absent_since").await;
    }
    let expected = change(&stage.detector, case.day);
    let is_killed = matches!(
        case.mishap,
        Some((_, Mishap::KillBefore | Mishap::KillAfter))
    );
    // What hangs for good is to meet the deadline.
    let is_stuck = matches!(case.mishap, Some((Which::From(_), _)));
    let given = if is_killed || is_stuck {
        little(case.day)
    } else {
        AMPLE
    };
    // The other one is idle until both are called: who of the two takes which event does not matter.
    let second = case.with_another.then(|| stage.function());
    stage.proxy.script(case.mishap, first.killer());
    let begun = Instant::now();
    let answer = match case.with_another {
        false => stage.api.invoke(json!({}), given).await,
        true => {
            let both = tokio::join!(
                stage.api.invoke(json!({}), given),
                stage.api.invoke(json!({}), given)
            );
            both.0
        }
    };
    let calls = stage.proxy.calls();
    assert!(
        begun.elapsed() < given + Duration::from_secs(1) || case.with_another,
        "the deadline holds: {case:?}"
    );
    stage.proxy.script(None, || {});
    let reached = case
        .mishap
        .is_some_and(|(Which::Nth(nth) | Which::From(nth), _)| nth <= calls.len());
    if is_killed && reached && !case.with_another {
        assert_eq!(
            answer.unwrap_err()["errorType"],
            "Runtime.ExitError",
            "{case:?}"
        );
    }
    // A new process goes on, until nothing is pending: a killed one's claim has to end first.
    drop((first, second));
    let _next = stage.function();
    let begun = Instant::now();
    loop {
        let answer = stage.api.invoke(json!({}), AMPLE).await.unwrap();
        if answer["pending"] == 0 {
            break;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "still pending: {case:?} {answer}"
        );
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let told = stage.told().await;
    let mut kinds: Vec<_> = told
        .keys()
        .map(|(kind, subject, _)| (kind.as_str(), subject.as_str()))
        .collect();
    kinds.sort_unstable();
    assert_eq!(kinds, expected, "each is told, under one id: {case:?}");
    let repeats = told.values().filter(|times| **times > 1).count();
    let may_repeat = case.mishap.is_some_and(|(which, mishap)| {
        let was_called =
            |nth: usize, operation| calls.get(nth - 1).is_some_and(|call| call == operation);
        match (which, mishap) {
            // The publish took place, and nobody knows, or nobody could settle it.
            (Which::Nth(nth), Mishap::KillAfter | Mishap::DropAfter | Mishap::HangAfter) => {
                was_called(nth, "Publish")
            }
            (Which::Nth(nth), Mishap::KillBefore) => was_called(nth, "DeleteItem"),
            (Which::Nth(_), _) => false,
            (Which::From(_), _) => true,
        }
    });
    assert!(
        repeats == 0 || may_repeat || case.with_another && is_killed,
        "{case:?} after {calls:?}: {told:?}"
    );
    Done { calls, repeats }
}

/// Plays all of these, several at a time.
pub(crate) async fn play_all(cases: impl IntoIterator<Item = Case>) -> Vec<Done> {
    stream::iter(cases).map(play).buffered(24).collect().await
}

/// A day on which nothing goes wrong.
pub(crate) fn calm(day: Day) -> Case {
    Case {
        day,
        mishap: None,
        with_another: false,
    }
}

/// Each of so many calls of a day, with each of these mishaps.
pub(crate) fn matrix(day: Day, calls: usize, mishaps: &[Mishap]) -> Vec<Case> {
    let cases = mishaps.iter().flat_map(|mishap| {
        (1..=calls).map(|nth| Case {
            mishap: Some((Which::Nth(nth), *mishap)),
            ..calm(day)
        })
    });
    cases.collect()
}

/// From each of so many calls on, no answer comes.
pub(crate) fn stuck(day: Day, calls: usize, mishaps: &[Mishap]) -> Vec<Case> {
    let cases = matrix(day, calls, mishaps).into_iter();
    let from = |case: Case| Case {
        mishap: case.mishap.map(|(which, mishap)| match which {
            Which::Nth(nth) | Which::From(nth) => (Which::From(nth), mishap),
        }),
        ..case
    };
    cases.map(from).collect()
}

/// The same with another process at the same time.
pub(crate) fn doubled(cases: Vec<Case>) -> Vec<Case> {
    let with = |case: Case| Case {
        with_another: true,
        ..case
    };
    cases.into_iter().map(with).collect()
}

pub(crate) const MISHAPS: [Mishap; 8] = [
    Mishap::KillBefore,
    Mishap::KillAfter,
    Mishap::Throttle,
    Mishap::Internal,
    Mishap::DropBefore,
    Mishap::DropAfter,
    Mishap::HangBefore,
    Mishap::HangAfter,
];
