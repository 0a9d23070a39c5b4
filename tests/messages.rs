//! What people and machines get: each kind in each form, and that untrusted text stays text.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

use cloudevents::AttributesReader as _;
use fraud_job_watch::message::{
    Body, Digest, JobNow, Message, PUBLISH_BYTES, Subject, Telling, Told, WatchName, schema,
};
use fraud_job_watch::watch::judge::{RunContext, began, first_baseline};
use fraud_job_watch::watch::notice::{Found, Silence, thread};
use fraud_job_watch::watch::{
    Incident, Item, Job, JobId, Kind, ListedJob, Notice, NoticeId, Policy, Source, Status,
    StatusCounts, TopicArn, Topics,
};
use jiff::{SignedDuration, Timestamp};
use jsonschema::Validator;
use proptest::prelude::*;
use serde_json::{Value, json};

fn at(text: &str) -> Timestamp {
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

/// A notice as the judge makes one, of a job of which nothing was told before.
pub(crate) fn notice(kind: Kind) -> Notice {
    let source: Source = "arn:aws:frauddetector:us-east-2:123456789012:batch-prediction"
        .parse()
        .unwrap();
    let end = |status: &str| ListedJob {
        status: Some(status.to_owned()),
        completion_time: Some("2026-03-02T11:26:41Z".to_owned()),
        ..listed()
    };
    let silence = Silence {
        since: at("2026-03-02T09:30:00Z"),
        lasted_s: 9_000,
        allowed_s: 3_600,
        waiting: Some(2),
        reminder: None,
    };
    let (listed, silence) = match kind {
        Kind::Began => (None, None),
        Kind::Completed => (
            Some(ListedJob {
                processed_records_count: Some(5_000),
                ..end("COMPLETE")
            }),
            None,
        ),
        Kind::Failed => {
            let failure_reason =
                Some("Access denied <!channel>\r\nReply-To: x \u{1b}[2J & *more*".to_owned());
            (
                Some(ListedJob {
                    failure_reason,
                    ..end("FAILED")
                }),
                None,
            )
        }
        Kind::Canceled => (Some(end("CANCELED")), None),
        Kind::Ended => (Some(end("ARCHIVED")), None),
        Kind::Stalled => (Some(listed()), Some(silence)),
        Kind::Reminder => (
            Some(listed()),
            Some(Silence {
                reminder: Some(2),
                ..silence
            }),
        ),
        Kind::Recovered => (
            Some(listed()),
            Some(Silence {
                waiting: None,
                ..silence
            }),
        ),
        Kind::Vanished | Kind::Test => (Some(listed()), None),
    };
    let job = listed.map(|listed| Job::read(listed).unwrap());
    Notice {
        id: NoticeId::new(
            &source,
            job.as_ref().map(|job| (&job.id, START.parse().unwrap())),
            kind,
            "1",
        ),
        kind,
        incident: match kind {
            Kind::Stalled | Kind::Reminder | Kind::Vanished => Some(Incident::Open),
            Kind::Recovered => Some(Incident::Resolved),
            Kind::Began
            | Kind::Completed
            | Kind::Failed
            | Kind::Canceled
            | Kind::Ended
            | Kind::Test => None,
        },
        thread: job
            .as_ref()
            .filter(|_| kind != Kind::Test)
            .map(|job| thread(&source, &job.id, at(START))),
        topics: BTreeSet::new(),
        source,
        happened_at: at("2026-03-02T11:26:41Z"),
        recorded_at: at("2026-03-02T12:00:00Z"),
        job_seen_at: job.as_ref().map(|_| at("2026-03-02T11:55:00Z")),
        job,
        silence,
        found: (kind == Kind::Began).then(|| Found {
            jobs: 170,
            by_status: [("COMPLETE".to_owned(), 168), ("IN_PROGRESS".to_owned(), 2)].into(),
            notify_on: vec![Kind::Completed, Kind::Failed, Kind::Stalled],
            stall_after_s: 3_600,
            since: at("2026-03-02T11:59:00Z"),
        }),
    }
}

const START: &str = "2026-03-02T08:00:00Z";

pub(crate) const KINDS: [Kind; 10] = [
    Kind::Began,
    Kind::Completed,
    Kind::Failed,
    Kind::Stalled,
    Kind::Recovered,
    Kind::Canceled,
    Kind::Ended,
    Kind::Vanished,
    Kind::Reminder,
    Kind::Test,
];

/// The same, but it closes what was told before.
pub(crate) fn closing(notice: Notice) -> Notice {
    Notice {
        incident: Some(Incident::Resolved),
        ..notice
    }
}

/// A completed job that did not process all of its records.
fn completed_in_part() -> Notice {
    let mut notice = notice(Kind::Completed);
    notice.job.as_mut().unwrap().processed_records = Some(4_600);
    notice
}

/// A job that was told to have vanished is listed again.
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
        ("vanished, replaced", replaced()),
        ("vanished, replaced, closing", closing(replaced())),
    ]
}

