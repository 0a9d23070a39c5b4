//! What people and machines get: each kind in each form, and that untrusted text stays text.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use cloudevents::AttributesReader as _;
use fraud_job_watch::message::{
    Body, JobNow, Message, Outgoing, PUBLISH_BYTES, RenderContext, Subject, WatchName,
    digest_sizes, schema,
};
use fraud_job_watch::watch::detector::Completion;
use fraud_job_watch::watch::history::{Compared, Usual};
use fraud_job_watch::watch::notice::{
    ExpectedJob, Found, Overdue, Silence, thread, thread_of_deadline,
};
use fraud_job_watch::watch::{
    IncidentState, Job, Kind, ListedJob, Notice, NoticeId, Severity, Source, SourceKind, Status,
    StatusCounts,
};
use jiff::Timestamp;
use jsonschema::Validator;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::fuzz::inputs::{assert_fit, bytes};

pub(crate) fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn listed() -> ListedJob {
    let text = |text: &str| Some(text.to_owned());
    ListedJob {
        job_id: text("credit_card_transaction-1656293738"),
        status: text("IN_PROGRESS"),
        start_time: text("2026-03-02T08:00:00Z"),
        last_heartbeat_time: text("2026-03-02T09:30:00Z"),
        detector_name: text("project_1_detector"),
        detector_version: text("1"),
        event_type_name: text("customer_registration"),
        input_path: text("s3://B/project_1_newaccounts_5000_bp.csv"),
        output_path: text("s3://B"),
        processed_records_count: Some(1_234),
        total_records_count: Some(5_000),
        ..ListedJob::default()
    }
}

const START: &str = "2026-03-02T08:00:00Z";

/// A notice as the judge makes one, of a job of which nothing was reported before.
pub(crate) fn notice(kind: Kind) -> Notice {
    let source: Source = "arn:aws:frauddetector:us-east-2:123456789012:batch-prediction"
        .parse()
        .unwrap();
    let job = listed_as(kind).map(|listed| Job::from_listed(listed).unwrap());
    let silent = [Kind::Stalled, Kind::Reminder, Kind::Recovered].contains(&kind);
    let key = job.as_ref().map(|job| (&job.id, at(START)));
    let thread = key.map(|(id, key)| thread(&source, id, key));
    let expected = expected_job(kind);
    let missing = expected.as_ref();
    let missing = missing.map(|it| thread_of_deadline(&source, &it.detector, it.by));
    Notice {
        id: NoticeId::new(&source, key, kind, "1"),
        kind,
        incident: match kind {
            Kind::Stalled | Kind::Reminder | Kind::Vanished => Some(IncidentState::Open),
            Kind::Overdue | Kind::Missing | Kind::Unheard => Some(IncidentState::Open),
            Kind::Recovered | Kind::Arrived | Kind::Heard => Some(IncidentState::Resolved),
            _ => None,
        },
        thread: thread.filter(|_| kind != Kind::Test).or(missing),
        topics: BTreeSet::new(),
        source,
        happened_at: at("2026-03-02T11:26:41Z"),
        recorded_at: at("2026-03-02T12:00:00Z"),
        job_seen_at: job.as_ref().map(|_| at("2026-03-02T11:55:00Z")),
        job,
        silence: silent.then(|| Silence {
            since: at("2026-03-02T09:30:00Z"),
            lasted_s: 9_000,
            allowed_s: if kind == Kind::Recovered {
                7_200
            } else {
                3_600
            },
            waiting: (kind != Kind::Recovered).then_some(2),
            reminder: (kind == Kind::Reminder).then_some(2),
        }),
        overdue: (kind == Kind::Overdue).then(|| Overdue {
            since: at("2026-03-02T08:12:00Z"),
            taken_s: 13_680,
            limit_s: 11_700,
            usual: Some(Usual {
                median_s: 3_900,
                jobs: 20,
                longest_s: 5_520,
            }),
            expected_end: Some(at("2026-03-02T20:40:00Z")),
        }),
        expected,
        found: (kind == Kind::Began).then(|| Found {
            jobs: 170,
            by_status: [("COMPLETE".to_owned(), 168), ("IN_PROGRESS".to_owned(), 2)].into(),
            notify_on: vec![Kind::Completed, Kind::Failed, Kind::Stalled],
            expects: vec!["payments_detector".to_owned(), "*".to_owned()],
            stall_after_s: 3_600,
            since: at("2026-03-02T11:59:00Z"),
        }),
    }
}

