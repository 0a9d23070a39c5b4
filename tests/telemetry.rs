//! What a run says in the log, and the metrics in it.

use std::io::Write;
use std::sync::{Arc, Mutex};

use fraud_job_watch::run::{Answer, Failure, Gauges, Outcome, Subscribers};
use fraud_job_watch::telemetry::{self, Metrics, level_that_passes};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::runs::sources::Both;
use crate::runs::two_jobs;

fn noon() -> Timestamp {
    "2026-03-02T12:00:00Z".parse().unwrap()
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
    let run = async { two_jobs().invoke(json!({}), None).await.unwrap() };
    log_of(run, format, level).await
}

async fn log_of<T>(run: impl Future<Output = T>, format: &str, level: &str) -> String {
    crate::secrets::with_every_line();
    let log = Log::default();
    let written = log.clone();
    let lookup = |name: &str| match name {
        "AWS_LAMBDA_LOG_FORMAT" => Some(format.to_owned()),
        "AWS_LAMBDA_LOG_LEVEL" => Some(level.to_owned()),
        _ => None,
    };
    let subscriber = telemetry::subscriber(lookup, move || log.clone());
    let guard = tracing::subscriber::set_default(subscriber);
    run.await;
    drop(guard);
    let bytes = written.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[tokio::test(start_paused = true)]
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

/// What each line says of the run that it is of.
fn spans(log: &str) -> Vec<Value> {
    let span = |line| -> Value {
        let line: Value = serde_json::from_str(line).unwrap();
        line["span"].clone()
    };
    log.lines().map(span).collect()
}

#[tokio::test(start_paused = true)]
async fn every_line_says_of_which_run_it_is_and_of_which_source_if_there_are_two() {
    let both = Both::two_jobs_each();
    let log = log_of(both.invoke(json!({}), None), "JSON", "INFO").await;
    let run = |source: &str| json!({"name": "run", "request_id": "request", "run": "invoked", "source": source});
    let [predictions, imports] = ["batch-predictions", "batch-imports"].map(run);
    // The job without an id, and the summary, of each.
    let right = [&predictions, &predictions, &imports, &imports];
    assert_eq!(spans(&log).iter().collect::<Vec<_>>(), right, "{log}");
    assert!(!log.contains("secret"), "{log}");

    let alone = json!({"name": "run", "request_id": "request", "run": "invoked"});
    let log = log_of_a_run("JSON", "INFO").await;
    assert_eq!(spans(&log), [alone.clone(), alone]);
}

#[tokio::test(start_paused = true)]
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

/// As CloudWatch reads it: each metric that is defined is a number beside the definitions, or an array of numbers.
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
        subscribers: Some(Subscribers { fewest: 1, all: 3 }),
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
        metrics.line(&outcome, noon())
    };
    let measured = |line: &Value| -> Vec<String> {
        let directive = &line["_aws"]["CloudWatchMetrics"][0];
        assert_eq!(directive["Namespace"], "fraud-job-watch");
        assert_eq!(directive["Dimensions"], json!([["FunctionName"]]));
        assert_eq!(line["FunctionName"], "watch");
        assert_eq!(line["_aws"]["Timestamp"], noon().as_millisecond());
        let metrics = directive["Metrics"].as_array().unwrap().iter();
        let told = metrics.map(|metric| {
            let [name, unit] = ["Name", "Unit"].map(|it| metric[it].as_str().unwrap());
            let values = match &line[name] {
                Value::Array(values) => values.clone(),
                value => vec![value.clone()],
            };
            assert!(values.iter().all(Value::is_u64), "{name}: {values:?}");
            format!("{name}: {} {unit}", line[name])
        });
        told.collect()
    };
    let few = line(false);
    assert_eq!(
        measured(&few),
        [
            "RunSucceeded: 0 Count",
            "OldestPendingAge: 90 Seconds",
            "OldestSignOfLife: 120 Seconds",
            "ConfirmedSubscribers: [1,3] Count",
        ],
        "of a run that failed, nobody needs to hear that it did not see all"
    );
    assert_eq!(few["level"], "ERROR", "Lambda lets nothing else pass");
    let many = measured(&line(true));
    for metric in [
        "JobsComplete: 7 Count",
        "JobsOther: 2 Count",
        "JobsFailed: 0 Count",
        "NoticesFailed: 3 Count",
        "NoticesBegan: 0 Count",
        "Pages: 4 Count",
        "RunTime: 250 Milliseconds",
    ] {
        assert!(many.contains(&metric.to_owned()), "{metric}: {many:?}");
    }
}
