//! What follows from all that a run observed: who was missed, who was silent for too long, how many have which status.

use std::collections::BTreeMap;

use fraud_job_watch::watch::notice::Overdue;
use fraud_job_watch::watch::{
    Item, Job, JobId, Kind, Observation, Observed, OverdueAfter, Phase, Record, SourceKind, Status,
    StatusCounts, judge, judge_active_jobs,
};
use jiff::{SignedDuration, Timestamp};

use crate::judge::{Story, at, job};

const WAITS: &str = "IN_PROGRESS_INITIALIZING";
const RUNS: &str = "IN_PROGRESS";

/// A job that started at 08:00, as it is seen: its id, its status and its last heartbeat.
type Seen = (&'static str, &'static str, &'static str);

fn job_id(id: &str) -> JobId {
    id.to_owned().try_into().unwrap()
}

fn seen((id, status, heartbeat): Seen) -> Job {
    let mut job = job(status, heartbeat, 0);
    job.id = job_id(id);
    job
}

/// The records of jobs that were first seen at 08:05.
fn records(jobs: &[Seen]) -> BTreeMap<JobId, Record> {
    let story = Story::new();
    let record = |job: &Seen| {
        let change = judge::judge(None, &seen(*job), &story.context(at("08:05"))).unwrap();
        let Item::Job(record) = change.item else {
            panic!("not a job")
        };
        (record.job.id.clone(), *record)
    };
    jobs.iter().map(record).collect()
}

fn observed(jobs: &[Seen], now: Timestamp, is_complete: bool) -> Observed {
    let mut observed = Observed::default();
    observed.is_complete = is_complete;
    for job in jobs {
        observed.add(seen(*job), true, &Story::new().context(now));
    }
    observed
}

#[test]
fn silences_are_found_when_the_listing_has_ended() {
    let (a, b) = (("a", RUNS, "08:04"), ("b", RUNS, "08:04"));
    let waits = ("w", WAITS, "08:00");
    // What is recorded, what is seen at 09:30, whether that is all there is, and who is stalled, with how many waiting.
    for (recorded, seen, is_complete, stalled) in [
        (
            &[a, b][..],
            &[a, b][..],
            true,
            &[("a", Some(0)), ("b", Some(0))][..],
        ),
        (&[a, b], &[("a", RUNS, "09:29"), b], true, &[("b", Some(0))]),
        (
            &[a, b],
            &[("a", "COMPLETE", "08:04"), b],
            true,
            &[("b", Some(0))],
        ),
        // Only what is seen is silent.
        (&[a, b], &[b], true, &[("b", Some(0))]),
        (&[a, b], &[], true, &[]),
        (&[], &[a], true, &[]),
        // Who waits for another is not.
        (&[a, waits], &[a, waits], true, &[("a", Some(1))]),
        (&[a, waits], &[waits], true, &[]),
        (&[waits], &[waits], true, &[("w", Some(0))]),
        // An incomplete listing does not say who waits.
        (&[a, waits], &[a, waits], false, &[("a", None)]),
        (&[waits], &[waits], false, &[]),
    ] {
        let (records, now) = (records(recorded), at("09:30"));
        let observed = observed(seen, now, is_complete);
        let story = Story::new();
        let silences = judge_active_jobs(&observed, &records, &story.context(now));
        let told: Vec<_> = silences
            .iter()
            .map(|(observation, change)| {
                let [notice] = &change.notices[..] else {
                    panic!("{:?}", change.notices)
                };
                assert_eq!(notice.kind, Kind::Stalled);
                assert_eq!(
                    change.item.key().to_string(),
                    format!("job#{}", observation.id())
                );
                let waiting = notice.silence.as_ref().unwrap().waiting;
                (observation.id().as_str(), waiting)
            })
            .collect();
        assert_eq!(told, stalled, "{recorded:?} {seen:?} {is_complete}");
    }
}

#[test]
fn what_was_observed_is_judged_again_against_what_another_run_left() {
    let a = ("a", RUNS, "08:04");
    let (records, now) = (records(&[a]), at("09:30"));
    let observed = observed(&[a], now, true);
    let story = Story::new();
    let silences = judge_active_jobs(&observed, &records, &story.context(now));
    let [(observation, change)] = &silences[..] else {
        panic!("{silences:?}")
    };
    let Item::Job(stalled) = &change.item else {
        panic!("not a job")
    };
    let mut later = records[observation.id()].clone();
    later.rev = 7;
    let again = observation
        .judge(Some(&later), &story.context(now))
        .unwrap();
    assert_eq!(again.item.rev(), 8);
    assert_eq!(observation.judge(Some(stalled), &story.context(now)), None);
    for gone in [
        observation.clone(),
        Observation::Absent(observation.id().clone(), now),
    ] {
        assert_eq!(gone.judge(None, &story.context(now)), None);
    }
}

#[test]
fn who_is_recorded_as_active_and_was_not_seen_is_missed() {
    let all = [
        ("active", RUNS, "08:04"),
        ("ended", RUNS, "08:03"),
        ("missed", RUNS, "08:04"),
        ("statusless", RUNS, "08:04"),
    ];
    let now = at("09:30");
    let mut records = records(&all);
    let seen = [
        all[0],
        ("ended", "COMPLETE", "08:03"),
        ("statusless", "", "08:02"),
    ];
    let observed = observed(&seen, now, true);
    let missed = observed.missed(&records);
    assert_eq!(
        missed.iter().map(JobId::as_str).collect::<Vec<_>>(),
        ["missed"]
    );
    assert_eq!(
        observed.oldest_sign_of_life(&records, now),
        Some(at("08:04"))
    );
    // Who is recorded as active, and no other.
    for record in records.values_mut() {
        record.phase = Phase::Ended;
    }
    assert_eq!(observed.oldest_sign_of_life(&records, now), None);
}

#[test]
fn what_ended_before_the_watch_began_or_long_ago_and_has_no_record_is_history() {
    let ended = |time| Job {
        completed_at: Some(at(time)),
        ..seen(("a", "COMPLETE", "08:04"))
    };
    let timeless = Job {
        started_at: None,
        heartbeat_at: None,
        ..seen(("a", "COMPLETE", "08:04"))
    };
    let (lately, long_after) = (
        at("09:30"),
        at("09:30") + SignedDuration::from_hours(30 * 24),
    );
    for (job, now, has_record, is_judged) in [
        (ended("07:00"), lately, false, false),
        (ended("07:01"), lately, false, true),
        (ended("07:00"), lately, true, true),
        (ended("09:30"), long_after, false, false),
        (ended("09:31"), long_after, false, true),
        (ended("09:30"), long_after, true, true),
        (timeless, long_after, false, true),
        (seen(("a", RUNS, "08:04")), long_after, false, true),
    ] {
        let (case, story) = (format!("{job:?} {now} {has_record}"), Story::new());
        let sighting = Observed::default().add(job, has_record, &story.context(now));
        assert_eq!(sighting.is_some(), is_judged, "{case}");
    }
}

#[test]
fn the_statuses_that_are_told_apart_have_a_bound_and_known_ones_always_are() {
    let mut statuses = StatusCounts::default();
    let count = |statuses: &mut StatusCounts, status: &str, times| {
        for _ in 0..times {
            statuses.add(&Status::from(status.to_owned()));
        }
    };
    for n in 1..=24 {
        count(&mut statuses, &format!("S{n:02}"), n);
    }
    count(&mut statuses, "S20", 1);
    count(&mut statuses, "FAILED", 2);
    let by_status = statuses.by_status();
    assert_eq!(
        (by_status.len(), by_status["S20"], by_status["FAILED"]),
        (22, 21, 2)
    );
    assert_eq!(by_status["(others)"], 21 + 22 + 23 + 24);
}

/// What is recorded as active stands in place of a completed job only if nothing else was seen of it.
#[test]
fn a_detector_has_the_active_jobs_that_a_listing_misses() {
    let (a, now) = (("a", RUNS, "08:04"), at("09:30"));
    let records = records(&[a]);
    for (seen_as, instead) in [(None, Some("a")), (Some("COMPLETE"), None)] {
        let mut observed =
            Observed::new(SourceKind::BatchPredictions, ["*".to_owned()].into_iter());
        if let Some(status) = seen_as {
            let mut job = seen(("a", status, "08:04"));
            job.completed_at = Some(at("09:00"));
            observed.add(job, true, &Story::new().context(now));
        }
        let detectors = observed.detectors(&records);
        let job = detectors["*"].instead(at("08:00"));
        assert_eq!(job.map(|job| job.id.as_str()), instead);
    }
}

#[test]
fn what_is_overdue_says_how_long_it_took_and_when_it_will_be_done() {
    let (now, mut story) = (at("09:00"), Story::new());
    story.policy.overdue_after = OverdueAfter::After(SignedDuration::from_mins(50));
    let records = records(&[("a", RUNS, "08:04")]);
    let mut observed = Observed::default();
    let mut job = seen(("a", RUNS, "08:59"));
    (job.processed_records, job.total_records) = (Some(40), Some(100));
    observed.add(job, true, &story.context(now));
    let mut before = seen(("b", "COMPLETE", "08:00"));
    before.completed_at = Some(at("08:06"));
    observed.add(before, false, &story.context(now));
    let changes = judge_active_jobs(&observed, &records, &story.context(now));
    let [(_, change)] = &changes[..] else {
        panic!("{changes:?}")
    };
    let expected = Overdue {
        since: at("08:06"),
        taken_s: 54 * 60,
        limit_s: 50 * 60,
        usual: None,
        expected_end: Some(at("10:21")),
    };
    let notice = &change.notices[0];
    assert_eq!(notice.kind, Kind::Overdue);
    assert_eq!(notice.happened_at, at("08:56"));
    assert_eq!(notice.overdue, Some(expected));
}