/// What was expected, of a notice of that kind.
fn expected_job(kind: Kind) -> Option<ExpectedJob> {
    let completed = |id: &str, time| Completion {
        at: at(time),
        job_id: id.to_owned().try_into().unwrap(),
    };
    let (last_completed, instead) = match kind {
        Kind::Missing => (
            completed("fraud_scoring_2026_03_01", "2026-03-01T06:12:40Z"),
            listed_as(Kind::Stalled),
        ),
        Kind::Arrived => (
            completed("fraud_scoring_2026_03_02", "2026-03-02T11:26:41Z"),
            None,
        ),
        _ => return None,
    };
    Some(ExpectedJob {
        detector: "payments_detector".to_owned(),
        by: at("2026-03-02T07:00:00Z"),
        local: "07:00 on Mon 2 Mar 2026 (Europe/Dublin)".to_owned(),
        last_completed: Some(last_completed),
        expected_end: instead.as_ref().map(|_| at("2026-03-02T20:40:00Z")),
        instead: instead.map(|listed| Job::from_listed(listed).unwrap()),
    })
}

/// The job of which a notice of that kind is.
fn listed_as(kind: Kind) -> Option<ListedJob> {
    let text = |text: &str| Some(text.to_owned());
    let end = |status: &str| ListedJob {
        status: text(status),
        completion_time: text("2026-03-02T11:26:41Z"),
        ..listed()
    };
    match kind {
        Kind::Began | Kind::Missing | Kind::Arrived | Kind::Unheard | Kind::Heard => None,
        Kind::Completed => Some(ListedJob {
            processed_records_count: Some(5_000),
            ..end("COMPLETE")
        }),
        Kind::Failed => Some(ListedJob {
            failure_reason: text("Access denied <!channel>\r\nReply-To: x \u{1b}[2J & *more*"),
            ..end("FAILED")
        }),
        Kind::Canceled => Some(end("CANCELED")),
        Kind::Ended => Some(end("ARCHIVED")),
        _ => Some(listed()),
    }
}

/// One notice of each kind.
fn all() -> Vec<Notice> {
    Kind::ALL.iter().copied().map(notice).collect()
}

/// The same, but it closes what was reported before.
pub(crate) fn closing(notice: Notice) -> Notice {
    Notice {
        incident: Some(IncidentState::Resolved),
        ..notice
    }
}

/// A completed job that did not process all of its records.
fn completed_in_part() -> Notice {
    let mut notice = notice(Kind::Completed);
    notice.job.as_mut().unwrap().processed_records = Some(4_600);
    notice
}

/// A job that was reported as vanished is listed again.
fn listed_again() -> Notice {
    Notice {
        silence: None,
        ..notice(Kind::Recovered)
    }
}

/// Another job has taken the id of an active one.
fn replaced() -> Notice {
    Notice {
        incident: None,
        ..notice(Kind::Vanished)
    }
}

/// What a kind can also be, by a name.
fn variants() -> Vec<(&'static str, Notice)> {
    vec![
        ("completed in part", completed_in_part()),
        ("completed, closing", closing(notice(Kind::Completed))),
        ("failed, closing", closing(notice(Kind::Failed))),
        ("canceled, closing", closing(notice(Kind::Canceled))),
        ("ended, closing", closing(notice(Kind::Ended))),
        ("recovered, listed again", listed_again()),
        (
            "listed again, still overdue",
            Notice {
                incident: Some(IncidentState::Open),
                ..listed_again()
            },
        ),
        ("recovered, still overdue", still_overdue()),
        ("overdue by hand", overdue_by_hand()),
        ("missing, nothing runs", missing(None)),
        ("missing, one failed", missing(Some(Kind::Failed))),
        (
            "missing, one is being canceled",
            missing(Some(Kind::Canceled)),
        ),
        ("vanished, replaced", replaced()),
        ("vanished, replaced, closing", closing(replaced())),
    ]
}

fn still_overdue() -> Notice {
    Notice {
        incident: Some(IncidentState::Open),
        ..notice(Kind::Recovered)
    }
}

/// Of a job of which nothing is known but its id.
fn overdue_by_hand() -> Notice {
    let mut notice = notice_of("nightly", Kind::Overdue);
    let job = notice.job.as_mut().unwrap();
    (job.processed_records, job.total_records, job.detector) = (None, None, None);
    let overdue = notice.overdue.as_mut().unwrap();
    (overdue.usual, overdue.expected_end) = (None, None);
    notice
}

/// Of any detector, of which nothing is known to have completed.
fn missing(instead: Option<Kind>) -> Notice {
    let mut notice = notice(Kind::Missing);
    let expected = notice.expected.as_mut().unwrap();
    let job = instead.and_then(listed_as);
    expected.instead = job.map(|listed| Job::from_listed(listed).unwrap());
    if instead == Some(Kind::Canceled) {
        expected.instead.as_mut().unwrap().status = Status::CancelInProgress;
    }
    (expected.detector, expected.last_completed) = ("*".to_owned(), None);
    notice
}

fn name() -> WatchName {
    "payments".parse().unwrap()
}

