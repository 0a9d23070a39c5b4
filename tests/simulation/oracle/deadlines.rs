//! Deadlines: what did not come in time is told once, by the first run that can tell, and closed by what came for it;
//! and nothing else is told.

use std::collections::{BTreeMap, BTreeSet};

use fraud_job_watch::watch::{Kind, TopicArn};
use jiff::Timestamp;
use serde_json::Value;

use super::super::calendar::{Due, deadlines};
use super::super::ledger::{Ledger, Look, RunLog};
use super::super::life::{Stage, Start};
use super::queues::end_seen;
use super::told::Case;
use super::{Rule, Violation, broken};

/// A notice of a detector that was published.
struct Said {
    run: usize,
    at: Timestamp,
    kind: Kind,
    name: String,
    by: Timestamp,
    thread: String,
    incident: String,
    topics: BTreeSet<TopicArn>,
    /// What completed last, or what arrived.
    completed: Option<(Timestamp, String)>,
}

/// From the first deadline that was missed until a job came, or to the end.
struct Incident<'a> {
    missing: Vec<&'a Said>,
    arrived: Option<Arrival<'a>>,
}

struct Arrival<'a> {
    said: &'a Said,
    /// Whether it counts for the next deadline; unknown if the settings changed meanwhile.
    is_early: Option<bool>,
}

/// Judges all deadlines, and counts what came about.
pub(super) fn judge(case: &Case<'_>, found: &mut Vec<Violation>) -> BTreeMap<&'static str, u64> {
    let said = read(case.ledger, found);
    if case.are_imports {
        let told = said.iter().map(|it| {
            let what = format!("{:?} of {}: no import is expected", it.kind, it.name);
            broken(Rule::FalseMissing, what)
        });
        found.extend(told);
    }
    let mut counts = BTreeMap::new();
    let mut names = BTreeSet::new();
    let mut before = None;
    for run in &case.ledger.runs {
        if before != Some(&run.policy.expect) {
            before = Some(&run.policy.expect);
            names.extend(deadlines(&run.policy.expect).iter().map(|due| due.name));
        }
    }
    for name in names {
        let of_it: Vec<&Said> = said.iter().filter(|it| it.name == name).collect();
        let judged = Detector {
            case,
            name,
            incidents: incidents(case, name, &of_it, found),
        };
        for (place, incident) in judged.incidents.iter().enumerate() {
            judged.told(incident, place, found);
            found.extend(judged.unclosed(incident, place));
        }
        judged.untold(found, &mut counts);
    }
    threads(&said, found);
    counts
}

fn read(ledger: &Ledger, found: &mut Vec<Violation>) -> Vec<Said> {
    let mut all = Vec::new();
    for (run, notice) in &ledger.recorded {
        let attempts = ledger.attempts.iter().filter(|it| it.took_place.is_some());
        let mut events = attempts.filter_map(|attempt| {
            let place = attempt.ids.iter().position(|id| *id == notice.id)?;
            attempt.events.get(place)
        });
        if !matches!(notice.kind, Kind::Missing | Kind::Arrived) {
            continue;
        }
        let topics = ledger.reached(&notice.id);
        let Some(event) = events.next() else { continue };
        match one(event, *run, topics) {
            Some(said) => all.push(said),
            None => found.push(broken(Rule::Untrue, format!("of a detector: {event}"))),
        }
    }
    all
}

fn one(event: &Value, run: usize, topics: BTreeSet<TopicArn>) -> Option<Said> {
    let data = &event["data"];
    let time = |value: &Value| value.as_str()?.parse::<Timestamp>().ok();
    let expected = &data["expected"];
    let last = &expected["last_completed"];
    let name = expected["detector"].as_str()?.to_owned();
    if data["job"] != Value::Null || event["subject"] != *name {
        return None;
    }
    Some(Said {
        run,
        at: time(&data["recorded_at"])?,
        kind: serde_json::from_value(data["kind"].clone()).ok()?,
        by: time(&expected["by"])?,
        name,
        thread: data["thread"].as_str()?.to_owned(),
        incident: data["incident"].as_str()?.to_owned(),
        topics,
        completed: time(&last["at"]).zip(last["job_id"].as_str().map(str::to_owned)),
    })
}

/// The newest deadline of this name by then.
fn newest(run: &RunLog, name: &str, by: Timestamp) -> Option<Due> {
    let due = deadlines(&run.policy.expect);
    let passed = due.partition_point(|it| it.at <= by);
    due[..passed].iter().rfind(|it| it.name == name).copied()
}

fn incidents<'a>(
    case: &Case<'_>,
    name: &str,
    said: &[&'a Said],
    found: &mut Vec<Violation>,
) -> Vec<Incident<'a>> {
    let mut all: Vec<Incident<'_>> = Vec::new();
    for it in said {
        let open = all.last_mut().filter(|it| it.arrived.is_none());
        match (it.kind, open) {
            (Kind::Missing, Some(open)) => open.missing.push(it),
            (Kind::Missing, None) => all.push(Incident {
                missing: vec![it],
                arrived: None,
            }),
            (_, Some(open)) => {
                let is_early = is_early(case, name, open, it);
                let said = *it;
                open.arrived = Some(Arrival { said, is_early });
            }
            (_, None) => found.push(broken(
                Rule::NothingToClose,
                format!("Arrived of {name} by {}", it.by),
            )),
        }
    }
    let mut known = BTreeSet::new();
    for it in said {
        if !known.insert((it.kind, it.by)) {
            found.push(broken(
                Rule::ToldTwice,
                format!("{:?} of {name} by {}", it.kind, it.by),
            ));
        }
    }
    all
}

