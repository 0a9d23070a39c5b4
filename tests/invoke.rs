//! One invocation: dry run, test notice, odd payloads, the log.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fraud_job_watch::dry_run::Collected;
use fraud_job_watch::invoke::invoke;
use fraud_job_watch::local::state::Memory;
use fraud_job_watch::message::Message;
use fraud_job_watch::ports::{Listing, ListingError, Page, Ports, PublishError, Store, Topic};
use fraud_job_watch::run::{Answer, Failure, Gauges, Outcome, RunInput, time_given};
use fraud_job_watch::settings::WatchSettings;
use fraud_job_watch::telemetry::{self, Metrics, level_that_passes};
use fraud_job_watch::watch::{JobId, ListedJob, Source, TopicArn};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::lab::topic;

fn now() -> Timestamp {
    "2026-03-02T12:00:00Z".parse().unwrap()
}

/// A listing of one job that failed just now, and one without an id.
#[derive(Clone, Copy)]
struct TwoJobs;

impl Listing for TwoJobs {
    async fn page(&self, _: Option<&str>) -> Result<Page, ListingError> {
        let failed = ListedJob {
            job_id: Some("job".to_owned()),
            status: Some("FAILED".to_owned()),
            completion_time: Some("2026-03-02T11:59:30Z".to_owned()),
            failure_reason: Some("secret words".to_owned()),
            input_path: Some("s3://secret/path".to_owned()),
            ..ListedJob::default()
        };
        Ok(Page {
            jobs: vec![failed, ListedJob::default()],
            next: None,
        })
    }

    async fn ask(&self, _: &JobId) -> Result<Option<ListedJob>, ListingError> {
        Ok(None)
    }
}

/// A topic that refuses what has more than one form.
struct Strict(Collected);

impl Topic for Strict {
    fn arn(&self) -> &TopicArn {
        self.0.arn()
    }

    async fn ready(&self) {}

    async fn publish(&self, message: &Message) -> Result<(), PublishError> {
        match message.subject {
            Some(_) => Err(PublishError::Refused("too fine".to_owned())),
            None => self.0.publish(message).await,
        }
    }
}

async fn ask_for<T: Topic>(payload: &Value, store: &Memory, topic: T) -> (Answer, T) {
    let settings = WatchSettings::read(|_| None).unwrap();
    let source: Source = "arn:aws:frauddetector:eu-west-1:123456789012:batch-prediction"
        .parse()
        .unwrap();
    let input = RunInput {
        source: &source,
        settings: &settings,
        run_id: "run",
        time_given: None,
    };
    let shared = std::rc::Rc::new(topic);
    struct Shared<T>(std::rc::Rc<T>);
    impl<T: Topic> Topic for Shared<T> {
        fn arn(&self) -> &TopicArn {
            self.0.arn()
        }
        async fn ready(&self) {
            self.0.ready().await;
        }
        async fn publish(&self, message: &Message) -> Result<(), PublishError> {
            self.0.publish(message).await
        }
    }
    let ports = Ports {
        listing: TwoJobs,
        store: store.clone(),
        topic: Shared(std::rc::Rc::clone(&shared)),
        urgent: None,
        clock: now,
    };
    let answer = invoke(ports, &input, payload, |_| ()).await.unwrap();
    (answer, std::rc::Rc::into_inner(shared).unwrap())
}

#[tokio::test]
async fn a_dry_run_judges_and_answers_and_neither_writes_nor_publishes() {
    let store = Memory::default();
    for payload in [
        json!({"dry_run": true}),
        json!({"dry_run": true, "test_notice": true}),
    ] {
        let (answer, topic) = ask_for(&payload, &store, Collected::new(topic())).await;
        assert_eq!(
            store.load(now()).await.unwrap(),
            Default::default(),
            "nothing is written"
        );
        assert!(topic.take().is_empty(), "nothing is published");
        let would: Vec<_> = answer
            .would_publish
            .unwrap()
            .iter()
            .map(|event| event["data"]["kind"].clone())
            .collect();
        assert_eq!(would, ["failed", "began"]);
        assert_eq!(
            (
                answer.dry_run,
                answer.published,
                answer.pending,
                answer.unreadable
            ),
            (true, 0, 2, 1)
        );
    }
    let (answer, topic) = ask_for(&json!({}), &store, Collected::new(topic())).await;
    assert_eq!(
        (answer.published, answer.pending, topic.take().len()),
        (2, 0, 2),
        "the real run tells it"
    );
}

