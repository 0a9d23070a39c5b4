//! What was published, each notice once, and which job it truly speaks of.

use std::collections::BTreeSet;

use fraud_job_watch::watch::notice::Silence;
use fraud_job_watch::watch::{Kind, Severity, TopicArn};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::super::ledger::{Ledger, Look, RunLog};
use super::super::life::{Life, Stage, Start};
use super::{Rule, Violation, broken, topic, urgent_topic};

/// A notice of a job that was published.
pub(super) struct Told {
    /// The run that recorded it.
    pub(super) run: usize,
    pub(super) kind: Kind,
    /// The job that it speaks of.
    pub(super) life: usize,
    /// When it was recorded, by the clock of its run.
    pub(super) at: Timestamp,
    pub(super) thread: String,
    pub(super) incident: Option<String>,
    pub(super) silence: Option<Silence>,
    /// What is told of a job that takes too long.
    pub(super) overdue: Value,
    pub(super) topics: BTreeSet<TopicArn>,
    /// It tells of a job whose id another one has taken.
    pub(super) is_replaced: bool,
}

impl Told {
    pub(super) fn is_end(&self) -> bool {
        use Kind::{Canceled, Completed, Ended, Failed};
        matches!(self.kind, Completed | Failed | Canceled | Ended)
    }

    pub(super) fn opens(&self) -> bool {
        match self.kind {
            Kind::Stalled | Kind::Reminder => true,
            Kind::Vanished => !self.is_replaced,
            _ => false,
        }
    }
}

/// All that is known when it is over.
pub(super) struct Case<'a> {
    pub(super) ledger: &'a Ledger,
    pub(super) lives: &'a [Life],
    /// In the order in which they were recorded.
    pub(super) told: &'a [Told],
    pub(super) is_urgent: bool,
    /// Whose only sign of life is a count, or that they begin, and of which none waits.
    pub(super) are_imports: bool,
    /// Every look at each job, in order, with its run.
    pub(super) looks: Vec<Vec<(&'a RunLog, &'a Look)>>,
}

/// Sorts what was seen by the job that it was seen of.
pub(super) fn looks_at<'a>(ledger: &'a Ledger, lives: &[Life]) -> Vec<Vec<(&'a RunLog, &'a Look)>> {
    let mut of_lives = vec![Vec::new(); lives.len()];
    for run in &ledger.runs {
        for look in &run.looks {
            of_lives[look.life].push((run, look));
        }
    }
    for looks in &mut of_lives {
        looks.sort_by_key(|(_, look)| look.at);
    }
    of_lives
}

impl<'a> Case<'a> {
    pub(super) fn run(&self, told: &Told) -> &'a RunLog {
        &self.ledger.runs[told.run]
    }

    pub(super) fn name(&self, told: &Told) -> String {
        let id = self.lives[told.life].id;
        let number = self.run(told).number;
        format!("{:?} of job {id} by run {number}", told.kind)
    }

    /// Every look at a job, in order, with its run.
    pub(super) fn looks(&self, life: usize) -> Vec<(&'a RunLog, &'a Look)> {
        self.looks[life].clone()
    }

    pub(super) fn of(&self, life: usize) -> impl Iterator<Item = &'a Told> {
        self.told.iter().filter(move |told| told.life == life)
    }

    /// What was told last of a job's incident by `moment`, if that left it open.
    pub(super) fn open_at(&self, life: usize, moment: Timestamp) -> Option<&'a Told> {
        let of_it = self.of(life).filter(|told| told.at <= moment);
        of_it.last().filter(|told| told.opens())
    }

    /// Whether a run was shown between these moments that the job was active.
    pub(super) fn was_seen_active(&self, life: usize, from: Timestamp, until: Timestamp) -> bool {
        let looks = self.looks(life).into_iter();
        looks
            .map(|(_, look)| look)
            .any(|look| look.at >= from && look.at <= until && look.shows_activity())
    }

    /// Where a notice of this kind goes by itself.
    pub(super) fn own_topic(&self, kind: Kind) -> TopicArn {
        match kind.severity() {
            Severity::Error if self.is_urgent => urgent_topic(),
            Severity::Error | Severity::Warning | Severity::Info => topic(),
        }
    }

    /// How far the job had come in what was shown of it by `moment` to runs that had ended, and to `run`. One that is
    /// canceled waits on, if nothing says that it had begun.
    pub(super) fn last_known(&self, life: usize, run: &RunLog, moment: Timestamp) -> Option<Stage> {
        let looks = self.looks(life).into_iter();
        let (it, mut known, mut has_begun) = (&self.lives[life], None, false);
        let is_known = |(by, look): &(&RunLog, &Look)| {
            by.number == run.number || look.at <= moment && knows(by, run, moment)
        };
        for (_, look) in looks.filter(is_known) {
            let later = look.heartbeat.map(|at| at.duration_since(it.start));
            let has_moved = later.is_some_and(|later| later > SignedDuration::from_secs(30));
            let shows_work = look.count > Some(0) || it.style.tells_start() && has_moved;
            has_begun |= look.stage == Stage::Runs || shows_work;
            known = match (known, look.stage) {
                // Whatever its status, one that has processed records runs.
                (None | Some(Stage::Waits), Stage::Unknown) if look.count > Some(0) => {
                    Some(Stage::Runs)
                }
                (_, stage @ Stage::Ended(_)) => Some(stage),
                (Some(Stage::IsCanceled), Stage::Waits | Stage::Runs) => known,
                (Some(Stage::Runs), Stage::Waits) => known,
                (_, stage) if stage.is_known() => Some(stage),
                (known, _) => known,
            };
        }
        match known {
            Some(Stage::IsCanceled) if !has_begun => Some(Stage::Waits),
            known => known,
        }
    }
}

