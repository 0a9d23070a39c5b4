//! The log above debug, and the error that Lambda is answered with, hold no credentials and nothing of what jobs
//! contain but their ids and statuses: whatever fails, and whatever AWS says of it.

use std::sync::{Arc, LazyLock, Mutex};

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use aws_smithy_http_client::test_util::infallible_client_fn;
use aws_smithy_types::body::SdkBody;
use fraud_job_watch::aws::{FraudDetector, SnsTopic, Table};
use fraud_job_watch::invoke::{Invocation, invoke};
use fraud_job_watch::ports::Ports;
use fraud_job_watch::settings::LambdaSettings;
use fraud_job_watch::telemetry;
use fraud_job_watch::watch::SourceKind;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::telemetry::Log;

/// In every reason, path and credential here, and in nothing else.
const TELL_TALE: &str = "tell-tale";

fn noon() -> Timestamp {
    "2026-03-02T12:00:00Z".parse().unwrap()
}

/// While there is but one subscriber, tracing asks only the thread that comes to a line first whether anybody wants
/// it. That may be one of another test, which does not.
pub(crate) fn with_every_line() {
    static SECOND: LazyLock<tracing::Dispatch> =
        LazyLock::new(|| tracing::Dispatch::new(tracing::subscriber::NoSubscriber::new()));
    LazyLock::force(&SECOND);
}

const OPERATIONS: [&str; 7] = [
    "GetBatchPredictionJobs",
    "Query",
    "UpdateItem",
    "TransactWriteItems",
    "DeleteItem",
    "Publish",
    "GetTopicAttributes",
];

/// What may go wrong with a call.
#[derive(Clone, Copy, Debug)]
enum Mishap {
    /// AWS refuses it with this status and code, and repeats all that it was sent, and what jobs contain.
    Refused(u16, &'static str),
    /// The answer breaks off in the middle.
    BrokenOff(u16),
}

const MISHAPS: [Mishap; 7] = [
    Mishap::Refused(400, "ValidationException"),
    Mishap::Refused(400, "InvalidParameter"),
    Mishap::Refused(400, "InvalidSignatureException"),
    Mishap::Refused(500, "InternalServerException"),
    Mishap::Refused(400, ""),
    Mishap::BrokenOff(200),
    Mishap::BrokenOff(500),
];

fn operation(request: &http::Request<SdkBody>) -> &'static str {
    let target = request.headers().get("x-amz-target");
    let target = target.map(|target| target.to_str().unwrap().to_owned());
    let body = String::from_utf8_lossy(request.body().bytes().unwrap()).into_owned();
    let is_it = |name: &&&'static str| match &target {
        Some(target) => target.ends_with(&format!(".{name}")),
        None => body.starts_with(&format!("Action={name}&")),
    };
    // An item is read only when it is unknown what became of a write.
    let known = OPERATIONS.iter().chain([&"GetItem"]);
    known.into_iter().find(is_it).unwrap()
}

fn jobs() -> Value {
    let told = json!({
        "status": "FAILED", "startTime": "2026-03-02T11:00:00Z", "completionTime": "2026-03-02T11:59:50Z",
        "failureReason": "a tell-tale reason", "inputPath": "s3://tell-tale/in.csv", "outputPath": "s3://tell-tale",
        "eventTypeName": "tell-tale", "detectorName": "tell-tale",
    });
    let with = |members: Value| {
        let mut job = told.clone();
        for (name, value) in members.as_object().unwrap() {
            job[name] = value.clone();
        }
        job
    };
    json!({"batchPredictions": [
        with(json!({"jobId": "failed"})),
        with(json!({"jobId": "running", "status": "IN_PROGRESS", "completionTime": null})),
        with(json!({"jobId": "odd", "status": "PAUSED"})),
        // Neither of these can be watched.
        told,
        with(json!({"jobId": "x".repeat(2_000)})),
    ]})
}

