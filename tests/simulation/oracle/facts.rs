//! Ends and disappearances: what is told is so, and what is so is told.

use fraud_job_watch::watch::Kind;
use jiff::{SignedDuration, Timestamp};

use super::super::ledger::{Look, RunLog};
use super::super::life::Stage;
use super::told::{Case, Told, knows};
use super::{DAY, FORGOTTEN, MINUTE, Rule, Violation, broken};

pub(super) fn judge(case: &Case<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    for told in case.told {
        let mut wrong = |rule, why: String| {
            found.push(broken(rule, format!("{}: {why}", case.name(told))));
        };
        if told.is_end() {
            if let Some(why) = not_ended(case, told) {
                wrong(Rule::Untrue, why);
            }
            if let Some(why) = history(case, told) {
                wrong(Rule::History, why);
            }
        }
        match told.kind {
            Kind::Vanished => {
                if let Some(why) = not_gone(case, told) {
                    wrong(Rule::Untrue, why);
                }
            }
            Kind::Recovered => {
                if let Some(why) = not_recovered(case, told) {
                    wrong(Rule::Untrue, why);
                }
            }
            _ => {}
        }
    }
    for life in 0..case.lives.len() {
        found.extend(end_not_told(case, life));
        found.extend(absence_not_told(case, life));
        found.extend(replacement_not_told(case, life));
    }
    found
}

fn not_ended(case: &Case<'_>, told: &Told) -> Option<String> {
    let shown = case.run(told).look(told.life).map(|look| look.as_of);
    let by = shown.map_or(told.at, |as_of| as_of.max(told.at));
    let versions = case.lives[told.life].versions.iter();
    let mut stages = versions
        .filter(|(at, _)| *at <= by)
        .map(|(_, version)| version.stage());
    let was_so = stages.any(|stage| stage == Stage::Ended(told.kind));
    (!was_so).then(|| "it had not ended so".to_owned())
}

fn history(case: &Case<'_>, told: &Told) -> Option<String> {
    let looks = case.looks(told.life);
    let was_active = looks
        .iter()
        .any(|(_, look)| look.stage.is_active() && look.at <= told.at);
    // It may have gone on after an end.
    let versions = case.lives[told.life].versions.iter();
    let finished = versions
        .filter_map(|(_, version)| version.completed)
        .max()?;
    let began = case.ledger.runs.first()?.started;
    let is_old = finished <= began - MINUTE || told.at.duration_since(finished) > DAY * 30;
    // What follows an unknown end is told, whenever it comes.
    let was_told = case
        .of(told.life)
        .any(|it| it.kind == Kind::Ended && it.at < told.at);
    (!was_active && !was_told && is_old).then(|| format!("it ended at {finished}"))
}

fn not_gone(case: &Case<'_>, told: &Told) -> Option<String> {
    let (run, id) = (case.run(told), case.lives[told.life].id);
    if told.is_replaced {
        let last = case.last_known(told.life, run, told.at);
        let is_over = matches!(last, Some(Stage::Ended(kind)) if kind != Kind::Ended);
        return is_over.then(|| "it had ended before another took its id".to_owned());
    }
    if !run.absent.contains_key(id) {
        return Some("nobody said that it is gone".to_owned());
    }
    let looks = case.looks(told.life);
    let is_first = |before: &&RunLog| {
        let missed_at = before.absent.get(id).filter(|_| before.saw_the_end);
        missed_at.is_some_and(|missed_at| {
            let seen_since = |(by, look): &(&RunLog, &Look)| {
                let is_later = before.ended.is_some_and(|ended| by.started >= ended);
                let knew = by.is_plain() && knows(by, run, told.at);
                look.at > *missed_at && look.shows_activity() && is_later && knew
            };
            told.at.duration_since(*missed_at) >= MINUTE && !looks.iter().any(seen_since)
        })
    };
    let confirmed = case.ledger.runs.iter().any(|it| is_first(&it));
    (!confirmed).then(|| "no run before missed it".to_owned())
}