fn context(name: Option<&WatchName>) -> RenderContext<'_> {
    let now = at("2026-03-02T12:01:00Z");
    RenderContext { name, now }
}

fn outgoing(notice: &Notice) -> Outgoing<'_> {
    Outgoing {
        notice,
        job_now: None,
        compared: None,
    }
}

/// Rendered at 12:01, a minute after it was recorded.
pub(crate) fn message(notice: &Notice) -> Message {
    Message::of(&outgoing(notice), &context(Some(&name())))
}

/// Rendered three hours after it was recorded.
pub(crate) fn late(notice: &Notice, job_now: Option<JobNow<'_>>) -> Message {
    let now = at("2026-03-02T15:00:00Z");
    let name = Some(&name());
    let outgoing = Outgoing {
        job_now,
        ..outgoing(notice)
    };
    Message::of(&outgoing, &RenderContext { name, now })
}

/// What these notices go out in, and how many each message carries.
fn digests(notices: &[Notice]) -> Vec<(usize, Message)> {
    let (outgoing, name) = (Vec::from_iter(notices.iter().map(outgoing)), name());
    let (mut rest, context) = (outgoing.as_slice(), context(Some(&name)));
    let sizes = digest_sizes(&outgoing, &context).into_iter();
    let digest = |size| {
        let (batch, others) = rest.split_at(size);
        rest = others;
        (size, Message::of_batch(batch, &context).unwrap())
    };
    sizes.map(digest).collect()
}

/// All of them in one.
pub(crate) fn digest(notices: &[Notice]) -> Message {
    let (size, digest) = digests(notices).remove(0);
    assert_eq!(size, notices.len());
    digest
}

/// What goes out when SNS refuses the message for these notices.
pub(crate) fn smallest(notices: &[Notice]) -> Message {
    let outgoing: Vec<_> = notices.iter().map(outgoing).collect();
    let message = Message::of_batch(&outgoing, &context(None)).unwrap();
    message.smallest(&outgoing, Some(&name()))
}

pub(crate) fn chat(message: &Message) -> Value {
    serde_json::from_str(message.form("https")).unwrap()
}

/// Sentences and steps.
pub(crate) fn first_lines(message: &Message) -> &str {
    let facts = |text: &str| text.find("\n\nStatus: ").or(text.find("\n\nDeadline: "));
    let email = message.form("email");
    &email[..facts(email).unwrap()]
}

/// All forms as a reader of each would get them, in one text.
pub(crate) fn forms(message: &Message) -> String {
    format!(
        "== email\nSubject: {}\n\n{}\n== sms\n{}\n\n== https\n{:#}\n\n== default\n{:#}",
        message.subject.as_ref().unwrap(),
        message.form("email"),
        message.form("sms"),
        chat(message),
        message.event,
    )
}

#[test]
fn every_kind_in_every_form() {
    for kind in Kind::ALL.iter().copied() {
        let message = message(&notice(kind));
        insta::assert_snapshot!(kind.as_str(), forms(&message));
        assert_eq!(
            serde_json::from_str::<Value>(message.form("sqs")).unwrap(),
            message.event,
            "the event is the default"
        );
    }
}

#[test]
fn what_a_kind_can_also_be() {
    insta::assert_snapshot!("variants", in_short(variants()));
}

/// Each up to the facts, which are those of its kind.
pub(crate) fn in_short(variants: Vec<(&str, Notice)>) -> String {
    let mut seen = String::new();
    for (name, notice) in variants {
        let message = message(&notice);
        let (first, chat) = (first_lines(&message), chat(&message));
        let subject = message.subject.as_ref().unwrap();
        let title = chat["content"]["title"].as_str().unwrap();
        let sms = message.form("sms");
        seen.push_str(&format!(
            "== {name}\n{subject}\n{title}\n{sms}\n\n{first}\n\n"
        ));
    }
    seen
}

/// In the email, the text message and chat; the event says the same whenever it goes out.
#[test]
fn a_completed_job_says_how_its_time_compares() {
    let notice = notice(Kind::Completed);
    let usual = Usual {
        median_s: 1_500,
        jobs: 20,
        longest_s: 2_400,
    };
    let message = |waited_s| {
        let compared = Some(Compared {
            ran_s: 3_720,
            waited_s,
            usual,
        });
        let outgoing = Outgoing {
            compared,
            ..outgoing(&notice)
        };
        Message::of(&outgoing, &context(None))
    };
    let text = message(0).form("email").to_owned();
    assert!(
        text.contains(" completed in 3 h 26 min, usually 25 min: 5000 of"),
        "{text}"
    );
    let text = message(8_681).form("email").to_owned();
    let ran = " completed in 3 h 26 min, 1 h 2 min of it since the job before had ended, usually 25 min: ";
    assert!(text.contains(ran), "{text}");
    let text = message(0).form("sms").to_owned();
    assert!(
        text.ends_with(": ran for 1 h 2 min, usually 25 min, 5000 of 5000 records"),
        "{text}"
    );
    let plain = Message::of(&outgoing(&notice), &context(None));
    assert_eq!(message(0).event, plain.event);
}

