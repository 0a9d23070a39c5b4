//! What the cases cannot show of the judge: the ids, topics and other members of notices, what the record keeps as a
//! story goes on, and what is not written.

use std::collections::BTreeSet;

use fraud_job_watch::watch::judge::{
    Expected, RunContext, began, first_baseline, judge, judge_absence, judge_silence,
};
use fraud_job_watch::watch::queue::LatestEnds;
use fraud_job_watch::watch::{
    Baseline, Change, Expectations, IncidentState, Item, Job, Kind, ListedJob, Notice,
    OverdueAfter, Phase, Policy, Queue, Record, Source, Status, StatusCounts, TopicArn, Topics,
};
use jiff::{SignedDuration, Timestamp};

/// A time of one day, like "08:05" or "08:05:30".
pub(crate) fn at(time: &str) -> Timestamp {
    let seconds = if time.len() == 5 { ":00" } else { "" };
    format!("2026-03-02T{time}{seconds}Z").parse().unwrap()
}

fn time(at: Timestamp) -> String {
    at.strftime("%H:%M").to_string()
}

pub(crate) fn topic(name: &str) -> TopicArn {
    let arn = format!("arn:aws:sns:eu-west-1:123456789012:{name}");
    arn.try_into().unwrap()
}

/// A job that started at 08:00.
pub(crate) fn job(status: &str, heartbeat: &str, count: u64) -> Job {
    let listed = ListedJob {
        job_id: Some("j".to_owned()),
        status: Some(status.to_owned()),
        ..ListedJob::default()
    };
    let mut job = Job::from_listed(listed).unwrap();
    job.started_at = Some(at("08:00"));
    job.heartbeat_at = Some(at(heartbeat));
    job.processed_records = Some(count);
    job
}

fn runs(heartbeat: &str, count: u64) -> Job {
    job("IN_PROGRESS", heartbeat, count)
}

fn ended(status: &str, end: &str) -> Job {
    but(job(status, end, 100), |job| {
        job.completed_at = Some(at(end))
    })
}

fn but(mut job: Job, change: impl Fn(&mut Job)) -> Job {
    change(&mut job);
    job
}

/// What is told of one job, and its record, from look to look.
pub(crate) struct Story {
    source: Source,
    pub(crate) policy: Policy,
    topics: Topics,
    pub(crate) baseline: Baseline,
    record: Option<Record>,
    /// The time of the look is the name of the run.
    pub(crate) run: String,
}

impl Story {
    /// All is told, a stall again after an hour, and there is an urgent topic.
    pub(crate) fn new() -> Self {
        let account = "arn:aws:frauddetector:eu-west-1:123456789012:batch-prediction";
        let hour = SignedDuration::from_hours(1);
        Self {
            source: account.parse().unwrap(),
            policy: Policy {
                stall_after: hour,
                remind_after: Some(hour),
                overdue_after: OverdueAfter::Off,
                expect: Expectations::default(),
                notify_on: Kind::choices().collect(),
            },
            topics: Topics {
                main: topic("main"),
                urgent: Some(topic("urgent")),
            },
            baseline: Baseline {
                rev: 2,
                written_by: "run".to_owned(),
                since: at("07:00"),
                began_at: Some(at("07:01")),
                unheard: None,
            },
            record: None,
            run: String::new(),
        }
    }

    /// One whose first look was at 08:05.
    pub(crate) fn begun() -> Self {
        let mut story = Self::new();
        assert_eq!(story.sees("08:05", &runs("08:04", 1)), []);
        story
    }