/// A stall is recovered from by something newly seen that is not too old, a disappearance by being there.
fn not_recovered(case: &Case<'_>, told: &Told) -> Option<String> {
    let run = case.run(told);
    let Some(look) = run.look(told.life).filter(|look| look.shows_activity()) else {
        return Some("it was not seen to go on".to_owned());
    };
    told.silence.as_ref()?;
    let stall = case
        .of(told.life)
        .filter(|it| it.kind == Kind::Stalled && it.at <= told.at)
        .last()?;
    let recoveries = recoveries(case, told.life, told) + 1;
    let allowed = run.policy.stall_after * (1 << recoveries.min(2));
    let looks = case.looks(told.life);
    let since_the_stall = |look: &Look| look.at >= stall.at && look.at <= told.at;
    let was_ahead = |at: Timestamp| {
        let five = SignedDuration::from_mins(5);
        let is_it = |look: &Look| look.heartbeat == Some(at) && at > look.at + five;
        looks.iter().any(|(_, look)| is_it(look))
    };
    let told_by = case.run(stall);
    let is_before = |run: &RunLog, look: &Look| {
        // What a fresher replica showed, and was not written down, is new again after a stall told by an older view.
        let is_fresh = told_by.view.jobs_stale == 0;
        run.number == told_by.number
            || is_fresh && look.at < stall.at && knows(run, told_by, stall.at)
    };
    let before = looks.iter().filter(|(run, look)| is_before(run, look));
    let known = before.clone().filter_map(|(_, look)| look.count).min();
    let known = case
        .run(stall)
        .look(told.life)
        .and_then(|it| it.count)
        .or(known);
    // A heartbeat that came in time is not stored: it is new again once the stall was told by a view without one.
    let stalled = told_by.look(told.life);
    let judged_by_count = stalled.is_some_and(|look| look.heartbeat.is_none());
    let was_waiting = looks
        .iter()
        .any(|(_, look)| look.stage == Stage::Waits && look.at <= told.at);
    let is_sign = |look: &Look| {
        let is_new = |at: Timestamp| {
            let is_known =
                !judged_by_count && before.clone().any(|(_, look)| look.heartbeat >= Some(at));
            !is_known && !was_ahead(at) && told.at.duration_since(at) <= allowed
        };
        look.heartbeat.is_some_and(is_new)
            || look.count > known.or(Some(0))
            || was_waiting && look.stage == Stage::Runs
    };
    let shows = looks
        .iter()
        .any(|(_, look)| since_the_stall(look) && is_sign(look));
    let _ = look;
    (!shows).then(|| "it showed no new sign of life".to_owned())
}

/// From how many stalls the job had recovered when this was recorded.
pub(super) fn recoveries(case: &Case<'_>, life: usize, told: &Told) -> u32 {
    let (mut recoveries, mut vanished_at): (u32, Option<Timestamp>) = (0, None);
    for it in case.of(life) {
        // What vanished so long ago is forgotten, with all that was known of it.
        if vanished_at.is_some_and(|at| it.at.duration_since(at) >= FORGOTTEN) {
            recoveries = 0;
        }
        if std::ptr::eq(it, told) {
            break;
        }
        recoveries += u32::from(it.kind == Kind::Recovered && it.silence.is_some());
        vanished_at = (it.kind == Kind::Vanished).then_some(it.at);
    }
    recoveries
}

