//! Stories made by hand, for what chance seldom brings. Each of them holds.

use std::time::Duration;

use fraud_job_watch::watch::{OverdueAfter, Policy, SourceKind};

use super::calendar;
use super::life::{Heartbeat, Start, Style, Work};
use super::plan::{Effect, Event, Fault, Invocation, Plan, Step, policy};

pub(crate) fn pass(minutes: u64) -> Step {
    Step::Pass(Duration::from_secs(60 * minutes))
}

pub(crate) fn run(number: u32) -> Step {
    run_of(Invocation::plain(number))
}

pub(crate) fn run_of(invocation: Invocation) -> Step {
    Step::Run(Box::new(invocation))
}

/// A run every so many minutes, until so many have passed.
fn runs(first: u32, every: u64, until: u64) -> Vec<Step> {
    (0..until / every)
        .flat_map(|number| [pass(every), run(first + number as u32)])
        .collect()
}

fn arrives(id: &'static str) -> Step {
    Step::Job(id, Event::Arrives(Style::PLAIN))
}

fn begins(id: &'static str, rate: u32) -> Step {
    let (pulse, overtakes) = (None, true);
    let begins = Event::Begins {
        rate,
        pulse,
        overtakes,
    };
    Step::Job(id, begins)
}

/// It has begun, and beats every minute.
fn beats(id: &'static str) -> Vec<Step> {
    let (rate, pulse) = (600, Some(60));
    let works = Event::Works { rate, pulse };
    vec![arrives(id), begins(id, rate), job(id, works)]
}

fn job(id: &'static str, event: Event) -> Step {
    Step::Job(id, event)
}

/// A lagging replica shows the job of which another has taken the id.
fn an_older_view_after_another_took_the_id() -> Vec<Step> {
    let mut late = Invocation::plain(3);
    late.view.jobs_stale = 6 * 60;
    let mut steps = vec![arrives("a"), begins("a", 0), pass(10), run(1)];
    steps.extend([pass(1), job("a", Event::IsDeleted), pass(2), arrives("a")]);
    steps.extend([pass(1), run(2), pass(1), run_of(late)]);
    steps.extend([pass(1), run(4), pass(1), run(5)]);
    steps
}

/// The service tells a start that was wrong, and later the right one.
fn a_start_that_was_told_wrong_at_first() -> Vec<Step> {
    let style = Style {
        start: Start::LateAtFirst,
        ..Style::PLAIN
    };
    let mut steps = vec![
        job("a", Event::Arrives(style)),
        begins("a", 600),
        pass(10),
        run(1),
    ];
    steps.extend([pass(90), run(2), pass(30), job("a", Event::Ends("FAILED"))]);
    steps.extend([pass(5), run(3), pass(5), run(4)]);
    steps
}

/// A job whose start is never told ends, and another takes its id.
fn the_id_of_one_without_a_start_is_taken() -> Vec<Step> {
    let style = Style {
        start: Start::Missing,
        ..Style::PLAIN
    };
    let mut steps = vec![job("a", Event::Arrives(style)), begins("a", 600)];
    steps.extend([pass(5), run(1), job("a", Event::Ends("COMPLETE"))]);
    steps.extend([pass(5), run(2), job("a", Event::IsDeleted), pass(5)]);
    steps.extend([arrives("a"), begins("a", 600), pass(5), run(3)]);
    steps.extend([job("a", Event::Ends("FAILED")), pass(5), run(4)]);
    steps
}

/// What waited for a job is given its time when that vanished, or when another took its id.
fn the_next_is_given_time_when_a_job_is_gone(replaced: bool) -> Vec<Step> {
    let mut steps = beats("a");
    steps.push(arrives("b"));
    steps.extend(runs(1, 20, 120));
    steps.push(job("a", Event::IsDeleted));
    if replaced {
        steps.extend([pass(2), arrives("a")]);
    }
    steps.extend(runs(20, 5, 40));
    steps.extend([begins("b", 600), pass(5), run(40)]);
    steps
}

/// A replica that lags far behind shows a stalled job as it was before: an older heartbeat, and a lower count.
fn an_older_view_of_a_stalled_job() -> Vec<Step> {
    let mut late = Invocation::plain(3);
    late.view.jobs_stale = 110 * 60;
    let mut steps = beats("a");
    steps.extend([run(1), pass(60), job("a", Event::FallsSilent), run(2)]);
    // The rise is written down here, and the stall told there.
    steps.extend([pass(20), run(7), pass(70), run(4)]);
    steps.extend([run_of(late), pass(5), run(6)]);
    steps
}

/// One look misses the job that runs: who waits for it is not stalled.
fn the_job_that_runs_is_missed_once() -> Vec<Step> {
    let mut blind = Invocation::plain(50);
    blind.view.misses = Some("a");
    let mut steps = beats("a");
    steps.push(arrives("b"));
    steps.extend(runs(1, 30, 180));
    steps.extend([pass(5), run_of(blind), pass(5), run(60)]);
    steps
}