    pub(crate) fn context(&self, now: Timestamp) -> RunContext<'_> {
        RunContext {
            source: &self.source,
            policy: &self.policy,
            topics: &self.topics,
            baseline: &self.baseline,
            run: &self.run,
            now,
        }
    }

    pub(crate) fn record(&self) -> &Record {
        self.record.as_ref().unwrap()
    }

    fn take(&mut self, change: Option<Change>, told: &mut Vec<Notice>) {
        let Some(change) = change else { return };
        let rev = self.record.as_ref().map(|record| record.rev);
        assert_eq!(change.expected, rev.map_or(Expected::Absent, Expected::Rev));
        assert_eq!(change.item.key().to_string(), "job#j");
        assert_eq!(change.item.rev(), rev.unwrap_or(0) + 1);
        let Item::Job(next) = change.item else {
            panic!("not a job")
        };
        assert_eq!(next.written_by, self.run);
        self.record = Some(*next);
        told.extend(change.notices);
    }

    /// A complete listing shows the job, alone.
    pub(crate) fn sees(&mut self, time: &str, job: &Job) -> Vec<Notice> {
        let (now, mut told) = (at(time), Vec::new());
        self.run = time.to_owned();
        let change = judge(self.record.as_ref(), job, &self.context(now));
        self.take(change, &mut told);
        let record = self.record.as_ref();
        let (seen, stall_after) = ([(job, record)].into_iter(), self.policy.stall_after);
        let mut ends = LatestEnds::default();
        record.into_iter().for_each(|it| ends.add_recorded(it));
        let queue = Queue::new(seen, std::iter::empty(), ends, now, stall_after);
        let silence = |record| judge_silence(record, job, &self.context(now), Some(&queue));
        let change = record.and_then(silence);
        self.take(change, &mut told);
        told
    }

    /// A complete listing does not show it.
    pub(crate) fn misses(&mut self, time: &str) -> Vec<Notice> {
        let mut told = Vec::new();
        self.run = time.to_owned();
        let change = judge_absence(self.record(), &self.context(at(time)));
        self.take(change, &mut told);
        told
    }

    /// What is told and how the record stands after each look at a job that stalls twice, vanishes twice and fails.
    /// The looks come `late` seconds later than they might.
    fn whole(&mut self, late: i64) -> Vec<(Vec<Notice>, String)> {
        let looks = [
            ("08:05", Some(runs("08:04", 1))),
            ("09:05", Some(runs("08:04", 1))),
            ("10:05", Some(runs("08:04", 1))),
            ("12:05", Some(runs("08:04", 1))),
            ("12:10", Some(runs("12:09", 1))),
            ("14:10", Some(runs("12:09", 1))),
            ("14:15", None),
            ("14:20", None),
            ("14:25", Some(runs("12:09", 1))),
            ("14:30", None),
            ("14:35", None),
            ("14:40", Some(ended("FAILED", "14:38"))),
        ];
        let mut story = Vec::new();
        for (time, job) in looks {
            let time = at(time) + SignedDuration::from_secs(late);
            let time = time.strftime("%H:%M:%S").to_string();
            let told = match job {
                Some(job) => self.sees(&time, &job),
                None => self.misses(&time),
            };
            story.push((told, stands(self.record())));
        }
        story
    }
}

/// A notice in a line: its kind, when that happened, to whom, its incident and its silence.
fn told(notices: &[Notice]) -> String {
    let line = |notice: &Notice| {
        let mut line = format!(
            "{} {} to {}",
            notice.kind,
            time(notice.happened_at),
            names(&notice.topics)
        );
        if let Some(incident) = notice.incident {
            line += &format!(", {}", incident.as_str());
        }
        if let Some(seen_at) = notice.job_seen_at.filter(|at| *at != notice.recorded_at) {
            line += &format!(", seen {}", time(seen_at));
        }
        if let Some(it) = &notice.silence {
            let (lasted, allowed) = (it.lasted_s / 60, it.allowed_s / 60);
            line += &format!(
                ", silent since {} for {lasted} of {allowed}",
                time(it.since)
            );
            let waiting = it.waiting.map(|jobs| format!(", {jobs} wait"));
            let reminder = it.reminder.map(|number| format!(", no. {number}"));
            line.extend(waiting.into_iter().chain(reminder));
        }
        line
    };
    notices.iter().map(line).collect::<Vec<_>>().join("; ")
}

fn names(topics: &BTreeSet<TopicArn>) -> String {
    let name = |topic: &TopicArn| topic.as_str().rsplit(':').next().unwrap().to_owned();
    topics.iter().map(name).collect::<Vec<_>>().join(" and ")
}

