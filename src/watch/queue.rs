//! Who waits for whom. One batch prediction job runs at a time, so one that is still INITIALIZING is not stalled while
//! another runs.

use jiff::{SignedDuration, Timestamp};

use super::job::{End, Job, JobId};
use super::judge::goes_on;
use super::life::{shows_work, sign_of_life};
use super::record::{Phase, Record};
use super::status::Stage;

/// The latest ends among jobs that are listed.
#[derive(Clone, Copy, Debug, Default)]
pub struct LatestEnds {
    any: Option<Timestamp>,
    completed: Option<Timestamp>,
}

impl LatestEnds {
    /// Takes in a job that ended.
    pub fn add(&mut self, end: End, at: Option<Timestamp>) {
        self.any = self.any.max(at);
        if end == End::Completed {
            self.completed = self.completed.max(at);
        }
    }

    /// The latest of all.
    pub fn latest(&self) -> Option<Timestamp> {
        self.any
    }

    /// Takes in how a recorded job ended, and the one that had its id before.
    pub fn add_recorded(&mut self, record: &Record) {
        if let Some(predecessor) = &record.predecessor {
            self.add(predecessor.end, Some(predecessor.ended_at));
        }
        match record.phase {
            Phase::Active => {}
            Phase::Ended => {
                let at = record.job.completed_at.or(Some(record.recorded_at));
                if let Some(end) = record.job.end() {
                    self.add(end, at);
                }
            }
            Phase::Vanished => self.any = self.any.max(Some(record.recorded_at)),
        }
    }
}

/// An active job, how far it has come, and when it last showed a sign of life.
struct Active<'a> {
    job: &'a Job,
    record: Option<&'a Record>,
    stage: Option<Stage>,
    last_sign_at: Timestamp,
}

impl<'a> Active<'a> {
    fn seen(job: &'a Job, record: Option<&'a Record>, now: Timestamp) -> Self {
        let record = record.filter(|record| record.phase == Phase::Active);
        Self {
            job,
            record,
            stage: record.map_or(job.stage(), |record| record.stage(job)),
            last_sign_at: record.map_or(now, |record| sign_of_life(record, job, now)),
        }
    }

    /// One that is missing may have beaten until now, if its stall was not told: heartbeats that come in time are not
    /// written down.
    fn recorded(record: &'a Record, is_missing: bool, now: Timestamp) -> Self {
        Self {
            job: &record.job,
            record: Some(record),
            stage: record.stage(&record.job),
            last_sign_at: match is_missing && record.stall.is_none() {
                true => now,
                false => record.last_sign_at,
            },
        }
    }

    fn has_begun(&self) -> bool {
        let has_begun = |record| has_begun(record, self.job);
        self.record
            .map_or(self.stage != Some(Stage::Waiting), has_begun)
    }

    fn started_at(&self, now: Timestamp) -> Timestamp {
        let recorded_at = self.record.and_then(|record| record.job.started_at);
        let first_seen_at = self.record.map_or(now, |record| record.first_seen_at);
        let started_at = recorded_at.or(self.job.started_at);
        started_at.unwrap_or(first_seen_at)
    }

    fn stall_threshold(&self, stall_after: SignedDuration) -> SignedDuration {
        let threshold = |record: &Record| record.stall_threshold(stall_after);
        self.record.map_or(stall_after, threshold)
    }
}

/// Whether the job that is seen so has begun. That it is being canceled does not say so.
pub fn has_begun(record: &Record, job: &Job) -> bool {
    match record.stage(job) {
        Some(Stage::Waiting) => false,
        Some(Stage::Canceling) => record.has_begun || shows_work(record, job),
        Some(Stage::Running) | None => true,
    }
}

/// The jobs that wait or run, as a complete listing and the records show them. In an empty one none waits.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    running: Vec<Running>,
    /// Those that have not begun, in the order in which they started.
    waiting: Vec<(Timestamp, JobId)>,
    /// A job ended so lately that the next one cannot be blamed for not having begun.
    is_moving: bool,
}

#[derive(Clone, Debug)]
struct Running {
    id: JobId,
    /// Whether others wait for it. They don't for a silent one, once another has completed after its last sign of life.
    holds: bool,
}

impl Queue {
    /// Looks at the active jobs that were seen, each with its record if there is one, and at the records of all others.
    ///
    /// Of the latter each says whether the listing missed its job, or showed it without a status and with an end. Those
    /// jobs keep their recorded status, and so does one that is seen with a status that is not known here.
    pub fn new<'a>(
        seen: impl Iterator<Item = (&'a Job, Option<&'a Record>)>,
        unseen: impl Iterator<Item = (&'a Record, bool)>,
        ends: LatestEnds,
        now: Timestamp,
        stall_after: SignedDuration,
    ) -> Self {
        let mut active: Vec<_> = seen
            .filter(|(job, record)| record.is_none_or(|record| goes_on(record, job, now)))
            .map(|(job, record)| Active::seen(job, record, now))
            .collect();
        let unseen = unseen.filter(|(record, _)| record.phase == Phase::Active);
        active.extend(unseen.map(|(record, is_missing)| Active::recorded(record, is_missing, now)));
        let (mut running, mut waiting) = (Vec::new(), Vec::new());
        for it in active {
            match it.stage {
                Some(_) if !it.has_begun() => {
                    waiting.push((it.started_at(now), it.job.id.clone()));
                }
                Some(_) => {
                    let threshold = it.stall_threshold(stall_after);
                    let is_silent = now.duration_since(it.last_sign_at) > threshold;
                    let is_overtaken = ends.completed.is_some_and(|at| at > it.last_sign_at);
                    running.push(Running {
                        id: it.job.id.clone(),
                        holds: !(is_silent && is_overtaken),
                    });
                }
                None => {}
            }
        }
        waiting.sort();
        let is_recent = |at: Timestamp| now.duration_since(at) < stall_after;
        Self {
            running,
            waiting,
            is_moving: ends.any.is_some_and(is_recent),
        }
    }

    /// Whether the job, which has not begun, waits for another.
    pub fn waits(&self, id: &JobId) -> bool {
        let other_runs = |other: &Running| other.holds && other.id != *id;
        let is_head = self.waiting.first().is_none_or(|(_, head)| head == id);
        self.running.iter().any(other_runs) || self.is_moving || !is_head
    }

    /// How many wait for the job to end.
    pub fn behind(&self, id: &JobId) -> u64 {
        let holds = |other: &Running| other.holds && other.id == *id;
        let is_head = || self.waiting.first().is_some_and(|(_, head)| head == id);
        let others = self.waiting.iter().filter(|(_, other)| other != id).count();
        match self.running.iter().any(holds)
            || (!self.running.iter().any(|it| it.holds) && is_head())
        {
            true => others as u64,
            false => 0,
        }
    }
}
