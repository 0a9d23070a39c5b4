//! Silences: none is told of a job that came on or waited, and each that is true is told.

use std::collections::BTreeSet;

use fraud_job_watch::watch::Kind;
use jiff::{SignedDuration, Timestamp};

use super::super::ledger::{Look, RunLog};
use super::super::life::{Heartbeat, Stage};
use super::facts::recoveries;
use super::queues::{blamed_since, waited, waiting_for};
use super::told::{Case, Told, knows};
use super::{FORGOTTEN, MINUTE, Rule, Violation, broken};

const CLOCKS: SignedDuration = SignedDuration::from_mins(5);

pub(super) fn judge(case: &Case<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    for told in case.told {
        let allowed = allowed(case, told).as_secs();
        if told
            .silence
            .as_ref()
            .is_some_and(|silence| silence.allowed_s != allowed)
        {
            let what = format!("{}: it is allowed {allowed} s", case.name(told));
            found.push(broken(Rule::Untrue, what));
        }
        if !matches!(told.kind, Kind::Stalled | Kind::Reminder) {
            continue;
        }
        if let Some(why) = alive(case, told).or_else(|| waited(case, told)) {
            found.push(broken(
                Rule::FalseStall,
                format!("{}: {why}", case.name(told)),
            ));
        }
        let counted = told.silence.as_ref().and_then(|silence| silence.waiting);
        if let Some(count) = counted.filter(|_| case.are_imports) {
            let what = format!("{}: {count} wait, but none waits", case.name(told));
            found.push(broken(Rule::Miscounted, what));
        }
        if let Some(count) = waiting_for(case, told).filter(|count| Some(*count) != counted) {
            let what = format!("{}: {counted:?} wait, not {count}", case.name(told));
            found.push(broken(Rule::Miscounted, what));
        }
    }
    for life in 0..case.lives.len() {
        found.extend(untold(case, life));
    }
    found
}

/// How long the job might be silent, or from its recovery on may be: twice as long after each stall that it recovered
/// from, four times at the most.
fn allowed(case: &Case<'_>, told: &Told) -> SignedDuration {
    let recovers = u32::from(told.kind == Kind::Recovered);
    let recoveries = recoveries(case, told.life, told) + recovers;
    case.run(told).policy.stall_after * (1 << recoveries.min(2))
}

/// Why the silence that is told was none.
fn alive(case: &Case<'_>, told: &Told) -> Option<String> {
    let run = case.run(told);
    let Some(look) = run.look(told.life) else {
        return Some("it was not shown".to_owned());
    };
    if !look.shows_activity() {
        return Some("it had ended".to_owned());
    }
    let has_counted = |(by, look): (&RunLog, &Look)| {
        (look.at <= told.at || by.number == run.number) && look.count > Some(0)
    };
    if case.are_imports && !case.looks(told.life).into_iter().any(has_counted) {
        return Some("it may be validating its input: it has counted nothing".to_owned());
    }
    let allowed = allowed(case, told);
    // By the world's clock, whatever that of the run says.
    let at = run.ended.map_or(told.at, |ended| told.at.min(ended));
    let sign = visible_sign(case, told.life, run, at)?;
    let lasted = at.duration_since(sign);
    let first = case.looks(told.life).first().map(|(_, look)| look.at)?;
    if look.count > Some(0) && at.duration_since(first) < MINUTE {
        return Some("it had processed records, and was seen for the first time".to_owned());
    }
    (lasted <= allowed)
        .then(|| format!("it showed life at {sign}, {lasted:#} before, within {allowed:#}"))
}

