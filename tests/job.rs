//! How a listed job is read: leniently, and within bounds.

use fraud_job_watch::watch::job::{End, ID_BYTES, REASON_BYTES, TEXT_BYTES, time};
use fraud_job_watch::watch::{Job, JobId, ListedJob, Status, Unreadable};

use crate::judge::{at, job};

fn read(change: impl Fn(&mut ListedJob)) -> Result<Job, Unreadable> {
    let mut listed = ListedJob {
        job_id: Some("j".to_owned()),
        ..ListedJob::default()
    };
    change(&mut listed);
    Job::from_listed(listed)
}

#[test]
fn a_status_is_read_whatever_its_case_and_an_unknown_one_is_kept_as_it_is() {
    for (text, right) in [
        ("IN_PROGRESS_INITIALIZING", Status::Initializing),
        ("in_progress", Status::InProgress),
        ("Cancel_In_Progress", Status::CancelInProgress),
        ("canceled", Status::Canceled),
        ("COMPLETE", Status::Complete),
        ("failed", Status::Failed),
    ] {
        let status = Status::from(text.to_owned());
        assert_eq!(status, right);
        assert_eq!(
            (status.name(), String::from(status.clone())),
            (right.as_str(), text.to_uppercase())
        );
        assert_eq!(status.to_string(), text.to_uppercase());
    }
    let other = Status::from("Paused".to_owned());
    assert_eq!(other, Status::Other("Paused".to_owned()));
    assert_eq!(
        (other.name(), String::from(other.clone())),
        ("Paused", "Paused".to_owned())
    );
    let missing = read(|_| ()).unwrap().status;
    assert_eq!((missing.name(), missing.as_str()), ("(none)", ""));
    assert_eq!(String::from(missing), "");
}

#[test]
fn only_a_known_end_or_an_unknown_one_with_a_completion_time_is_an_end() {
    for (status, end, end_with_a_time) in [
        ("IN_PROGRESS_INITIALIZING", None, None),
        ("IN_PROGRESS", None, None),
        ("CANCEL_IN_PROGRESS", None, None),
        ("COMPLETE", Some(End::Completed), Some(End::Completed)),
        ("FAILED", Some(End::Failed), Some(End::Failed)),
        ("CANCELED", Some(End::Canceled), Some(End::Canceled)),
        ("EXPIRED", None, Some(End::Unknown)),
        ("", None, None),
    ] {
        let mut job = job(status, "08:04", 1);
        assert_eq!((job.end(), job.is_unclear()), (end, false), "{status}");
        job.completed_at = Some(at("08:30"));
        assert_eq!(
            (job.end(), job.is_unclear()),
            (end_with_a_time, status.is_empty()),
            "{status}"
        );
    }
}

#[test]
fn times_that_cannot_be_are_absent() {
    // Status, start, heartbeat and end, and which of the three times are left at 09:00.
    let ages = "2018-12-31T23:59:59Z";
    for (status, start, heartbeat, end, left) in [
        ("FAILED", "08:00", "08:01", "08:02", "all"),
        ("FAILED", "08:00", "08:00", "08:00", "all"),
        ("FAILED", "09:05", "09:05", "09:05", "all"),
        ("FAILED", "09:05:01", "08:01", "08:02", "heartbeat, end"),
        ("FAILED", "08:00", "09:05:01", "08:02", "start, end"),
        ("FAILED", "08:00", "08:01", "09:05:01", "start, heartbeat"),
        ("FAILED", "08:00", "08:01", "07:59", "start, heartbeat"),
        ("FAILED", ages, ages, ages, "none"),
        // It is kept to know it again.
        ("IN_PROGRESS", "08:00", "18:00", "08:02", "all"),
        ("IN_PROGRESS", "08:00", ages, "08:02", "start, end"),
        (
            "IN_PROGRESS",
            "2019-01-01T00:00:00Z",
            "2019-01-01T00:00:00Z",
            "2019-01-01T00:00:00Z",
            "all",
        ),
        // A start with a fraction of a second, and an end in the same one without.
        (
            "COMPLETE",
            "2026-03-02T08:00:00.417Z",
            "08:00",
            "08:00",
            "all",
        ),
    ] {
        let moment = |text: &str| time(text).unwrap_or_else(|| at(text));
        let mut job = job(status, "08:00", 1);
        job.started_at = Some(moment(start));
        job.heartbeat_at = Some(moment(heartbeat));
        job.completed_at = Some(moment(end));
        let seen = job.plausible_at(at("09:00"));
        let times = [
            ("start", seen.started_at),
            ("heartbeat", seen.heartbeat_at),
            ("end", seen.completed_at),
        ];
        let names: Vec<_> = times
            .into_iter()
            .filter_map(|(name, at)| at.map(|_| name))
            .collect();
        let is = match names.len() {
            0 => "none".to_owned(),
            3 => "all".to_owned(),
            _ => names.join(", "),
        };
        assert_eq!(is, left, "{status} {start} {heartbeat} {end}");
    }
}

