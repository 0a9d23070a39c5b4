//! The detectors of which jobs are expected: what a run sees of their jobs, and what is kept of each.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::history::expected_end;
use super::job::{End, Job, JobId};
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
    /// Takes in when the latest job of any detector ended.
    pub fn add_latest_end(&mut self, latest_end: Option<Timestamp>) {
        self.latest_end = latest_end;
    }

    /// Takes in a job of the detector.
    pub fn add(&mut self, job: &Job) {
        match job.end() {
            Some(End::Completed) => self.add_completion(job),
            Some(End::Failed) => {
                let is_later = |other: &Job| job.finished_at() > other.finished_at();
                if self.failed.as_ref().is_none_or(is_later) {
                    self.failed = Some(job.clone());
                }
            }
            Some(End::Canceled | End::Unknown) => {}
            None => {
                let is_further = |other: &Job| job.status.stage() > other.status.stage();
                if self.active.as_ref().is_none_or(is_further) {
                    self.active = Some(job.clone());
                }
            }
        }
    }

    fn add_completion(&mut self, job: &Job) {
        let Some(at) = job.finished_at() else { return };
        // By far the most.
        if self.completed.get(1).is_some_and(|earlier| at < earlier.at) {
            return;
        }
        let job_id = job.id.clone();
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
        let running = active.filter(|job| job.status.stage() != Some(Stage::Waiting));
        let failed = failed.filter(|job| job.finished_at() > Some(since));
        running.or(failed).or(active)
    }

    /// When the active one ends, if it goes on as it did so far.
    pub fn expected_end(&self, now: Timestamp) -> Option<Timestamp> {
        let job = self.active.as_ref()?;
        let since = job
            .started_at
            .max(self.latest_end.filter(|_| job.started_at.is_some()))?;
        expected_end(job, now.duration_since(since), now)
    }
}
