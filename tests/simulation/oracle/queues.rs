//! Who truly waits for whom.

use fraud_job_watch::watch::Kind;
use jiff::{SignedDuration, Timestamp};

use super::super::ledger::{Look, RunLog};
use super::super::life::{Stage, Version};
use super::silences::visible_sign;
use super::told::{Case, Told};

/// Whom a job that had not begun waited for, as the run could see, when this was told of it.
pub(super) fn waited(case: &Case<'_>, told: &Told) -> Option<String> {
    if case.are_imports {
        return None;
    }
    let run = case.run(told);
    // A run that failed may have written down that it runs.
    let mut looks = case.looks(told.life).into_iter();
    let was_shown_to_run = looks
        .any(|(_, look)| look.at <= told.at && (look.stage == Stage::Runs || look.count > Some(0)));
    if case.last_known(told.life, run, told.at) != Some(Stage::Waits) || was_shown_to_run {
        return None;
    }
    if !run.saw_the_end {
        return Some("who waits is not known to an incomplete listing".to_owned());
    }
    let stall_after = run.policy.stall_after;
    // Time passes while a run asks, and who waits is found when it has ended.
    let by = run.ended.unwrap_or(told.at).max(told.at);
    let lately = |at: Timestamp| at <= told.at && by.duration_since(at) < stall_after;
    for other in (0..case.lives.len()).filter(|other| *other != told.life) {
        let id = case.lives[other].id;
        if let Some(at) = end_seen(case, other, run, told.at).filter(|at| lately(*at)) {
            return Some(format!("job {id} ended at {at}"));
        }
        // What had vanished before another took its id ended with the first.
        let had_vanished = |it: &&Told| {
            let before = SignedDuration::from_nanos(1);
            it.is_replaced
                && case
                    .open_at(other, it.at - before)
                    .is_some_and(|it| it.kind == Kind::Vanished)
        };
        let is_gone =
            |it: &&Told| it.kind == Kind::Vanished && it.at < told.at && !had_vanished(it);
        if case.of(other).filter(is_gone).any(|it| lately(it.at)) {
            return Some(format!("job {id} vanished just before"));
        }
        let known = case.last_known(other, run, told.at);
        let is_there = run.look(other).is_some_and(|look| look.shows_activity());
        // Who is missed for the first time is taken to go on.
        let is_missed = || {
            // How it beat is not written down, only that it did not end.
            let start = case.lives[other].start;
            is_missed_first(case, other, run) && !completed_after(case, start, told.at)
        };
        if !is_there && !is_missed() {
            continue;
        }
        if known.is_some_and(Stage::runs) {
            let sign = visible_sign(case, other, run, told.at);
            let is_alive = sign.is_some_and(|sign| told.at.duration_since(sign) <= stall_after);
            let overtaken = sign.is_some_and(|sign| completed_after(case, sign, told.at));
            if is_alive || !overtaken {
                return Some(format!("job {id} runs"));
            }
        }
        if known == Some(Stage::Waits) && is_before(case, other, told.life) {
            return Some(format!("job {id} started before it"));
        }
    }
    None
}

/// Whether the run is the first to miss a job that the one before it was shown.
fn is_missed_first(case: &Case<'_>, life: usize, run: &RunLog) -> bool {
    let id = case.lives[life].id;
    let before = case.ledger.runs.iter().rfind(|before| {
        before.saw_the_end && before.ended.is_some_and(|ended| ended < run.started)
    });
    let is_seen = |look: &Look| look.shows_activity();
    let is_taken = |look: &Look| case.lives[look.life].id == id;
    run.absent.contains_key(id)
        && !run.looks.iter().any(is_taken)
        && before.is_some_and(|before| before.is_plain() && before.look(life).is_some_and(is_seen))
}

/// Whether any run was shown the job by then.
fn was_shown(case: &Case<'_>, life: usize, by: Timestamp) -> bool {
    case.looks(life).iter().any(|(_, look)| look.at <= by)
}

/// Whether both starts are told, and one is before the other however they are told.
fn is_before(case: &Case<'_>, one: usize, other: usize) -> bool {
    let (one, other) = (&case.lives[one], &case.lives[other]);
    let apart = other.start.duration_since(one.start) > SignedDuration::from_mins(1);
    one.style.tells_start() && other.style.tells_start() && apart
}

pub(super) fn end_seen(
    case: &Case<'_>,
    life: usize,
    run: &RunLog,
    by: Timestamp,
) -> Option<Timestamp> {
    let looks = case.looks(life).into_iter();
    let mut known = looks.filter(|(it, look)| {
        look.at <= by && matches!(look.stage, Stage::Ended(_)) && super::told::knows(it, run, by)
    });
    let (seen_at, end) = known.find_map(|(_, look)| Some((look.at, look.completed?)))?;
    // History is not stored: once it is deleted, nobody knows of it.
    let began = case.ledger.runs.first()?.started;
    let mut before = case.looks(life).into_iter();
    let is_stored =
        end > began || before.any(|(_, look)| look.shows_activity() && look.at < seen_at);
    let is_shown = |look: &Look| matches!(look.stage, Stage::Ended(_));
    // An unknown end is not final, also to an older view.
    let is_final = |look: &Look| is_shown(look) && look.stage != Stage::Ended(Kind::Ended);
    let goes_on = run.look(life).is_some_and(Look::shows_activity);
    let mut looks = case.looks(life).into_iter();
    if goes_on && !looks.any(|(_, look)| look.at <= by && is_final(look)) {
        return None;
    }
    (is_stored || run.look(life).is_some_and(is_shown)).then_some(end)
}