fn end_not_told(case: &Case<'_>, life: usize) -> Option<Violation> {
    let it = &case.lives[life];
    let (_, last) = it
        .versions
        .iter()
        .rev()
        .find(|(_, version)| !version.is_deleted)?;
    let Stage::Ended(kind) = last.stage() else {
        return None;
    };
    let finished = last.completed?;
    let runs = &case.ledger.runs;
    let shows_end = |run: &RunLog| {
        run.look(life)
            .is_some_and(|look| look.stage == Stage::Ended(kind))
    };
    let first_good = runs.iter().find(|run| run.is_good())?;
    let place = runs
        .iter()
        .position(|run| run.is_plain() && shows_end(run))?;
    let run = &runs[place];
    let look = run.look(life)?;
    // An older view of it, while another has its id, says nothing.
    let is_another = |place: usize| place > life && case.lives[place].id == it.id;
    let until = run.ended?;
    let mut earlier = runs.iter().filter(|it| it.started <= until);
    if earlier.any(|run| run.looks.iter().any(|look| is_another(look.life))) {
        return None;
    }
    let is_news = finished > first_good.started && look.at.duration_since(finished) < DAY * 29;
    let was_active = runs[..place].iter().rev().any(|before| {
        let saw = before.look(life).is_some_and(Look::shows_activity);
        let lately = look.at.duration_since(before.started) < DAY * 55;
        before.is_plain() && before.ended.is_some_and(|ended| ended < look.at) && saw && lately
    });
    let is_on = |run: &RunLog| run.policy.notify_on.contains(&kind);
    let mut saw = runs
        .iter()
        .filter(|it| it.started <= until && shows_end(it));
    // Whoever was told of an end that is not known is told which it was.
    let explains = kind != Kind::Ended
        && case
            .of(life)
            .any(|it| it.kind == Kind::Ended && !case.was_seen_active(life, it.at, look.at));
    if !(is_news || was_active) || !(explains || saw.all(is_on)) {
        return None;
    }
    // That it ended so once is told, if it went on and ended so again.
    let is_told = case.of(life).any(|told| told.kind == kind);
    (!is_told).then(|| broken(Rule::NotTold, format!("{kind:?} of job {}", it.id)))
}

/// The runs that miss a job one after the other, since a good one saw it active.
fn absence_not_told(case: &Case<'_>, life: usize) -> Option<Violation> {
    let id = case.lives[life].id;
    let is_it = |look: &Look| case.lives[look.life].id == id;
    let (mut seen, mut missed): (bool, Vec<Timestamp>) = (false, Vec::new());
    let mut told = case
        .of(life)
        .filter(|told| told.kind == Kind::Vanished || told.is_end());
    let is_told = told.next().is_some();
    for run in &case.ledger.runs {
        let looks: Vec<_> = run.looks.iter().filter(|look| is_it(look)).collect();
        if let Some(last) = looks.last() {
            missed.clear();
            seen = last.life == life && last.shows_activity() && run.is_plain();
        } else if let Some(at) = run.absent.get(id).filter(|_| run.is_plain() && seen) {
            if !run.policy.notify_on.contains(&Kind::Vanished) {
                return None;
            }
            missed.push(*at);
            let apart: Vec<_> = missed
                .iter()
                .filter(|it| it.duration_since(missed[0]) >= MINUTE)
                .collect();
            if apart.len() >= 2 && !is_told {
                return Some(broken(Rule::NotTold, format!("Vanished of job {id}")));
            }
        }
    }
    None
}

fn replacement_not_told(case: &Case<'_>, life: usize) -> Option<Violation> {
    let it = &case.lives[life];
    let next = (life + 1..case.lives.len()).find(|place| case.lives[*place].id == it.id)?;
    if !it.style.tells_start() || !case.lives[next].style.tells_start() {
        return None;
    }
    let runs = &case.ledger.runs;
    let place = runs.iter().position(|run| run.look(next).is_some())?;
    let until = runs[place..]
        .iter()
        .find(|run| run.is_plain() && run.look(next).is_some())?;
    let mut between = runs[place..]
        .iter()
        .take_while(|run| run.started <= until.started);
    let before = runs[..place].iter().rfind(|run| run.look(life).is_some())?;
    let was_active = before.is_plain() && before.look(life).is_some_and(Look::shows_activity);
    let is_lately = until.started.duration_since(before.started) < DAY * 55
        && before
            .ended
            .is_some_and(|ended| ended < runs[place].started);
    let is_on = |run: &RunLog| run.policy.notify_on.contains(&Kind::Vanished);
    if !was_active || !is_lately || !between.all(is_on) {
        return None;
    }
    let was_missed = runs[..place]
        .iter()
        .any(|run| run.absent.contains_key(it.id));
    let told = |told: &Told| told.kind == Kind::Vanished || told.is_end();
    let is_told = case.of(life).any(told) || was_missed;
    (!is_told).then(|| broken(Rule::NotTold, format!("another job took the id {}", it.id)))
}