fn answer(
    request: &http::Request<SdkBody>,
    mishap: Option<Mishap>,
    state: &Value,
) -> (u16, String) {
    let is_sns = request.headers().get("x-amz-target").is_none();
    let good = match operation(request) {
        "GetBatchPredictionJobs" => jobs().to_string(),
        "Query" => state.to_string(),
        "Publish" => "<PublishResponse><PublishResult/></PublishResponse>".to_owned(),
        "GetTopicAttributes" => "<GetTopicAttributesResponse/>".to_owned(),
        _ => "{}".to_owned(),
    };
    let sent = format!(
        "a tell-tale: {:?} {}",
        request.headers(),
        String::from_utf8_lossy(request.body().bytes().unwrap())
    );
    match mishap {
        None => (200, good),
        Some(Mishap::Refused(status, code)) if is_sns => {
            let sent = sent.replace(['<', '>', '&'], " ");
            (
                status,
                format!(
                    "<ErrorResponse><Error><Code>{code}</Code><Message>{sent}</Message></Error></ErrorResponse>"
                ),
            )
        }
        Some(Mishap::Refused(status, code)) => {
            let error = json!({"__type": code, "message": sent, "CancellationReasons": [{"Code": code, "Message": sent}]});
            (status, error.to_string())
        }
        Some(Mishap::BrokenOff(status)) if is_sns => {
            (status, format!("<Response><Error>{TELL_TALE}"))
        }
        Some(Mishap::BrokenOff(status)) => (
            status,
            format!("{{\"batchPredictions\": [{{\"failureReason\": \"{TELL_TALE} \\q"),
        ),
    }
}

/// What a run writes to the log at that level, what the answer to Lambda is, and which operations were called.
async fn logged(
    level: &str,
    mishap: Option<(&'static str, Mishap)>,
    state: Value,
) -> (String, String, Vec<&'static str>) {
    let called: Arc<Mutex<Vec<&'static str>>> = Arc::default();
    let calls = Arc::clone(&called);
    let http = infallible_client_fn(move |request| {
        let operation = operation(&request);
        calls.lock().unwrap().push(operation);
        let mishap = mishap.filter(|(name, _)| *name == operation);
        let (status, body) = answer(&request, mishap.map(|(_, mishap)| mishap), &state);
        http::Response::builder().status(status).body(body).unwrap()
    });
    let credentials = Credentials::new(
        "AKIA-tell-tale",
        "a tell-tale secret",
        Some("a-tell-tale-token".to_owned()),
        None,
        "test",
    );
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(http)
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::disabled())
        .build();
    let settings = LambdaSettings::read(|name| match name {
        "TOPIC_ARN" => Some("arn:aws:sns:eu-west-1:123456789012:jobs".to_owned()),
        "STATE_TABLE" => Some("state".to_owned()),
        _ => None,
    })
    .unwrap();
    let source = settings.topic.source().clone();
    let table = aws_sdk_dynamodb::Client::new(&config);
    let ports = Ports {
        listing: FraudDetector::new(
            aws_sdk_frauddetector::Client::new(&config),
            SourceKind::BatchPredictions,
        ),
        store: Table::new(table, settings.table.clone(), &source),
        topic: SnsTopic::new(aws_sdk_sns::Client::new(&config), settings.topic.clone()),
        urgent: None,
        alarms: None,
        clock: noon,
    };
    let invocation = Invocation {
        settings: &settings.watch,
        request_id: "request",
        run_id: "run",
        time_given: None,
    };
    with_every_line();
    let log = Log::default();
    let written = log.clone();
    let level = level.to_owned();
    let lookup = |name: &str| (name == "AWS_LAMBDA_LOG_LEVEL").then(|| level.clone());
    let subscriber = telemetry::subscriber(lookup, move || log.clone());
    let guard = tracing::subscriber::set_default(subscriber);
    let answer = invoke(&[(source, ports)], &invocation, &json!({}), |_| {}).await;
    drop(guard);
    let log = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    let answer = match answer {
        Ok(answer) => serde_json::to_string(&answer).unwrap(),
        Err(failed) => failed.to_string(),
    };
    let called = called.lock().unwrap().clone();
    (log, answer, called)
}