/// Whether any job has completed since, or is known to be about to have.
fn completed_after(case: &Case<'_>, sign: Timestamp, by: Timestamp) -> bool {
    let completed = |(at, version): &(Timestamp, Version)| {
        let is_there = version.is_shown && !version.is_deleted;
        is_there && *at <= by && version.status == "COMPLETE" && version.completed > Some(sign)
    };
    // Whose completion time cannot be is taken to have completed when that was seen.
    let was_seen = |place: usize| {
        let looks = case.looks(place).into_iter();
        let mut ended = looks.filter(|(_, look)| look.stage == Stage::Ended(Kind::Completed));
        case.lives[place].style.ends_before_start
            && ended
                .next()
                .is_some_and(|(_, look)| look.at <= by && look.at > sign)
    };
    (0..case.lives.len())
        .any(|place| was_seen(place) || case.lives[place].versions.iter().any(completed))
}

/// From when on a job that has not begun could be blamed for that, if it can at `moment`, in the world's own eyes.
pub(super) fn blamed_since(
    case: &Case<'_>,
    life: usize,
    run: &RunLog,
    moment: Timestamp,
) -> Option<Timestamp> {
    if case.are_imports {
        return Some(case.lives[life].start);
    }
    let stall_after = run.policy.stall_after;
    let first_seen = |life: usize| case.looks(life).first().map(|(_, look)| look.at);
    let key = |life: usize| Some(case.lives[life].start).max(first_seen(life));
    let mut since = case.lives[life].start;
    for other in (0..case.lives.len()).filter(|other| *other != life) {
        let it = &case.lives[other];
        let Some((from, version)) = it.versions.iter().rev().find(|(at, _)| *at <= moment) else {
            continue;
        };
        let was_seen = first_seen(other).is_some_and(|at| at <= moment);
        // Until a run has seen that it ended, it holds the others up; and, without a time, for longer.
        let looks = case.looks(other);
        let ended = looks
            .iter()
            .find(|(_, look)| !look.stage.is_active() && look.stage == version.stage());
        if let Some((end, (_, look))) = version.completed.zip(ended) {
            since = since.max(end + stall_after).max(look.at);
            if it.style.ends_before_start {
                since = since.max(look.at + stall_after);
            }
            continue;
        }
        if version.is_deleted || !version.is_shown {
            if !was_seen {
                continue;
            }
            // Nobody knows that it is gone before that is told.
            let told = case
                .of(other)
                .filter(|told| told.kind == Kind::Vanished && told.at <= moment);
            let gone = told.last().filter(|told| told.at >= *from)?;
            since = since.max(gone.at + stall_after);
            continue;
        }
        match case
            .last_known(other, run, moment)
            .unwrap_or(version.stage())
        {
            Stage::Waits => {
                let slack = SignedDuration::from_mins(1);
                let is_behind = key(life).is_some_and(|key| it.start > key + slack);
                if !is_behind {
                    return None;
                }
            }
            Stage::Runs | Stage::IsCanceled => {
                // Once another has completed after it was told to be stalled, it holds nobody up.
                let told = case.open_at(other, moment);
                let stalled = told.filter(|told| told.kind != Kind::Vanished)?;
                let sign = visible_sign(case, other, run, moment);
                let last = sign.map_or(stalled.at, |sign| sign.max(stalled.at));
                if !completed_after(case, last, moment) {
                    return None;
                }
            }
            Stage::Ended(_) | Stage::Unknown | Stage::Missing => return None,
        }
    }
    Some(since)
}

/// How many truly wait for the job, if that is beyond doubt: it runs, no other does, and all were shown.
pub(super) fn waiting_for(case: &Case<'_>, told: &Told) -> Option<u64> {
    let run = case.run(told);
    if case.are_imports || !run.saw_the_end || !case.last_known(told.life, run, told.at)?.runs() {
        return None;
    }
    let sign = visible_sign(case, told.life, run, told.at)?;
    if completed_after(case, sign - run.policy.stall_after, told.at) {
        return None;
    }
    // What a run beside it wrote down, this one may know.
    let is_beside = |by: &RunLog| {
        by.number != run.number
            && run.ended.is_none_or(|ended| by.started <= ended)
            && by.ended.is_none_or(|ended| ended >= run.started)
    };
    if case.ledger.runs.iter().any(is_beside) {
        return None;
    }
    let mut count = 0;
    for other in (0..case.lives.len()).filter(|other| *other != told.life) {
        let Some(known) = case.last_known(other, run, told.at) else {
            if run.look(other).is_some() || was_shown(case, other, told.at) {
                return None;
            }
            continue;
        };
        let is_shown = run.look(other).is_some_and(|look| look.stage == known);
        match known {
            Stage::Ended(kind) if kind != Kind::Ended => {}
            Stage::Waits if is_shown => count += 1,
            _ => return None,
        }
    }
    Some(count)
}