/// Where a record stands, in a line.
fn stands(record: &Record) -> String {
    let mut line = format!(
        "{:?}, sign {}, {} episodes, {} recoveries",
        record.phase,
        time(record.last_sign_at),
        record.episode,
        record.recoveries
    );
    if let Some(stall) = record.stall {
        line += &format!(
            ", {} reminders until {}",
            stall.reminders,
            time(stall.reminded_at)
        );
    }
    if let Some(since) = record.absent_since {
        line += &format!(", absent since {}", time(since));
    }
    if !record.notified_topics.is_empty() {
        line += &format!(", heard by {}", names(&record.notified_topics));
    }
    if let Some(ahead) = record.skewed_heartbeat_at {
        line += &format!(", ahead to {}", time(ahead));
    }
    if let Some(expires) = record.expires {
        let from = Timestamp::from_second(expires - 60 * 86_400).unwrap();
        line += &format!(", kept for 60 days from {}", time(from));
    }
    line
}

#[test]
fn a_whole_story_as_it_is_told_and_kept() {
    let line = |(notices, record): (Vec<Notice>, String)| {
        let told = (!notices.is_empty()).then(|| told(&notices));
        told.into_iter().chain([record])
    };
    let lines: Vec<_> = Story::new().whole(0).into_iter().flat_map(line).collect();
    let right = [
        "Active, sign 08:04, 0 episodes, 0 recoveries",
        "stalled 09:04 to urgent, open, silent since 08:04 for 61 of 60, 0 wait",
        "Active, sign 08:04, 1 episodes, 0 recoveries, 0 reminders until 09:05, heard by urgent",
        "reminder 10:05 to urgent, open, silent since 08:04 for 121 of 60, 0 wait, no. 1",
        "Active, sign 08:04, 1 episodes, 0 recoveries, 1 reminders until 10:05, heard by urgent",
        "reminder 12:05 to urgent, open, silent since 08:04 for 241 of 60, 0 wait, no. 2",
        "Active, sign 08:04, 1 episodes, 0 recoveries, 2 reminders until 12:05, heard by urgent",
        "recovered 12:09 to main and urgent, resolved, silent since 08:04 for 245 of 120",
        "Active, sign 12:09, 1 episodes, 1 recoveries",
        "stalled 14:09 to urgent, open, silent since 12:09 for 121 of 120, 0 wait",
        "Active, sign 12:09, 2 episodes, 1 recoveries, 0 reminders until 14:10, heard by urgent",
        "Active, sign 12:09, 2 episodes, 1 recoveries, 0 reminders until 14:10, absent since 14:15, heard by urgent",
        "vanished 14:20 to urgent, open, seen 14:10",
        "Vanished, sign 12:09, 3 episodes, 1 recoveries, heard by urgent, kept for 60 days from 14:20",
        "recovered 14:25 to main and urgent, resolved",
        "Active, sign 14:25, 3 episodes, 1 recoveries",
        "Active, sign 14:25, 3 episodes, 1 recoveries, absent since 14:30",
        "vanished 14:35 to urgent, open, seen 14:25",
        "Vanished, sign 14:25, 4 episodes, 1 recoveries, heard by urgent, kept for 60 days from 14:35",
        "failed 14:38 to urgent, resolved",
        "Ended, sign 14:25, 4 episodes, 1 recoveries, kept for 60 days from 14:38",
    ];
    assert_eq!(lines, right);
}

#[test]
fn each_notice_of_a_job_has_its_own_id_which_is_the_same_when_it_is_judged_again() {
    let ids = |late| -> Vec<_> {
        let story = Story::new().whole(late).into_iter();
        let told = story.flat_map(|(told, _)| told);
        told.map(|notice| notice.id).collect()
    };
    let first = ids(0);
    assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), 9);
    assert_eq!(ids(17), first, "another run, a bit later");
}

#[test]
fn all_notices_of_a_job_have_one_thread_and_those_of_the_next_with_its_id_another() {
    let mut story = Story::new();
    let looks = story.whole(0).into_iter();
    let told: Vec<_> = looks.flat_map(|(told, _)| told).collect();
    let next = but(ended("FAILED", "16:04"), |job| {
        job.started_at = Some(at("16:00"))
    });
    let next = &story.sees("16:05", &next)[0];
    assert!(told.iter().all(|notice| notice.thread == told[0].thread));
    assert_ne!(next.thread, told[0].thread);
    assert_ne!(next.id, told[8].id);

    // Of those before nothing may be left.
    let next = |start| {
        let next = but(ended("FAILED", "16:04"), |job| {
            job.started_at = Some(at(start))
        });
        Story::new().sees("16:05", &next).remove(0)
    };
    assert_ne!(next("16:00").id, next("16:01").id);
}

