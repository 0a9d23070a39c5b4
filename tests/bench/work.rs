//! The work that a run repeats, piece by piece, each ready to be done again and again: what is counted in the
//! tests and timed by `cargo bench --bench hot`.

use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use aws_smithy_http_client::test_util::infallible_client_fn;
use aws_smithy_types::body::SdkBody;
use fraud_job_watch::aws::{FraudDetector, Table};
use fraud_job_watch::dry_run::Collected;
use fraud_job_watch::message::{JobNow, Message, Outgoing, RenderContext, digest_sizes};
use fraud_job_watch::ports::{Listing, Ports, Store};
use fraud_job_watch::run::{RunInput, run};
use fraud_job_watch::settings::WatchSettings;
use fraud_job_watch::watch::judge::{RunContext, judge, judge_silence};
use fraud_job_watch::watch::{
    Baseline, Change, Expectations, Item, Job, Kind, ListedJob, OverdueAfter, Policy, Record,
    Source, SourceKind, TopicArn, Topics,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

/// A piece of work, by name.
pub(crate) type Work = (&'static str, Box<dyn FnMut()>);

/// Every piece.
pub(crate) fn all() -> Vec<Work> {
    vec![
        (
            "judge a job of history",
            judging(None, job("COMPLETE", "2026-02-20T09:00:00Z"), false),
        ),
        (
            "judge a known active job, nothing new",
            judging(Some(recorded()), active(), false),
        ),
        (
            "judge a known job that completed",
            judging(Some(recorded()), completed(), true),
        ),
        ("read a page of 50 jobs", read_page()),
        ("write a record", writing(judged(None, &active()).unwrap())),
        (
            "write a record and what is pending",
            writing(judged(Some(&recorded()), &completed()).unwrap()),
        ),
        ("judge a silence that makes a stall", judge_stalled()),
        ("read a state of 100 records", read_state()),
        ("render a notice", render()),
        ("render a digest of 50 notices", render_digest()),
        ("an idle run over 1,000 jobs", idle_run()),
    ]
}

const RUN: &str = "0123456789abcdef0123456789abcdef";
const PAGES: usize = 20;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn now() -> Timestamp {
    at("2026-03-02T12:00:00Z")
}

fn source() -> Source {
    "arn:aws:frauddetector:us-east-1:123456789012:batch-prediction"
        .parse()
        .unwrap()
}

fn topic() -> TopicArn {
    let arn = "arn:aws:sns:us-east-1:123456789012:jobs".to_owned();
    arn.try_into().unwrap()
}

/// What a run knows, beside what it sees.
struct Watch {
    source: Source,
    policy: Policy,
    topics: Topics,
    baseline: Baseline,
}

impl Watch {
    fn new() -> Self {
        Self {
            source: source(),
            policy: Policy {
                stall_after: SignedDuration::from_hours(1),
                remind_after: None,
                overdue_after: OverdueAfter::Auto,
                expect: Expectations::default(),
                notify_on: Kind::choices().collect(),
            },
            topics: Topics {
                main: topic(),
                urgent: None,
            },
            baseline: Baseline {
                rev: 2,
                written_by: RUN.to_owned(),
                since: at("2026-03-01T12:00:00Z"),
                began_at: Some(at("2026-03-01T12:01:00Z")),
                unheard: None,
            },
        }
    }

    fn context(&self, now: Timestamp) -> RunContext<'_> {
        RunContext {
            source: &self.source,
            policy: &self.policy,
            topics: &self.topics,
            baseline: &self.baseline,
            run: RUN,
            now,
        }
    }
}

/// A job as the service lists it.
fn member(id: &str, status: &str, beat: &str) -> Value {
    let mut member = json!({
        "jobId": id,
        "status": status,
        "startTime": "2026-02-20T08:00:00Z",
        "lastHeartbeatTime": beat,
        "inputPath": format!("s3://example-bucket/{id}.csv"),
        "outputPath": "s3://example-bucket",
        "eventTypeName": "customer_registration",
        "detectorName": "signup_detector",
        "detectorVersion": "1",
        "iamRoleArn": "arn:aws:iam::123456789012:role/service-role/FraudDetectorBatch",
        "arn": format!("arn:aws:frauddetector:us-east-1:123456789012:batch-prediction/{id}"),
        "processedRecordsCount": 5000,
        "totalRecordsCount": 5000,
    });
    if status == "COMPLETE" {
        member["completionTime"] = Value::from(beat);
    }
    member
}

fn job(status: &str, beat: &str) -> Job {
    let listed: ListedJob =
        serde_json::from_value(member("history_00000001", status, beat)).unwrap();
    Job::from_listed(listed).unwrap()
}

fn active() -> Job {
    job("IN_PROGRESS", "2026-03-02T11:59:00Z")
}

fn completed() -> Job {
    job("COMPLETE", "2026-03-02T11:59:30Z")
}

/// What `judge` makes of it.
fn judged(record: Option<&Record>, job: &Job) -> Option<Change> {
    judge(record, job, &Watch::new().context(now()))
}

fn recorded() -> Record {
    match judged(None, &active()).unwrap().item {
        Item::Job(record) => *record,
        Item::Watch(_) | Item::Detector(_) => unreachable!("a job was judged"),
    }
}

fn judging(record: Option<Record>, job: Job, changes: bool) -> Box<dyn FnMut()> {
    let watch = Watch::new();
    Box::new(move || {
        let change = judge(record.as_ref(), &job, &watch.context(now()));
        assert_eq!(change.is_some(), changes);
    })
}

fn judge_stalled() -> Box<dyn FnMut()> {
    let (watch, record, job) = (Watch::new(), recorded(), active());
    let later = at("2026-03-02T14:00:00Z");
    Box::new(move || {
        let change = judge_silence(&record, &job, &watch.context(later), None);
        assert_eq!(change.unwrap().notices.len(), 1);
    })
}

/// A client's settings, with a service that gives the same answer to whatever is asked.
fn config(answer: impl Fn(&[u8]) -> String + Send + Sync + 'static) -> SdkConfig {
    let http = infallible_client_fn(move |request| {
        let body = request.body().bytes().unwrap_or_default();
        http::Response::builder()
            .header("x-amzn-requestid", "00000000-0000-4000-8000-000000000000")
            .body(SdkBody::from(answer(body)))
            .unwrap()
    });
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::for_tests()))
        .http_client(http)
        // As the function does it.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .build()
}

