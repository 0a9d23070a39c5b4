//! What a backtest finds in a past that is known, and that a watch which had looked then would have told the same.

use std::collections::BTreeMap;
use std::path::Path;

use fraud_job_watch::dry_run::Collected;
use fraud_job_watch::local::saved_listing::SavedListing;
use fraud_job_watch::local::state::Memory;
use fraud_job_watch::ports::Ports;
use fraud_job_watch::run::{RunInput, run};
use fraud_job_watch::settings::WatchSettings;
use fraud_job_watch::watch::backtest::{Backtest, backtest, latest_views};
use fraud_job_watch::watch::judge::RunContext;
use fraud_job_watch::watch::{Baseline, Job, ListedJob, SourceKind, Topics};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde_json::Value;

use crate::judge::topic;

const MONTH: &[u8] = include_bytes!("../events/month/jobs.json");

const EXPECT: &str = "payments_detector from 22:00 by 07:00 Europe/Dublin; \
                      chargebacks_detector from 22:00 by 07:00 Europe/Dublin; * by 12:00 SUN";

fn at(time: &str) -> Timestamp {
    let seconds = if time.len() == 16 { ":00" } else { "" };
    format!("{time}{seconds}Z").parse().unwrap()
}

fn settings(variables: &[(&str, &str)]) -> WatchSettings {
    let variables: BTreeMap<_, _> = variables.iter().copied().collect();
    WatchSettings::read(|name| variables.get(name).map(|value| (*value).to_owned())).unwrap()
}

fn read(listed: &[ListedJob]) -> Vec<Job> {
    let read = |listed: &ListedJob| Job::from_listed(listed.clone()).unwrap();
    listed.iter().map(read).collect()
}

fn month() -> Vec<ListedJob> {
    let listing = SavedListing::of_bytes(Path::new("month.json"), MONTH).unwrap();
    listing.jobs().cloned().collect()
}

/// What is found by the end of the month in February, if all is listed.
fn found(jobs: &[Job], variables: &[(&str, &str)]) -> Backtest {
    found_until(jobs, "2026-03-09T02:12", true, variables)
}

fn found_until(
    jobs: &[Job],
    until: &str,
    is_complete: bool,
    variables: &[(&str, &str)],
) -> Backtest {
    let settings = settings(variables);
    let main = topic("main");
    let context = RunContext {
        source: &main.source().clone(),
        policy: &settings.policy,
        topics: &Topics { main, urgent: None },
        baseline: &Baseline {
            rev: 0,
            written_by: String::new(),
            since: at(until),
            began_at: None,
            unheard: None,
        },
        run: "backtest",
        now: at(until),
    };
    backtest(jobs, is_complete, &context)
}

/// The jobs that would have been overdue, and when.
fn overdue(found: &Backtest) -> Vec<(&str, Timestamp)> {
    let jobs = found.jobs.iter();
    jobs.filter_map(|past| Some((past.job.id.as_str(), past.overdue_at?)))
        .collect()
}

/// The deadlines that were missed: whose, when, and which job arrived.
fn missed(found: &Backtest) -> Vec<(&str, Timestamp, Option<&str>)> {
    let arrived = found.missed.iter().map(|missed| {
        let arrived = missed.arrived.as_ref();
        let arrived = arrived.map(|arrived| arrived.job_id.as_str());
        (missed.detector.as_str(), missed.by, arrived)
    });
    arrived.collect()
}

