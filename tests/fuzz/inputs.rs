//! What comes from outside, and what must hold whatever it is: nothing panics, everything ends, no output grows
//! beyond what its carrier takes, and what was understood is told once. [`check`] is used by the property tests, by
//! the long form and by the coverage-guided one; a memory bound is theirs to set.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use aws_smithy_http_client::test_util::infallible_client_fn;
use aws_smithy_types::body::SdkBody;
use fraud_job_watch::aws::{FraudDetector, Table};
use fraud_job_watch::invoke::{Invocation, invoke};
use fraud_job_watch::local::saved_listing::SavedListing as File;
use fraud_job_watch::local::state::Memory;
use fraud_job_watch::message::{Body, Message, PUBLISH_BYTES};
use fraud_job_watch::ports::{Listing, Ports, PublishError, Store, Topic};
use fraud_job_watch::run::{Failure, RunInput, run};
use fraud_job_watch::settings::{LambdaSettings, VARIABLES, WatchSettings};
use fraud_job_watch::watch::job::time;
use fraud_job_watch::watch::{Expectations, Job, ListedJob, Source, SourceKind, TopicArn};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// Where something comes in from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Surface {
    /// The answer to `GetBatchPredictionJobs`.
    Listing,
    /// The answer to `GetBatchImportJobs`.
    Imports,
    /// A time as the service writes it.
    Time,
    /// What the function is invoked with.
    Payload,
    /// The variables: a line for each.
    Settings,
    /// The variable EXPECT alone, and the deadlines that it makes.
    Expect,
    /// The answer to the Query for the state, through the SDK's parser.
    Stored,
    /// A listing file.
    File,
    /// A saved event.
    Event,
}

pub(crate) const SURFACES: [Surface; 9] = [
    Surface::Listing,
    Surface::Imports,
    Surface::Time,
    Surface::Payload,
    Surface::Settings,
    Surface::Expect,
    Surface::Stored,
    Surface::File,
    Surface::Event,
];

/// Panics if something does not hold for this input.
pub(crate) fn check(surface: Surface, input: &[u8]) {
    thread_local! {
        static WORLD: World = World::new();
    }
    WORLD.with(|world| match surface {
        Surface::Listing => world.listing(SourceKind::BatchPredictions, input),
        Surface::Imports => world.listing(SourceKind::BatchImports, input),
        Surface::Time => a_time(&String::from_utf8_lossy(input)),
        Surface::Payload => world.payload(input),
        Surface::Settings => settings(&String::from_utf8_lossy(input)),
        Surface::Expect => expect(&String::from_utf8_lossy(input)),
        Surface::Stored => world.stored(input),
        Surface::File => world.file(input),
        Surface::Event => event(input),
    });
}

/// The moment of the first run: the seeds' times are around it.
pub(crate) const NOW: &str = "2026-03-02T12:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn source() -> Source {
    "arn:aws:frauddetector:eu-west-1:123456789012:batch-prediction"
        .parse()
        .unwrap()
}

/// Services that answer with the input, and what speaks to them.
struct World {
    runtime: tokio::runtime::Runtime,
    answer: Arc<Mutex<Vec<u8>>>,
    frauddetector: aws_sdk_frauddetector::Client,
    table: Table,
    settings: WatchSettings,
}

impl World {
    fn new() -> Self {
        let answer: Arc<Mutex<Vec<u8>>> = Arc::default();
        let given = Arc::clone(&answer);
        // Writes are taken as they come. The operation stands behind the dot.
        let http = infallible_client_fn(move |request: http::Request<SdkBody>| {
            let target = request.headers().get("x-amz-target");
            let is_asked = target.is_some_and(|target| {
                [".GetBatchPredictionJobs", ".GetBatchImportJobs", ".Query"]
                    .iter()
                    .any(|name| target.as_bytes().ends_with(name.as_bytes()))
            });
            let body = match is_asked {
                true => given.lock().unwrap_or_else(PoisonError::into_inner).clone(),
                false => b"{}".to_vec(),
            };
            http::Response::builder().status(200).body(body).unwrap()
        });
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-west-1"))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::for_tests()))
            .http_client(http)
            .retry_config(RetryConfig::disabled())
            .timeout_config(TimeoutConfig::disabled())
            .build();
        let table = aws_sdk_dynamodb::Client::new(&config);
        Self {
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .build()
                .unwrap(),
            answer,
            frauddetector: aws_sdk_frauddetector::Client::new(&config),
            table: Table::new(table, "state".to_owned(), &source()),
            // Everything is told.
            settings: WatchSettings::read(|name| {
                let value = match name {
                    "NOTIFY_ON" => "completed,failed,stalled,recovered,canceled,vanished",
                    "REMIND_AFTER" => "1h",
                    _ => return None,
                };
                Some(value.to_owned())
            })
            .unwrap(),
        }
    }