#[test]
fn ids_and_thread_hold_when_the_start_is_told_late_or_put_right() {
    let mut story = Story::new();
    let no_start = but(runs("08:04", 1), |job| job.started_at = None);
    story.sees("08:05", &no_start);
    assert_eq!(story.record().key, at("08:05"), "the first sight");
    let stalled = story.sees("09:05", &no_start);
    let recovered = story.sees("09:10", &runs("09:09", 1));
    story.sees(
        "10:10",
        &but(runs("10:09", 1), |job| job.started_at = Some(at("07:30"))),
    );
    assert_eq!(story.record().job.started_at, Some(at("07:30")));
    assert_eq!(story.record().key, at("08:05"));
    let failed = story.sees("10:15", &ended("FAILED", "10:14"));
    assert_eq!(stalled[0].thread, recovered[0].thread);
    assert_eq!(stalled[0].thread, failed[0].thread);
}

#[test]
fn ids_differ_also_when_a_start_that_was_put_right_is_shown_as_before() {
    let mut story = Story::begun();
    let earlier = |job| but(job, |job| job.started_at = Some(at("07:30")));
    let mut told = Vec::new();
    for (time, job) in [
        ("09:05", runs("08:04", 1)),
        ("10:10", earlier(runs("10:09", 1))),
        ("10:15", runs("10:14", 1)),
        ("11:20", runs("10:14", 1)),
        ("11:25", ended("FAILED", "11:24")),
    ] {
        told.extend(story.sees(time, &job));
    }
    let kinds: Vec<_> = told.iter().map(|notice| notice.kind.as_str()).collect();
    assert_eq!(
        kinds,
        ["stalled", "recovered", "vanished", "stalled", "failed"]
    );
    let ids: BTreeSet<_> = told.iter().map(|notice| &notice.id).collect();
    assert_eq!(ids.len(), told.len());
}

#[test]
fn what_closes_goes_to_each_topic_that_heard_and_is_still_configured() {
    let mut story = Story::begun();
    let goes_to = |story: &mut Story, now, beat| names(&story.sees(now, &runs(beat, 1))[0].topics);
    story.topics.urgent = None;
    assert_eq!(goes_to(&mut story, "09:05", "08:04"), "main");
    story.topics.urgent = Some(topic("urgent"));
    assert_eq!(goes_to(&mut story, "10:05", "08:04"), "urgent");
    assert_eq!(names(&story.record().notified_topics), "main and urgent");
    let mut other = Story {
        record: story.record.clone(),
        ..Story::new()
    };
    assert_eq!(goes_to(&mut story, "10:10", "10:09"), "main and urgent");
    other.topics.main = topic("new");
    assert_eq!(goes_to(&mut other, "10:10", "10:09"), "new and urgent");
}

#[test]
fn only_what_opens_or_closes_has_an_incident() {
    let next = but(runs("09:14", 1), |job| job.started_at = Some(at("09:10")));
    let mut story = Story::begun();
    assert_eq!(
        told(&story.sees("09:15", &next)),
        "vanished 09:15 to urgent, seen 08:05",
        "replaced"
    );
    let mut story = Story::begun();
    story.sees("09:05", &runs("08:04", 1));
    let replaced = story.sees("09:15", &next);
    assert_eq!(
        told(&replaced),
        "vanished 09:15 to urgent, resolved, seen 09:05",
        "replaced while it stalls"
    );
    assert_eq!(
        stands(story.record()),
        "Active, sign 09:14, 2 episodes, 0 recoveries"
    );
    for (status, right) in [
        ("COMPLETE", "completed 08:20 to main"),
        ("FAILED", "failed 08:20 to urgent"),
        ("CANCELED", "canceled 08:20 to main"),
        ("EXPIRED", "ended 08:20 to urgent"),
    ] {
        assert_eq!(
            told(&Story::begun().sees("08:30", &ended(status, "08:20"))),
            right
        );
    }
}

#[test]
fn which_end_it_was_goes_also_to_those_who_were_told_of_an_unknown_one() {
    let mut story = Story::begun();
    story.sees("08:30", &ended("EXPIRED", "08:20"));
    let canceled = story.sees("08:40", &ended("CANCELED", "08:20"));
    assert_eq!(told(&canceled), "canceled 08:20 to main and urgent");
}

