//! Whether what is told of each job makes a story: opened once, closed once, for everyone who heard it.

use std::collections::{BTreeMap, BTreeSet};

use fraud_job_watch::watch::{Kind, TopicArn};
use jiff::Timestamp;

use super::super::ledger::{Look, RunLog};
use super::super::life::{Heartbeat, Stage};
use super::told::{Case, Told};
use super::{FORGOTTEN, Rule, Violation, broken};

pub(super) fn judge(case: &Case<'_>) -> Vec<Violation> {
    let mut found = threads(case);
    for life in 0..case.lives.len() {
        let mut story = Story::default();
        for told in case.of(life) {
            story.goes_on(case, told, &mut found);
        }
        found.extend(left_open(case, life, &story));
        found.extend(signs_unheard(case, life));
    }
    found
}

#[derive(Default)]
struct Story {
    heard: BTreeSet<TopicArn>,
    is_stalled: bool,
    is_gone: bool,
    /// It was told to be overdue. That lasts, whatever else comes and goes.
    is_overdue: bool,
    end: Option<Kind>,
    /// Who heard of an end that is not known, and when.
    unknown_end: Option<(BTreeSet<TopicArn>, Timestamp)>,
    ended_at: Option<Timestamp>,
    last_at: Option<Timestamp>,
}

impl Story {
    fn goes_on(&mut self, case: &Case<'_>, told: &Told, found: &mut Vec<Violation>) {
        let is_old = |last: Timestamp| told.at.duration_since(last) >= FORGOTTEN;
        if self.is_gone && self.last_at.is_some_and(is_old) {
            *self = Self::default();
        }
        self.last_at = Some(told.at);
        let own = case.own_topic(told.kind);
        let mut wrong = |rule, why: &str| {
            found.push(broken(rule, format!("{}: {why}", case.name(told))));
        };
        let is_open = !self.heard.is_empty();
        let is_over = self.end.is_some_and(|end| end != Kind::Ended);
        let mut expected = self.heard.clone();
        expected.insert(own.clone());
        let mut incident = is_open.then_some("resolved");
        match told.kind {
            Kind::Stalled | Kind::Reminder => {
                incident = Some("open");
                expected = [own.clone()].into();
                match (told.kind, self.is_stalled) {
                    (Kind::Stalled, true) => wrong(Rule::ToldTwice, "it is told already"),
                    (Kind::Reminder, false) => wrong(Rule::ToldTwice, "no stall is open"),
                    _ if self.is_gone => wrong(Rule::Untrue, "it is told to be gone"),
                    _ => {}
                }
                self.is_stalled = true;
                self.heard.insert(own);
            }
            Kind::Vanished if told.is_replaced => {
                self.heard.clear();
                (self.is_stalled, self.is_gone, self.end) = (false, false, Some(Kind::Vanished));
            }
            Kind::Vanished => {
                if self.is_gone {
                    wrong(Rule::ToldTwice, "it is told already");
                }
                incident = Some("open");
                (self.is_stalled, self.is_gone) = (false, true);
                self.heard = expected.clone();
            }
            Kind::Recovered => {
                if !is_open || !self.is_stalled && !self.is_gone {
                    wrong(Rule::NothingToClose, "nothing was told to be wrong");
                }
                match self.is_overdue {
                    true => incident = incident.and(Some("open")),
                    false => self.heard.clear(),
                }
                (self.is_stalled, self.is_gone) = (false, false);
            }
            Kind::Completed | Kind::Failed | Kind::Canceled | Kind::Ended => {
                // After an unknown end that was told a job may go on, stall and end so again, or later.
                let shown = case.run(told).look(told.life);
                let ended_at = shown.and_then(|look| look.completed);
                let is_later = told.kind == Kind::Ended && ended_at > self.ended_at;
                if self.end == Some(told.kind) && !is_open && !is_later {
                    wrong(Rule::ToldTwice, "its end is told already");
                }
                if let Some((heard, at)) = self.unknown_end.take() {
                    // If a run was shown that it goes on, nobody waits any longer to hear which end it was.
                    let may_be_over = case.was_seen_active(told.life, at, told.at);
                    if !may_be_over || heard.is_subset(&told.topics) {
                        expected.extend(heard);
                    }
                }
                if told.kind == Kind::Ended {
                    self.unknown_end = Some((expected.clone(), told.at));
                }
                self.heard.clear();
                (self.is_stalled, self.is_gone, self.end) = (false, false, Some(told.kind));
                self.ended_at = ended_at;
            }
            Kind::Overdue => {
                incident = Some("open");
                expected = [own.clone()].into();
                match (self.is_overdue, self.is_stalled, self.is_gone) {
                    (true, _, _) => wrong(Rule::ToldTwice, "it is told already"),
                    (_, true, _) => wrong(Rule::FalseOverdue, "its stall is open"),
                    (_, _, true) => wrong(Rule::Untrue, "it is told to be gone"),
                    _ => {}
                }
                self.is_overdue = true;
                self.heard.insert(own);
            }
            Kind::Missing
            | Kind::Arrived
            | Kind::Began
            | Kind::Unheard
            | Kind::Heard
            | Kind::Test => {}
        }
        if is_over {
            wrong(Rule::ToldTwice, "its story is over");
        }
        if told.topics != expected {
            wrong(
                Rule::WrongTopic,
                &format!("to {:?}, not {expected:?}", told.topics),
            );
        }
        if told.incident.as_deref() != incident {
            wrong(
                Rule::WrongIncident,
                &format!("{:?}, not {incident:?}", told.incident),
            );
        }
    }
}

