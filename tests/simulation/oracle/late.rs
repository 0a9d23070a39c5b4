//! Jobs that take too long: none is told that has not taken its limit, and each that has, visibly to a run, is told by
//! that run.
//!
//! The limit is worked out here from the ends that the run was shown.

use std::collections::{BTreeMap, BTreeSet};

use fraud_job_watch::watch::{Kind, OverdueAfter};
use jiff::{SignedDuration, Timestamp};

use super::super::ledger::{Look, RunLog};
use super::super::life::{Stage, Start};
use super::queues::{blamed_since, end_seen, waited};
use super::told::{Case, Told};
use super::{Rule, Violation, broken};

/// What is counted of the looks at jobs.
const IS_USUAL: &str = "looks for which something is usual";

/// Judges all that was told to be overdue, or should have been, and counts what came about.
pub(super) fn judge(case: &Case<'_>, found: &mut Vec<Violation>) -> BTreeMap<&'static str, u64> {
    let mut counts = BTreeMap::new();
    for told in case.told.iter().filter(|told| told.kind == Kind::Overdue) {
        if let Some(why) = not_overdue(case, told).or_else(|| misstated(case, told)) {
            found.push(broken(
                Rule::FalseOverdue,
                format!("{}: {why}", case.name(told)),
            ));
        }
        let by = match case.run(told).policy.overdue_after {
            OverdueAfter::Auto => "overdue by what is usual",
            OverdueAfter::Off | OverdueAfter::After(_) => "overdue by a duration",
        };
        *counts.entry(by).or_default() += 1;
    }
    for life in 0..case.lives.len() {
        found.extend(untold(case, life, &mut counts));
    }
    if counts.contains_key(IS_USUAL) {
        counts.insert("plans in which something is usual", 1);
    }
    counts
}

/// The shortest that the job can have taken too long for, by the settings of the run.
enum Limit {
    Is(SignedDuration),
    /// There is none.
    None,
    /// An end was shown in the very second in which the run judged, or a count was not shown.
    Unclear,
}

/// A job that a run was shown to have ended, in seconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Past {
    ended: i64,
    start: Option<i64>,
    records: i64,
    like: Option<(&'static str, &'static str)>,
}

/// What it is to be like another. An import has no detector.
fn likeness(case: &Case<'_>, life: usize) -> Option<(&'static str, &'static str)> {
    let work = case.lives[life].style.work;
    let detector = match case.are_imports {
        true => Some(""),
        false => work.detector,
    };
    detector.zip(work.event_type)
}

/// Those of a run, by their ends.
fn past(case: &Case<'_>, run: &RunLog) -> BTreeSet<Past> {
    let one = |look: &Look| {
        let Stage::Ended(kind) = look.stage else {
            return None;
        };
        let like = likeness(case, look.life);
        Some(Past {
            ended: end_shown(look)?.as_second(),
            start: look.start.map(Timestamp::as_second),
            records: look.total.or(look.count).unwrap_or(0),
            like: like.filter(|_| kind == Kind::Completed),
        })
    };
    run.looks.iter().filter_map(one).collect()
}

/// Its end, if that can be.
fn end_shown(look: &Look) -> Option<Timestamp> {
    let start = look.start.map(Timestamp::as_second);
    let is_end = matches!(look.stage, Stage::Ended(_));
    look.completed
        .filter(|end| is_end && Some(end.as_second()) >= start)
}

fn limit(case: &Case<'_>, run: &RunLog, look: &Look) -> Limit {
    let floor = SignedDuration::from_hours(1).min(run.policy.stall_after);
    match run.policy.overdue_after {
        OverdueAfter::Off => Limit::None,
        OverdueAfter::After(limit) => Limit::Is(limit),
        OverdueAfter::Auto => {
            let past = past(case, run);
            let is_second = past.iter().any(|it| it.ended >= look.at.as_second());
            // What a view leaves out may be known from before.
            let knows_more = look.total.is_none() && case.lives[look.life].style.gaps > 0;
            if is_second || knows_more {
                return Limit::Unclear;
            }
            let median = usual(case, look, &past);
            median.map_or(Limit::None, |it| {
                Limit::Is(SignedDuration::from_secs(3 * it).max(floor))
            })
        }
    }
}

