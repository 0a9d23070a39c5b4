//! Who waits for whom, counted; and to which topics a notice goes.

use std::collections::BTreeSet;

use fraud_job_watch::watch::job::End;
use fraud_job_watch::watch::queue::LatestEnds;
use fraud_job_watch::watch::{Job, JobId, Queue, Record, Severity, Topics};
use jiff::SignedDuration;

use crate::judge::{Story, at, job, topic};

const WAITS: &str = "IN_PROGRESS_INITIALIZING";
const RUNS: &str = "IN_PROGRESS";

fn id(name: &str) -> JobId {
    name.to_owned().try_into().unwrap()
}

fn named(name: &str, status: &str, start: &str) -> Job {
    let mut job = job(status, start, 0);
    (job.id, job.started_at) = (id(name), Some(at(start)));
    job
}

/// The queue at 09:30 of jobs that are first seen then, of records whose jobs were not seen to be active, and whether the
/// listing missed them, and of one end.
fn queue(seen: &[Job], unseen: &[(&Record, bool)], end: Option<(End, &str)>) -> Queue {
    let mut ends = LatestEnds::default();
    if let Some((end, time)) = end {
        ends.add(end, Some(at(time)));
    }
    for (record, _) in unseen {
        ends.add_recorded(record);
    }
    Queue::new(
        seen.iter().map(|job| (job, None)),
        unseen.iter().copied(),
        ends,
        at("09:30"),
        SignedDuration::from_hours(1),
    )
}

/// Of a job that has not begun whether it waits, and how many wait for it.
fn place(queue: &Queue, name: &str) -> (bool, u64) {
    (queue.waits(&id(name)), queue.behind(&id(name)))
}

#[test]
fn what_has_not_begun_waits_for_what_runs_else_for_the_one_that_started_first() {
    let (a, b) = (named("a", WAITS, "08:02"), named("b", WAITS, "08:01"));
    let all = [a.clone(), b.clone(), named("r", RUNS, "08:03")];
    let all = queue(&all, &[], None);
    assert_eq!(
        ["a", "b"].map(|name| place(&all, name)),
        [(true, 0), (true, 0)]
    );
    assert_eq!(all.behind(&id("r")), 2);
    let none_runs = queue(&[a, b], &[], None);
    assert_eq!(
        ["a", "b"].map(|name| place(&none_runs, name)),
        [(true, 0), (false, 1)]
    );
}

#[test]
fn the_next_is_not_to_blame_for_less_than_stall_after_from_an_end() {
    let waits = |end| queue(&[named("a", WAITS, "08:00")], &[], end).waits(&id("a"));
    assert!(waits(Some((End::Failed, "08:31"))));
    assert!(!waits(Some((End::Failed, "08:30"))));
    assert!(!waits(None));
}

#[test]
fn a_silent_one_holds_until_another_completes_and_one_that_is_missing_may_not_be_silent() {
    let mut story = Story::begun();
    let all = |record: &Record, is_missing, end: (End, &str)| {
        let waiting = [named("a", WAITS, "07:50"), named("b", WAITS, "07:51")];
        let queue = queue(&waiting, &[(record, is_missing)], Some(end));
        (
            place(&queue, "a"),
            place(&queue, "b"),
            queue.behind(&id("j")),
        )
    };
    let (held, free) = (((true, 0), (true, 0), 2), ((false, 1), (true, 0), 0));
    assert_eq!(
        all(story.record(), false, (End::Completed, "08:04")),
        held,
        "not after its last sign of life"
    );
    assert_eq!(all(story.record(), false, (End::Completed, "08:05")), free);
    assert_eq!(
        all(story.record(), true, (End::Completed, "08:05")),
        held,
        "it may have beaten until now"
    );
    for end in [End::Failed, End::Canceled, End::Unknown] {
        assert_eq!(all(story.record(), false, (end, "08:05")), held, "{end:?}");
    }
    story.sees("09:05", &job(RUNS, "08:04", 1));
    assert_eq!(
        all(story.record(), true, (End::Completed, "08:05")),
        free,
        "its stall was told"
    );
}

#[test]
fn who_is_seen_to_run_holds_the_others_up_though_that_could_not_be_recorded() {
    let story = |status: &str| {
        let mut story = Story::begun();
        match status {
            "vanished" => drop((story.misses("08:10"), story.misses("08:12"))),
            _ => {
                let mut ended = job(status, "08:10", 1);
                ended.completed_at = Some(at("08:11"));
                story.sees("08:12", &ended);
            }
        }
        story
    };
    for (recorded, start, waits) in [
        ("vanished", "08:00", true),
        ("ARCHIVED", "08:00", true),
        ("COMPLETE", "09:55", true),
        // An older view.
        ("COMPLETE", "08:00", false),
    ] {
        let story = story(recorded);
        let mut seen = job(RUNS, "09:59", 2);
        seen.started_at = Some(at(start));
        let waiting = named("a", WAITS, "08:01");
        let mut ends = LatestEnds::default();
        ends.add_recorded(story.record());
        let queue = Queue::new(
            [(&seen, Some(story.record())), (&waiting, None)].into_iter(),
            std::iter::empty(),
            ends,
            at("10:00"),
            SignedDuration::from_hours(1),
        );
        assert_eq!(queue.waits(&waiting.id), waits, "{recorded}, {start}");
    }
}

#[test]
fn a_notice_goes_on_to_a_topic_that_is_still_configured_and_is_never_lost() {
    let (main, urgent, old, older) = (topic("main"), topic("urgent"), topic("old"), topic("older"));
    let arn = "arn:aws:sns:eu-west-1:123456789012:main".to_owned();
    assert_eq!(
        (main.to_string(), String::from(main.clone())),
        (arn.clone(), arn)
    );
    let both = Topics {
        main: main.clone(),
        urgent: Some(urgent.clone()),
    };
    let one = Topics {
        urgent: None,
        ..both.clone()
    };
    let route = |topics: &Topics, topic, others: [_; 2], severity| {
        topics.route(topic, &BTreeSet::from(others.map(Clone::clone)), severity)
    };
    let (error, info) = (Severity::Error, Severity::Info);
    for (topics, topic, others, severity, right) in [
        (&both, &main, [&main, &urgent], error, Some(&main)),
        (&both, &urgent, [&main, &urgent], info, Some(&urgent)),
        (&both, &old, [&main, &old], error, None),
        (&one, &urgent, [&main, &urgent], error, None),
        // None of them is configured: the first gives way to where it would go now.
        (&both, &old, [&old, &older], error, Some(&urgent)),
        (&both, &older, [&old, &older], error, None),
        (&both, &old, [&old, &old], info, Some(&main)),
        (&one, &urgent, [&urgent, &urgent], error, Some(&main)),
    ] {
        let goes = route(topics, topic, others, severity);
        assert_eq!(goes.as_ref(), right, "{topic} of {others:?}");
    }
}