fn name() -> WatchName {
    "payments".parse().unwrap()
}

/// Told at 12:01, a minute after it was recorded.
pub(crate) fn message(notice: &Notice) -> Message {
    message_at(notice, None, "2026-03-02T12:01:00Z")
}

fn message_at(notice: &Notice, job_now: Option<JobNow<'_>>, now: &str) -> Message {
    let telling = Telling {
        name: Some(&name()),
        now: at(now),
    };
    Message::of(&Told { notice, job_now }, &telling)
}

pub(crate) fn digests(notices: &[Notice]) -> Vec<Digest> {
    let told: Vec<_> = notices
        .iter()
        .map(|notice| Told {
            notice,
            job_now: None,
        })
        .collect();
    let telling = Telling {
        name: Some(&name()),
        now: at("2026-03-02T12:01:00Z"),
    };
    Message::digests(&told, &telling)
}

/// All forms as a reader of each would get them, in one text.
fn forms(message: &Message) -> String {
    let chat: Value = serde_json::from_str(message.form("https")).unwrap();
    format!(
        "== email\nSubject: {}\n\n{}\n== sms\n{}\n\n== https\n{:#}\n\n== default\n{:#}",
        message.subject.as_ref().unwrap(),
        message.form("email"),
        message.form("sms"),
        chat,
        message.event,
    )
}

#[test]
fn every_kind_in_every_form() {
    for kind in KINDS {
        let message = message(&notice(kind));
        insta::assert_snapshot!(kind.as_str(), forms(&message));
        assert_eq!(
            serde_json::from_str::<Value>(message.form("sqs")).unwrap(),
            message.event,
            "the event is the default"
        );
    }
}

/// Up to the facts, which are those of the kind.
#[test]
fn what_a_kind_can_also_be() {
    let mut seen = String::new();
    for (name, notice) in variants() {
        let message = message(&notice);
        let (first, _) = message.form("email").split_once("\n\nJob: ").unwrap();
        let chat: Value = serde_json::from_str(message.form("https")).unwrap();
        let subject = message.subject.as_ref().unwrap();
        let title = chat["content"]["title"].as_str().unwrap();
        let sms = message.form("sms");
        seen.push_str(&format!(
            "== {name}\n{subject}\n{title}\n{sms}\n\n{first}\n\n"
        ));
    }
    insta::assert_snapshot!("variants", seen);
}

#[test]
fn a_digest_in_every_form() {
    let mut notices: Vec<_> = KINDS.map(notice).into_iter().collect();
    notices.extend(variants().into_iter().map(|(_, notice)| notice));
    notices.extend((1..=3).map(|number| named(&format!("nightly-{number}"), Kind::Completed)));
    let mut digest = digests(&notices).remove(0).message;
    // Each is a golden of its own.
    digest.event["data"]["events"] = format!("{} events", notices.len()).into();
    insta::assert_snapshot!("digest", forms(&digest));
}