/// One hangs for ever, the next overtakes it and completes, and the one after that never begins.
fn an_overtaken_job_holds_nobody_up() -> Vec<Step> {
    let mut steps = vec![arrives("a"), begins("a", 600), pass(10), run(1)];
    steps.extend([job("a", Event::FallsSilent), arrives("b")]);
    steps.extend(runs(2, 30, 180));
    steps.extend([begins("b", 600), pass(10), arrives("c"), run(20), pass(10)]);
    steps.push(job("b", Event::Ends("COMPLETE")));
    steps.extend(runs(30, 30, 420));
    steps
}

/// It ends at once, and another of its id starts within a minute.
fn the_next_of_its_id_starts_within_a_minute() -> Vec<Step> {
    let seconds = |seconds| Step::Pass(Duration::from_secs(seconds));
    let mut steps = vec![
        run(1),
        pass(10),
        arrives("a"),
        begins("a", 600),
        seconds(10),
    ];
    steps.extend([
        job("a", Event::Ends("COMPLETE")),
        seconds(5),
        run(2),
        seconds(5),
    ]);
    steps.extend([job("a", Event::IsDeleted), seconds(20), arrives("a")]);
    steps.extend([begins("a", 600), pass(5), run(3)]);
    steps.extend([job("a", Event::Ends("FAILED")), pass(5), run(4)]);
    steps
}

/// It hangs, vanishes, is there again and hangs on.
fn a_stalled_job_vanishes_and_is_back() -> Vec<Step> {
    let mut steps = vec![arrives("a"), begins("a", 600), pass(30)];
    steps.extend([run(1), job("a", Event::FallsSilent)]);
    steps.extend(runs(2, 30, 120));
    steps.push(job("a", Event::Hides));
    steps.extend(runs(20, 10, 40));
    steps.push(job("a", Event::Returns));
    steps.extend(runs(40, 10, 200));
    steps
}

/// Its completion time is before its start, and it is first seen when it has completed.
fn an_end_before_the_start() -> Vec<Step> {
    let style = Style {
        ends_before_start: true,
        ..Style::PLAIN
    };
    let mut steps = vec![
        run(1),
        pass(5),
        job("a", Event::Arrives(style)),
        begins("a", 600),
    ];
    steps.extend([pass(5), job("a", Event::Ends("COMPLETE")), pass(5), run(2)]);
    steps.extend([pass(5), run(3)]);
    steps
}

/// It has hung and recovered four times, and hangs for ever.
fn a_job_that_recovers_often() -> Vec<Step> {
    let style = Style {
        heartbeat: Heartbeat::IsTheStart,
        ..Style::PLAIN
    };
    let mut steps = vec![
        job("a", Event::Arrives(style)),
        begins("a", 6_000),
        pass(30),
        run(1),
    ];
    for number in 1..5 {
        let works = Event::Works {
            rate: 6_000,
            pulse: None,
        };
        steps.push(job("a", Event::FallsSilent));
        steps.extend(runs(number * 100, 20, 320));
        steps.push(job("a", works));
        steps.extend(runs(number * 100 + 50, 20, 40));
    }
    steps.push(job("a", Event::FallsSilent));
    steps.extend(runs(1_000, 20, 600));
    steps
}

/// So many jobs that took ten minutes each, an hour between them.
fn completed_before(count: usize, work: Work) -> Vec<Step> {
    let ids = ["h0", "h1", "h2", "h3", "h4", "h5", "h6", "h7"];
    let before = (1..).zip(&ids[..count]).map(|(hours, id)| {
        let (ago, took) = (hours * 3_600, 600);
        job(id, Event::WasThere { work, ago, took })
    });
    before.collect()
}

/// Five like it had completed, of which none had any records.
fn nothing_to_compare_with() -> Vec<Step> {
    let work = |total| Work {
        detector: Some("payments"),
        event_type: Some("transfer"),
        total: Some(total),
    };
    let style = Style {
        work: work(1_000),
        ..Style::PLAIN
    };
    let mut steps = completed_before(5, work(0));
    steps.extend([job("a", Event::Arrives(style)), begins("a", 600), run(1)]);
    steps
}

/// Listings that break off show a job that takes too long, and almost all that is usual.
fn an_incomplete_listing_shows_what_is_late() -> Vec<Step> {
    let policy = Policy {
        overdue_after: OverdueAfter::Auto,
        ..policy()
    };
    let work = Work {
        detector: Some("payments"),
        event_type: Some("transfer"),
        total: Some(1_000),
    };
    let mut steps = completed_before(8, work);
    let style = Style {
        work,
        ..Style::PLAIN
    };
    let works = Event::Works {
        rate: 300,
        pulse: Some(60),
    };
    steps.extend([Step::Settings(policy), job("a", Event::Arrives(style))]);
    steps.extend([begins("a", 300), job("a", works), run(1), pass(90)]);
    for number in 2..5 {
        let mut broken = Invocation::plain(number).with(Effect::Page, 2, Fault::Fails);
        broken.view.page = 8;
        broken.view.shuffle = u64::from(number);
        steps.extend([Step::Run(Box::new(broken)), pass(5)]);
    }
    steps.push(run(5));
    steps
}