/// Whether what `by` was shown is known to `run` at that moment: it is the same, or it had ended well before.
pub(super) fn knows(by: &RunLog, run: &RunLog, moment: Timestamp) -> bool {
    let has_ended = |ended| ended < moment.min(run.started);
    by.number == run.number || by.is_good() && by.ended.is_some_and(has_ended)
}

/// Reads what was published.
pub(super) fn read(ledger: &Ledger, lives: &[Life]) -> (Vec<Told>, Vec<Violation>) {
    let (mut all, mut found) = (Vec::new(), Vec::new());
    for (run, notice) in &ledger.recorded {
        let attempts = ledger.attempts.iter().filter(|it| it.took_place.is_some());
        let events = attempts.filter_map(|attempt| {
            let place = attempt.ids.iter().position(|id| *id == notice.id)?;
            attempt.events.get(place)
        });
        // What was forgotten may come again, with the same id.
        let recorded_at = notice.recorded_at.to_string();
        let mut events = events.filter(|event| event["data"]["recorded_at"] == *recorded_at);
        let event = events.next();
        let Some(event) = event.filter(|event| event["data"]["job"].is_object()) else {
            continue;
        };
        match one(event, *run, ledger, lives) {
            Some(told) => all.push(Told {
                topics: ledger.reached(&notice.id),
                ..told
            }),
            None => found.push(broken(
                Rule::Untrue,
                format!("there was no such job: {event}"),
            )),
        }
    }
    (all, found)
}

fn one(event: &Value, run: usize, ledger: &Ledger, lives: &[Life]) -> Option<Told> {
    let data = &event["data"];
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let kind: Kind = serde_json::from_value(data["kind"].clone()).ok()?;
    let at: Timestamp = data["recorded_at"].as_str()?.parse().ok()?;
    let start: Option<Timestamp> = data["job"]["started_at"]
        .as_str()
        .and_then(|it| it.parse().ok());
    let id = event["subject"].as_str()?;
    // Time passes between the question and its answer.
    let by = at + SignedDuration::from_secs(10);
    let was_there = |place: &usize| lives[*place].id == id && lives[*place].start <= by;
    let candidates: Vec<usize> = (0..lives.len()).filter(was_there).collect();
    let log = &ledger.runs[run];
    let is_shown = |place: &usize| log.look(*place).is_some();
    let was_shown = |place: &usize| {
        let mut earlier = ledger.runs[..run].iter();
        earlier.any(|run| run.look(*place).is_some())
    };
    let mut places = candidates.iter().rev().copied();
    let life = match (start, kind) {
        (Some(start), _) => {
            let differs = |place: &usize| lives[*place].start.duration_since(start).abs();
            let nearest = candidates.iter().copied().min_by_key(differs)?;
            let most = match lives[nearest].style.start {
                Start::LateAtFirst => 6,
                Start::Exact | Start::MoreOrLess | Start::Missing => 1,
            };
            (differs(&nearest) < SignedDuration::from_mins(most)).then_some(nearest)?
        }
        (None, Kind::Vanished) => {
            let gone = |place: &usize| was_shown(place) && !is_shown(place);
            places.find(gone).or(candidates.last().copied())?
        }
        (None, _) => places.find(is_shown).or(candidates.last().copied())?,
    };
    let is_another = |look: &Look| look.life > life && lives[look.life].id == id;
    Some(Told {
        run,
        kind,
        life,
        at,
        thread: text(&data["thread"]).unwrap_or_default(),
        incident: text(&data["incident"]),
        silence: serde_json::from_value(data["silence"].clone()).ok(),
        overdue: data["overdue"].clone(),
        topics: BTreeSet::new(),
        is_replaced: kind == Kind::Vanished && log.looks.iter().any(is_another),
    })
}