#[test]
fn an_end_leaves_nothing_open_in_the_record() {
    let mut story = Story::begun();
    story.sees(
        "09:05",
        &but(runs("08:04", 1), |job| job.heartbeat_at = Some(at("18:00"))),
    );
    story.misses("09:10");
    let open = "0 reminders until 09:05, absent since 09:10, heard by urgent, ahead to 18:00";
    assert!(stands(story.record()).ends_with(open));
    story.sees("09:15", &ended("EXPIRED", "09:12"));
    let over =
        "Ended, sign 08:04, 1 episodes, 0 recoveries, heard by urgent, kept for 60 days from 09:12";
    assert_eq!(
        stands(story.record()),
        over,
        "which end it was is to be told"
    );
    story.sees("09:20", &runs("08:04", 0));
    assert_eq!(
        stands(story.record()),
        "Active, sign 09:20, 1 episodes, 0 recoveries"
    );
}

#[test]
fn of_an_incomplete_listing_nobody_knows_how_many_wait() {
    let story = Story::begun();
    let change = judge_silence(
        story.record(),
        &runs("08:04", 1),
        &story.context(at("09:05")),
        None,
    );
    let right = "stalled 09:04 to urgent, open, silent since 08:04 for 61 of 60";
    assert_eq!(told(&change.unwrap().notices), right);
}

#[test]
fn history_is_not_recorded() {
    for (end, is_news) in [("07:00", false), ("07:00:01", true)] {
        let job = but(ended("FAILED", end), |job| job.started_at = None);
        let mut story = Story::new();
        assert_eq!(story.sees("08:00", &job).len(), usize::from(is_news));
        assert_eq!(story.record.is_some(), is_news);
    }
}

#[test]
fn a_record_that_expired_counts_as_absent() {
    let mut story = Story::new();
    story.sees("08:30", &ended("COMPLETE", "08:20"));
    let mut record = story.record().clone();
    record.expires = Some(at("09:00").as_second());
    let again = |now| {
        judge(
            Some(&record),
            &ended("COMPLETE", "08:20"),
            &story.context(now),
        )
    };
    assert_eq!(again(at("08:59:59")), None);
    assert_eq!(again(at("09:00")).unwrap().expected, Expected::Absent);
}

#[test]
fn the_record_of_an_end_without_a_time_is_kept_as_long_as_it_is_listed() {
    let timeless = but(ended("FAILED", "08:30"), |job| {
        (job.started_at, job.heartbeat_at, job.completed_at) = (None, None, None);
    });
    let mut story = Story::new();
    story.sees("08:30", &timeless);
    assert!(stands(story.record()).ends_with("kept for 60 days from 08:30"));
    let day = |days: i64| at("08:30") + SignedDuration::from_hours(24 * days);
    let again = |days| judge(Some(story.record()), &timeless, &story.context(day(days)));
    assert_eq!(again(30), None, "there is time");
    let Item::Job(kept) = again(31).unwrap().item else {
        panic!("not a job")
    };
    assert_eq!((kept.rev, kept.expires), (2, Some(day(91).as_second())));
}

#[test]
fn a_vanishing_that_nobody_is_told_of_is_recorded_once() {
    let mut story = Story::begun();
    story.policy.notify_on = BTreeSet::new();
    for time in ["08:10", "08:15", "08:20"] {
        assert_eq!(story.misses(time), []);
    }
    let right = "Vanished, sign 08:04, 1 episodes, 0 recoveries, kept for 60 days from 08:15";
    assert_eq!(
        (story.record().rev, stands(story.record()).as_str()),
        (3, right)
    );
}

#[test]
fn a_job_that_beats_costs_no_write() {
    let mut story = Story::begun();
    for minute in 6..60 {
        story.sees(
            &format!("08:{minute:02}"),
            &runs(&format!("08:{:02}", minute - 1), minute),
        );
    }
    assert_eq!(story.record().rev, 1);
}

