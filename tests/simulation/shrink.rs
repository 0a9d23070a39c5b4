//! A failing plan, cut down as far as it still breaks the same rule, and told in words.

use std::fmt::Write as _;

use super::defects::Defect;
use super::oracle::Rule;
use super::plan::{Plan, Step, View};
use super::{Ending, play};

/// The plan without whatever the failure does not need.
pub(crate) fn shrink(plan: &Plan, defect: Option<Defect>, rule: Rule) -> Plan {
    let fails = |plan: &Plan| play(plan, defect, false).rules().contains(&rule);
    let mut plan = plan.clone();
    loop {
        let before = plan.clone();
        cut_steps(&mut plan, &fails);
        join_pauses(&mut plan, &fails);
        simplify_runs(&mut plan, &fails);
        if plan == before {
            return plan;
        }
    }
}

/// Takes steps away: many at once, then fewer.
fn cut_steps(plan: &mut Plan, fails: &impl Fn(&Plan) -> bool) {
    let mut many = plan.steps.len().div_ceil(2).max(1);
    loop {
        let mut from = 0;
        while from < plan.steps.len() {
            let mut less = plan.clone();
            let to = (from + many).min(less.steps.len());
            less.steps.drain(from..to);
            if fails(&less) {
                *plan = less;
            } else {
                from = to;
            }
        }
        match many {
            1 => return,
            _ => many = many.div_ceil(2),
        }
    }
}

/// Makes one of two pauses in a row.
fn join_pauses(plan: &mut Plan, fails: &impl Fn(&Plan) -> bool) {
    let mut place = 0;
    while place + 1 < plan.steps.len() {
        if let (Step::Pass(one), Step::Pass(other)) = (&plan.steps[place], &plan.steps[place + 1]) {
            let mut less = plan.clone();
            less.steps[place] = Step::Pass(*one + *other);
            less.steps.remove(place + 1);
            if fails(&less) {
                *plan = less;
                continue;
            }
        }
        place += 1;
    }
}

/// Takes away what befalls runs, one by one.
fn simplify_runs(plan: &mut Plan, fails: &impl Fn(&Plan) -> bool) {
    for place in 0..plan.steps.len() {
        let Step::Run(run) = plan.steps[place].clone() else {
            continue;
        };
        let mut simpler = Vec::new();
        for fault in 0..run.faults.len() {
            let mut less = run.clone();
            less.faults.remove(fault);
            simpler.push(less);
        }
        let mut plain = run.clone();
        plain.view = View {
            page: plain.view.page,
            shuffle: plain.view.shuffle,
            ..View::PLAIN
        };
        simpler.push(plain.clone());
        plain.view = View::PLAIN;
        simpler.push(plain);
        let mut prompt = run;
        prompt.latency = std::time::Duration::ZERO;
        simpler.push(prompt);
        for less in simpler {
            let mut candidate = plan.clone();
            candidate.steps[place] = Step::Run(less);
            if candidate != *plan && fails(&candidate) {
                *plan = candidate;
            }
        }
    }
}

/// What broke, and the shortest way there.
pub(crate) fn story(plan: &Plan, defect: Option<Defect>, ending: &Ending) -> String {
    let first = &ending.violations[0];
    let plan = shrink(plan, defect, first.rule);
    let short = play(&plan, defect, true);
    let mut text = format!(
        "seed {} breaks the rule {:?}. Again: tests/run {} seed {}\n\nWhat it takes:\n",
        plan.seed, first.rule, plan.command, plan.seed
    );
    for (number, step) in plan.steps.iter().enumerate() {
        let _ = writeln!(text, "{:>3}. {step}", number + 1);
    }
    text.push_str("\nWhat happens then:\n");
    for line in &short.trace {
        let _ = writeln!(text, "  {line}");
    }
    text
}