#[test]
fn a_digest_in_every_form() {
    let mut notices = all();
    notices.extend(variants().into_iter().map(|(_, notice)| notice));
    notices.extend((1..=3).map(|number| notice_of(&format!("nightly-{number}"), Kind::Completed)));
    let mut digest = digest(&notices);
    // Each is a golden of its own.
    digest.event["data"]["events"] = format!("{} events", notices.len()).into();
    insta::assert_snapshot!("digest", forms(&digest));
}

fn notice_of(id: &str, kind: Kind) -> Notice {
    let sample = notice(kind);
    let job = Job {
        id: id.to_owned().try_into().unwrap(),
        ..sample.job.unwrap()
    };
    Notice {
        id: NoticeId::new(&sample.source, Some((&job.id, at(START))), kind, ""),
        thread: Some(thread(&sample.source, &job.id, at(START))),
        job: Some(job),
        ..sample
    }
}

/// In the first lines of the email and in the text message.
#[test]
fn a_late_notice_says_so_and_what_has_become_of_its_job() {
    let job = Job::from_listed(listed()).unwrap();
    let ended = notice(Kind::Completed).job.unwrap().identity_only();
    let alive = Job {
        heartbeat_at: Some(at("2026-03-02T14:00:00Z")),
        ..job.clone()
    };
    let another = Job {
        started_at: Some(at("2026-03-02T13:00:00Z")),
        ..job.clone()
    };
    let canceling = Job {
        status: Status::CancelInProgress,
        ..job.clone()
    };
    let unknown = notice(Kind::Ended).job.unwrap().identity_only();
    let (same, other) = (JobNow::Same, JobNow::Another(&another));
    let cases = [
        (notice(Kind::Stalled), None),
        (notice(Kind::Stalled), Some(same(&job))),
        (notice(Kind::Stalled), Some(same(&canceling))),
        (notice(Kind::Stalled), Some(same(&ended))),
        (notice(Kind::Stalled), Some(same(&alive))),
        (notice(Kind::Stalled), Some(other)),
        (notice(Kind::Reminder), Some(same(&alive))),
        (notice(Kind::Recovered), Some(same(&ended))),
        (notice(Kind::Vanished), Some(same(&alive))),
        (notice(Kind::Vanished), Some(same(&ended))),
        (notice(Kind::Failed), Some(other)),
        (notice(Kind::Completed), Some(same(&ended))),
        (notice(Kind::Ended), Some(same(&unknown))),
        (notice(Kind::Ended), Some(same(&ended))),
        (notice(Kind::Ended), Some(same(&job))),
        (replaced(), Some(other)),
    ];
    let mut seen = String::new();
    for (notice, job_now) in cases {
        let message = late(&notice, job_now);
        let (first, sms) = (first_lines(&message), message.form("sms"));
        seen.push_str(&format!("{first}\n\n{sms}\n\n----\n"));
    }
    insta::assert_snapshot!("late", seen);
}

#[test]
fn an_event_is_the_same_however_late_it_is_rendered() {
    let notice = notice(Kind::Stalled);
    let ended = Job::from_listed(listed()).unwrap().identity_only();
    let late = late(&notice, Some(JobNow::Same(&ended)));
    assert_eq!(late.form("default"), message(&notice).form("default"));
}

/// Of a job that goes on, and only from what is known.
#[test]
fn an_end_is_expected_only_where_it_can_be_said() {
    let expected = |notice: &Notice| {
        let message = message(notice);
        let email = message.form("email");
        let line = email
            .lines()
            .find_map(|line| line.strip_prefix("Expected end: "));
        line.map(str::to_owned)
    };
    let recovered = |change: fn(&mut Job)| {
        let mut notice = notice(Kind::Recovered);
        notice.job.as_mut().map(change).unwrap();
        notice
    };
    // 1,234 records in 3 h 55 min from the start until it was seen; 3,766 are left.
    assert_eq!(
        expected(&recovered(|_| {})).as_deref(),
        Some("about 2026-03-02 23:52 UTC, at its average pace so far")
    );
    for notice in [
        notice(Kind::Stalled),
        notice(Kind::Reminder),
        notice(Kind::Completed),
        recovered(|job| job.total_records = None),
        recovered(|job| job.processed_records = None),
        recovered(|job| job.processed_records = Some(0)),
        recovered(|job| job.total_records = Some(1_000)),
        recovered(|job| job.total_records = Some(u64::MAX)),
        recovered(|job| job.started_at = None),
        recovered(|job| job.started_at = job.started_at.map(|_| at("2027-01-01T00:00:00Z"))),
        recovered(|job| job.status = Status::CancelInProgress),
        recovered(|job| job.status = Status::Initializing),
    ] {
        assert_eq!(expected(&notice), None, "{notice:?}");
    }
}

