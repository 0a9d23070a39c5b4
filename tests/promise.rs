//! The delivery promise, by simulation: what must hold in stories made by hand, and in many made by chance.

use std::collections::BTreeSet;
use std::time::Duration;

use fraud_job_watch::run::Failure;
use fraud_job_watch::watch::{Kind, SourceKind};

use crate::simulation::defects::{DEFECTS, Defect};
use crate::simulation::oracle::Rule;
use crate::simulation::plan::{
    EFFECTS, Effect, Event, Fault, Invocation, Plan, Step, Tokens, Trigger, policy,
};
use crate::simulation::stories::{pass, run, run_of};
use crate::simulation::{Ending, days, play, shrink, simulate, stories, year};

fn holds(plan: &Plan) -> Ending {
    let ending = play(plan, None, false);
    if !ending.violations.is_empty() {
        panic!("{}", shrink::story(plan, None, &ending));
    }
    ending
}

fn story(steps: Vec<Step>) -> Plan {
    Plan {
        seed: 0,
        command: "simulate",
        source: SourceKind::BatchPredictions,
        is_urgent: false,
        policy: policy(),
        steps,
    }
}

fn starts(id: &'static str) -> Step {
    let pulse = None;
    Step::Job(
        id,
        Event::Starts {
            waits: false,
            pulse,
        },
    )
}

/// A day in which each kind of change comes once, and what it should tell.
fn eventful() -> (Vec<Step>, BTreeSet<(Kind, String)>) {
    let mut steps: Vec<_> = ["a", "b", "c", "d", "e"].map(starts).into();
    steps.extend([run(1), pass(30), Step::Job("e", Event::IsDeleted)]);
    steps.extend([run(10), pass(60)]);
    steps.extend([
        Step::Job("a", Event::Ends("COMPLETE")),
        Step::Job("b", Event::Ends("FAILED")),
        Step::Job("c", Event::Ends("CANCELED")),
    ]);
    let told = [
        (Kind::Completed, "a"),
        (Kind::Failed, "b"),
        (Kind::Canceled, "c"),
        (Kind::Stalled, "d"),
        (Kind::Vanished, "e"),
    ];
    let told = told.map(|(kind, id)| (kind, id.to_owned()));
    (steps, told.into())
}

fn set(told: Vec<(Kind, String)>) -> BTreeSet<(Kind, String)> {
    told.into_iter().collect()
}

fn assert_told_once(plan: &Plan, expected: &BTreeSet<(Kind, String)>) {
    let (told, seed) = (holds(plan).world.told(), plan.seed);
    let right = (expected.len(), expected);
    assert_eq!((told.len(), &set(told)), right, "seed {seed}");
}

#[test]
fn nothing_breaks_in_many_stories_by_chance() {
    let tally = simulate(Plan::of, 0..400).unwrap_or_else(|story| panic!("{story}"));
    assert!(tally.faults.len() > 12, "every sort of fault: {tally}");
    assert!(tally.repeats.values().sum::<u64>() > 0, "{tally}");
    assert_eq!(tally.recorded.len(), 12, "every kind is told: {tally}");
}

#[test]
fn what_is_told_of_many_days_by_chance_is_so() {
    let tally = simulate(days::plan, 0..100).unwrap_or_else(|story| panic!("{story}"));
    assert_eq!(tally.recorded.len(), 12, "every kind is told: {tally}");
}

/// Clocks change in America on the first Sunday of the first of these four weeks, in Europe on the last of the fourth,
/// and back in the other four.
#[test]
fn each_late_and_each_missing_job_of_some_weeks_is_told_once_and_no_other() {
    let tally = year::simulate([0, 8]).unwrap_or_else(|story| panic!("{story}"));
    assert!(
        tally.recorded["overdue"] > 5 && tally.recorded["missing"] > 10,
        "{tally}"
    );
}

#[test]
fn what_chance_seldom_brings_holds_too() {
    for (_, plan) in stories::by_hand() {
        holds(&plan);
    }
}