    fn answers(&self, input: &[u8]) {
        let mut answer = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        *answer = input.to_vec();
    }

    /// Whatever the service lists, runs end, and what they tell passes whole.
    fn listing(&self, kind: SourceKind, input: &[u8]) {
        self.answers(input);
        let listing = FraudDetector::new(self.frauddetector.clone(), kind);
        self.runs(kind, &listing, &Memory::default(), input.len())
            .once_and_whole();
    }

    /// Whatever is stored is a clear error, or is read, gone on from, and delivered.
    fn stored(&self, input: &[u8]) {
        self.answers(input);
        if let Err(error) = self.runtime.block_on(self.table.load(now())) {
            let error = error.to_string();
            assert!(!error.is_empty() && error.len() < 4_096, "{error}");
            return;
        }
        self.runs(source().kind(), &a_listing(), &self.table, input.len());
    }

    /// Whatever a file holds is an error in one line that names a line of it, or is a listing like any other.
    fn file(&self, input: &[u8]) {
        let lines = 1 + input.iter().filter(|byte| **byte == b'\n').count();
        match File::of_bytes(Path::new("jobs.json"), input) {
            Err(error) => {
                assert!(error.line.is_some_and(|line| (1..=lines).contains(&line)));
                let text = error.to_string();
                assert!(
                    !text.contains(char::is_control) && text.len() < 1_024,
                    "{text}"
                );
            }
            Ok(listing) => {
                assert!(listing.jobs().count() <= input.len());
                let known = listing.source().map(|source| source.to_string());
                assert!(known.is_none_or(|source| !source.contains(char::is_control)));
                let latest = listing.latest_time();
                assert!(latest.is_none() || listing.jobs().any(has_time));
                self.runs(listing.kind(), &listing, &Memory::default(), input.len())
                    .once_and_whole();
            }
        }
    }

    /// Any JSON is a payload, and only `true` asks for what it names.
    fn payload(&self, input: &[u8]) {
        let Ok(payload) = serde_json::from_slice::<Value>(input) else {
            return;
        };
        let asks = |name: &str| payload.get(name).and_then(Value::as_bool) == Some(true);
        let memory = Memory::default();
        let topic = Sns::default();
        let source = source();
        let ports = Ports {
            listing: a_listing(),
            store: memory.clone(),
            topic: topic.clone(),
            urgent: None,
            alarms: None,
            clock: now,
        };
        let invocation = Invocation {
            settings: &self.settings,
            request_id: "request",
            run_id: "run",
            time_given: None,
        };
        let watched = [(source, ports)];
        let done = invoke(&watched, &invocation, &payload, |_| {});
        let answer = self.runtime.block_on(done).unwrap();
        let is_dry = asks("dry_run");
        let is_test = asks("test_notice") && !is_dry;
        assert_eq!(answer.dry_run, is_dry);
        assert_eq!(answer.would_publish.is_some(), is_dry);
        let state = self.runtime.block_on(memory.load(now())).unwrap();
        assert_eq!(
            state.baseline.is_some(),
            !is_dry && !is_test,
            "only a run writes"
        );
        assert_eq!(answer.published, topic.0.borrow().told.len() as u64);
        if is_dry || is_test {
            assert_eq!(answer.published, u64::from(is_test));
        }
    }

    /// Runs now, and again when what was told then is old.
    fn runs<L: Listing + Clone, S: Store + Clone>(
        &self,
        kind: SourceKind,
        listing: &L,
        store: &S,
        bytes: usize,
    ) -> Told {
        let source = source().with_kind(kind);
        let topic = Sns::default();
        for hours in [0, 24 * 40] {
            let ports = Ports {
                listing: listing.clone(),
                store: store.clone(),
                topic: topic.clone(),
                urgent: None,
                alarms: None,
                clock: || now() + SignedDuration::from_hours(hours),
            };
            let input = RunInput {
                source: &source,
                settings: &self.settings,
                run_id: "run",
                time_given: None,
            };
            let outcome = self.runtime.block_on(run(&ports, &input));
            assert!(outcome.answer.jobs <= 64 + 2 * bytes as u64);
            for failure in &outcome.failures {
                let may_be = !matches!(failure, Failure::PublishFailed(_));
                assert!(may_be, "what is pending can be told: {failure}");
                assert!(failure.to_string().len() < 8_192, "{failure}");
            }
            assert_eq!(outcome.answer.pending, 0, "what is pending is told");
        }
        let topic = topic.0.borrow();
        Told {
            ids: topic.told.iter().flat_map(ids).collect(),
            refused: topic.refused,
        }
    }
}

/// What runs told.
struct Told {
    ids: Vec<String>,
    /// How many messages had to go out in their smallest form.
    refused: usize,
}