/// The last sign of life of a job that `run`, at `moment`, knew or should have known.
pub(super) fn visible_sign(
    case: &Case<'_>,
    life: usize,
    run: &RunLog,
    moment: Timestamp,
) -> Option<Timestamp> {
    let looks = case.looks(life);
    let own = run.look(life);
    let began = case.ledger.runs.first().map(|run| run.started - MINUTE);
    let judged_by_count = own.is_some_and(|own| own.heartbeat.is_none() && own.count > Some(0));
    let gone: Vec<_> = case
        .of(life)
        .filter(|told| told.kind == Kind::Vanished && told.at < moment)
        .map(|told| told.at)
        .collect();
    let mut ahead: BTreeSet<Timestamp> = BTreeSet::new();
    let (mut sign, mut maybe_seen_at): (Option<Timestamp>, Option<Timestamp>) = (None, None);
    let mut shown: Vec<Timestamp> = Vec::new();
    let (mut highest, mut stage, mut seen_at): (i64, Option<Stage>, Option<Timestamp>) =
        (0, None, None);
    let is_past = |by: &RunLog, look: &Look| look.at <= moment || by.number == run.number;
    for (by, look) in looks.into_iter().filter(|(by, look)| is_past(by, look)) {
        // History is not stored.
        let is_history = seen_at.is_none() && look.completed <= began && !look.stage.is_active();
        if look.is_unclear() || is_history {
            continue;
        }
        // What vanished long ago is forgotten, and seen for the first time once more.
        let is_forgotten = |at: &Timestamp| {
            seen_at.is_some_and(|seen_at| seen_at < *at) && look.at.duration_since(*at) >= FORGOTTEN
        };
        if gone.iter().any(is_forgotten) {
            (sign, maybe_seen_at, seen_at) = (None, None, None);
            (highest, stage) = (0, None);
            shown.clear();
        }
        let counts = knows(by, run, moment);
        let heartbeat = look.heartbeat.filter(|at| *at <= look.at + CLOCKS);
        ahead.extend(look.heartbeat.filter(|_| heartbeat.is_none()));
        let mut signs = Vec::new();
        // Of a replica that lags, this run may know no better.
        let known = own
            .and_then(|own| own.heartbeat)
            .filter(|_| run.view.jobs_stale > 0);
        // A heartbeat that came in time is not stored: a view that shows a count alone is judged by that.
        let is_stored = seen_at.is_none() || !judged_by_count;
        if let Some(at) = heartbeat.filter(|at| is_stored && !ahead.contains(at)) {
            signs.push(at.min(known.unwrap_or(at)).min(look.at));
        }
        match seen_at {
            None => {
                signs.extend(look.start);
                let moved =
                    |(start, beat): (Timestamp, Timestamp)| beat.duration_since(start) >= MINUTE;
                let has_moved = match look.start {
                    Some(start) => heartbeat.is_some_and(|beat| moved((start, beat))),
                    None => heartbeat.is_some(),
                };
                if signs.is_empty() || look.count > Some(0) && !has_moved {
                    // A run that failed may have written it down all the same.
                    signs.push(maybe_seen_at.unwrap_or(look.at));
                }
            }
            Some(seen_at) => {
                let is_kept = |at: Timestamp| look.at.duration_since(at) < FORGOTTEN;
                let is_back =
                    (gone.iter()).any(|at| *at > seen_at && *at < look.at && is_kept(*at));
                let is_later = shown.last() < Some(&look.at);
                let goes_on = stage == Some(Stage::Ended(Kind::Ended)) && is_later;
                let begins = stage == Some(Stage::Waits) && look.stage == Stage::Runs;
                if look.stage.is_active() && (is_back || goes_on || begins) {
                    // A run that failed may have written down that it is back.
                    let since = gone.iter().filter(|at| is_back && **at > seen_at).max();
                    let is_since = |at: &&Timestamp| since.is_some_and(|since| *at > since);
                    signs.push(shown.iter().find(is_since).map_or(look.at, |at| *at));
                    stage = Some(look.stage);
                }
                if look.count > Some(highest) {
                    // A rise that was not written down is seen again by who is shown it again.
                    let is_shown = own.is_some_and(|own| own.count >= look.count);
                    let sample = by.policy.stall_after.max(run.policy.stall_after) / 4;
                    let slack = match is_shown {
                        true => SignedDuration::ZERO,
                        false => sample,
                    };
                    // With a heartbeat that came in time it is not written down at all.
                    let is_in_time = |at| look.at.duration_since(at) <= sample;
                    if is_shown || !heartbeat.is_some_and(is_in_time) {
                        signs.push(look.at - slack);
                    }
                }
            }
        }
        maybe_seen_at = maybe_seen_at.or(Some(look.at));
        shown.push(look.at);
        highest = highest.max(look.count.unwrap_or(0));
        let goes_back = look.stage == Stage::Waits && stage.is_some_and(Stage::runs);
        if look.stage.is_known() && !goes_back || !look.stage.is_active() {
            stage = Some(look.stage);
        }
        if counts {
            sign = sign.max(signs.into_iter().max());
            seen_at = Some(look.at);
        }
    }
    sign
}