#[test]
fn a_subject_gives_the_id_its_room_first() {
    let id = "registrations-of-new-customers-2026-03-02T08-00-00Z-of-eu-west-1";
    let long = "a".repeat(40);
    let subject = |name: Option<&str>, notice: &Notice, detector: &str| {
        let name = name.map(|name| name.parse().unwrap());
        let mut notice = notice.clone();
        let job = notice.job.as_mut().unwrap();
        job.id = id.to_owned().try_into().unwrap();
        job.detector = Some(detector.to_owned());
        let message = Message::of(&outgoing(&notice), &context(name.as_ref()));
        message.subject.unwrap().to_string()
    };
    let seen = [
        subject(None, &notice(Kind::Failed), "signup"),
        subject(None, &notice(Kind::Failed), "detector_of_new_customers"),
        subject(Some("payments"), &notice(Kind::Failed), "signup"),
        subject(Some("payments"), &notice(Kind::Failed), "detector_of_new"),
        subject(Some(&long), &notice(Kind::Reminder), "signup"),
        subject(None, &completed_in_part(), "signup"),
        subject(Some("payments"), &completed_in_part(), "signup"),
        subject(Some(&long), &completed_in_part(), "signup"),
    ];
    assert!(seen.iter().all(|subject| subject.len() <= 99));
    insta::assert_snapshot!("subjects", seen.join("\n"));
}

/// The format that AWS documents, member for member, and nothing besides: what is outside of it is dropped.
/// <https://docs.aws.amazon.com/chatbot/latest/adminguide/custom-notifs.html>, "Event schema" and "Parameter
/// details". The two lengths are not on that page; they are what others have met.
fn custom_notification() -> Value {
    let text = || json!({"type": "string", "minLength": 1});
    let texts = || json!({"type": "array", "items": text()});
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["version", "source", "content"],
        "properties": {
            "version": {"const": "1.0"},
            "source": {"const": "custom"},
            "id": text(),
            "content": {
                "type": "object",
                "additionalProperties": false,
                "required": ["description"],
                "properties": {
                    "textType": {"const": "client-markdown"},
                    "title": {"type": "string", "minLength": 1, "maxLength": 250},
                    "description": {"type": "string", "minLength": 1, "maxLength": 8_000},
                    "nextSteps": texts(),
                    "keywords": texts(),
                },
            },
            "metadata": {
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "threadId": text(),
                    "summary": text(),
                    "eventType": text(),
                    "relatedResources": texts(),
                    "additionalContext": {"type": "object", "additionalProperties": text()},
                },
            },
        },
    })
}

pub(crate) fn validator(schema: &Value) -> Validator {
    let options = jsonschema::options().should_validate_formats(true);
    options.build(schema).unwrap()
}

pub(crate) static CUSTOM_NOTIFICATION: LazyLock<Validator> =
    LazyLock::new(|| validator(&custom_notification()));

pub(crate) fn assert_valid(validator: &Validator, document: &Value) {
    let faults: Vec<_> = validator
        .iter_errors(document)
        .map(|fault| format!("{fault} at {}", fault.instance_path()))
        .collect();
    assert!(faults.is_empty(), "{faults:#?} in {document:#}");
}

#[test]
fn the_chat_form_is_a_custom_notification() {
    let all = all();
    let messages = all.iter().map(message).chain([digest(&all)]);
    messages.for_each(|message| assert_valid(&CUSTOM_NOTIFICATION, &chat(&message)));
}

pub(crate) fn beside_events(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("events")
        .join(file)
}

/// `INSTA_UPDATE=always` writes them anew.
#[test]
fn the_schemas_are_those_of_the_types() {
    let of_source = |source| {
        [
            (schema::name(source, "notice"), schema::notice(source)),
            (schema::name(source, "digest"), schema::digest(source)),
        ]
    };
    for (name, schema) in SourceKind::ALL.into_iter().flat_map(of_source) {
        let file = format!("{name}.schema.json");
        let path = beside_events(&file);
        let made = format!("{schema:#}\n");
        if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
            std::fs::write(&path, &made).unwrap();
        }
        let kept = std::fs::read_to_string(&path).unwrap();
        assert!(
            kept == made,
            "events/{file} is not what the types say: {made}"
        );
    }
}