#[test]
fn each_thing_is_told_once() {
    let (mut steps, expected) = eventful();
    steps.push(run(2));
    assert_told_once(&story(steps), &expected);
}

/// Each fault at each effect of a run that lists, asks, records, claims, publishes and settles.
#[test]
fn nothing_is_lost_whatever_befalls_any_effect() {
    let faults = [
        Fault::Fails,
        Fault::LosesAnswer,
        Fault::IsRefused,
        Fault::DiesBefore,
        Fault::DiesAfter,
        Fault::IsSlow(70_000),
        Fault::AnswersSlowly(70_000),
        Fault::Hangs,
        Fault::HangsAfter,
        Fault::LandsLate(90_000),
        Fault::FreezesBefore(70_000),
        Fault::FreezesAfter(70_000),
    ];
    let mut stories = 0;
    let (steps, expected) = eventful();
    for fault in faults {
        for effect in EFFECTS {
            for nth in 1.. {
                let mut steps = steps.clone();
                steps.push(run_of(Invocation::plain(2).with(effect, nth, fault)));
                let ending = holds(&story(steps));
                let told = set(ending.world.told());
                assert_eq!(told, expected, "{effect} {nth}: {fault}");
                if ending.counts[2]
                    .get(&effect)
                    .is_none_or(|count| *count < nth)
                {
                    break;
                }
                stories += 1;
            }
        }
    }
    assert!(stories > 12 * 20, "only {stories} stories");
}

#[test]
fn the_first_run_may_die_anywhere_too() {
    for fault in [
        Fault::Fails,
        Fault::LosesAnswer,
        Fault::DiesBefore,
        Fault::DiesAfter,
    ] {
        for effect in EFFECTS {
            for nth in 1..4 {
                let ending = holds(&story(vec![
                    starts("a"),
                    Step::Job("a", Event::Ends("FAILED")),
                    pass(10),
                    starts("b"),
                    run_of(Invocation::plain(1).with(effect, nth, fault)),
                    pass(2),
                    run(2),
                    Step::Job("b", Event::Ends("COMPLETE")),
                ]));
                let told = ending.world.told();
                assert_eq!(
                    told,
                    [(Kind::Completed, "b".to_owned())],
                    "{fault} at {effect} {nth}"
                );
            }
        }
    }
}

#[test]
fn a_write_whose_answer_was_lost_is_told_in_the_same_run() {
    for nth in 1..=5 {
        let (mut steps, expected) = eventful();
        let lost = Invocation::plain(2).with(Effect::Record, nth, Fault::LosesAnswer);
        steps.push(run_of(lost));
        let ending = holds(&story(steps));
        assert_eq!(set(ending.world.told()), expected);
        let ledger = ending.world.ledger.borrow();
        let outcome = ledger.runs[2].outcome.as_ref().unwrap();
        assert_eq!((outcome.answer.pending, outcome.failures.len()), (0, 0));
    }
}

#[test]
fn two_runs_at_once_tell_each_thing_once() {
    for seed in 0..150 {
        let (mut steps, expected) = eventful();
        for number in [2, 3] {
            let mut one = Invocation::plain(number);
            one.latency = Duration::from_millis(40);
            steps.push(run_of(one));
        }
        let plan = Plan {
            seed,
            ..story(steps)
        };
        assert_told_once(&plan, &expected);
    }
}

#[test]
fn a_stale_read_tells_nothing_twice() {
    for seconds in [60, 4_000] {
        let (mut steps, expected) = eventful();
        let mut stale = Invocation::plain(3);
        stale.view.table_stale = seconds;
        steps.extend([run(2), run_of(stale)]);
        assert_told_once(&story(steps), &expected);
    }
}

#[test]
fn what_is_pending_goes_out_in_order_when_the_job_has_moved_on() {
    let ending = holds(&story(vec![
        starts("a"),
        run(1),
        pass(90),
        run_of(Invocation::plain(2).with(Effect::Publish, 1, Fault::Fails)),
        pass(5),
        Step::Job("a", Event::Ends("COMPLETE")),
        run(3),
        pass(5),
        Step::Job("a", Event::IsDeleted),
    ]));
    let told = [Kind::Stalled, Kind::Completed].map(|kind| (kind, "a".to_owned()));
    assert_eq!(ending.world.told(), told);
}