/// A true silence that is not told within four times STALL_AFTER and two runs.
fn untold(case: &Case<'_>, life: usize) -> Option<Violation> {
    let mut overdue = 0;
    for run in &case.ledger.runs {
        let Some(look) = run
            .look(life)
            .filter(|look| is_overdue(case, life, run, look))
        else {
            // What nobody sees, or may tell, is not counted.
            if run.look(life).is_some_and(|look| {
                look.as_of < case.lives[life].progressed_by(look.as_of) + run.policy.stall_after
            }) {
                overdue = 0;
            }
            continue;
        };
        if case.open_at(life, look.at).is_some() {
            return None;
        }
        overdue += 1;
        if overdue > 2 {
            return Some(broken(
                Rule::Untold,
                format!(
                    "job {} has been silent since {}, and run {} did not tell it",
                    case.lives[life].id,
                    case.lives[life].progressed_by(look.as_of),
                    run.number
                ),
            ));
        }
    }
    None
}

/// Whether the run could see that the job's silence is to be told.
pub(super) fn is_overdue(case: &Case<'_>, life: usize, run: &RunLog, look: &Look) -> bool {
    let it = &case.lives[life];
    let most = run.policy.stall_after * 4;
    let counts = |look: &Look| it.style.step.is_none() || look.count.is_some();
    if !run.is_plain()
        || !run.policy.notify_on.contains(&Kind::Stalled)
        || !look.stage.is_known()
        || !counts(look)
        || case.are_imports && look.count.is_none_or(|count| count == 0)
    {
        return false;
    }
    let returned = it.versions.windows(2).filter_map(|pair| {
        let (before, after) = (&pair[0].1, &pair[1].1);
        (!before.is_shown && after.is_shown && pair[1].0 <= look.as_of).then_some(pair[1].0)
    });
    let last = returned
        .max()
        .into_iter()
        .chain([it.progressed_by(look.as_of)])
        .max();
    let Some(last) = last else {
        return false;
    };
    let looks = case.looks(life);
    // What is not written down at the first look after it, since the last sign is so new, is seen as new later.
    let sees = |(by, seen): &&(&RunLog, &Look)| by.is_plain() && seen.as_of >= last && counts(seen);
    let mut seen = looks.iter().filter(sees).map(|(_, look)| look);
    let Some(first) = seen.next() else {
        return false;
    };
    let all = case.ledger.runs.iter().map(|run| run.policy.stall_after);
    let sample = all.max().unwrap_or_default() / 4;
    let Some(second) = seen.find(|it| it.at.duration_since(first.at) > sample) else {
        return false;
    };
    let told = case
        .of(life)
        .filter(|told| told.at <= look.at && told.kind == Kind::Recovered);
    let mut since = last.max(second.at);
    since = since.max(told.last().map_or(since, |told| told.at));
    if it.style.gaps > 0 && it.style.heartbeat != Heartbeat::Missing {
        // The first view without a heartbeat tells nothing of when the last one was.
        let lacks = |(by, seen): &&(&RunLog, &Look)| {
            by.is_plain() && seen.at > since + sample && seen.heartbeat.is_none()
        };
        let first = looks.iter().find(lacks);
        since = first.map_or(since, |(_, first)| first.at.min(look.at));
    }
    if let Heartbeat::After(minutes) = it.style.heartbeat {
        let beat = it.start + SignedDuration::from_mins(i64::from(minutes));
        let known_ahead = looks
            .first()
            .is_some_and(|(_, first)| first.heartbeat.is_some() && beat > first.at + CLOCKS);
        if !known_ahead {
            since = since.max(beat);
        }
    }
    if look.at.duration_since(since) <= most {
        return false;
    }
    match case.last_known(life, run, look.at) {
        Some(Stage::Waits) => blamed_since(case, life, run, look.at).is_some_and(|at| look.at > at),
        Some(Stage::Runs | Stage::IsCanceled) => true,
        Some(Stage::Ended(_) | Stage::Unknown | Stage::Missing) | None => false,
    }
}