#[test]
fn every_event_is_what_its_schema_says_and_an_independent_library_reads_it() {
    let file = |name: &str| {
        let text = std::fs::read_to_string(beside_events(name)).unwrap();
        validator(&serde_json::from_str(&text).unwrap())
    };
    let (one, many) = (file("notice.v1.schema.json"), file("digest.v1.schema.json"));
    for notice in all() {
        let message = message(&notice);
        let event = serde_json::from_str(message.form("default")).unwrap();
        assert_valid(&one, &event);
        let read: cloudevents::Event = serde_json::from_str(message.form("default")).unwrap();
        assert_eq!(read.id(), notice.id.as_str());
        let kind = notice.kind;
        assert_eq!(
            read.ty(),
            format!("fraud-job-watch.batch-prediction.{kind}.v1")
        );
        let time = read.time().unwrap().timestamp();
        assert_eq!(time, notice.happened_at.as_second());
    }
    let digest = digest(&all());
    let event = serde_json::from_str(digest.form("default")).unwrap();
    assert_valid(&many, &event);
    let read: cloudevents::Event = serde_json::from_str(digest.form("default")).unwrap();
    assert_eq!(read.ty(), "fraud-job-watch.batch-prediction.digest.v1");

    for member in ["id", "source", "type", "specversion", "data"] {
        let mut event = message(&notice(Kind::Failed)).event;
        assert!(one.is_valid(&event));
        event.as_object_mut().unwrap().remove(member);
        assert!(!one.is_valid(&event), "it needs {member}");
    }
}

#[test]
fn a_digest_has_every_event_whole_and_an_id_of_theirs() {
    let notices = all();
    let event = digest(&notices).event;
    let alone: Vec<_> = notices.iter().map(|notice| message(notice).event).collect();
    assert_eq!(event["data"]["events"], Value::from(alone));

    let mut other_order = notices.clone();
    other_order.reverse();
    assert_eq!(event["id"], digest(&other_order).event["id"]);
    assert_ne!(event["id"], digest(&notices[1..]).event["id"]);
}

#[test]
fn what_is_alone_is_no_digest() {
    let notices = [notice(Kind::Stalled)];
    assert_eq!(digests(&notices), [(1, message(&notices[0]))]);
    assert!(digests(&[]).is_empty());
    assert_eq!(Message::of_batch(&[], &context(None)), None);
}

/// 300 notices: short ones, and such with long texts whose every character takes the most bytes.
#[test]
fn digests_are_split_by_size_alone_and_leave_none_out() {
    let cases = [
        ("short".to_owned(), String::new(), 2),
        ("\u{1}".repeat(9_000), String::new(), 100),
        ("\"".repeat(9_000), "\"".repeat(900), 60),
        ("\u{10ffff}".repeat(9_000), "\u{10ffff}".repeat(200), 20),
    ];
    for (reason, id, most) in cases {
        let notices: Vec<_> = (0..300)
            .map(|number| {
                let mut notice = notice_of(&format!("job-{number}{id}"), Kind::Failed);
                let failed = ListedJob {
                    failure_reason: Some(reason.clone()),
                    ..listed()
                };
                notice.job.as_mut().unwrap().failure_reason =
                    Job::from_listed(failed).unwrap().failure_reason;
                notice
            })
            .collect();
        let digests = digests(&notices);
        assert!(digests.len() <= most, "{} messages", digests.len());
        let mut rest = notices.as_slice();
        for (size, message) in &digests {
            let (carried, others) = rest.split_at(*size);
            rest = others;
            assert!(bytes(message) <= PUBLISH_BYTES, "{} bytes", bytes(message));
            let events = message.event["data"]["events"].as_array().unwrap();
            let ids: Vec<_> = events.iter().map(|event| event["id"].as_str()).collect();
            let expected: Vec<_> = carried.iter().map(|it| Some(it.id.as_str())).collect();
            assert_eq!(ids, expected, "each in its place");
            let listed = message.form("email").matches("FAILED job-").count();
            assert_eq!(listed, carried.len(), "a line for each");
            assert_valid(&CUSTOM_NOTIFICATION, &chat(message));
        }
        assert!(rest.is_empty(), "{} are left out", rest.len());
    }
}

/// The statuses are untrusted text, and a notice must fit into the table and a message.
#[test]
fn any_number_of_statuses_makes_a_message_that_fits() {
    let mut statuses = StatusCounts::default();
    for n in 0..1_000 {
        statuses.add(&Status::from(format!("{n}{}", "\u{1}".repeat(1_000))));
    }
    let mut began = notice(Kind::Began);
    let counts = &mut began.found.as_mut().unwrap().by_status;
    counts.clone_from(statuses.by_status());
    assert_eq!(counts.values().sum::<u64>(), 1_000, "none is left out");
    assert_harmless(&message(&began));
}

#[test]
fn the_smallest_forms_name_every_notice() {
    let notices = all();
    let lines: Vec<_> = notices
        .iter()
        .map(|notice| {
            let Body::Plain(line) = smallest(std::slice::from_ref(notice)).body else {
                panic!("in forms")
            };
            assert!(line.is_ascii() && line.contains(notice.id.as_str()));
            line
        })
        .collect();
    assert_eq!(smallest(&notices).body, Body::Plain(lines.join("\n")));
}