fn page(next: Option<usize>) -> String {
    let jobs: Vec<_> = (0..50)
        .map(|n| {
            member(
                &format!("history_{n:08}"),
                "COMPLETE",
                "2026-02-20T09:00:00Z",
            )
        })
        .collect();
    json!({"batchPredictions": jobs, "nextToken": next.map(|next| next.to_string())}).to_string()
}

fn table() -> Table {
    let client = aws_sdk_dynamodb::Client::new(&config(|_| "{}".to_owned()));
    Table::new(client, "state".to_owned(), &source())
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

fn read_page() -> Box<dyn FnMut()> {
    let text = page(None);
    let client = aws_sdk_frauddetector::Client::new(&config(move |_| text.clone()));
    let (listing, runtime) = (
        FraudDetector::new(client, SourceKind::BatchPredictions),
        runtime(),
    );
    Box::new(move || {
        let page = runtime.block_on(listing.page(None)).unwrap();
        assert_eq!(page.jobs.len(), 50);
    })
}

fn writing(change: Change) -> Box<dyn FnMut()> {
    let (table, runtime) = (table(), runtime());
    Box::new(move || {
        runtime.block_on(table.record(&change, now())).unwrap();
    })
}

fn read_state() -> Box<dyn FnMut()> {
    let item: Value = serde_json::from_str(include_str!("../formats/1/whole.json")).unwrap();
    let items: Vec<_> = (0..100)
        .map(|number| {
            let mut item = item.clone();
            item["job"]["M"]["id"] = json!({"S": format!("history_{number:08}")});
            item["item"] = json!({"S": format!("job#history_{number:08}")});
            item
        })
        .collect();
    let state = json!({ "Items": items }).to_string();
    let client = aws_sdk_dynamodb::Client::new(&config(move |_| state.clone()));
    let table = Table::new(client, "state".to_owned(), &source());
    let runtime = runtime();
    Box::new(move || {
        let state = runtime.block_on(table.load(now())).unwrap();
        assert_eq!(state.records.len(), 100);
    })
}

fn render_digest() -> Box<dyn FnMut()> {
    let change = judged(Some(&recorded()), &completed()).unwrap();
    let notices = vec![change.notices[0].clone(); 50];
    Box::new(move || {
        let outgoing: Vec<_> = notices
            .iter()
            .map(|notice| Outgoing {
                notice,
                job_now: None,
                compared: None,
            })
            .collect();
        let context = RenderContext {
            name: None,
            now: now(),
        };
        assert_eq!(digest_sizes(&outgoing, &context), [50]);
        assert!(Message::of_batch(&outgoing, &context).is_some());
    })
}

fn render() -> Box<dyn FnMut()> {
    let change = judged(Some(&recorded()), &completed()).unwrap();
    let job = completed();
    Box::new(move || {
        let outgoing = Outgoing {
            notice: &change.notices[0],
            job_now: Some(JobNow::Same(&job)),
            compared: None,
        };
        let context = RenderContext {
            name: None,
            now: now(),
        };
        assert!(Message::of(&outgoing, &context).subject.is_some());
    })
}

fn idle_run() -> Box<dyn FnMut()> {
    let pages: Vec<_> = (1..=PAGES)
        .map(|number| page((number < PAGES).then_some(number)))
        .collect();
    let detector = aws_sdk_frauddetector::Client::new(&config(move |asked| {
        let asked: Value = serde_json::from_slice(asked).unwrap();
        let place = asked["nextToken"]
            .as_str()
            .map_or(0, |token| token.parse().unwrap());
        pages[place].clone()
    }));
    let since = "2026-03-01T12:00:00Z";
    let state = json!({"Items": [{
        "watch": {"S": source().to_string()}, "item": {"S": "watch"},
        "rev": {"N": "2"}, "by": {"S": RUN}, "since": {"S": since},
        "began_at": {"S": since}, "reads_from": {"N": "1"},
    }]})
    .to_string();
    let dynamodb = aws_sdk_dynamodb::Client::new(&config(move |_| state.clone()));
    let (source, runtime) = (source(), runtime());
    let settings = WatchSettings::read(|_| None).unwrap();
    let ports = Ports {
        listing: FraudDetector::new(detector, SourceKind::BatchPredictions),
        store: Table::new(dynamodb, "state".to_owned(), &source),
        topic: Collected::new(topic()),
        urgent: None,
        alarms: None,
        clock: now,
    };
    Box::new(move || {
        let input = RunInput {
            source: &source,
            settings: &settings,
            run_id: RUN,
            time_given: None,
        };
        let outcome = runtime.block_on(run(&ports, &input));
        assert_eq!(outcome.answer.jobs as usize, 50 * PAGES);
        assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
    })
}