/// What is still open when all is over, though the last run saw that it is.
fn left_open(case: &Case<'_>, life: usize, story: &Story) -> Option<Violation> {
    let last = case.ledger.runs.iter().rfind(|run| run.is_plain())?;
    let is_old = |at: Timestamp| last.started.duration_since(at) > FORGOTTEN;
    if story.heard.is_empty() || story.last_at.is_some_and(is_old) {
        return None;
    }
    let id = case.lives[life].id;
    let is_another = |place: usize| place > life && case.lives[place].id == id;
    let why = match last.look(life) {
        Some(look) if matches!(look.stage, Stage::Ended(_)) => "it has ended",
        Some(look) if story.is_gone && look.shows_activity() => "it is there again",
        None if last.looks.iter().any(|look| is_another(look.life)) => "another has its id",
        None if story.is_stalled || story.is_overdue && !story.is_gone => "it is gone",
        Some(_) | None => return None,
    };
    Some(broken(
        Rule::Unclosed,
        format!("what was told of job {id}, though {why}"),
    ))
}

/// A told stall is recovered when a run sees what no run saw before: a fresh heartbeat, or a higher count.
fn signs_unheard(case: &Case<'_>, life: usize) -> Vec<Violation> {
    let mut found = Vec::new();
    let looks = case.looks(life);
    for stall in case.of(life).filter(|told| told.kind == Kind::Stalled) {
        // In the order in which it was recorded: of two runs side by side the later one may have asked first.
        let mut since = case.of(life).skip_while(|told| !std::ptr::eq(*told, stall));
        let closed_at = since.find(|told| !told.opens()).map(|told| told.at);
        let before = looks.iter().filter(|(_, look)| look.at <= stall.at);
        let beats = case.lives[life].style.heartbeat == Heartbeat::True;
        let highest = before.filter_map(|(_, look)| look.count).max();
        // A vanishing ends it, and is forgotten with all that was before it.
        let vanished = case
            .of(life)
            .any(|told| told.kind == Kind::Vanished && told.at >= stall.at);
        let is_sign = |(run, look): &&(&RunLog, &Look)| {
            let is_fresh = |at: Timestamp| {
                at > stall.at
                    && at <= look.at
                    && look.at.duration_since(at) < run.policy.stall_after
            };
            run.is_plain()
                && !(vanished && look.at.duration_since(stall.at) >= FORGOTTEN)
                && case
                    .run(stall)
                    .ended
                    .is_none_or(|ended| run.started > ended)
                && look.at > stall.at
                && look.shows_activity()
                && (look.heartbeat.is_some_and(is_fresh) && beats
                    || look.count > highest && highest.is_some())
        };
        let signs: Vec<_> = looks.iter().filter(is_sign).collect();
        // The second of them leaves no excuse.
        if let [(_, first), (by, _), ..] = signs.as_slice()
            && closed_at.is_none_or(|at| by.ended.is_some_and(|ended| at > ended))
        {
            found.push(broken(
                Rule::Unclosed,
                format!(
                    "job {} was told to be stalled at {}, and showed life at {}",
                    case.lives[life].id, stall.at, first.at
                ),
            ));
        }
    }
    found
}

fn threads(case: &Case<'_>) -> Vec<Violation> {
    let mut found = Vec::new();
    let mut of_life: BTreeMap<usize, &str> = BTreeMap::new();
    let mut life_of: BTreeMap<&str, usize> = BTreeMap::new();
    for told in case.told {
        let thread = told.thread.as_str();
        let known = *of_life.entry(told.life).or_insert(thread);
        let owner = *life_of.entry(thread).or_insert(told.life);
        if known != thread || owner != told.life {
            found.push(broken(Rule::WrongThread, case.name(told)));
        }
    }
    found
}