impl Told {
    /// What is told of listed jobs is told once, and passes as it is.
    fn once_and_whole(&self) {
        let distinct: BTreeSet<_> = self.ids.iter().collect();
        assert_eq!(distinct.len(), self.ids.len(), "{:?}", self.ids);
        assert_eq!(self.refused, 0);
    }
}

/// The ids of the notices that a message carries.
fn ids(message: &Message) -> Vec<String> {
    let id = |event: &Value| Some(event.get("id")?.as_str()?.to_owned());
    message.events().iter().filter_map(id).collect()
}

/// Two jobs, of which the seeds' state knows the first: it beats, and the other ended.
fn a_listing() -> File {
    let text = |text: &str| Some(text.to_owned());
    File::of_pages(
        SourceKind::default(),
        [vec![
            ListedJob {
                job_id: text("job"),
                status: text("IN_PROGRESS"),
                start_time: text("2026-03-02T08:00:00Z"),
                last_heartbeat_time: text("2026-03-02T11:59:00Z"),
                ..ListedJob::default()
            },
            ListedJob {
                job_id: text("ended"),
                status: text("FAILED"),
                start_time: text("2026-03-02T08:00:00Z"),
                completion_time: text("2026-03-02T11:59:30Z"),
                failure_reason: text("no such file"),
                ..ListedJob::default()
            },
        ]],
    )
}

/// A topic as strict as SNS documents it.
#[derive(Clone)]
struct Sns(Rc<RefCell<Taken>>, TopicArn);

impl Default for Sns {
    fn default() -> Self {
        let arn = "arn:aws:sns:eu-west-1:123456789012:jobs".to_owned();
        Self(Rc::default(), TopicArn::try_from(arn).unwrap())
    }
}

#[derive(Default)]
struct Taken {
    told: Vec<Message>,
    refused: usize,
}

impl Topic for Sns {
    fn arn(&self) -> &TopicArn {
        &self.1
    }

    async fn ready(&self) {}

    async fn publish(&self, message: &Message) -> Result<(), PublishError> {
        let mut taken = self.0.borrow_mut();
        if bytes(message) > PUBLISH_BYTES {
            taken.refused += 1;
            return Err(PublishError::Refused("too long".to_owned()));
        }
        assert_fit(message);
        taken.told.push(message.clone());
        Ok(())
    }
}

/// As SNS counts: all forms, the subject, and the attributes.
pub(crate) fn bytes(message: &Message) -> usize {
    let body = match &message.body {
        Body::Plain(text) => text.len(),
        Body::PerProtocol(forms) => {
            let forms = forms
                .iter()
                .map(|(protocol, form)| ((*protocol).to_owned(), Value::from(form.as_str())));
            Value::Object(forms.collect()).to_string().len()
        }
    };
    let attributes = message.attributes.iter();
    let attributes: usize = attributes
        .map(|(name, value)| name.len() + "String".len() + value.len())
        .sum();
    let subject = message.subject.as_ref().map_or(0, |it| it.as_str().len());
    body + attributes + subject
}

/// Each form is fit for where it goes.
pub(crate) fn assert_fit(message: &Message) {
    if let Some(subject) = &message.subject {
        let subject = subject.as_str();
        assert!((1..=99).contains(&subject.len()), "{subject:?}");
        assert!(
            subject.chars().all(|c| c.is_ascii_graphic() || c == ' '),
            "{subject:?}"
        );
    }
    assert!(message.attributes.len() <= 10);
    for (name, value) in &message.attributes {
        assert!(!value.is_empty() && value.chars().count() <= 256, "{name}");
        assert!(!value.contains(char::is_control), "{name}: {value:?}");
    }
    let Body::PerProtocol(_) = &message.body else {
        return;
    };
    let sms = message.form("sms");
    assert!(
        sms.chars().count() <= 140 && !sms.contains(char::is_control),
        "{sms:?}"
    );
    let email = message.form("email");
    assert!(
        !email.contains(|c: char| c.is_control() && c != '\n'),
        "{email:?}"
    );
    let event: Value = serde_json::from_str(message.form("default")).unwrap();
    assert_eq!(event["specversion"], "1.0");
    let chat: Value = serde_json::from_str(message.form("https")).unwrap();
    let length = |pointer: &str| {
        chat.pointer(pointer)
            .and_then(Value::as_str)
            .unwrap()
            .chars()
            .count()
    };
    assert!(length("/content/title") <= 250);
    assert!(length("/content/description") <= 8_000);
}

fn has_time(job: &ListedJob) -> bool {
    let times = [
        &job.start_time,
        &job.last_heartbeat_time,
        &job.completion_time,
    ];
    times.into_iter().flatten().any(|text| time(text).is_some())
}