/// It is what subscribers filter by, so a message without it would be lost to who does.
#[test]
fn every_message_has_its_severity_as_an_attribute() {
    let assert_severity = |message: &Message, severity: Severity| {
        let expected = ("severity", severity.as_str().to_owned());
        assert!(message.attributes.contains(&expected), "{message:?}");
    };
    let all = all();
    for one in &all {
        let severity = one.kind.severity();
        assert_severity(&message(one), severity);
        assert_severity(&smallest(std::slice::from_ref(one)), severity);
        for other in &all {
            let both = [severity, other.kind.severity()];
            let worst = [Severity::Error, Severity::Warning, Severity::Info];
            let worst = worst.into_iter().find(|it| both.contains(it)).unwrap();
            let both = [one.clone(), other.clone()];
            assert_severity(&digest(&both), worst);
            assert_severity(&smallest(&both), worst);
        }
    }
}

#[test]
fn of_a_reason_that_was_cut_the_size_is_said() {
    let mut failed = notice(Kind::Failed);
    failed.job.as_mut().unwrap().failure_reason_bytes = Some(200_000);
    let email = message(&failed).form("email").to_owned();
    assert!(email.contains("[cut; it had 200000 bytes]"), "{email}");
}

/// What is left of a text when its code spans are taken out.
fn outside_of_code(text: &str) -> String {
    text.split('`').step_by(2).collect()
}

/// In every form, that untrusted text does no more than be read.
pub(crate) fn assert_harmless(message: &Message) {
    assert!(bytes(message) <= PUBLISH_BYTES, "{} bytes", bytes(message));
    assert_fit(message);
    let lines = message.form("email").lines().count();
    assert!(lines < 40, "untrusted text makes no lines: {lines}");

    let sms = message.form("sms");
    assert!(!sms.is_empty());
    let single = |c: char| (c.is_ascii_graphic() || c == ' ') && !"`[]{}\\^|~".contains(c);
    assert!(sms.chars().all(single), "{sms:?}");

    let chat = chat(message);
    assert_valid(&CUSTOM_NOTIFICATION, &chat);
    let text = |pointer| chat.pointer(pointer).and_then(Value::as_str).unwrap();
    for pointer in [
        "/content/title",
        "/content/description",
        "/metadata/summary",
    ] {
        let text = text(pointer);
        assert!(!text.chars().any(|c| c.is_control() && c != '\n'));
        for line in text.lines() {
            assert_eq!(line.matches('`').count() % 2, 0, "an open span: {line:?}");
        }
        // An `&` only begins what is escaped, and there is no link or mention.
        let rest = ["&amp;", "&lt;", "&gt;"]
            .iter()
            .fold(text.to_owned(), |rest, escaped| rest.replace(escaped, ""));
        assert!(!rest.contains(['<', '>', '&']), "{rest:?}");
        assert!(!outside_of_code(&rest).contains("evil"), "{rest:?}");
    }
    for value in chat
        .pointer("/metadata/additionalContext")
        .unwrap()
        .as_object()
        .unwrap()
        .values()
    {
        assert!(!outside_of_code(value.as_str().unwrap()).contains("evil"));
    }
}

/// Text with the markup of every form in it, and `evil` in each piece of markup.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("<!channel>evil"),
        Just("<https://evil.example|evil>"),
        Just("https://evil.example/ "),
        Just("*evil*"),
        Just(" _evil_ "),
        Just("~evil~"),
        Just("`evil`"),
        Just("```evil"),
        Just("&evil;"),
        Just("@evil #evil :evil:"),
        Just("\r\n\r\nevil"),
        Just("\u{1b}[2Jevil\u{7}"),
        Just("\u{202e}evil"),
        Just("\u{10ffff}evil"),
        Just("\"\\evil"),
    ];
    let piece = prop_oneof![piece.prop_map(str::to_owned), any::<String>()];
    proptest::collection::vec(piece, 1..30).prop_map(|pieces| pieces.concat())
}

/// The longest text there can be, of the characters that take the most room in one form or another.
fn longest() -> impl Strategy<Value = String> {
    prop_oneof![
        Just('\u{1}'),
        Just('"'),
        Just('\\'),
        Just('&'),
        Just('`'),
        Just('\u{202e}'),
        Just('\u{10ffff}'),
        Just('a')
    ]
    .prop_map(|c| c.to_string().repeat(9_000))
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![hostile(), longest()]
}