#[test]
fn of_a_job_that_does_not_a_sample_is_written_at_most_each_quarter_of_stall_after() {
    for heartbeat in [Some("08:00:30"), None, Some("18:00")] {
        let (mut story, mut written) = (Story::new(), Vec::new());
        for minute in 5..60 {
            let job = but(runs("08:00", minute), |job| {
                job.heartbeat_at = heartbeat.map(at)
            });
            let rev = story.record.as_ref().map(|record| record.rev);
            story.sees(&format!("08:{minute:02}"), &job);
            if rev != Some(story.record().rev) {
                written.push(minute);
                assert_eq!(story.record().job.processed_records, Some(minute));
            }
        }
        assert_eq!(written, [5, 21, 37, 53], "{heartbeat:?}");
    }
}

#[test]
fn what_must_not_be_forgotten_is_written_once() {
    type Edit = fn(&mut Job);
    let changes: [(&str, Edit); 3] = [
        ("08:50", |job| job.status = Status::CancelInProgress),
        ("08:50", |job| job.heartbeat_at = Some(at("18:00"))),
        ("09:06", |job| job.started_at = Some(at("07:00"))),
    ];
    for (time, change) in changes {
        let (mut story, seen) = (Story::begun(), but(runs("08:45", 1), change));
        for _ in 0..2 {
            story.sees(time, &seen);
            assert_eq!(story.record().rev, 2, "{seen:?} at {time}");
        }
    }
}

#[test]
fn a_view_from_before_brings_nothing_back() {
    let mut story = Story::begun();
    story.misses("08:10");
    story.misses("08:15");
    assert_eq!(
        story.sees("08:15", &runs("08:14", 2)),
        [],
        "listed before it was found to be gone"
    );
    assert_eq!(
        (story.record().phase, story.record().rev),
        (Phase::Vanished, 3)
    );
    let mut story = Story::begun();
    story.sees("08:30", &ended("EXPIRED", "08:20"));
    assert_eq!(
        story.sees("08:30", &runs("08:19", 2)),
        [],
        "listed before it ended so"
    );
    assert_eq!(
        (story.record().phase, story.record().rev),
        (Phase::Ended, 2)
    );
}

#[test]
fn facts_only_go_forward_in_the_record_and_in_what_is_told() {
    let best = but(runs("08:30", 50), |job| {
        job.total_records = Some(100);
        job.detector = Some("payments".to_owned());
    });
    let mut story = Story::new();
    story.sees(
        "08:31",
        &but(best.clone(), |job| job.completed_at = Some(at("08:30"))),
    );
    assert_eq!(story.record().job, best, "an active job has no end");
    let mut ahead = Story::new();
    ahead.sees("08:31", &runs("18:00", 50));
    assert_eq!(ahead.record().job.heartbeat_at, None, "it is kept apart");
    let older = job("PAUSED", "08:10", 20);
    let stalled = story.sees("09:40", &older)[0].job.clone().unwrap();
    assert_eq!(
        stalled,
        but(best.clone(), |job| job.status = older.status.clone())
    );
    assert_eq!(
        story.record().job,
        best,
        "with the last status that is known here"
    );
    story.sees("10:40", &job("IN_PROGRESS_INITIALIZING", "08:00", 0));
    assert_eq!(story.record().job, best);
    let failed = story.sees("10:50", &ended("FAILED", "10:49"))[0]
        .job
        .clone()
        .unwrap();
    assert_eq!(
        (failed.detector, failed.total_records),
        (best.detector, Some(100))
    );
    let kept = &story.record().job;
    assert_eq!(
        (&kept.event_type, kept.heartbeat_at),
        (&None, None),
        "no more than to know it again"
    );
}

#[test]
fn a_start_told_more_precisely_does_not_move_it() {
    let mut story = Story::begun();
    let canceled = job("CANCEL_IN_PROGRESS", "08:20", 1);
    story.sees(
        "08:20",
        &but(canceled, |job| job.started_at = Some(at("08:00:50"))),
    );
    assert_eq!(story.record().rev, 2);
    assert_eq!(
        story.record().job.started_at,
        Some(at("08:00")),
        "nor bit by bit"
    );
}

#[test]
fn a_heartbeat_ahead_is_never_shown() {
    let mut story = Story::begun();
    let ahead = runs("18:00", 1);
    for time in ["09:05", "11:00", "19:00"] {
        let told = story.sees(time, &ahead);
        let heartbeats = [&story.record().job, told[0].job.as_ref().unwrap()];
        assert_eq!(
            heartbeats.map(|job| job.heartbeat_at),
            [Some(at("08:04")); 2],
            "{time}"
        );
    }
    let told = story.sees("19:05", &runs("19:04", 1));
    let heartbeats = [&story.record().job, told[0].job.as_ref().unwrap()];
    assert_eq!(
        heartbeats.map(|job| job.heartbeat_at),
        [Some(at("19:04")); 2]
    );
}