/// A time that is read is the same when it is written and read again; and a job that has it can be read.
fn a_time(text: &str) {
    let read = time(text);
    if let Some(read) = read {
        assert_eq!(time(&read.to_string()), Some(read), "{text:?}");
    }
    let job = Job::from_listed(ListedJob {
        job_id: Some("job".to_owned()),
        start_time: Some(text.to_owned()),
        ..ListedJob::default()
    });
    assert_eq!(job.unwrap().started_at, read);
}

/// A line for each variable, in the order of the table: what is accepted is within its rule, and what is not is named.
fn settings(text: &str) {
    let values: Vec<&str> = text.split('\n').collect();
    let lookup = |name: &str| {
        let place = VARIABLES
            .iter()
            .position(|variable| variable.name == name)?;
        Some((*values.get(place)?).to_owned())
    };
    match LambdaSettings::read(lookup) {
        Ok(settings) => {
            for arn in [Some(&settings.topic), settings.urgent_topic.as_ref()] {
                assert!(arn.is_none_or(|arn| arn.as_str().split(':').count() == 6));
            }
            let minutes =
                |duration: SignedDuration| (1..=30 * 24 * 60).contains(&duration.as_mins());
            let sources = settings.sources.len();
            assert!((1..=SourceKind::ALL.len()).contains(&sources));
            assert!(minutes(settings.watch.policy.stall_after));
            assert!(settings.watch.policy.remind_after.is_none_or(minutes));
            assert!((1..=1_000).contains(&settings.watch.digest_above));
            assert!((3..=255).contains(&settings.table.len()));
            let name = settings.watch.name.map(|name| name.to_string());
            assert!(name.is_none_or(|name| name.is_ascii() && (1..=40).contains(&name.len())));
        }
        Err(invalid) => {
            let told = invalid.to_string();
            assert!(!invalid.0.is_empty());
            assert!(!told.contains(char::is_control), "one line: {told:?}");
            for fault in &invalid.0 {
                assert!(told.contains(fault.variable.name));
            }
            // A control character is written out in as many as ten characters. EXPECT has any number of faults.
            let of_expect = FAULT_OF_EXPECT * invalid.0.len();
            assert!(told.len() <= 10 * text.len() + 200 * VARIABLES.len() + of_expect);
        }
    }
}

/// The most bytes that tell one fault of EXPECT: two texts of 100 characters, of ten bytes each, and what is said.
const FAULT_OF_EXPECT: usize = 2 * 100 * 10 + 300;

/// What is read makes deadlines in their order, at any moment; what is not is named, each fault in one line.
fn expect(text: &str) {
    let expectations = match Expectations::parse(text) {
        Ok(expectations) => expectations,
        Err(faults) => {
            assert!(!faults.is_empty() && faults.len() <= 1_000);
            for fault in faults {
                let told = fault.to_string();
                assert!(!told.contains(char::is_control), "one line: {told:?}");
                assert!(told.len() <= FAULT_OF_EXPECT, "{told}");
            }
            return;
        }
    };
    assert!(text.len() <= 2_000);
    for name in expectations.names() {
        for end_of_time in [Timestamp::MIN, Timestamp::MAX] {
            expectations.last_deadline(name, end_of_time);
            expectations.next_deadline(name, end_of_time);
        }
        for at in MOMENTS.map(|at| at.parse().unwrap()) {
            let last = expectations.last_deadline(name, at).unwrap();
            let next = expectations.next_deadline(name, at).unwrap();
            assert!(last.at <= at && at < next.at, "{last}, {at}, {next}");
            let once_there = expectations.last_deadline(name, next.at);
            assert_eq!(once_there.as_ref(), Some(&next));
            for deadline in [&last, &next] {
                assert!(deadline.opens_at < deadline.at, "{deadline:?}");
            }
            assert!(next.has_from || next.opens_at == last.at, "{next:?}");
        }
    }
}

/// Around changes of clocks, and far from any.
const MOMENTS: [&str; 9] = [
    "1970-01-01T00:00:00Z",
    "2010-11-07T03:00:00Z",
    "2011-12-30T00:00:00Z",
    "2026-03-08T07:15:00Z",
    "2026-03-29T01:15:00Z",
    NOW,
    "2026-10-03T15:40:00Z",
    "2026-10-25T01:00:00Z",
    "2100-01-01T00:00:00Z",
];

/// What is an event is rendered, however odd; what is none is named.
fn event(input: &[u8]) {
    let Ok(event) = serde_json::from_slice::<Value>(input) else {
        return;
    };
    match Message::of_event(event) {
        Ok(messages) => {
            assert!(messages.len() <= input.len());
            messages.iter().for_each(assert_fit);
        }
        Err(why) => assert!(!why.is_empty()),
    }
}
