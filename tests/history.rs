//! What is usual for jobs that are alike, and how one that completed compares with it.

use fraud_job_watch::watch::history::{Compared, History, Usual, expected_end};
use fraud_job_watch::watch::{Job, ListedJob};
use jiff::{SignedDuration, Timestamp};

/// A job of 100 records that started at this minute and took so many.
fn past(id: &str, start: i64, minutes: i64) -> Job {
    let time = |minute: i64| {
        let start: Timestamp = "2026-03-02T00:00:00Z".parse().unwrap();
        Some((start + SignedDuration::from_mins(minute)).to_string())
    };
    let text = |text: &str| Some(text.to_owned());
    let listed = ListedJob {
        job_id: text(id),
        status: text("COMPLETE"),
        start_time: time(start),
        completion_time: time(start + minutes),
        total_records_count: Some(100),
        detector_name: text("payments"),
        event_type_name: text("card"),
        ..ListedJob::default()
    };
    Job::from_listed(listed).unwrap()
}

/// Jobs that took so many minutes, one after the other and a day apart.
fn history(taken: &[i64]) -> History {
    let mut history = History::default();
    for (i, minutes) in (0..).zip(taken) {
        history.add(&past(&format!("old-{i}"), i * 24 * 60, *minutes));
    }
    history
}

fn usual(history: &History) -> Option<Usual> {
    let next = past("next", 60 * 24 * 60, 1);
    history.usual(&next, next.completed_at.unwrap())
}

#[test]
fn the_median_of_the_last_twenty_is_usual() {
    let minutes = |median_s, jobs, longest_s| {
        Some(Usual {
            median_s,
            jobs,
            longest_s,
        })
    };
    for (taken, expected) in [
        (&[10, 10, 10, 10][..], None),
        (&[10, 30, 20, 50, 40], minutes(1_800, 5, 3_000)),
        (&[10, 30, 20, 50, 40, 21], minutes(1_530, 6, 3_000)),
        // The first five are too old to count.
        (
            &[[500; 5], [10; 5], [10; 5], [20; 5], [20; 5]].concat(),
            minutes(900, 20, 1_200),
        ),
    ] {
        assert_eq!(usual(&history(taken)), expected, "{taken:?}");
    }
}

/// Whatever is listed, the newest ends are kept and no more, so that memory has a bound.
#[test]
fn of_a_long_history_the_newest_ends_count() {
    let mut history = history(&[10; 6]);
    let add = |history: &mut History, minute: i64| {
        let mut other = past("other", 30 * 24 * 60 + minute, 1);
        other.detector = None;
        history.add(&other);
    };
    // One of the six goes, and five are enough.
    (0..8_187).for_each(|minute| add(&mut history, minute));
    assert_eq!(usual(&history).map(|it| it.jobs), Some(5));
    add(&mut history, 8_187);
    assert_eq!(usual(&history), None);
    // An end that is older than all that are kept changes nothing.
    history.add(&past("older", 0, 10));
    assert_eq!(usual(&history), None);
}

#[test]
fn a_completed_job_compares_if_it_took_twice_or_half_as_long() {
    for (taken, is_ordinary) in [(20, true), (39, true), (40, false), (11, true), (10, false)] {
        let day = 60 * 24 * 60;
        let mut history = history(&[20; 6]);
        let job = past("it", day, taken);
        history.add(&job);
        let expected = Compared {
            ran_s: taken * 60,
            waited_s: 0,
            usual: usual(&self::history(&[20; 6])).unwrap(),
        };
        assert_eq!(history.compared(&job), (!is_ordinary).then_some(expected));
        // Another ended in between: only from then on did it run.
        history.add(&past("before", day - 10, 15));
        let compared = history.compared(&job);
        let ran_s = (taken - 5) * 60;
        let expected = (ran_s <= 600 || ran_s >= 2_400).then_some((ran_s, 300));
        assert_eq!(
            compared.map(|it| (it.ran_s, it.waited_s)),
            expected,
            "{taken}"
        );
    }
    // A minute more is out of the ordinary if that is twice as long; of seconds nobody speaks.
    let day = 60 * 24 * 60;
    assert!(
        self::history(&[1; 6])
            .compared(&past("it", day, 2))
            .is_some()
    );
    let mut quick = History::default();
    for day in 0..6 {
        let mut job = past("quick", day * 24 * 60, 0);
        job.completed_at = job.started_at.map(|at| at + SignedDuration::from_secs(10));
        quick.add(&job);
    }
    assert_eq!(quick.compared(&past("it", 60 * 24 * 60, 1)), None);
}

/// Of jobs without records nothing can be scaled.
#[test]
fn what_had_no_records_says_nothing_of_what_has_some() {
    let mut history = History::default();
    for day in 0..5 {
        let mut job = past("empty", day * 24 * 60, 10);
        job.total_records = Some(0);
        history.add(&job);
    }
    assert_eq!(usual(&history), None);
    let mut empty = past("next", 60 * 24 * 60, 1);
    empty.total_records = Some(0);
    let found = history.usual(&empty, empty.completed_at.unwrap());
    assert_eq!(found.map(|it| it.median_s), Some(600));
}

/// From what is usual since it could begin, and from its own pace.
#[test]
fn when_a_running_job_should_be_done_and_when_it_will_be() {
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let mut history = history(&[20; 6]);
    let mut job = past("runs", 60 * 24 * 60, 1);
    (job.status, job.completed_at) = ("IN_PROGRESS".to_owned().into(), None);
    let now = at("2026-05-01T00:50:00Z");
    assert_eq!(history.due_at(&job, now), Some(at("2026-05-01T00:20:00Z")));
    history.add(&past("before", 60 * 24 * 60, 30));
    assert_eq!(history.due_at(&job, now), Some(at("2026-05-01T00:50:00Z")));

    let hour = SignedDuration::from_hours(1);
    for (processed, total, end) in [
        (Some(100), Some(300), Some("2026-05-01T02:50:00Z")),
        (Some(300), Some(300), None),
        (Some(400), Some(300), None),
        (Some(0), Some(300), None),
        (None, Some(300), None),
        (Some(100), None, None),
    ] {
        (job.processed_records, job.total_records) = (processed, total);
        assert_eq!(expected_end(&job, hour, now), end.map(at), "{processed:?}");
    }
}