fn named(id: &str, kind: Kind) -> Notice {
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

/// What is told when the job has moved on, in the first lines of the email and in the text message.
#[test]
fn a_late_notice_says_so_and_what_has_become_of_its_job() {
    let job = Job::read(listed()).unwrap();
    let ended = notice(Kind::Completed).job.unwrap().to_recognise();
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
    let unknown = notice(Kind::Ended).job.unwrap().to_recognise();
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
        let message = message_at(&notice, job_now, "2026-03-02T15:00:00Z");
        let email = message.form("email");
        let (first, _) = email.split_once("\n\nJob: ").unwrap();
        seen.push_str(&format!("{first}\n\n{}\n\n----\n", message.form("sms")));
    }
    insta::assert_snapshot!("late", seen);
}

#[test]
fn an_event_is_the_same_however_late_it_is_told() {
    let notice = notice(Kind::Stalled);
    let ended = Job::read(listed()).unwrap().to_recognise();
    let late = message_at(&notice, Some(JobNow::Same(&ended)), "2026-03-05T12:00:00Z");
    assert_eq!(late.form("default"), message(&notice).form("default"));
}

/// It is told of a job that goes on, and only from what is known.
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
        Some("about 2026-03-02 23:52 UTC, if it goes on as on average so far")
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
        let telling = Telling {
            name: name.as_ref(),
            now: at("2026-03-02T12:01:00Z"),
        };
        let mut notice = notice.clone();
        let job = notice.job.as_mut().unwrap();
        job.id = id.to_owned().try_into().unwrap();
        job.detector = Some(detector.to_owned());
        let told = Told {
            notice: &notice,
            job_now: None,
        };
        Message::of(&told, &telling).subject.unwrap().to_string()
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