/// What is expected, how the jobs are made that come for it, and the first of two deadlines that nothing comes for.
fn nothing_comes() -> (Style, Vec<Step>) {
    let policy = Policy {
        expect: calendar::expect("payments by 06:00"),
        ..policy()
    };
    let work = Work {
        detector: Some("payments"),
        ..Work::UNKNOWN
    };
    let style = Style {
        work,
        ..Style::PLAIN
    };
    let steps = vec![Step::Settings(policy), run(1), pass(365), run(2)];
    (style, steps)
}

/// Two come after the deadline between two runs: the first of them closes what was missing, the other one counts for the
/// next deadline.
fn two_come_late() -> Vec<Step> {
    let (style, mut steps) = nothing_comes();
    for id in ["a", "b"] {
        steps.extend([job(id, Event::Arrives(style)), begins(id, 600), pass(20)]);
        steps.push(job(id, Event::Ends("COMPLETE")));
    }
    steps.extend([pass(20), run(3), pass(24 * 60 - 50), run(4)]);
    steps
}

/// Two come in the same second, after the second deadline: each counts for one.
fn two_come_at_once() -> Vec<Step> {
    let (style, mut steps) = nothing_comes();
    steps.push(pass(24 * 60));
    for id in ["a", "b"] {
        steps.extend([job(id, Event::Arrives(style)), begins(id, 600), pass(20)]);
    }
    steps.extend(["a", "b"].map(|id| job(id, Event::Ends("COMPLETE"))));
    steps.extend([pass(20), run(3)]);
    steps
}

/// It is validated for hours, and begins, without a count; and then it counts and stands still.
fn an_import_that_counts_late() -> Vec<Step> {
    let mut steps = vec![arrives("a"), run(1)];
    steps.extend(runs(2, 30, 300));
    steps.push(begins("a", 0));
    steps.extend(runs(100, 30, 300));
    steps.extend([job("a", Event::Moves), pass(5), run(200)]);
    steps.extend(runs(300, 30, 420));
    steps.push(job("a", Event::Moves));
    steps.extend(runs(400, 30, 60));
    steps
}

/// Six like it had completed. One import runs for hours, another has not begun, and a third ends again and again.
fn imports_side_by_side() -> Vec<Step> {
    let policy = Policy {
        overdue_after: OverdueAfter::Auto,
        ..policy()
    };
    let work = Work {
        detector: None,
        event_type: Some("transfer"),
        total: Some(1_000),
    };
    let mut steps = completed_before(6, work);
    let style = Style {
        work,
        ..Style::PLAIN
    };
    steps.push(Step::Settings(policy));
    for id in ["a", "b"] {
        steps.push(job(id, Event::Arrives(style)));
    }
    steps.extend([begins("a", 60), run(1)]);
    for (round, id) in (1..).zip(["c", "d", "e"]) {
        steps.extend([arrives(id), begins(id, 600), pass(30), run(10 * round)]);
        steps.extend([
            job(id, Event::Ends("COMPLETE")),
            pass(10),
            run(10 * round + 1),
        ]);
    }
    steps
}

pub(crate) fn by_hand() -> Vec<(&'static str, Plan)> {
    let mut all = of(
        SourceKind::BatchPredictions,
        vec![
            ("an older view", an_older_view_after_another_took_the_id()),
            ("a wrong start", a_start_that_was_told_wrong_at_first()),
            (
                "a job is gone",
                the_next_is_given_time_when_a_job_is_gone(false),
            ),
            (
                "an id is taken",
                the_next_is_given_time_when_a_job_is_gone(true),
            ),
            ("no start", the_id_of_one_without_a_start_is_taken()),
            ("an older view of a stall", an_older_view_of_a_stalled_job()),
            ("the runner is missed", the_job_that_runs_is_missed_once()),
            ("overtaken", an_overtaken_job_holds_nobody_up()),
            (
                "within a minute",
                the_next_of_its_id_starts_within_a_minute(),
            ),
            ("gone and back", a_stalled_job_vanishes_and_is_back()),
            ("an end before the start", an_end_before_the_start()),
            ("hangs often", a_job_that_recovers_often()),
            ("nothing to compare with", nothing_to_compare_with()),
            ("two come late", two_come_late()),
            ("two come at once", two_come_at_once()),
            (
                "late in an incomplete listing",
                an_incomplete_listing_shows_what_is_late(),
            ),
        ],
    );
    all.extend(of(
        SourceKind::BatchImports,
        vec![
            ("an import counts late", an_import_that_counts_late()),
            ("imports side by side", imports_side_by_side()),
        ],
    ));
    all
}

fn of(source: SourceKind, stories: Vec<(&'static str, Vec<Step>)>) -> Vec<(&'static str, Plan)> {
    let plan = |(name, steps)| {
        let plan = Plan {
            seed: 0,
            command: "simulate",
            source,
            is_urgent: true,
            policy: policy(),
            steps,
        };
        (name, plan)
    };
    stories.into_iter().map(plan).collect()
}