/// How long jobs like it took, by the median of the last twenty.
fn usual(case: &Case<'_>, look: &Look, past: &BTreeSet<Past>) -> Option<i64> {
    let like = Some(likeness(case, look.life)?);
    let alike: Vec<&Past> = past
        .iter()
        .rev()
        .filter(|it| it.like == like && it.start.is_some())
        .take(20)
        .collect();
    if alike.len() < 5 {
        return None;
    }
    let taken = |it: &Past| {
        let ends = past.iter().map(|other| other.ended);
        let before = ends.filter(|end| *end < it.ended).max();
        let before = before.filter(|_| !case.are_imports);
        (it.ended - before.max(it.start).unwrap_or(it.ended)).max(0)
    };
    let wanted = look.total.or(look.count).unwrap_or(0);
    let scaled = |it: &Past| match it.records >= wanted {
        true => Some(taken(it)),
        false => (taken(it) * wanted).checked_div(it.records),
    };
    let enough = alike.iter().filter(|it| 2 * it.records >= wanted);
    let mut times: Vec<i64> = enough.filter_map(|it| scaled(it)).collect();
    if times.is_empty() {
        let most = alike.iter().map(|it| it.records).max();
        let largest = alike.iter().filter(|it| Some(it.records) == most);
        times.extend(largest.filter_map(|it| scaled(it)).max());
    }
    times.sort_unstable();
    let last = times.len().checked_sub(1)?;
    Some((times[last / 2] + times[last.div_ceil(2)]) / 2)
}

/// Why what is told is not so.
fn not_overdue(case: &Case<'_>, told: &Told) -> Option<String> {
    let run = case.run(told);
    let Some(look) = run.look(told.life).filter(|look| look.shows_activity()) else {
        return Some("it was not seen to go on".to_owned());
    };
    if !run.policy.notify_on.contains(&Kind::Overdue) {
        return Some("nobody asked for it".to_owned());
    }
    if look.stage == Stage::IsCanceled
        || case.last_known(told.life, run, told.at) == Some(Stage::IsCanceled)
    {
        return Some("it is cancelling".to_owned());
    }
    if run.policy.overdue_after == OverdueAfter::Auto && !run.saw_the_end {
        return Some("of an incomplete listing nothing is usual".to_owned());
    }
    if let Some(why) = waited(case, told) {
        return Some(why);
    }
    let limit = match limit(case, run, look) {
        Limit::Is(limit) => limit,
        Limit::None => return Some("it has no limit".to_owned()),
        Limit::Unclear => return None,
    };
    let taken = told
        .at
        .duration_since(could_begin(case, told.life, run, told.at)?);
    (taken < limit).then(|| format!("it took {taken:#} of {limit:#}"))
}

/// The earliest that it could begin, as the run knew: of a job that it knew and was not shown, when that truly ended.
fn could_begin(case: &Case<'_>, life: usize, run: &RunLog, moment: Timestamp) -> Option<Timestamp> {
    let looks = case.looks(life);
    let starts = looks.iter().filter(|(_, look)| look.at <= moment);
    let start = starts.filter_map(|(_, look)| look.start).min();
    let start = start.or(looks.first().map(|(_, look)| look.at))?;
    if case.are_imports {
        return Some(start);
    }
    let shown = run.looks.iter().filter_map(end_shown).max();
    let others = (0..case.lives.len()).filter(|other| *other != life);
    let ends = others.filter_map(|other| {
        let it = case.lives[other].style;
        let tells = !it.ends_before_start && it.start == Start::Exact;
        let truly = || {
            let mut looks = case.looks(other).into_iter();
            let was_known = looks.any(|(by, look)| {
                by.is_plain() && by.started < run.started && look.shows_activity()
            });
            // It had vanished, told or not.
            let mut before = case
                .ledger
                .runs
                .iter()
                .take_while(|by| by.number != run.number);
            let is_gone = before.any(|by| by.absent.contains_key(case.lives[other].id));
            let is_shown = run.look(other).is_some() || is_gone;
            let versions = case.lives[other].versions.iter();
            let ends = versions.filter_map(|(_, version)| version.completed);
            let end = ends.filter(|end| *end <= moment).max();
            end.filter(|_| was_known && !is_shown)
        };
        end_seen(case, other, run, moment)
            .filter(|_| tells)
            .or_else(truly)
    });
    ends.chain(shown).chain([start]).max()
}

/// What is wrong with the figures of a notice.
fn misstated(case: &Case<'_>, told: &Told) -> Option<String> {
    let run = case.run(told);
    let look = run.look(told.life)?;
    let figure = |pointer: &str| told.overdue.pointer(pointer)?.as_i64();
    let (taken, stated) = (figure("/taken_s")?, figure("/limit_s")?);
    if taken < stated {
        return Some(format!("it took {taken} of {stated} s"));
    }
    let Limit::Is(limit) = limit(case, run, look) else {
        return None;
    };
    if limit.as_secs() != stated {
        return Some(format!("its limit is {limit:#}, not {stated} s"));
    }
    let past = past(case, run);
    let median = usual(case, look, &past).filter(|_| run.saw_the_end);
    let knows_more = look.total.is_none() && case.lives[look.life].style.gaps > 0;
    let is_second = past.iter().any(|it| it.ended >= look.at.as_second());
    let named = figure("/usual/median_s");
    (median != named && !is_second && !knows_more)
        .then(|| format!("{median:?} is usual, not {named:?}"))
}