/// `events/month/jobs.json`: four weeks of nights with a job of payments at 02:00 and one of chargebacks behind it. On 26
/// February payments took five times as long as usual, on the 17th chargebacks never started, and on 4 March payments
/// started at 07:10.
#[test]
fn in_a_month_with_three_bad_nights_these_are_found_and_no_others() {
    let jobs = read(&month());
    let found = found(&jobs, &[("EXPECT", EXPECT)]);
    // It began at 02:00:39. The 17 before it had taken 30 min 28 s, by their median and scaled to its records.
    let slow = ("payments_2026_02_26", at("2026-02-26T03:32:03"));
    assert_eq!(overdue(&found), [slow]);
    assert_eq!(
        missed(&found),
        [
            (
                "chargebacks_detector",
                at("2026-02-17T07:00"),
                Some("chargebacks_2026_02_18")
            ),
            (
                "payments_detector",
                at("2026-03-04T07:00"),
                Some("payments_2026_03_04")
            ),
        ]
    );
    assert_eq!(found.deadlines, Some(28 + 28 + 4));
    assert_eq!((found.jobs.len(), found.from), (55, at("2026-02-09T02:00")));
    // The one behind the slow one was accepted at 02:05 and waited.
    let behind = found
        .jobs
        .iter()
        .find(|past| past.job.id.as_str() == "chargebacks_2026_02_26");
    let behind = behind.unwrap();
    let slow = jobs
        .iter()
        .find(|job| job.id.as_str() == "payments_2026_02_26");
    assert_eq!(Some(behind.since), slow.unwrap().completed_at);
    assert_eq!(behind.taken_s, 49 * 60 + 18);
}

fn ended(id: &str, status: &str, start: &str, end: &str, records: i64) -> ListedJob {
    ListedJob {
        job_id: Some(id.to_owned()),
        status: Some(status.to_owned()),
        start_time: Some(at(start).to_string()),
        last_heartbeat_time: Some(at(end).to_string()),
        completion_time: Some(at(end).to_string()),
        processed_records_count: Some(records),
        total_records_count: Some(records),
        detector_name: Some("payments_detector".to_owned()),
        event_type_name: Some("card_payment".to_owned()),
        ..ListedJob::default()
    }
}

/// So many nights from 1 February on, each with a job that takes 30 min for 100 records.
fn nights(count: u32) -> Vec<ListedJob> {
    let night = |n: u32| {
        let (id, day) = (format!("night {n}"), format!("2026-02-{n:02}"));
        let (start, end) = (format!("{day}T02:00"), format!("{day}T02:30"));
        ended(&id, "COMPLETE", &start, &end, 100)
    };
    (1..=count).map(night).collect()
}

/// When the job `j` would have been overdue that follows five nights, with others beside it.
fn overdue_beside(others: &[ListedJob], j: ListedJob, variables: &[(&str, &str)]) -> Vec<String> {
    let jobs = [nights(5), others.to_vec(), vec![j]].concat();
    let found = found(&read(&jobs), variables);
    let told = overdue(&found);
    told.iter()
        .map(|(id, at)| format!("{id} {}", at.strftime("%H:%M:%S")))
        .collect()
}

#[test]
fn a_past_job_is_judged_by_those_before_it_and_by_the_settings() {
    let j = |end: &str, records: i64| {
        let end = format!("2026-02-06T{end}");
        ended("j", "COMPLETE", "2026-02-06T02:00", &end, records)
    };
    let auto = &[][..];
    for (job, variables, told) in [
        // Three times 30 min is 90 min. At that very moment it was over.
        (j("03:30", 100), auto, &[][..]),
        (j("03:30:01", 100), auto, &["j 03:30:00"]),
        // With twice the records twice the time is usual.
        (j("04:59", 200), auto, &[]),
        (j("05:01", 200), auto, &["j 05:00:00"]),
        (j("23:00", 100), &[("OVERDUE_AFTER", "off")], &[]),
        (j("23:00", 100), &[("OVERDUE_AFTER", "6h")], &["j 08:00:00"]),
        // One that failed in the end is judged as well.
        (
            ListedJob {
                status: Some("FAILED".to_owned()),
                ..j("04:00", 100)
            },
            auto,
            &["j 03:30:00"],
        ),
        // Of another detector nothing is known.
        (
            ListedJob {
                detector_name: Some("another".to_owned()),
                ..j("23:00", 100)
            },
            auto,
            &[],
        ),
    ] {
        let id = format!("{:?} {variables:?}", job.completion_time);
        assert_eq!(overdue_beside(&[], job, variables), told, "{id}");
    }
    // A minute is never too long, unless STALL_AFTER is less than an hour.
    let short = |n: u32| {
        let day = format!("2026-02-{n:02}");
        let (start, end) = (format!("{day}T02:00"), format!("{day}T02:01"));
        ended(&day, "COMPLETE", &start, &end, 100)
    };
    let mut jobs: Vec<_> = (1..=5).map(short).collect();
    jobs.push(j("02:50", 100));
    let jobs = read(&jobs);
    assert_eq!(overdue(&found(&jobs, &[])), []);
    let sooner = found(&jobs, &[("STALL_AFTER", "20m")]);
    assert_eq!(overdue(&sooner), [("j", at("2026-02-06T02:20"))]);
    // What was canceled before it had processed a record may never have run.
    let canceled = ListedJob {
        status: Some("CANCELED".to_owned()),
        ..j("23:00", 0)
    };
    assert_eq!(
        overdue_beside(&[], canceled, &[("OVERDUE_AFTER", "1h")]),
        [""; 0]
    );
    // Of four nothing is concluded.
    let few = [nights(4), vec![j("23:00", 100)]].concat();
    let few = found(&read(&few), &[]);
    assert_eq!(overdue(&few), []);
    assert_eq!(few.jobs[4].usual, None);
}