#[tokio::test]
async fn a_dry_run_shows_what_is_already_pending() {
    struct Down(TopicArn);
    impl Topic for Down {
        fn arn(&self) -> &TopicArn {
            &self.0
        }
        async fn ready(&self) {}
        async fn publish(&self, _: &Message) -> Result<(), PublishError> {
            std::future::pending().await
        }
    }
    let store = Memory::default();
    let settings = WatchSettings::read(|_| None).unwrap();
    let source: Source = "arn:aws:frauddetector:eu-west-1:123456789012:batch-prediction"
        .parse()
        .unwrap();
    let time_given = Some(Duration::from_secs(1));
    let input = RunInput {
        source: &source,
        settings: &settings,
        run_id: "stuck",
        time_given,
    };
    let ports = Ports {
        listing: TwoJobs,
        store: store.clone(),
        topic: Down(topic()),
        urgent: None,
        clock: now,
    };
    let stuck = invoke(ports, &input, &json!({}), |_| ()).await.unwrap();
    assert_eq!(
        (stuck.published, stuck.pending),
        (0, 2),
        "spent time is no error"
    );
    let (answer, _) = ask_for(&json!({"dry_run": true}), &store, Collected::new(topic())).await;
    assert_eq!(answer.would_publish.unwrap().len(), 2);
    assert!(answer.notices.is_empty(), "nothing of it is new");
}

#[tokio::test]
async fn a_test_notice_is_marked_and_nothing_else_is_done() {
    let store = Memory::default();
    let (answer, topic) = ask_for(
        &json!({"test_notice": true}),
        &store,
        Collected::new(topic()),
    )
    .await;
    let sent = topic.take();
    assert_eq!((answer.published, answer.jobs, sent.len()), (1, 0, 1));
    assert_eq!(
        sent[0].event["type"],
        "fraud-job-watch.batch-prediction.test.v1"
    );
    assert!(
        sent[0]
            .subject
            .as_ref()
            .unwrap()
            .as_str()
            .starts_with("TEST")
    );
    assert_eq!(store.load(now()).await.unwrap(), Default::default());
}

#[tokio::test]
async fn any_payload_is_a_run() {
    let odd = [
        json!(null),
        json!("x"),
        json!([1]),
        json!({"dry_run": "true"}),
        json!({"detail": "{}", "source": "aws.scheduler"}),
    ];
    for payload in odd {
        let (answer, _) = ask_for(&payload, &Memory::default(), Collected::new(topic())).await;
        assert_eq!((answer.dry_run, answer.published), (false, 2), "{payload}");
    }
}

#[tokio::test]
async fn a_message_that_is_refused_goes_out_in_its_smallest_form() {
    let store = Memory::default();
    let (answer, topic) = ask_for(&json!({}), &store, Strict(Collected::new(topic()))).await;
    assert_eq!((answer.published, answer.pending), (2, 0));
    let sent = topic.0.take();
    assert!(
        sent[0]
            .form("default")
            .starts_with("FAILED: job at 2026-03-02T11:59:30Z (event "),
        "{}",
        sent[0].form("default")
    );
}

#[test]
fn a_deadline_that_was_past_from_the_start_counts_as_none() {
    let ms = u64::try_from(now().as_millisecond()).unwrap();
    assert_eq!(time_given(600_000, now()), None);
    assert_eq!(time_given(ms, now()), None);
    assert_eq!(
        time_given(ms + 300_000, now()),
        Some(Duration::from_secs(300))
    );
}