#[test]
fn a_job_has_an_id_of_its_own_or_from_its_arn_that_can_be_a_key() {
    let arn = |id: &str| {
        Some(format!(
            "arn:aws:frauddetector:eu-west-1:123456789012:batch-prediction/{id}"
        ))
    };
    let id = |own: Option<&str>, arn: Option<String>| {
        let own = own.map(str::to_owned);
        read(|listed| (listed.job_id, listed.arn) = (own.clone(), arn.clone()))
            .map(|job| job.id.to_string())
    };
    assert_eq!(id(Some("a"), arn("b")), Ok("a".to_owned()));
    assert_eq!(id(Some(""), arn("b/c")), Ok("b/c".to_owned()));
    assert_eq!(
        id(None, Some("arn:aws:s3:::b".to_owned())),
        Err(Unreadable::Nameless)
    );
    assert_eq!(id(None, None), Err(Unreadable::Nameless));
    let longest = "x".repeat(ID_BYTES);
    assert_eq!(id(Some(&longest), None), Ok(longest.clone()));
    let begins = "x".repeat(40);
    let refused = Unreadable::LongId {
        bytes: ID_BYTES + 1,
        begins,
    };
    assert_eq!(id(Some(&format!("{longest}x")), None), Err(refused));
    let as_key = JobId::try_from("a".to_owned()).unwrap();
    assert_eq!(
        (as_key.as_str(), String::from(as_key.clone())),
        ("a", "a".to_owned())
    );
}

#[test]
fn text_is_cut_on_a_character_and_a_count_below_zero_is_none() {
    assert_eq!((REASON_BYTES, TEXT_BYTES, ID_BYTES), (8_192, 1_024, 1_000));
    let reason = |text: String| {
        let job = read(|listed| listed.failure_reason = Some(text.clone())).unwrap();
        (job.failure_reason.unwrap().len(), job.failure_reason_bytes)
    };
    assert_eq!(reason("x".repeat(8_192)), (8_192, None));
    assert_eq!(reason("x".repeat(8_193)), (8_192, Some(8_193)));
    assert_eq!(reason("€".repeat(3_000)), (8_190, Some(9_000)));
    let job = read(|listed| {
        listed.status = Some("s".repeat(2_000));
        listed.detector_name = Some("d".repeat(2_000));
        listed.processed_records_count = Some(-1);
        listed.total_records_count = Some(7);
    });
    let job = job.unwrap();
    assert_eq!(
        (job.status.as_str().len(), job.detector.unwrap().len()),
        (1_024, 1_024)
    );
    assert_eq!((job.processed_records, job.total_records), (None, Some(7)));
}

#[test]
fn times_are_read_leniently() {
    for text in [
        "2026-03-02T08:00:00Z",
        "2026-03-02T09:00:00+01:00",
        "2026-03-02T08:00:00.000Z",
        "2026-03-02T08:00:00",
    ] {
        assert_eq!(time(text), Some(at("08:00")), "{text}");
    }
    for text in ["", "yesterday", "1772438400"] {
        let seen = read(|listed| listed.start_time = Some(text.to_owned()));
        assert_eq!(seen.unwrap().started_at, None, "{text}");
    }
}

#[test]
fn what_a_view_lacks_is_taken_from_the_one_before_but_for_how_it_ended() {
    let whole = |text: &str, moment: &str, count: u64| {
        let text = || Some(text.to_owned());
        Job {
            started_at: Some(at(moment)),
            heartbeat_at: Some(at(moment)),
            completed_at: Some(at(moment)),
            processed_records: Some(count),
            failed_records: Some(count),
            total_records: Some(count),
            failure_reason: text(),
            detector: text(),
            detector_version: text(),
            event_type: text(),
            input_path: text(),
            output_path: text(),
            arn: text(),
            ..read(|_| ()).unwrap()
        }
    };
    let (before, now) = (whole("before", "08:00", 1), whole("now", "09:00", 2));
    assert_eq!(now.clone().fill_missing_from(&before), now);
    let bare = read(|listed| listed.status = Some("FAILED".to_owned())).unwrap();
    let right = Job {
        status: Status::Failed,
        completed_at: None,
        failure_reason: None,
        ..before.clone()
    };
    assert_eq!(bare.fill_missing_from(&before), right);
}