/// Past its limit in the eyes of a run, and not told by it.
fn untold(
    case: &Case<'_>,
    life: usize,
    counts: &mut BTreeMap<&'static str, u64>,
) -> Option<Violation> {
    let is_told_by = |place: usize| {
        let mut told = case.of(life);
        told.any(|it| it.kind == Kind::Overdue && it.run <= place)
    };
    for (place, run) in case.ledger.runs.iter().enumerate() {
        let Some(look) = run.look(life).filter(|_| run.is_plain()) else {
            continue;
        };
        if !look.shows_activity() || !run.policy.notify_on.contains(&Kind::Overdue) {
            continue;
        }
        let Limit::Is(limit) = limit(case, run, look) else {
            continue;
        };
        let is_auto = run.policy.overdue_after == OverdueAfter::Auto;
        if is_auto {
            *counts.entry(IS_USUAL).or_default() += 1;
        }
        let taken = look
            .at
            .duration_since(must_have_begun(case, life, run, look));
        if taken >= limit && may_be_told(case, life, place, look) {
            let what = match is_told_by(place) {
                true => "past the limit, and told",
                false => {
                    return Some(broken(
                        Rule::OverdueUntold,
                        format!(
                            "job {} took {taken:#} of {limit:#} at {}, as run {} was shown",
                            case.lives[life].id, look.at, run.number
                        ),
                    ));
                }
            };
            *counts.entry(what).or_default() += 1;
            return None;
        }
    }
    None
}

/// Whether nothing but its time decides whether this run tells it.
fn may_be_told(case: &Case<'_>, life: usize, place: usize, look: &Look) -> bool {
    let it = &case.lives[life];
    let run = &case.ledger.runs[place];
    let is_beside = |by: &RunLog| {
        by.number != run.number
            && run.ended.is_none_or(|ended| by.started <= ended)
            && by.ended.is_none_or(|ended| ended >= run.started)
    };
    let stall = case.of(life).filter(|told| told.run <= place);
    let stall = stall.filter(|told| told.kind != Kind::Overdue).last();
    let is_another = |other: usize| {
        other > life && case.lives[other].id == it.id && case.lives[other].start <= look.at
    };
    let tells_start = matches!(it.style.start, Start::Exact | Start::MoreOrLess);
    let mut looks = case.looks(life).into_iter();
    let is_canceled = looks.any(|(_, it)| it.at <= look.at && it.stage == Stage::IsCanceled);
    let begins = match case.last_known(life, run, look.at) {
        Some(Stage::Runs) => look.stage == Stage::Runs,
        Some(Stage::Waits) => {
            let blamed = blamed_since(case, life, run, look.at);
            !is_canceled && blamed.is_some_and(|at| look.at > at)
        }
        _ => false,
    };
    tells_start
        && begins
        && !stall.is_some_and(Told::opens)
        && !(0..case.lives.len()).any(is_another)
        && !case.ledger.runs.iter().any(is_beside)
}

/// The latest that it could begin in anybody's eyes.
fn must_have_begun(case: &Case<'_>, life: usize, run: &RunLog, look: &Look) -> Timestamp {
    let mut since = case.lives[life].start + SignedDuration::from_secs(1);
    let looks = case.looks(life).into_iter();
    let known = looks.filter(|(by, seen)| by.is_plain() && seen.at <= look.at);
    // Without a start, its time counts from the first sight.
    let start = known.filter_map(|(_, seen)| seen.start).max();
    since = since.max(start.unwrap_or(look.at));
    if case.are_imports {
        return since;
    }
    for (other, it) in case.lives.iter().enumerate() {
        let versions = it.versions.iter();
        let ends = versions.filter_map(|(_, version)| version.completed);
        since = since.max(ends.filter(|end| *end <= look.at).max().unwrap_or(since));
        let looks = case.looks(other);
        let before = looks.iter().filter(|(_, seen)| seen.at <= look.at);
        let is_doubtful = |seen: &&Look| {
            it.style.ends_before_start && !seen.stage.is_active() && end_shown(seen).is_none()
        };
        let doubtful = before.map(|(_, seen)| *seen).filter(is_doubtful);
        let doubtful = doubtful.map(|seen| seen.at);
        since = since.max(doubtful.max().unwrap_or(since));
        // It took the id of another, which ended then.
        let is_next = case.lives[..other].iter().any(|before| before.id == it.id);
        let plain = looks.iter().filter(|(by, _)| is_next && by.is_plain());
        let first = plain.map(|(_, seen)| seen.at.min(look.at)).min();
        since = since.max(first.unwrap_or(since));
    }
    let absent = case.ledger.runs.iter().flat_map(|run| run.absent.values());
    let absent = absent
        .filter(|at| **at <= run.ended.unwrap_or(look.at))
        .max();
    since.max(absent.copied().unwrap_or(since))
}