#[test]
fn a_past_job_that_waited_is_not_blamed_for_that() {
    let j = || ended("j", "COMPLETE", "2026-02-06T02:00", "2026-02-06T06:00", 100);
    let other = |status: &str, start: &str, end: &str, records: i64| {
        let (start, end) = (format!("2026-02-06T{start}"), format!("2026-02-06T{end}"));
        [ended("other", status, &start, &end, records)]
    };
    for (other, told, why) in [
        (
            other("COMPLETE", "01:00", "01:50", 1),
            &["j 03:30:00"][..],
            "it ended before",
        ),
        (
            other("COMPLETE", "01:00", "05:00", 1),
            &[],
            "it was ahead, and after it there was 1 h",
        ),
        (
            other("FAILED", "01:59", "04:00", 0),
            &["j 05:30:00"],
            "it was ahead, whatever became of it",
        ),
        (
            other("CANCELED", "02:10", "05:00", 50),
            &[],
            "it came later and ran nevertheless",
        ),
        (
            other("CANCELED", "02:10", "05:00", 0),
            &["j 03:30:00"],
            "it was canceled while it waited for j",
        ),
        (
            other("CANCELED", "02:10", "03:20", 0),
            &["j 04:50:00"],
            "so was this, and its end began the time of j anew",
        ),
        (
            other("COMPLETE", "02:10", "06:00", 1),
            &["j 03:30:00"],
            "what ends in the same second does not count",
        ),
        (
            other("COMPLETE", "02:10", "06:30", 0),
            &["j 03:30:00"],
            "nor does what ends later",
        ),
    ] {
        let told: Vec<_> = told.iter().map(|it| (*it).to_owned()).collect();
        let all = overdue_beside(&other, j(), &[]);
        let of_j: Vec<_> = all.into_iter().filter(|it| it.starts_with("j ")).collect();
        assert_eq!(of_j, told, "{why}");
    }
}

#[test]
fn of_a_job_in_several_listings_the_later_view_counts() {
    let view =
        |id: &str, status: &str, start: &str| ended(id, status, start, "2026-02-09T00:00", 1);
    let views = [
        view("a", "IN_PROGRESS", "2026-02-01T02:00"),
        view("b", "COMPLETE", "2026-02-01T03:00"),
        view("a", "COMPLETE", "2026-02-01T02:00:59"),
        // Its id was taken again, and so it is another.
        view("b", "FAILED", "2026-02-02T03:00"),
        view("b", "CANCELED", "2026-02-02T03:00"),
    ];
    let latest = latest_views(read(&views));
    let seen: Vec<_> = latest
        .iter()
        .map(|job| format!("{} {}", job.id, job.status))
        .collect();
    assert_eq!(seen, ["a COMPLETE", "b COMPLETE", "b CANCELED"]);
}