#[test]
fn a_jobs_whole_story_is_one_thread() {
    let thread = |notice: &Notice| {
        let chat: Value = serde_json::from_str(message(notice).form("https")).unwrap();
        chat.pointer("/metadata/threadId").cloned()
    };
    let story = [Kind::Stalled, Kind::Reminder, Kind::Recovered, Kind::Failed];
    let threads: BTreeSet<_> = story
        .map(|kind| thread(&notice(kind)).unwrap().to_string())
        .into();
    assert_eq!(threads.len(), 1, "{threads:?}");
    let other = thread(&named("another", Kind::Stalled)).unwrap();
    assert!(!threads.contains(&other.to_string()));
    assert_eq!(thread(&notice(Kind::Began)), None);
    assert_eq!(thread(&notice(Kind::Test)), None);
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

fn validator(schema: &Value) -> Validator {
    let options = jsonschema::options().should_validate_formats(true);
    options.build(schema).unwrap()
}

static CUSTOM_NOTIFICATION: LazyLock<Validator> =
    LazyLock::new(|| validator(&custom_notification()));

fn assert_valid(validator: &Validator, document: &Value) {
    let faults: Vec<_> = validator
        .iter_errors(document)
        .map(|fault| format!("{fault} at {}", fault.instance_path()))
        .collect();
    assert!(faults.is_empty(), "{faults:#?} in {document:#}");
}

#[test]
fn the_chat_form_is_a_custom_notification() {
    let mut messages: Vec<_> = KINDS.map(|kind| message(&notice(kind))).into();
    messages.push(digests(&KINDS.map(notice)).remove(0).message);
    for message in messages {
        let chat = serde_json::from_str(message.form("https")).unwrap();
        assert_valid(&CUSTOM_NOTIFICATION, &chat);
    }
}

/// `INSTA_UPDATE=always` writes them anew.
#[test]
fn the_schemas_are_those_of_the_types() {
    for (file, schema) in [
        ("notice.v1.schema.json", schema::notice()),
        ("digest.v1.schema.json", schema::digest()),
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("events")
            .join(file);
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
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("events")
            .join(name);
        let schema = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        validator(&schema)
    };
    let (one, many) = (file("notice.v1.schema.json"), file("digest.v1.schema.json"));
    for kind in KINDS {
        let message = message(&notice(kind));
        let event = serde_json::from_str(message.form("default")).unwrap();
        assert_valid(&one, &event);
        let read: cloudevents::Event = serde_json::from_str(message.form("default")).unwrap();
        assert_eq!(read.id(), notice(kind).id.as_str());
        assert_eq!(
            read.ty(),
            format!("fraud-job-watch.batch-prediction.{kind}.v1")
        );
        assert_eq!(
            read.time().unwrap().timestamp(),
            notice(kind).happened_at.as_second()
        );
    }
    let digest = digests(&KINDS.map(notice)).remove(0).message;
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
    let notices = KINDS.map(notice);
    let digest = digests(&notices).remove(0);
    assert_eq!(digest.carries, Vec::from_iter(0..KINDS.len()));
    let events = digest.message.event["data"]["events"].as_array().unwrap();
    let alone: Vec<_> = notices.iter().map(|notice| message(notice).event).collect();
    assert_eq!(*events, alone);

    let mut other_order = notices.clone();
    other_order.reverse();
    let same = digests(&other_order).remove(0).message.event["id"].clone();
    assert_eq!(digest.message.event["id"], same);
    let fewer = digests(&notices[1..]).remove(0).message.event["id"].clone();
    assert_ne!(digest.message.event["id"], fewer);
}

#[test]
fn what_is_alone_is_no_digest() {
    let notices = [notice(Kind::Stalled)];
    let digests = digests(&notices);
    assert_eq!(digests.len(), 1);
    assert_eq!(digests[0].message, message(&notices[0]));
    assert!(self::digests(&[]).is_empty());
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
                let mut notice = named(&format!("job-{number}{id}"), Kind::Failed);
                let failed = ListedJob {
                    failure_reason: Some(reason.clone()),
                    ..listed()
                };
                notice.job.as_mut().unwrap().failure_reason =
                    Job::read(failed).unwrap().failure_reason;
                notice
            })
            .collect();
        let digests = digests(&notices);
        assert!(digests.len() <= most, "{} messages", digests.len());
        let carried: Vec<_> = digests.iter().flat_map(|it| it.carries.clone()).collect();
        assert_eq!(carried, Vec::from_iter(0..300));
        for Digest { message, carries } in &digests {
            assert!(bytes(message) <= PUBLISH_BYTES, "{} bytes", bytes(message));
            assert_eq!(
                message.event["data"]["events"].as_array().unwrap().len(),
                carries.len()
            );
            let listed = message.form("email").matches("FAILED job-").count();
            assert_eq!(listed, carries.len(), "a line for each");
            let chat = serde_json::from_str(message.form("https")).unwrap();
            assert_valid(&CUSTOM_NOTIFICATION, &chat);
        }
    }
}

/// The statuses are the service's text, and a notice must fit into the table and a message.
#[test]
fn any_number_of_statuses_makes_a_message_that_fits() {
    let source = notice(Kind::Began).source;
    let policy = Policy {
        stall_after: SignedDuration::from_hours(1),
        remind_after: None,
        notify_on: Kind::CHOICES.into(),
    };
    let Item::Watch(baseline) = first_baseline(at("2026-03-02T11:59:00Z"), "run").item else {
        panic!("not the watch")
    };
    let topic = |name| TopicArn::try_from(format!("arn:aws:sns:us-east-2:123456789012:{name}"));
    let topics = Topics {
        main: topic("jobs").unwrap(),
        urgent: None,
    };
    let context = RunContext {
        source: &source,
        policy: &policy,
        topics: &topics,
        baseline: &baseline,
        run: "run",
    };
    let mut statuses = StatusCounts::default();
    for n in 0..1_000 {
        statuses.add(&Status::from(format!("{n}{}", "\u{1}".repeat(1_000))));
    }
    let began = began(&context, at("2026-03-02T12:00:00Z"), 1_000, &statuses).notices;
    let counts = &began[0].found.as_ref().unwrap().by_status;
    assert_eq!(counts.values().sum::<u64>(), 1_000, "none is left out");
    assert_harmless(&message(&began[0]));
}

