//! What people and machines get of batch imports: each kind that one can have, in each form. `messages.rs` has what
//! forms do with any text.

use fraud_job_watch::message::{JobNow, Message};
use fraud_job_watch::watch::notice::thread;
use fraud_job_watch::watch::{Job, Kind, Notice, NoticeId, Severity, SourceKind, Status};
use serde_json::Value;

use crate::messages::{
    CUSTOM_NOTIFICATION, assert_harmless, assert_valid, at, beside_events, chat, closing, digest,
    first_lines, forms, in_short, late, message, notice, smallest, validator,
};

const ID: &str = "card_payments_2026_03_02";

/// Every kind but those of what is expected of a detector.
fn kinds() -> impl Iterator<Item = Kind> {
    let all = Kind::ALL.iter().copied();
    all.filter(|kind| ![Kind::Missing, Kind::Arrived].contains(kind))
}

/// A notice as the judge makes one of an import. Those that ended took 11 min 17 s, as the one import that was recorded
/// from the true service did.
fn of_import(kind: Kind) -> Notice {
    let sample = notice(kind);
    let source = sample.source.with_kind(SourceKind::BatchImports);
    let job = sample.job.map(|job| Job {
        id: ID.to_owned().try_into().unwrap(),
        started_at: Some(match job.end() {
            Some(_) => at("2026-03-02T11:15:24Z"),
            None => at("2026-03-02T08:00:00Z"),
        }),
        heartbeat_at: None,
        detector: None,
        detector_version: None,
        event_type: Some("card_payment".to_owned()),
        input_path: Some("s3://B/in/card_payments_2026_03_02.csv".to_owned()),
        output_path: Some("s3://B/out".to_owned()),
        processed_records: Some(match kind {
            Kind::Completed => 116_705,
            _ => 48_000,
        }),
        failed_records: Some(0),
        total_records: Some(116_705),
        ..job
    });
    let key = job.as_ref().map(|job| (&job.id, job.started_at.unwrap()));
    let thread = key.map(|(id, key)| thread(&source, id, key));
    Notice {
        id: NoticeId::new(&source, key, kind, "1"),
        thread: thread.filter(|_| kind != Kind::Test),
        silence: sample.silence.map(|mut silence| {
            silence.waiting = None;
            silence
        }),
        overdue: sample.overdue.map(|mut overdue| {
            overdue.since = at("2026-03-02T08:00:00Z");
            overdue.expected_end = Some(at("2026-03-02T16:20:00Z"));
            overdue
        }),
        found: sample.found.map(|mut found| {
            found.expects = Vec::new();
            found
        }),
        job,
        source,
        ..sample
    }
}

fn all() -> Vec<Notice> {
    kinds().map(of_import).collect()
}

/// Completed, but some of its records failed.
fn with_failures(processed: u64, failed: u64) -> Notice {
    let mut notice = of_import(Kind::Completed);
    let job = notice.job.as_mut().unwrap();
    (job.processed_records, job.failed_records) = (Some(processed), Some(failed));
    notice
}

fn with_job(mut notice: Notice, change: impl FnOnce(&mut Job)) -> Notice {
    notice.job.as_mut().map(change).unwrap();
    notice
}