/// Whether what arrived counts for the next deadline: it came in that one's own time, or if that has no beginning, in the
/// last quarter of the time before it.
fn is_early(case: &Case<'_>, name: &str, open: &Incident<'_>, arrived: &Said) -> Option<bool> {
    let runs = &case.ledger.runs;
    let first = open.missing.first()?;
    let expect = &runs[arrived.run].policy.expect;
    let from = first.run.min(arrived.run);
    let to = first.run.max(arrived.run);
    if runs[from..=to]
        .iter()
        .any(|run| run.policy.expect != *expect)
    {
        return None;
    }
    let (at, _) = arrived.completed.as_ref()?;
    let last = open.missing.last()?.by;
    let due = deadlines(expect);
    let next = due.iter().find(|it| it.name == name && it.at > *at)?;
    Some(match next.has_from {
        true => *at > next.opens && next.opens >= last,
        false => 4 * next.at.duration_since(*at) <= next.at.duration_since(next.opens),
    })
}

/// All that is known of one name of EXPECT.
struct Detector<'a> {
    case: &'a Case<'a>,
    name: &'static str,
    incidents: Vec<Incident<'a>>,
}

impl Detector<'_> {
    fn is_of_it(&self, life: usize) -> bool {
        self.name == "*" || self.case.lives[life].style.work.detector == Some(self.name)
    }

    /// Whether a completion closed a missing job before this incident, and so counts for nothing else; `unknown` if
    /// that cannot be told.
    fn has_closed(&self, at: Timestamp, id: &str, before: usize, unknown: bool) -> bool {
        let closed = self.incidents[..before].iter();
        let closed = closed.filter_map(|it| it.arrived.as_ref());
        closed
            .filter(|it| it.said.completed.as_ref() == Some(&(at, id.to_owned())))
            .any(|it| !it.is_early.unwrap_or(!unknown))
    }

    /// When a job completed, as the run was shown, or knew from before.
    fn completed(&self, run: &RunLog, life: usize, by: Timestamp) -> Option<Timestamp> {
        let it = &self.case.lives[life];
        let is_completed = |look: &&Look| look.stage == Stage::Ended(Kind::Completed);
        let can_be = |look: &Look| {
            let start = look.start.map(Timestamp::as_second);
            look.completed.filter(|end| Some(end.as_second()) >= start)
        };
        if let Some(look) = run.look(life).filter(is_completed) {
            return can_be(look);
        }
        let was_shown = self
            .case
            .looks(life)
            .into_iter()
            .any(|(_, look)| look.at <= by && is_completed(&look) && can_be(look).is_some());
        let is_plain = it.style.start == Start::Exact && it.style.gaps == 0;
        let is_kept = |at: &Timestamp| by.duration_since(*at) < super::FORGOTTEN - super::DAY;
        // Another has its id, and its record.
        let id_is_free = !self.case.lives[life + 1..]
            .iter()
            .any(|next| next.id == it.id);
        let end = end_seen(self.case, life, run, by).filter(is_kept);
        end.filter(|_| was_shown && is_plain && id_is_free && it.now().status == "COMPLETE")
    }

    /// A job that could be thought to have come after `opens` and by then, but for those that closed a missing job.
    fn may_have_come(&self, opens: Timestamp, by: Timestamp, before: usize) -> bool {
        (0..self.case.lives.len())
            .filter(|life| self.is_of_it(*life))
            .any(|life| {
                let it = &self.case.lives[life];
                let versions = it.versions.iter().filter(|(at, _)| *at <= by);
                let mut ends = versions.filter(|(_, version)| version.status == "COMPLETE");
                ends.any(|(_, version)| {
                    let Some(end) = version.completed else {
                        return false;
                    };
                    let counts = end > opens && !self.has_closed(end, it.id, before, false);
                    counts || it.style.ends_before_start
                })
            })
    }

    /// What was told of an incident is so.
    fn told(&self, incident: &Incident<'_>, place: usize, found: &mut Vec<Violation>) {
        let case = self.case;
        let own = case.own_topic(Kind::Missing);
        for said in &incident.missing {
            let run = &case.ledger.runs[said.run];
            let mut wrong = |rule, why: String| {
                let what = format!("Missing of {} by {}: {why}", said.name, said.by);
                found.push(broken(rule, what));
            };
            if let Some(why) = self.not_missing(said, run, place) {
                wrong(Rule::FalseMissing, why);
            }
            if said.topics != BTreeSet::from([own.clone()]) {
                wrong(Rule::WrongTopic, format!("to {:?}", said.topics));
            }
            if said.incident != "open" {
                wrong(Rule::WrongIncident, said.incident.clone());
            }
        }
        let Some(arrival) = &incident.arrived else {
            return;
        };
        let (first, said) = (incident.missing[0], arrival.said);
        let mut wrong = |rule, why: String| {
            let what = format!("Arrived of {} by {}: {why}", said.name, said.by);
            found.push(broken(rule, what));
        };
        if let Some(why) = self.not_arrived(said, first, place) {
            wrong(Rule::FalseArrival, why);
        }
        if said.topics != BTreeSet::from([own]) {
            wrong(Rule::WrongTopic, format!("to {:?}", said.topics));
        }
        if said.incident != "resolved" {
            wrong(Rule::WrongIncident, said.incident.clone());
        }
    }

    fn not_missing(&self, said: &Said, run: &RunLog, place: usize) -> Option<String> {
        // A deadline that passes while a run lists is for the next.
        let moments = [run.started, said.at].map(|at| newest(run, self.name, at));
        let Some(due) = moments.into_iter().flatten().find(|due| due.at == said.by) else {
            return Some(format!("it was not the newest deadline at {}", said.at));
        };
        if !run.saw_the_end {
            return Some("the listing was incomplete".to_owned());
        }
        let names_it = |run: &&RunLog| newest(run, self.name, due.at).is_some();
        let since = self.case.ledger.runs.iter().find(names_it)?.started;
        if due.at <= since {
            return Some(format!("EXPECT first named it at {since}"));
        }
        let lives = (0..self.case.lives.len()).filter(|life| self.is_of_it(*life));
        let mut completed = lives.filter_map(|life| {
            let id = self.case.lives[life].id;
            Some((id, self.completed(run, life, said.at)?))
        });
        let counts = |(id, at): &(&str, Timestamp)| {
            *at > due.opens && !self.has_closed(*at, id, place, true) && !self.may_be_used(*at, run)
        };
        let came = completed.find(|it| counts(it))?;
        Some(format!("job {} completed at {}", came.0, came.1))
    }

    /// Whether it came after an earlier deadline and before a run that judged that one: then it counts for it alone.
    fn may_be_used(&self, at: Timestamp, run: &RunLog) -> bool {
        let before = self.case.ledger.runs.iter();
        let mut before = before.filter(|by| by.number != run.number && by.started <= run.started);
        before.any(|by| {
            let ended = by.ended.unwrap_or(by.started);
            let due = newest(by, self.name, ended);
            due.is_some_and(|due| due.at < at && at <= ended)
        })
    }

    fn not_arrived(&self, said: &Said, first: &Said, place: usize) -> Option<String> {
        let (at, id) = said.completed.as_ref()?;
        if said.by != first.by {
            return Some(format!("it was missing since {}", first.by));
        }
        let opens = newest(&self.case.ledger.runs[first.run], self.name, first.by)?.opens;
        if *at <= opens {
            return Some(format!("job {id} completed at {at}, before {opens}"));
        }
        if self.has_closed(*at, id, place, false) {
            return Some(format!("job {id} has closed another"));
        }
        let is_it = |life: &usize| {
            let it = &self.case.lives[*life];
            let mut versions = it.versions.iter().filter(|(at, _)| *at <= said.at);
            let has_completed = versions.any(|(_, version)| {
                version.status == "COMPLETE"
                    && (version.completed == Some(*at) || it.style.ends_before_start)
            });
            it.id == id && self.is_of_it(*life) && has_completed
        };
        let is_true = (0..self.case.lives.len()).any(|life| is_it(&life));
        (!is_true).then(|| format!("job {id} did not complete at {at}"))
    }

    /// A run was shown what came for a missing job, and did not tell it.
    fn unclosed(&self, incident: &Incident<'_>, place: usize) -> Option<Violation> {
        let runs = &self.case.ledger.runs;
        let (first, last) = (incident.missing.first()?, incident.missing.last()?);
        let opens = newest(&runs[first.run], self.name, first.by)?.opens;
        let told_by = runs[last.run].ended?;
        let shows_it = |run: &&RunLog| {
            let came = |life: usize| {
                let look = run.look(life)?;
                let at = self.completed(run, life, look.at)?;
                let id = self.case.lives[life].id;
                let is_used =
                    self.has_closed(at, id, place, true) || self.may_be_used(at, &runs[first.run]);
                (at > opens && !is_used).then_some(())
            };
            let mut lives = (0..self.case.lives.len()).filter(|life| self.is_of_it(*life));
            run.is_plain() && run.started > told_by && lives.any(|life| came(life).is_some())
        };
        let run = runs.iter().find(shows_it)?;
        let closed_at = incident.arrived.as_ref().map(|arrival| arrival.said.at);
        let is_closed = closed_at.is_some_and(|at| run.ended.is_none_or(|ended| at <= ended));
        (!is_closed).then(|| {
            let what = format!(
                "Missing of {} by {}, in run {}",
                self.name, first.by, run.number
            );
            broken(Rule::Unclosed, what)
        })
    }

    /// Deadlines that passed without a job are told by the first run that saw all.
    fn untold(&self, found: &mut Vec<Violation>, counts: &mut BTreeMap<&'static str, u64>) {
        let runs = &self.case.ledger.runs;
        let mut concluded: Option<Timestamp> = None;
        for (place, run) in runs.iter().enumerate() {
            let names_it = |run: &RunLog| newest(run, self.name, run.started).is_some();
            let knows = |by: &RunLog, at: Timestamp| {
                by.is_plain() && names_it(by) && by.ended.is_some_and(|ended| ended < at)
            };
            let Some(due) = newest(run, self.name, run.started).filter(|_| run.is_plain()) else {
                continue;
            };
            let ended = run.ended.unwrap_or(run.started);
            let is_new = concluded < Some(due.at) && newest(run, self.name, ended) == Some(due);
            if !is_new || !runs.iter().any(|by| knows(by, due.at)) {
                continue;
            }
            concluded = Some(due.at);
            // Runs with other settings, or side by side with this, may have concluded it.
            let since = runs
                .iter()
                .filter(|by| by.ended.is_none_or(|ended| ended >= due.at));
            let mut since = since.filter(|by| by.started <= ended);
            let before = self.incidents_before(place);
            let is_beside = |by: &RunLog| {
                by.number != run.number && by.ended.is_none_or(|it| it >= run.started)
            };
            if since.any(|by| by.policy.expect != run.policy.expect || is_beside(by)) {
                continue;
            }
            let missing = self.incidents.iter().flat_map(|it| &it.missing);
            let told = missing.filter(|it| it.by == due.at).map(|it| it.run).min();
            let what = match (told, self.may_have_come(due.opens, ended, before)) {
                (Some(by), _) if by > place => "told late",
                (Some(_), _) => "deadlines missed",
                (None, true) => "deadlines met",
                (None, false) => "untold",
            };
            *counts.entry(what).or_default() += 1;
            if let "told late" | "untold" = what {
                let what = format!("{} by {}, in run {}", self.name, due.at, run.number);
                found.push(broken(Rule::MissingUntold, what));
            }
        }
    }

    /// How many incidents were closed by the time that a run had ended.
    fn incidents_before(&self, run: usize) -> usize {
        let is_before = |it: &&Incident<'_>| {
            let arrived = it.arrived.as_ref();
            arrived.is_some_and(|arrived| arrived.said.run <= run)
        };
        self.incidents.iter().take_while(is_before).count()
    }
}

/// All notices of an incident have one thread, and no others have it.
fn threads(said: &[Said], found: &mut Vec<Violation>) {
    let mut owners: BTreeMap<&str, (&str, Timestamp)> = BTreeMap::new();
    let mut open: BTreeMap<&str, (Timestamp, &str)> = BTreeMap::new();
    for it in said {
        let (first, thread) = *open.entry(&it.name).or_insert((it.by, it.thread.as_str()));
        let owner = *owners.entry(&it.thread).or_insert((&it.name, first));
        if thread != it.thread || owner != (it.name.as_str(), first) {
            let what = format!("{:?} of {} by {}", it.kind, it.name, it.by);
            found.push(broken(Rule::WrongThread, what));
        }
        if it.kind == Kind::Arrived {
            open.remove(it.name.as_str());
        }
    }
}