#[test]
fn the_smallest_forms_name_every_notice() {
    let notices = KINDS.map(notice);
    let lines: Vec<_> = notices
        .iter()
        .map(|notice| {
            let Body::Plain(line) = Message::smallest(notice, Some(&name())).body else {
                panic!("in forms")
            };
            assert!(line.is_ascii() && line.contains(notice.id.as_str()));
            line
        })
        .collect();
    let all: Vec<_> = notices.iter().collect();
    let smallest = Message::smallest_digest(&all, Some(&name()));
    assert_eq!(smallest.body, Body::Plain(lines.join("\n")));
}

/// It is what subscribers filter by, so a message without it would be lost to who does.
#[test]
fn every_message_has_its_severity_as_an_attribute() {
    let severity = |message: &Message| {
        let found = message
            .attributes
            .iter()
            .find(|(key, _)| *key == "severity");
        found.map(|(_, value)| value.clone())
    };
    let all = KINDS.map(notice);
    for one in &all {
        let expected = Some(one.kind.severity().as_str().to_owned());
        assert_eq!(severity(&message(one)), expected, "{}", one.kind);
        let smallest = Message::smallest(one, Some(&name()));
        assert_eq!(severity(&smallest), expected, "{}, smallest", one.kind);
        for other in &all {
            let many = [one.clone(), other.clone()];
            let is_bad = |notice: &Notice| notice.kind.severity().as_str() == "error";
            let worst = if many.iter().any(is_bad) {
                "error"
            } else {
                "info"
            };
            let digest = digests(&many).remove(0).message;
            assert_eq!(severity(&digest).as_deref(), Some(worst), "{many:?}");
            let smallest = Message::smallest_digest(&[one, other], Some(&name()));
            assert_eq!(severity(&smallest).as_deref(), Some(worst), "{many:?}");
        }
    }
}

#[test]
fn the_same_id_for_the_same_thing_and_another_for_any_other() {
    let source: Source = "arn:aws:frauddetector:us-east-2:123456789012:batch-prediction"
        .parse()
        .unwrap();
    let id = |job: &str, start: &str, kind, episode| {
        let job: JobId = job.to_owned().try_into().unwrap();
        NoticeId::new(&source, Some((&job, at(start))), kind, episode)
    };
    let start = START;
    let one = id("a", start, Kind::Stalled, "e");
    assert_eq!(one, id("a", start, Kind::Stalled, "e"));
    assert_eq!(one.as_str().len(), 64);
    for other in [
        id("b", start, Kind::Stalled, "e"),
        id("a", "2026-03-02T08:00:01Z", Kind::Stalled, "e"),
        id("a", start, Kind::Recovered, "e"),
        id("a", start, Kind::Stalled, "f"),
        id(
            "a\",\"2026-03-02T08:00:00Z\",\"stalled\",\"e",
            start,
            Kind::Stalled,
            "",
        ),
    ] {
        assert_ne!(one, other);
    }
}

#[test]
fn a_huge_reason_is_cut_on_a_character_and_its_size_is_told() {
    let reason = "ü".repeat(100_000);
    let job = Job::read(ListedJob {
        failure_reason: Some(reason),
        ..listed()
    })
    .unwrap();
    assert_eq!(
        (
            job.failure_reason.as_ref().unwrap().len(),
            job.failure_reason_bytes
        ),
        (8 * 1024, Some(200_000))
    );
    let message = message(&Notice {
        job: Some(job),
        ..notice(Kind::Failed)
    });
    assert!(message.form("email").contains("[cut; it had 200000 bytes]"));
}

/// What SNS counts: every form, as the JSON that it is sent in, and the attributes with their type.
fn bytes(message: &Message) -> usize {
    let Body::PerProtocol(forms) = &message.body else {
        panic!("not in forms")
    };
    let forms: serde_json::Map<_, _> = forms
        .iter()
        .map(|(key, form)| ((*key).to_owned(), form.as_str().into()))
        .collect();
    let attributes: usize = message
        .attributes
        .iter()
        .map(|(key, value)| key.len() + value.len() + "String".len())
        .sum();
    let subject = message.subject.as_ref().map_or(0, |it| it.as_str().len());
    Value::Object(forms).to_string().len() + attributes + subject
}