/// What a kind can also be, by a name.
fn variants() -> Vec<(&'static str, Notice)> {
    let overdue = Notice {
        overdue: of_import(Kind::Overdue).overdue.map(|mut overdue| {
            overdue.expected_end = None;
            overdue
        }),
        ..of_import(Kind::Overdue)
    };
    vec![
        ("completed, one record failed", with_failures(116_705, 1)),
        (
            "completed, some failed and some are missing",
            with_failures(116_000, 12),
        ),
        ("completed in part", with_failures(116_000, 0)),
        (
            "completed, one failed, closing",
            closing(with_failures(116_705, 1)),
        ),
        (
            "failed without a reason, some records failed",
            with_job(of_import(Kind::Failed), |job| {
                (job.failure_reason, job.failed_records) = (None, Some(311));
            }),
        ),
        (
            "could not be created",
            with_job(of_import(Kind::Failed), |job| {
                job.status = Status::from("CREATE_FAILED".to_owned());
                job.failure_reason = Some("The role cannot read the file.".to_owned());
                (job.processed_records, job.failed_records) = (None, None);
                job.total_records = None;
            }),
        ),
        (
            "overdue, nothing counted yet",
            with_job(overdue, |job| {
                job.status = Status::Initializing;
                (job.processed_records, job.failed_records) = (None, None);
                job.total_records = None;
            }),
        ),
        (
            "listed again",
            Notice {
                silence: None,
                ..of_import(Kind::Recovered)
            },
        ),
        (
            "vanished, replaced",
            Notice {
                incident: None,
                ..of_import(Kind::Vanished)
            },
        ),
    ]
}

#[test]
fn every_kind_in_every_form() {
    for kind in kinds() {
        insta::assert_snapshot!(kind.as_str(), forms(&message(&of_import(kind))));
    }
    let one_failed = message(&with_failures(116_705, 1));
    insta::assert_snapshot!("completed_with_failures", forms(&one_failed));
}

#[test]
fn what_a_kind_can_also_be() {
    insta::assert_snapshot!("variants", in_short(variants()));
}

#[test]
fn a_digest_in_every_form() {
    let mut notices = all();
    notices.extend(variants().into_iter().map(|(_, notice)| notice));
    let mut digest = digest(&notices);
    // Each is a golden of its own.
    digest.event["data"]["events"] = format!("{} events", notices.len()).into();
    insta::assert_snapshot!("digest", forms(&digest));
}

#[test]
fn a_late_notice_says_what_has_become_of_its_import() {
    let stalled = of_import(Kind::Stalled);
    let then = stalled.job.clone().unwrap();
    let ended = of_import(Kind::Completed).job.unwrap().identity_only();
    let moved = Job {
        processed_records: Some(50_000),
        ..then.clone()
    };
    let another = Job {
        started_at: Some(at("2026-03-02T13:00:00Z")),
        ..then
    };
    let cases = [
        (&stalled, JobNow::Same(&ended)),
        (&stalled, JobNow::Same(&moved)),
        (&stalled, JobNow::Another(&another)),
        (&of_import(Kind::Vanished), JobNow::Same(&moved)),
    ];
    let seen = cases.map(|(notice, job_now)| {
        let message = late(notice, Some(job_now));
        let (first, sms) = (first_lines(&message), message.form("sms"));
        format!("{first}\n\n{sms}\n")
    });
    insta::assert_snapshot!("late", seen.join("\n----\n"));
}

/// The count is in the subject and the headline, it is a warning wherever its severity is said, and it says where to
/// look.
#[test]
fn a_completed_import_with_failed_records_warns() {
    for (failed, words) in [(1, "1 record failed"), (311, "311 records failed")] {
        let notice = with_failures(116_705, failed);
        let message = message(&notice);
        let subject = message.subject.as_ref().unwrap().to_string();
        assert_eq!(subject, format!("[payments] Completed, {words}: {ID}"));
        let email = message.form("email");
        let headline = format!(
            "Batch import {ID} completed in 11 min 17 s, but {words}: 116705 of 116705 records (100%)."
        );
        assert_eq!(email.lines().next(), Some(headline.as_str()));
        assert!(email.contains("- See the error log in the output location: "));
        assert!(message.form("sms").contains(words));
        assert_eq!(message.event["data"]["severity"], "warning");
        assert_eq!(message.event["data"]["job"]["failed_records"], failed);
        assert_eq!(
            chat(&message)["metadata"]["additionalContext"]["severity"],
            "warning"
        );
        let alone = smallest(std::slice::from_ref(&notice));
        let with_others = digest(&[of_import(Kind::Completed), notice.clone()]);
        for message in [&message, &alone, &with_others] {
            let warning = ("severity", "warning".to_owned());
            assert!(message.attributes.contains(&warning), "{message:?}");
        }
    }
    assert_eq!(with_failures(116_705, 0).severity(), Severity::Info);
    let failed = with_job(of_import(Kind::Failed), |job| {
        job.failed_records = Some(311)
    });
    assert_eq!(failed.severity(), Severity::Error);
}