#[test]
fn an_incomplete_past_says_neither_what_is_usual_nor_what_is_missing() {
    let jobs = read(&month());
    let found = |variables: &[(&str, &str)]| {
        let variables = [variables, &[("EXPECT", EXPECT)]].concat();
        let found = found_until(&jobs, "2026-03-09T02:12", false, &variables);
        assert_eq!((found.deadlines, missed(&found)), (Some(0), Vec::new()));
        assert!(found.jobs.iter().all(|past| past.usual.is_none()));
        found
            .jobs
            .iter()
            .filter(|it| it.overdue_at.is_some())
            .count()
    };
    assert_eq!(found(&[]), 0);
    assert_eq!(found(&[("OVERDUE_AFTER", "2h")]), 1, "that stands");
}

#[test]
fn deadlines_are_judged_until_the_last_listing_and_one_may_never_be_met() {
    let jobs = read(&nights(3));
    let nightly = [(
        "EXPECT",
        "payments_detector by 07:00; refunds_detector by 07:00 TUE",
    )];
    let until = |until: &str| {
        let found = found_until(&jobs, until, true, &nightly);
        let missed = missed(&found);
        let missed = missed.into_iter();
        let all: Vec<_> = missed
            .map(|(name, by, arrived)| {
                assert_eq!(arrived, None);
                format!("{name} {}", by.strftime("%d"))
            })
            .collect();
        (found.deadlines, all)
    };
    // 1 February 2026 is a Sunday.
    let all = |names: &[&str]| names.iter().map(|it| (*it).to_owned()).collect();
    let tuesday = "refunds_detector 03";
    assert_eq!(until("2026-02-03T06:59"), (Some(2), all(&[])));
    assert_eq!(until("2026-02-03T07:00"), (Some(4), all(&[tuesday])));
    assert_eq!(
        until("2026-02-05T12:00"),
        (
            Some(6),
            all(&[tuesday, "payments_detector 04", "payments_detector 05"])
        )
    );
    let nothing = found_until(&[], "2026-02-05T12:00", true, &nightly);
    assert_eq!((nothing.deadlines, nothing.jobs), (Some(0), Vec::new()));
}

#[test]
fn one_arrival_ends_all_that_was_missed_before_it() {
    let mut jobs = nights(8);
    jobs.retain(|job| ["night 1", "night 4", "night 6"].contains(&job.job_id.as_deref().unwrap()));
    let nightly = [("EXPECT", "payments_detector by 07:00")];
    let found = found_until(&read(&jobs), "2026-02-07T12:00", true, &nightly);
    let missed = missed(&found).into_iter();
    let missed: Vec<_> = missed
        .map(|(_, by, arrived)| (by.strftime("%d").to_string(), arrived))
        .collect();
    let of = |day: &str, arrived| (day.to_owned(), arrived);
    let (fourth, sixth) = (Some("night 4"), Some("night 6"));
    assert_eq!(
        missed,
        [
            of("02", fourth),
            of("03", fourth),
            of("05", sixth),
            of("07", None)
        ]
    );
}

/// What is listed at a time of the jobs whose past is known: one runs, the others wait.
fn listed_at(jobs: &[ListedJob], now: Timestamp) -> Vec<ListedJob> {
    let time = |text: &Option<String>| {
        text.as_deref()
            .map(|text| text.parse::<Timestamp>().unwrap())
    };
    let has_started = |job: &&ListedJob| time(&job.start_time) <= Some(now);
    let is_over = |job: &ListedJob| time(&job.completion_time).is_some_and(|end| end <= now);
    let started: Vec<_> = jobs.iter().filter(has_started).collect();
    let active = started.iter().filter(|job| !is_over(job));
    let runs = active.filter(|job| job.processed_records_count != Some(0));
    let runs = runs.min_by_key(|job| time(&job.completion_time));
    let view = |job: &&ListedJob| {
        if is_over(job) {
            return (*job).clone();
        }
        let is_it = runs.is_some_and(|it| it.job_id == job.job_id);
        let status = if is_it {
            "IN_PROGRESS"
        } else {
            "IN_PROGRESS_INITIALIZING"
        };
        ListedJob {
            status: Some(status.to_owned()),
            last_heartbeat_time: Some(now.to_string()),
            completion_time: None,
            processed_records_count: Some(i64::from(is_it)),
            ..(*job).clone()
        }
    };
    started.iter().map(view).collect()
}