#[test]
fn a_claim_that_came_too_late_publishes_nothing() {
    let ending = holds(&story(vec![
        starts("a"),
        run_of(Invocation::plain(1).with(Effect::Claim, 1, Fault::IsSlow(65_000))),
    ]));
    assert_eq!(ending.counts[0].get(&Effect::Publish), None);
}

#[test]
fn a_run_that_was_overtaken_leaves_what_it_recorded_to_the_next() {
    let mut overtaken = Invocation::plain(2);
    overtaken.view.table_stale = 300;
    let ending = holds(&story(vec![
        starts("a"),
        pass(120),
        run_of(Invocation::plain(1).with(Effect::Claim, 2, Fault::DiesBefore)),
        pass(2),
        Step::Job("a", Event::Beats(None)),
        run_of(overtaken),
    ]));
    let told = [Kind::Stalled, Kind::Recovered].map(|kind| (kind, "a".to_owned()));
    assert_eq!(ending.world.told(), told);
}

#[test]
fn a_job_that_waits_for_one_that_could_not_be_recorded_is_not_stalled() {
    let waits = Event::Starts {
        waits: true,
        pulse: None,
    };
    let beats = Event::Starts {
        waits: false,
        pulse: Some(30),
    };
    let mut blind = Invocation::plain(1).with(Effect::Record, 2, Fault::Fails);
    blind
        .faults
        .push((Trigger::Every(Effect::Read), Fault::Fails));
    let ending = holds(&story(vec![
        Step::Job("a", beats),
        Step::Job("b", waits),
        pass(90),
        run_of(blind),
    ]));
    assert_eq!(ending.world.told(), []);
}

#[test]
fn tokens_that_lead_nowhere_fail_the_run() {
    for tokens in [Tokens::Repeat, Tokens::Loop] {
        let mut lost = Invocation::plain(1);
        lost.view.page = 1;
        // The first token, though another came between; or that of the page before.
        lost.view.tokens = Some((2, tokens));
        let mut steps: Vec<_> = ["a", "b", "c"].map(starts).into();
        steps.push(run_of(lost));
        let ending = holds(&story(steps));
        let ledger = ending.world.ledger.borrow();
        let outcome = ledger.runs[0].outcome.as_ref().unwrap();
        assert!(matches!(outcome.failures[..], [Failure::ListingLooped(3)]));
        assert_eq!((outcome.answer.jobs, outcome.answer.complete), (3, false));
    }
}

#[test]
fn a_seed_makes_the_same_story_every_time() {
    for seed in 0..20 {
        let play = || play(&Plan::of(seed), None, true).trace;
        assert_eq!(play(), play(), "seed {seed}");
    }
}

#[test]
fn every_defect_is_caught() {
    for &(defect, rule) in DEFECTS {
        let breaks = |seed: &u64| {
            let ending = play(&Plan::of(*seed), Some(defect), false);
            ending.rules().contains(&rule)
        };
        let caught = (0..500).find(breaks);
        assert!(caught.is_some(), "{defect:?} does not break {rule:?}");
    }
}

/// What a failure looks like: three steps out of a long story, and what happened.
#[test]
fn a_failing_seed_is_told_as_a_short_story() {
    let defect = Some(Defect::SettlesBeforePublishing);
    let plan = Plan::of(3);
    let ending = play(&plan, defect, false);
    let text = shrink::story(&plan, defect, &ending);
    let short = shrink::shrink(&plan, defect, Rule::Lost);
    assert!(
        short.steps.len() <= 3 && plan.steps.len() > 20,
        "{} of {} steps: {text}",
        short.steps.len(),
        plan.steps.len()
    );
    assert!(text.contains("tests/run simulate seed 3"), "{text}");
    assert!(text.contains("VIOLATION: Lost: "), "{text}");
    assert_eq!(text, shrink::story(&plan, defect, &ending));
}
