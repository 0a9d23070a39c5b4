//! What people and machines get: each kind in each form, and that untrusted text stays text.

use fraud_job_watch::message::{Body, Message, Subject, Telling, Told};
use fraud_job_watch::watch::notice::{Found, Silence};
use fraud_job_watch::watch::{Job, Kind, Listed, Notice, NoticeId, Source};
use jiff::Timestamp;
use proptest::prelude::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn listed() -> Listed {
    let text = |text: &str| Some(text.to_owned());
    Listed {
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
        ..Listed::default()
    }
}

fn notice(kind: Kind) -> Notice {
    let source: Source = "arn:aws:frauddetector:us-east-2:123456789012:batch-prediction"
        .parse()
        .unwrap();
    let end = |status: &str| Listed {
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
            Some(Listed {
                processed_records_count: Some(5_000),
                ..end("COMPLETE")
            }),
            None,
        ),
        Kind::Failed => {
            let failure_reason =
                Some("Access denied <!channel>\r\nReply-To: x \u{1b}[2J & *more*".to_owned());
            (
                Some(Listed {
                    failure_reason,
                    ..end("FAILED")
                }),
                None,
            )
        }
        Kind::Canceled => (Some(end("CANCELED")), None),
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
            job.as_ref().map(|job| (&job.id, job.started_at)),
            kind,
            "episode",
        ),
        kind,
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

const KINDS: [Kind; 9] = [
    Kind::Began,
    Kind::Completed,
    Kind::Failed,
    Kind::Stalled,
    Kind::Recovered,
    Kind::Canceled,
    Kind::Vanished,
    Kind::Reminder,
    Kind::Test,
];

fn message(notice: &Notice) -> Message {
    let told = Told {
        notice,
        job_now: None,
    };
    let telling = Telling {
        name: Some(&"payments".parse().unwrap()),
        now: at("2026-03-02T12:01:00Z"),
    };
    Message::of(&told, &telling)
}

#[test]
fn every_kind_in_every_form() {
    for kind in KINDS {
        let message = message(&notice(kind));
        let subject = message.subject.as_ref().unwrap();
        insta::assert_snapshot!(
            format!("{kind}-email"),
            format!("Subject: {subject}\n\n{}", message.form("email"))
        );
        insta::assert_json_snapshot!(format!("{kind}-event"), message.event);
        assert_eq!(
            message.form("sqs"),
            message.event.to_string(),
            "the event is the default"
        );
    }
}

#[test]
fn the_same_id_for_the_same_thing_and_another_for_any_other() {
    let source: Source = "arn:aws:frauddetector:us-east-2:123456789012:batch-prediction"
        .parse()
        .unwrap();
    let id = |job: &str, start: Option<&str>, kind, episode| {
        let job = job.to_owned().try_into().unwrap();
        NoticeId::new(&source, Some((&job, start.map(at))), kind, episode)
    };
    let start = Some("2026-03-02T08:00:00Z");
    let one = id("a", start, Kind::Stalled, "e");
    assert_eq!(one, id("a", start, Kind::Stalled, "e"));
    assert_eq!(one.as_str().len(), 64);
    for other in [
        id("b", start, Kind::Stalled, "e"),
        id("a", None, Kind::Stalled, "e"),
        id("a", start, Kind::Recovered, "e"),
        id("a", start, Kind::Stalled, "f"),
        id(
            "a\",\"2026-03-02T08:00:00Z\",\"stalled\",\"e",
            None,
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
    let job = Job::read(Listed {
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

/// What SNS counts: every form, as the JSON that it is sent in, and the attributes.
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
        .map(|(key, value)| key.len() + value.len() + 6)
        .sum();
    serde_json::Value::Object(forms).to_string().len() + attributes
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
        id in "\\PC{1,200}|[\\x00-\\x1f]{1,200}",
        reason in proptest::option::of("[\\x00-\\x1f\u{80}-\u{9f}\u{202e}\"\\\\a]{0,9000}"),
        path in proptest::option::of("[\\x00-\\x7f]{0,2000}"),
        detector in proptest::option::of(any::<String>()),
    ) {
        let listed = Listed {
            job_id: Some(id),
            failure_reason: reason,
            input_path: path.clone(),
            output_path: path,
            detector_name: detector,
            ..listed()
        };
        let job = Job::read(listed);
        prop_assume!(job.is_ok());
        for kind in [Kind::Failed, Kind::Stalled] {
            let message = message(&Notice { job: job.clone().ok(), ..notice(kind) });
            prop_assert!(bytes(&message) <= 262_144, "{} bytes", bytes(&message));
            let email = message.form("email");
            prop_assert!(!email.chars().any(|c| c.is_control() && c != '\n'));
            let lines = email.lines().count();
            prop_assert!(lines < 40, "text from outside makes no lines of its own: {lines}");
            for (_, value) in &message.attributes {
                prop_assert!(!value.is_empty() && !value.chars().any(char::is_control));
            }
        }
    }
}
