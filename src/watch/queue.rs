//! Who waits for whom. One batch prediction job runs at a time, so one that is still INITIALIZING is not stalled while
//! another runs.

use jiff::{SignedDuration, Timestamp};

use super::job::{End, Job, JobId, Stage};
use super::life::sign_of_life;
use super::record::{Phase, Record};

/// The latest ends among jobs that are listed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ends {
    any: Option<Timestamp>,
    completed: Option<Timestamp>,
}

impl Ends {
    /// Takes in a job that ended.
    pub fn add(&mut self, end: End, at: Option<Timestamp>) {
        self.any = self.any.max(at);
        if end == End::Completed {
            self.completed = self.completed.max(at);
        }
    }
}

/// The jobs that wait or run, as a complete listing and the records show them.
#[derive(Clone, Debug)]
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
    /// Looks at the active jobs that were seen, each with its record if there is one, and at all records.
    ///
    /// A job that is recorded as active and was not seen keeps its recorded status, and so does one that is seen
    /// without a status that is known here.
    pub fn new<'a>(
        seen: impl Iterator<Item = (&'a Job, Option<&'a Record>)>,
        records: impl Iterator<Item = (&'a Record, bool)>,
        mut ends: Ends,
        now: Timestamp,
        stall_after: SignedDuration,
    ) -> Self {
        let mut active = Vec::new();
        for (job, record) in seen {
            if record.is_some_and(|record| record.phase != Phase::Active) {
                continue;
            }
            let stage = record.map_or(job.status.stage(), |record| record.stage(job));
            let silent_since = record.map_or(now, |record| sign_of_life(record, job, now));
            active.push((job, record, stage, silent_since));
        }
        for (record, was_seen) in records {
            if let Some(predecessor) = record.predecessor {
                ends.add(predecessor.end, Some(predecessor.ended_at));
            }
            match record.phase {
                Phase::Active => {}
                Phase::Ended => {
                    let at = record.job.completed_at.or(Some(record.recorded_at));
                    if let Some(end) = record.job.end() {
                        ends.add(end, at);
                    }
                }
                Phase::Vanished => ends.any = ends.any.max(Some(record.recorded_at)),
            }
            if record.phase == Phase::Active && !was_seen {
                let stage = record.job.status.stage();
                active.push((&record.job, Some(record), stage, record.sign_at));
            }
        }
        let (mut running, mut waiting) = (Vec::new(), Vec::new());
        for (job, record, stage, sign_at) in active {
            match stage {
                Some(Stage::Waits) => {
                    let recorded_at = record.and_then(|record| record.job.started_at);
                    let first_seen_at = record.map_or(now, |record| record.first_seen_at);
                    let started_at = recorded_at.or(job.started_at).unwrap_or(first_seen_at);
                    waiting.push((started_at, job.id.clone()));
                }
                Some(Stage::Runs | Stage::IsCanceled) => {
                    let allowed = record.map_or(stall_after, |it| it.stall_threshold(stall_after));
                    let is_silent = now.duration_since(sign_at) > allowed;
                    let is_overtaken = ends.completed.is_some_and(|at| at > sign_at);
                    running.push(Running {
                        id: job.id.clone(),
                        holds: !(is_silent && is_overtaken),
                    });
                }
                None => {}
            }
        }
        waiting.sort();
        Self {
            running,
            waiting,
            is_moving: ends
                .any
                .is_some_and(|at| now.duration_since(at) < stall_after),
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
