//! The detectors of which jobs are expected: what a run sees of their jobs, and what is kept of each.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::history::expected_end;
use super::job::{End, Job, JobId};
use super::judge::SAME_START;
use super::record::{Phase, Predecessor, Record};
use super::status::Stage;
use super::topic::TopicArn;

/// What EXPECT calls any detector.
pub const ANY_DETECTOR: &str = "*";

/// A job that completed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Completion {
    /// When.
    #[cfg_attr(feature = "schema", schemars(with = "super::job::Time"))]
    pub at: Timestamp,
    /// The job's id.
    pub job_id: JobId,
}

impl Completion {
    /// Whether it is of the same job, whose end may be told more precisely later.
    pub fn is_same(&self, other: &Self) -> bool {
        self.job_id == other.job_id && self.at.duration_since(other.at).abs() < SAME_START
    }
}

/// A deadline by which no job had completed, until one does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MissedDeadline {
    /// The deadline; of several without a job between them, the first.
    pub at: Timestamp,
    /// As people read it.
    pub local: String,
    /// What completed after this counts.
    pub opens_at: Timestamp,
    /// The topics that were told.
    #[serde(rename = "heard")]
    pub notified_topics: BTreeSet<TopicArn>,
}

/// What is kept of a detector that EXPECT names, or once named.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DetectorRecord {
    /// The revision.
    pub rev: u64,
    /// The run that wrote it.
    #[serde(rename = "by")]
    pub written_by: String,
    /// The detector, as EXPECT names it.
    pub name: String,
    /// When EXPECT was first seen to name it: what was due before is not judged.
    pub since: Timestamp,
    /// The latest deadline that was judged.
    pub concluded: Option<Timestamp>,
    /// What was reported as missing, and has not arrived.
    pub missing: Option<MissedDeadline>,
    /// What arrived so late that it counts for no later deadline.
    pub late_arrival: Option<Completion>,
}

/// What a run sees of the jobs of one detector.
#[derive(Clone, Debug, Default)]
pub struct DetectorJobs {
    /// The two that completed last, the later one first. At most one of them counts for an earlier deadline.
    completed: Vec<Completion>,
    /// The one that failed last.
    failed: Option<Job>,
    /// The active one that has come furthest.
    active: Option<Job>,
    /// When the latest job of any detector ended.
    latest_end: Option<Timestamp>,
}

impl DetectorJobs {
    /// Says when the latest job of any detector ended.
    pub fn set_latest_end(&mut self, latest_end: Option<Timestamp>) {
        self.latest_end = latest_end;
    }

    /// Takes in a listed job of the detector.
    pub fn add(&mut self, job: &Job) {
        match job.end() {
            Some(End::Completed) => self.add_completed(&job.id, job.finished_at()),
            Some(End::Failed) => {
                let is_later = |other: &Job| job.finished_at() > other.finished_at();
                if self.failed.as_ref().is_none_or(is_later) {
                    self.failed = Some(job.clone());
                }
            }
            Some(End::Canceled | End::Unknown) => {}
            None if job.is_unclear() => {}
            None => {
                let is_further = |other: &Job| nearness(job) > nearness(other);
                if self.active.as_ref().is_none_or(is_further) {
                    self.active = Some(job.clone());
                }
            }
        }
    }

    /// Takes in a recorded job of the detector: one that completed, or is active and was missed.
    pub fn add_recorded(&mut self, record: &Record, is_missed: bool) {
        let job = &record.job;
        let is_listed = self.completed.iter().any(|it| it.job_id == job.id);
        match record.phase {
            Phase::Ended if job.end() == Some(End::Completed) && !is_listed => {
                self.add_completed(&job.id, job.finished_at());
            }
            Phase::Active if is_missed => self.add(job),
            Phase::Active | Phase::Ended | Phase::Vanished => {}
        }
    }

    /// Takes in a job of the detector whose id another has taken.
    pub fn add_predecessor(&mut self, id: &JobId, predecessor: &Predecessor) {
        if predecessor.end == End::Completed {
            self.add_completed(id, Some(predecessor.ended_at));
        }
    }

    fn add_completed(&mut self, id: &JobId, at: Option<Timestamp>) {
        let Some(at) = at else { return };
        // By far the most.
        if self.completed.get(1).is_some_and(|earlier| at < earlier.at) {
            return;
        }
        let job_id = id.clone();
        self.completed.push(Completion { at, job_id });
        self.completed.sort_by(|a, b| b.cmp(a));
        self.completed.dedup();
        self.completed.truncate(2);
    }

    /// The latest completions, the later one first.
    pub fn completed(&self) -> impl DoubleEndedIterator<Item = &Completion> {
        self.completed.iter()
    }

    /// What there is in place of a job that completed after `since`: one that runs, or else one that failed since, or
    /// else one that waits.
    pub fn instead(&self, since: Timestamp) -> Option<&Job> {
        let (active, failed) = (self.active.as_ref(), self.failed.as_ref());
        let begun = active.filter(|job| job.status.stage() != Some(Stage::Waiting));
        let failed = failed.filter(|job| job.finished_at() > Some(since));
        begun.or(failed).or(active)
    }

    /// When a job ends, if it runs and goes on as it did so far.
    pub fn expected_end(&self, job: &Job, now: Timestamp) -> Option<Timestamp> {
        let runs = job.status.stage() == Some(Stage::Running);
        let started_at = job.started_at.filter(|_| runs)?;
        let since = self.latest_end.max(Some(started_at))?;
        expected_end(job, now.duration_since(since), now)
    }
}

/// How near to its completion an active job is.
fn nearness(job: &Job) -> u8 {
    match job.status.stage() {
        Some(Stage::Running) => 3,
        Some(Stage::Canceling) => 2,
        Some(Stage::Waiting) => 1,
        None => 0,
    }
}