proptest! {
    #[test]
    fn a_subject_is_what_sns_takes(text in any::<String>()) {
        let subject = Subject::new(&text);
        let subject = subject.as_str();
        prop_assert!((1..=99).contains(&subject.len()));
        prop_assert!(subject.chars().all(|c| c.is_ascii_graphic() || c == ' '));
        prop_assert!(subject.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '['));
    }

    #[test]
    fn no_text_breaks_a_message(
        id in texts().prop_filter("a job has an id", |id| !id.is_empty()),
        status in proptest::option::of(texts()),
        reason in proptest::option::of(texts()),
        path in proptest::option::of(texts()),
        detector in proptest::option::of(texts()),
        kind in proptest::sample::select(Kind::ALL),
        incident in proptest::sample::select(&[None, Some(IncidentState::Open), Some(IncidentState::Resolved)]),
        processed in proptest::option::of(0..=i64::MAX),
        total in proptest::option::of(0..=i64::MAX),
    ) {
        let id = id.chars().take(250).collect();
        let listed = ListedJob {
            job_id: Some(id),
            status: status.or(Some("FAILED".to_owned())),
            failure_reason: reason,
            input_path: path.clone(),
            output_path: path.clone(),
            event_type_name: path,
            detector_version: detector.clone(),
            arn: detector.clone(),
            detector_name: detector,
            processed_records_count: processed,
            total_records_count: total,
            ..listed()
        };
        let job = Job::from_listed(listed).unwrap();
        let sample = notice(kind);
        let job = sample.job.as_ref().map(|_| job);
        let notice = Notice { job: job.clone(), incident, ..sample };
        assert_harmless(&message(&notice));
        let now = job.as_ref().map(JobNow::Same);
        assert_harmless(&late(&notice, now));
        for (_, digest) in digests(&[notice.clone(), notice]) {
            assert_harmless(&digest);
        }
    }

    /// Jobs whose long ids differ near one end are told apart wherever one is named, whatever else there is to say.
    #[test]
    fn both_ends_of_a_long_id_are_shown(
        id in "[0-9a-z][0-9a-z_-]{24,300}",
        place in 0_usize..12,
        from_its_end in any::<bool>(),
        name in proptest::option::of("[ -Z^-~]{1,40}"),
        detector in proptest::option::of("[0-9a-z_-]{1,300}"),
        sample in (0..=Kind::ALL.len()),
        counts in (0..i64::from(i32::MAX), 0..=i64::from(i32::MAX)),
    ) {
        let name: Option<WatchName> = name.map(|name| name.parse().unwrap());
        let context = context(name.as_ref());
        let place = if from_its_end { id.len() - 1 - place } else { place };
        let mut other = id.clone();
        let with = if id.as_bytes()[place] == b'x' { "y" } else { "x" };
        other.replace_range(place..=place, with);
        let sample = Kind::ALL.get(sample).map_or_else(completed_in_part, |kind| notice(*kind));
        prop_assume!(sample.job.is_some());
        let notice = |id: &str| {
            let mut notice = sample.clone();
            let job = notice.job.as_mut().unwrap();
            job.id = id.to_owned().try_into().unwrap();
            job.detector.clone_from(&detector);
            job.processed_records = Some(counts.0 as u64);
            job.total_records = Some(counts.1 as u64);
            notice
        };
        let notices = [notice(&id), notice(&other)];
        let [one, two] = notices.each_ref().map(|notice| {
            let message = Message::of(&outgoing(notice), &context);
            let title = chat(&message)["content"]["title"].as_str().unwrap().to_owned();
            let subject = message.subject.as_ref().unwrap().to_string();
            (subject, title, message.form("sms").to_owned())
        });
        prop_assert!(one.0 != two.0, "{:?} is the subject of both", one.0);
        prop_assert!(one.1 != two.1, "{:?} is the title of both", one.1);
        prop_assert!(one.2 != two.2, "{:?} is the line of both", one.2);
        for subject in [&one.0, &two.0] {
            prop_assert!(subject.len() <= 99, "{subject:?}");
            prop_assert!(!subject.ends_with("..."), "cut at its end: {subject:?}");
            let lead = name.as_ref().map(|name| format!("[{name}] ")).unwrap_or_default();
            prop_assert!(subject.starts_with(lead.trim_end()), "{subject:?}");
        }
        let digest = Message::of_batch(&notices.each_ref().map(outgoing), &context).unwrap();
        let email = digest.form("email");
        let lines: BTreeSet<_> = email.lines().filter(|line| line.contains(": ")).collect();
        prop_assert_eq!(lines.len(), email.lines().filter(|line| line.contains(": ")).count());
    }

    #[test]
    fn no_watch_name_breaks_a_message(name in "[ -Z^-~]{1,40}") {
        let name = name.parse().unwrap();
        for notice in all() {
            let message = Message::of(&outgoing(&notice), &context(Some(&name)));
            let chat = chat(&message);
            assert_valid(&CUSTOM_NOTIFICATION, &chat);
            prop_assert!(!chat["content"]["title"].as_str().unwrap().contains('<'));
            prop_assert!(message.form("sms").len() <= 140);
        }
    }
}