#[test]
fn a_status_is_kept_until_a_view_has_one_that_says_more() {
    let mut story = Story::begun();
    let stalled = story.sees("09:05", &job("", "08:04", 1));
    assert_eq!(stalled[0].job.as_ref().unwrap().status, Status::InProgress);
    let reminder = story.sees("10:05", &job("IN_PROGRESS_INITIALIZING", "08:04", 1));
    assert_eq!(reminder[0].job.as_ref().unwrap().status, Status::InProgress);
    let mut story = Story::new();
    for unknown in ["PAUSED", "PAUSING"] {
        story.sees("08:05", &job(unknown, "08:04", 1));
        assert_eq!(story.record().job.status.name(), unknown, "none was known");
    }
}

#[test]
fn only_an_active_job_of_this_record_can_be_silent() {
    let story = Story::begun();
    let silent = |record: &Record, job: &Job| {
        judge_silence(record, job, &story.context(at("12:00")), None).is_some()
    };
    let (active, seen) = (story.record(), runs("08:04", 1));
    assert!(silent(active, &seen));
    for over in ["COMPLETE", ""] {
        let over = Status::from(over.to_owned());
        let over = but(seen.clone(), |job| {
            (job.status, job.completed_at) = (over.clone(), Some(at("08:04")));
        });
        assert!(!silent(active, &over));
    }
    assert!(!silent(
        active,
        &but(seen.clone(), |job| job.started_at = Some(at("09:00")))
    ));
    let over = Record {
        phase: Phase::Ended,
        ..active.clone()
    };
    assert!(!silent(&over, &seen));
}

#[test]
fn a_new_watch_says_what_it_found_and_what_it_will_tell() {
    let Item::Watch(first) = first_baseline(at("08:00"), "run").item else {
        panic!("not the watch")
    };
    assert_eq!(
        (first.rev, first.since, first.began_at),
        (1, at("07:59"), None)
    );
    let story = Story {
        baseline: first,
        ..Story::new()
    };
    let mut statuses = StatusCounts::default();
    for status in [Status::Complete, Status::Complete, Status::Failed] {
        statuses.add(&status);
    }
    let change = began(&story.context(at("08:01")), 9, &statuses);
    assert_eq!(
        (change.item.key().to_string(), change.item.rev()),
        ("watch".to_owned(), 2)
    );
    let Item::Watch(next) = &change.item else {
        panic!("not the watch")
    };
    assert_eq!(
        (change.expected, next.rev, next.began_at),
        (Expected::Rev(1), 2, Some(at("08:01")))
    );
    let found = change.notices[0].found.as_ref().unwrap();
    assert_eq!(told(&change.notices), "began 08:01 to main");
    assert_eq!(
        (found.jobs, found.since, found.stall_after_s),
        (9, at("07:59"), 3_600)
    );
    assert_eq!(
        (&found.by_status, found.notify_on.len()),
        (statuses.by_status(), 7)
    );
    let again = began(&story.context(at("08:06")), 10, &statuses);
    assert_eq!(again.notices[0].id, change.notices[0].id, "judged again");
}

/// Whoever heard that it is overdue hears how it ends, and a pager keeps it open until then.
#[test]
fn an_overdue_job_stays_open_when_its_stall_recovers_and_is_closed_when_it_ends() {
    let mut story = Story::new();
    story.sees("08:05", &job("IN_PROGRESS", "08:04", 1));
    let record = story.record.as_mut().unwrap();
    record.overdue = true;
    record.notified_topics = [topic("main")].into();
    story.sees("09:10", &job("IN_PROGRESS", "08:04", 1));
    let recovered = story.sees("09:15", &job("IN_PROGRESS", "09:14", 2));
    assert_eq!(recovered[0].kind, Kind::Recovered);
    assert_eq!(recovered[0].incident, Some(IncidentState::Open));
    let ended = story.sees("09:40", &ended("COMPLETE", "09:39"));
    assert_eq!(ended[0].incident, Some(IncidentState::Resolved));
    assert!(ended[0].topics.contains(&topic("main")));
}
