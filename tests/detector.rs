//! What a run sees of the jobs of a detector: what completed last, and what there is in place of a completed job.

use fraud_job_watch::watch::detector::{Completion, DetectorJobs};
use fraud_job_watch::watch::job::End;
use fraud_job_watch::watch::{Job, Phase, Predecessor};

use crate::judge::{Story, at, job};

/// A job that started at 08:00 and was seen to be so at a time.
fn it(id: &str, status: &str, time: &str) -> Job {
    let mut it = job(status, time, 10);
    it.id = id.to_owned().try_into().unwrap();
    if status != "IN_PROGRESS" && !status.ends_with("ING") && status != "CANCEL_IN_PROGRESS" {
        it.completed_at = Some(at(time));
    }
    it
}

fn seen(jobs: &[(&str, &str, &str)]) -> DetectorJobs {
    let mut seen = DetectorJobs::default();
    for (id, status, time) in jobs {
        seen.add(&it(id, status, time));
    }
    seen
}

#[test]
fn the_two_that_completed_last_are_known_whatever_the_order() {
    let jobs = [
        ("b", "COMPLETE", "08:20"),
        ("d", "COMPLETE", "08:40"),
        ("a", "COMPLETE", "08:10"),
        ("c", "COMPLETE", "08:30"),
        ("c", "COMPLETE", "08:30"),
        ("f", "FAILED", "08:50"),
    ];
    for turn in 0..jobs.len() {
        let mut jobs = jobs;
        jobs.rotate_left(turn);
        let seen = seen(&jobs);
        let ids: Vec<_> = seen.completed().map(|it| it.job_id.as_str()).collect();
        assert_eq!(ids, ["d", "c"], "{turn}");
    }
}

/// One that has begun, or else one that failed in the time that counts, or else one that waits.
#[test]
fn the_nearest_to_a_completed_job_stands_in_its_place() {
    let (waits, runs) = (
        ("w", "IN_PROGRESS_INITIALIZING", "08:30"),
        ("r", "IN_PROGRESS", "08:30"),
    );
    let (cancels, early, late) = (
        ("x", "CANCEL_IN_PROGRESS", "08:30"),
        ("e", "FAILED", "08:10"),
        ("l", "FAILED", "08:40"),
    );
    let done = ("d", "COMPLETE", "08:45");
    let canceled = ("c", "CANCELED", "08:45");
    // It has a completion time, and nobody knows what became of it.
    let unclear = ("u", "", "08:45");
    for (jobs, since, expected) in [
        (
            &[waits, cancels, runs, early, late, done][..],
            "08:00",
            Some("r"),
        ),
        (&[runs, cancels, waits], "08:00", Some("r")),
        (&[cancels, late, waits], "08:00", Some("x")),
        (&[waits, late, early], "08:00", Some("l")),
        (&[early, waits, late], "08:39", Some("l")),
        (&[late, waits], "08:40", Some("w")),
        // Of two alike the first that was seen.
        (&[runs, ("s", "IN_PROGRESS", "08:50")], "08:00", Some("r")),
        (&[late, ("m", "FAILED", "08:40")], "08:00", Some("l")),
        (&[early, done, canceled, unclear], "08:10", None),
    ] {
        let seen = seen(jobs);
        let instead = seen.instead(at(since)).map(|job| job.id.as_str());
        assert_eq!(instead, expected, "{jobs:?} since {since}");
    }
}

#[test]
fn the_end_of_a_running_job_is_expected_from_its_pace_since_it_could_begin() {
    let mut seen = seen(&[]);
    let mut runs = it("r", "IN_PROGRESS", "09:00");
    (runs.processed_records, runs.total_records) = (Some(100), Some(300));
    assert_eq!(seen.expected_end(&runs, at("09:00")), Some(at("11:00")));
    seen.set_latest_end(Some(at("08:30")));
    assert_eq!(seen.expected_end(&runs, at("09:00")), Some(at("10:00")));
    seen.set_latest_end(Some(at("07:30")));
    assert_eq!(seen.expected_end(&runs, at("09:00")), Some(at("11:00")));
    runs.started_at = None;
    assert_eq!(seen.expected_end(&runs, at("09:00")), None);
    let failed = it("f", "FAILED", "09:00");
    assert_eq!(seen.expected_end(&failed, at("09:00")), None);
}

/// What is recorded counts if it is not listed: a completed job, an active one that was missed, and one whose id another
/// has taken.
#[test]
fn what_is_recorded_counts_as_well() {
    let mut story = Story::new();
    story.sees("08:05", &job("IN_PROGRESS", "08:04", 10));
    let active = story.record().clone();
    story.sees("08:35", &it("j", "COMPLETE", "08:30"));
    let mut ended = story.record().clone();
    assert_eq!((active.phase, ended.phase), (Phase::Active, Phase::Ended));

    let mut jobs = DetectorJobs::default();
    jobs.add_recorded(&active, false);
    assert!(jobs.instead(at("08:00")).is_none(), "it was seen otherwise");
    jobs.add_recorded(&active, true);
    assert!(jobs.instead(at("08:00")).is_some());
    jobs.add_recorded(&ended, true);
    let known = |jobs: &DetectorJobs| jobs.completed().map(|it| it.at).collect::<Vec<_>>();
    assert_eq!(known(&jobs), [at("08:30")]);
    // The record of a job that is listed adds nothing, whatever it has for an end.
    ended.job.completed_at = None;
    jobs.add_recorded(&ended, true);
    assert_eq!(known(&jobs), [at("08:30")]);

    let mut predecessor = Predecessor {
        end: End::Completed,
        ended_at: at("08:20"),
        detector: None,
    };
    jobs.add_predecessor(&active.job.id, &predecessor);
    assert_eq!(known(&jobs), [at("08:30"), at("08:20")]);
    predecessor.end = End::Failed;
    predecessor.ended_at = at("08:50");
    jobs.add_predecessor(&active.job.id, &predecessor);
    assert_eq!(known(&jobs), [at("08:30"), at("08:20")]);
}

/// A job whose end is told more precisely is no other; one that has its id later is.
#[test]
fn a_completion_is_known_again() {
    let completion = |id: &str, time: &str| Completion {
        at: at(time),
        job_id: id.to_owned().try_into().unwrap(),
    };
    for (id, time, is_same) in [
        ("a", "08:00:00", true),
        ("a", "08:00:59", true),
        ("a", "07:59:01", true),
        ("a", "08:01:00", false),
        ("b", "08:00:00", false),
    ] {
        let one = completion("a", "08:00");
        assert_eq!(
            one.is_same(&completion(id, time)),
            is_same,
            "{id} at {time}"
        );
    }
}