fn state() -> Value {
    let text = |text: &str| json!({"S": text});
    let item = |name: &str, members: Value| {
        let mut item =
            json!({"watch": text("arn"), "item": text(name), "rev": {"N": "1"}, "by": text("x")});
        for (name, value) in members.as_object().unwrap() {
            item[name] = value.clone();
        }
        item
    };
    let job = |id: &str| {
        json!({
            "phase": text("active"), "job": {"M": {
                "id": text(id), "status": text("IN_PROGRESS"),
                "started_at": text("2026-03-02T09:00:00Z"), "input_path": text("s3://tell-tale"),
            }},
            "first_seen_at": text("2026-03-02T09:00:00Z"), "recorded_at": text("2026-03-02T09:00:00Z"),
            "key": text("2026-03-02T09:00:00Z"), "sign_at": text("2026-03-02T09:00:00Z"),
        })
    };
    let watch =
        json!({"since": text("2026-03-02T08:00:00Z"), "began_at": text("2026-03-02T08:00:00Z")});
    json!({"Items": [
        item("watch", watch),
        item("job#running", job("running")),
        item("job#gone", job("gone")),
    ]})
}

fn is_told(log: &str) -> bool {
    log.to_ascii_lowercase().contains(TELL_TALE)
}

#[tokio::test(start_paused = true)]
async fn no_call_that_fails_lets_contents_or_credentials_into_the_log() {
    for operation in OPERATIONS {
        for mishap in MISHAPS {
            for level in ["INFO", "WARN", "ERROR"] {
                let (log, answer, called) = logged(level, Some((operation, mishap)), state()).await;
                assert!(called.contains(&operation), "{called:?}");
                assert!(!is_told(&log), "{operation}, {mishap:?}, {level}: {log}");
                assert!(!is_told(&answer), "{operation}, {mishap:?}: {answer}");
                let is_bad = operation != "GetTopicAttributes";
                assert!(
                    !is_bad || log.contains("ERROR"),
                    "{operation}, {mishap:?}: {log}"
                );
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_run_that_succeeds_lets_contents_into_the_log_and_debug_may_tell() {
    let (log, answer, called) = logged("INFO", None, state()).await;
    assert!(
        called.contains(&"Publish") && log.contains("run succeeded"),
        "{log}"
    );
    assert!(log.contains("a listed job was passed over"), "{log}");
    assert!(!is_told(&log) && !is_told(&answer), "{log} {answer}");
    // So the tell-tales are where something could be told.
    let refused = Some(("Publish", Mishap::Refused(400, "InvalidParameter")));
    let (log, ..) = logged("DEBUG", refused, state()).await;
    assert!(is_told(&log), "{log}");
}

#[tokio::test(start_paused = true)]
async fn no_stored_item_that_makes_no_sense_is_repeated_in_the_log() {
    let told = || json!({"S": "s3://tell-tale"});
    for place in [
        "phase",
        "job.started_at",
        "rev",
        "stall",
        "expires",
        "job.id",
        "job.processed_records",
    ] {
        let mut odd = state();
        let item = &mut odd["Items"][1];
        match place.strip_prefix("job.") {
            Some(member) => item["job"]["M"][member] = told(),
            None => item[place] = told(),
        }
        let (log, answer, _) = logged("INFO", None, odd).await;
        let names_it = log.contains("job#running") && log.contains("makes no sense");
        assert!(names_it, "{place}: {log}");
        assert!(
            !is_told(&log) && !is_told(&answer),
            "{place}: {log} {answer}"
        );
    }
    let mut newer = state();
    newer["Items"][1]["reads_from"] = json!({"N": "2"});
    let (log, answer, _) = logged("INFO", None, newer).await;
    assert!(answer.contains("job#running"), "{answer}");
    assert!(!is_told(&log) && !is_told(&answer), "{log} {answer}");
}