/// They are of batch imports, and none of them speaks of jobs, queues, heartbeats or detectors.
#[test]
fn an_import_is_never_called_a_job() {
    let variants = variants().into_iter().map(|(_, notice)| notice);
    let notices: Vec<_> = all().into_iter().chain(variants).collect();
    let messages = notices.iter().map(message).chain([digest(&notices)]);
    for message in messages {
        let chat = chat(&message);
        let mut said = format!("{}\n", message.subject.as_ref().unwrap());
        for text in [message.form("email"), message.form("sms")] {
            said.push_str(text);
        }
        for part in ["title", "description", "nextSteps", "keywords"] {
            said.push_str(&chat["content"][part].to_string());
        }
        let said = said.to_lowercase().replace("test_job", "");
        for word in [
            "job",
            "predict",
            "detector",
            "heartbeat",
            "queue",
            "waiting",
        ] {
            // The console, the service and the product have these names.
            let said = ["fraud-job-watch", "fraud detector", "frauddetector"]
                .iter()
                .fold(said.clone(), |said, name| said.replace(name, ""));
            assert!(!said.contains(word), "{word} in {said}");
        }
        assert_valid(&CUSTOM_NOTIFICATION, &chat);
        assert_harmless(&message);
    }
}

#[test]
fn every_event_is_what_the_schema_of_imports_says_and_none_that_of_predictions() {
    let file = |name: &str| {
        let text = std::fs::read_to_string(beside_events(name)).unwrap();
        validator(&serde_json::from_str(&text).unwrap())
    };
    let (one, many) = (
        file("batch-import.notice.v1.schema.json"),
        file("batch-import.digest.v1.schema.json"),
    );
    let (prediction, predictions) = (file("notice.v1.schema.json"), file("digest.v1.schema.json"));
    let variants = variants().into_iter().map(|(_, notice)| notice);
    let notices: Vec<_> = all().into_iter().chain(variants).collect();
    let event =
        |message: &Message| -> Value { serde_json::from_str(message.form("default")).unwrap() };
    for notice in &notices {
        let event = event(&message(notice));
        assert_valid(&one, &event);
        assert!(!prediction.is_valid(&event), "{event:#}");
        let expected = format!("fraud-job-watch.batch-import.{}.v1", notice.kind);
        assert_eq!(event["type"], expected);
        let source = "arn:aws:frauddetector:us-east-2:123456789012:batch-import";
        assert_eq!(event["source"], source);
    }
    let digest = event(&digest(&notices));
    assert_valid(&many, &digest);
    assert!(!predictions.is_valid(&digest));
    assert_eq!(digest["type"], "fraud-job-watch.batch-import.digest.v1");

    let of_prediction = event(&message(&notice(Kind::Completed)));
    assert!(prediction.is_valid(&of_prediction) && !one.is_valid(&of_prediction));
}

/// An import and a job of the same name, start and end are two things to whoever remembers ids or threads.
#[test]
fn an_import_shares_no_id_with_a_job_of_its_name() {
    let import = of_import(Kind::Stalled);
    let job = import.job.as_ref().unwrap();
    let (id, start) = (&job.id, job.started_at.unwrap());
    let of_predictions = import.source.with_kind(SourceKind::BatchPredictions);
    let of_job = NoticeId::new(&of_predictions, Some((id, start)), import.kind, "1");
    assert_ne!(import.id, of_job);
    assert_ne!(import.thread, Some(thread(&of_predictions, id, start)));
}