/// What a watch tells that looks at these times: the kind, whose, for a deadline which, and at which look.
async fn told(
    jobs: &[ListedJob],
    looks: &[Timestamp],
    settings: &WatchSettings,
) -> Vec<(String, String, Timestamp)> {
    let (memory, main) = (Memory::default(), topic("main"));
    let mut told = Vec::new();
    for &now in looks {
        let ports = Ports {
            listing: SavedListing::of_pages(SourceKind::default(), [listed_at(jobs, now)]),
            store: memory.clone(),
            topic: Collected::new(main.clone()),
            urgent: None,
            alarms: None,
            clock: || now,
        };
        let input = RunInput {
            source: main.source(),
            settings,
            run_id: &now.to_string(),
            time_given: None,
        };
        let outcome = run(&ports, &input).await;
        assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
        for message in ports.topic.take() {
            let text = |place: &str| message.event.pointer(place).and_then(Value::as_str);
            let whose = text("/subject").unwrap();
            let whose = match text("/data/expected/by") {
                Some(by) => format!("{whose} {by}"),
                None => whose.to_owned(),
            };
            told.push((text("/data/kind").unwrap().to_owned(), whose, now));
        }
    }
    told.retain(|(kind, ..)| ["overdue", "missing"].contains(&kind.as_str()));
    told
}

/// What a backtest says that such a watch tells.
fn foretold(found: &Backtest, looks: &[Timestamp]) -> Vec<(String, String, Timestamp)> {
    let first_look = |from: Timestamp| looks.iter().copied().find(|look| *look >= from).unwrap();
    let overdue = overdue(found).into_iter();
    let overdue = overdue.map(|(id, at)| ("overdue".to_owned(), id.to_owned(), first_look(at)));
    let missing = missed(found).into_iter().map(|(detector, by, _)| {
        let whose = format!("{detector} {by}");
        ("missing".to_owned(), whose, first_look(by))
    });
    overdue.chain(missing).collect()
}

/// Every quarter of an hour of nights and mornings: nothing is active otherwise.
fn looks(from: Timestamp, until: Timestamp) -> Vec<Timestamp> {
    let all = from.series(15.minutes()).take_while(|look| *look <= until);
    let is_early = |look: &Timestamp| (2..=12).contains(&TimeZone::UTC.to_datetime(*look).hour());
    all.filter(is_early).collect()
}

/// A backtest and the real run judge the same past alike.
#[tokio::test]
async fn what_a_watch_would_have_told_is_what_the_backtest_says() {
    let job = |id: &str, status: &str, start: &str, end: &str, records: i64| {
        let (start, end) = (format!("2026-02-{start}"), format!("2026-02-{end}"));
        ended(id, status, &start, &end, records)
    };
    let queue = [
        nights(6),
        vec![
            job("slow", "COMPLETE", "07T02:00", "07T06:10", 100),
            job("behind", "COMPLETE", "07T02:05", "07T09:00", 100),
            job("given up", "CANCELED", "07T02:10", "07T03:50", 0),
            job("in time", "COMPLETE", "08T02:00", "08T02:30", 100),
            job("failed", "FAILED", "09T02:00", "09T04:00", 7),
        ],
    ];
    let variables = [("EXPECT", EXPECT), ("DIGEST_ABOVE", "1000")];
    for (jobs, from, until, count) in [
        (month(), "2026-02-09T02:00", "2026-03-09T02:00", 3),
        // Three overdue, payments missing for three days, chargebacks for eleven.
        (queue.concat(), "2026-02-01T02:00", "2026-02-11T08:00", 17),
    ] {
        let looks = looks(at(from), at(until));
        let mut told = told(&jobs, &looks, &settings(&variables)).await;
        let mut foretold = foretold(&found_until(&read(&jobs), until, true, &variables), &looks);
        told.sort();
        foretold.sort();
        assert_eq!(told, foretold);
        assert_eq!(told.len(), count);
    }
}