/// A log that is kept.
#[derive(Clone, Default)]
pub(crate) struct Log(pub(crate) Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

async fn log_of_a_run(format: &str, level: &str) -> String {
    crate::secrets::with_every_line();
    let log = Log::default();
    let written = log.clone();
    let variables = [
        ("AWS_LAMBDA_LOG_FORMAT", format.to_owned()),
        ("AWS_LAMBDA_LOG_LEVEL", level.to_owned()),
    ];
    let lookup = |name: &str| {
        variables
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.clone())
    };
    let subscriber = telemetry::subscriber(lookup, move || log.clone());
    let guard = tracing::subscriber::set_default(subscriber);
    ask_for(&json!({}), &Memory::default(), Collected::new(topic())).await;
    drop(guard);
    let bytes = written.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn every_line_of_the_json_log_has_a_time_and_a_level() {
    let log = log_of_a_run("JSON", "INFO").await;
    let lines: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for line in &lines {
        line["timestamp"]
            .as_str()
            .unwrap()
            .parse::<Timestamp>()
            .unwrap();
        assert!(line["level"].is_string());
    }
    let levels: Vec<_> = lines
        .iter()
        .map(|line| line["level"].as_str().unwrap())
        .collect();
    assert_eq!(
        levels,
        ["WARN", "INFO"],
        "the job without an id, and one summary: {log}"
    );
    assert_eq!(
        (&lines[1]["jobs"], &lines[1]["published"]),
        (&json!(2), &json!(2))
    );
    assert!(!log.contains("secret"), "no job contents above debug");
}

#[tokio::test]
async fn the_level_and_the_format_are_obeyed() {
    assert_eq!(log_of_a_run("JSON", "ERROR").await, "");
    assert!(
        log_of_a_run("JSON", "DEBUG")
            .await
            .contains(r#""level":"DEBUG""#)
    );
    let text = log_of_a_run("Text", "INFO").await;
    assert!(
        text.lines()
            .all(|line| line.contains(" INFO ") || line.contains(" WARN "))
            && !text.contains("{\"timestamp"),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_test_notice_that_hangs_ends_in_time() {
    struct Hangs(TopicArn);
    impl Topic for Hangs {
        fn arn(&self) -> &TopicArn {
            &self.0
        }
        async fn ready(&self) {}
        async fn publish(&self, _: &Message) -> Result<(), PublishError> {
            std::future::pending().await
        }
    }
    let settings = WatchSettings::read(|_| None).unwrap();
    let source: Source = "arn:aws:frauddetector:eu-west-1:123456789012:batch-prediction"
        .parse()
        .unwrap();
    let input = RunInput {
        source: &source,
        settings: &settings,
        run_id: "hangs",
        time_given: Some(Duration::from_secs(10)),
    };
    let ports = Ports {
        listing: TwoJobs,
        store: Memory::default(),
        topic: Hangs(topic()),
        urgent: None,
        clock: now,
    };
    let failed = invoke(ports, &input, &json!({"test_notice": true}), |_| ()).await;
    assert_eq!(failed.unwrap_err().error_type, "PublishFailed");
}

/// As CloudWatch reads it: each metric that is defined is a number beside the definitions.
#[test]
fn a_run_is_measured_in_one_line_of_the_log() {
    let answer = Answer {
        complete: true,
        by_status: [("COMPLETE".to_owned(), 7), ("NEW".to_owned(), 2)].into(),
        notices: [("failed".to_owned(), 3)].into(),
        pages: 4,
        took_ms: 250,
        ..Answer::default()
    };
    let gauges = Gauges {
        oldest_pending: Some(SignedDuration::from_secs(90)),
        oldest_sign_of_life: Some(SignedDuration::from_mins(2)),
        subscribers: None,
    };
    let failures = vec![Failure::PublishFailed("down".to_owned())];
    let outcome = Outcome {
        answer,
        gauges,
        failures,
    };
    let line = |detailed| {
        let metrics = Metrics {
            function: "watch",
            detailed,
            level: level_that_passes(|_| Some("error".to_owned())),
        };
        metrics.line(&outcome, now())
    };
    let measured = |line: &Value| -> BTreeMap<String, (String, u64)> {
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(
            (&directive["Namespace"], &directive["Dimensions"]),
            (&json!("fraud-job-watch"), &json!([["FunctionName"]]))
        );
        assert_eq!(line["FunctionName"], "watch");
        assert_eq!(line["_aws"]["Timestamp"], now().as_millisecond());
        let named = directive["Metrics"].as_array().unwrap().iter();
        named
            .map(|metric| {
                let name = metric["Name"].as_str().unwrap().to_owned();
                let value = line[&name].as_u64().unwrap();
                (name, (metric["Unit"].as_str().unwrap().to_owned(), value))
            })
            .collect()
    };
    let expected = |metrics: &[(&str, &str, u64)]| -> BTreeMap<String, (String, u64)> {
        metrics
            .iter()
            .map(|(name, unit, value)| ((*name).to_owned(), ((*unit).to_owned(), *value)))
            .collect()
    };
    let few = line(false);
    assert_eq!(
        measured(&few),
        expected(&[
            ("RunSucceeded", "Count", 0),
            ("ListingIncomplete", "Count", 0),
            ("OldestPendingAge", "Seconds", 90),
            ("OldestSignOfLife", "Seconds", 120),
        ]),
        "what is not known is left out"
    );
    assert_eq!(few["level"], "ERROR", "Lambda lets nothing else pass");
    let many = measured(&line(true));
    for (name, unit, value) in [
        ("JobsComplete", "Count", 7),
        ("JobsOther", "Count", 2),
        ("JobsFailed", "Count", 0),
        ("NoticesFailed", "Count", 3),
        ("NoticesBegan", "Count", 0),
        ("Pages", "Count", 4),
        ("RunTime", "Milliseconds", 250),
    ] {
        assert_eq!(many[name], (unit.to_owned(), value), "{name}");
    }
}