/// What is left of a text when its code spans are taken out.
fn outside_of_code(text: &str) -> String {
    text.split('`').step_by(2).collect()
}

/// In every form, that nothing from outside does more than be read.
fn assert_harmless(message: &Message) {
    assert!(bytes(message) <= PUBLISH_BYTES, "{} bytes", bytes(message));

    let email = message.form("email");
    assert!(!email.chars().any(|c| c.is_control() && c != '\n'));
    let lines = email.lines().count();
    assert!(lines < 40, "text from outside makes no lines: {lines}");

    let sms = message.form("sms");
    assert!((1..=140).contains(&sms.chars().count()), "{sms:?}");
    let single = |c: char| (c.is_ascii_graphic() || c == ' ') && !"`[]{}\\^|~".contains(c);
    assert!(sms.chars().all(single), "{sms:?}");

    let chat: Value = serde_json::from_str(message.form("https")).unwrap();
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

    for (_, value) in &message.attributes {
        assert!(!value.is_empty() && !value.chars().any(char::is_control));
    }
}

/// Text with the markup of every place in it, and `evil` in each piece of markup.
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
        kind in proptest::sample::select(&KINDS),
        incident in proptest::sample::select(&[None, Some(Incident::Open), Some(Incident::Resolved)]),
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
        let job = Job::read(listed).unwrap();
        let sample = notice(kind);
        let job = sample.job.as_ref().map(|_| job);
        let notice = Notice { job: job.clone(), incident, ..sample };
        assert_harmless(&message(&notice));
        let now = job.as_ref().map(JobNow::Same);
        assert_harmless(&message_at(&notice, now, "2026-04-02T12:01:00Z"));
        let several = [notice.clone(), notice];
        for digest in digests(&several) {
            assert_harmless(&digest.message);
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
        sample in (0..KINDS.len() + 1),
        counts in (0..i64::from(i32::MAX), 0..=i64::from(i32::MAX)),
    ) {
        let name: Option<WatchName> = name.map(|name| name.parse().unwrap());
        let telling = Telling { name: name.as_ref(), now: at("2026-03-02T12:01:00Z") };
        let place = if from_its_end { id.len() - 1 - place } else { place };
        let mut other = id.clone();
        let with = if id.as_bytes()[place] == b'x' { "y" } else { "x" };
        other.replace_range(place..=place, with);
        let sample = KINDS.get(sample).map_or_else(completed_in_part, |kind| notice(*kind));
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
            let message = Message::of(&Told { notice, job_now: None }, &telling);
            let chat: Value = serde_json::from_str(message.form("https")).unwrap();
            let title = chat["content"]["title"].as_str().unwrap().to_owned();
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
        let told = notices.each_ref().map(|notice| Told { notice, job_now: None });
        let digest = Message::digests(&told, &telling).remove(0).message;
        let email = digest.form("email");
        let lines: BTreeSet<_> = email.lines().filter(|line| line.contains(": ")).collect();
        prop_assert_eq!(lines.len(), email.lines().filter(|line| line.contains(": ")).count());
    }

    #[test]
    fn no_watch_name_breaks_a_message(name in "[ -Z^-~]{1,40}") {
        let name = name.parse().unwrap();
        let telling = Telling { name: Some(&name), now: at("2026-03-02T12:01:00Z") };
        for kind in KINDS {
            let notice = notice(kind);
            let message = Message::of(&Told { notice: &notice, job_now: None }, &telling);
            let chat: Value = serde_json::from_str(message.form("https")).unwrap();
            assert_valid(&CUSTOM_NOTIFICATION, &chat);
            prop_assert!(!chat["content"]["title"].as_str().unwrap().contains('<'));
            prop_assert!(message.form("sms").len() <= 140);
        }
    }
}
