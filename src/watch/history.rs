//! How long jobs usually take: the median of the last 20 that are alike, from the ends that a listing shows. Every run
//! sees them all, so nothing of it is stored.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::job::{End, Job};
use super::source::SourceKind;

/// Of so many ends, the newest, the history is made: they take less than 1 MiB, whatever is listed.
const ENDS_KEPT: usize = 8_192;

/// So many of the latest jobs that are alike say what is usual.
const ALIKE: usize = 20;

/// Of fewer nothing is concluded.
const LEAST_ALIKE: usize = 5;

/// The ends of the jobs of a source, by time.
#[derive(Clone, Debug, Default)]
pub struct History {
    source: SourceKind,
    ends: BTreeSet<PastJob>,
}

/// A job that ended. All times are in seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct PastJob {
    ended_at: i64,
    started_at: Option<i64>,
    records: u64,
    /// A hash of its event type and, where jobs have one, its detector, if it completed and they are known.
    likeness: Option<u64>,
}

/// What is usual for jobs like one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Usual {
    /// The median of how long they took, in seconds, scaled up where they had fewer records.
    pub median_s: i64,
    /// How many jobs that is the median of.
    pub jobs: u64,
    /// The longest of them, in seconds, scaled likewise.
    pub longest_s: i64,
}

/// How the time that a job took compares with what is usual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compared {
    /// How long it ran, in seconds: since it could begin.
    pub ran_s: i64,
    /// How long it waited for another to end before that, in seconds.
    pub waited_s: i64,
    /// What is usual.
    pub usual: Usual,
}

impl History {
    /// Nothing yet.
    pub fn new(source: SourceKind) -> Self {
        Self {
            source,
            ends: BTreeSet::new(),
        }
    }

    /// Takes in a job that ended; one without the time of its end says nothing.
    pub fn add(&mut self, job: &Job) {
        let Some(ended_at) = job.completed_at.map(Timestamp::as_second) else {
            return;
        };
        let has_completed = job.end() == Some(End::Completed);
        let likeness = self.likeness(job).filter(|_| has_completed);
        self.ends.insert(PastJob {
            ended_at,
            started_at: job.started_at.map(Timestamp::as_second),
            records: records(job),
            likeness,
        });
        if self.ends.len() > ENDS_KEPT {
            self.ends.pop_first();
        }
    }

    /// How the time that a completed job took compares, if that is out of the ordinary: at least twice what is usual, or
    /// no more than half of it.
    pub fn compared(&self, job: &Job) -> Option<Compared> {
        let (started_at, ended_at) = (job.started_at?, job.completed_at?);
        let usual = self.usual(job, ended_at)?;
        let began_at = self.could_begin(started_at.as_second(), ended_at.as_second());
        let ran_s = ended_at.as_second().saturating_sub(began_at).max(0);
        let (shorter, longer) = (ran_s.min(usual.median_s), ran_s.max(usual.median_s));
        let is_ordinary = longer < shorter.saturating_mul(2) || longer - shorter < 60;
        (!is_ordinary).then_some(Compared {
            ran_s,
            waited_s: began_at.saturating_sub(started_at.as_second()),
            usual,
        })
    }

    /// When a job that runs should be done, going by what is usual.
    pub fn due_at(&self, job: &Job, now: Timestamp) -> Option<Timestamp> {
        let usual = self.usual(job, now)?;
        // What ended in this very second is over.
        let until = now.as_second().saturating_add(1);
        let began_at = self.could_begin(job.started_at?.as_second(), until);
        Timestamp::from_second(began_at.checked_add(usual.median_s)?).ok()
    }

    /// When a job could begin that started then and ended at `ended_at`: the service tells when it accepted a job, and
    /// where one runs at a time, it waited for those before it.
    fn could_begin(&self, started_at: i64, ended_at: i64) -> i64 {
        if !self.source.runs_one_at_a_time() {
            return started_at;
        }
        let latest = self.before(ended_at).next_back();
        latest.map_or(started_at, |latest| latest.ended_at.max(started_at))
    }

    /// What is usual for a job like this one, from what ended before `end`: the last 20 completed jobs of its event type
    /// and, where jobs have one, its detector. `None` if there are fewer than five, or if their records say nothing of its own.
    pub fn usual(&self, job: &Job, end: Timestamp) -> Option<Usual> {
        let likeness = Some(self.likeness(job)?);
        let is_alike = |past: &&PastJob| past.likeness == likeness && past.started_at.is_some();
        let before = self.before(end.as_second()).rev();
        let alike: Vec<_> = before.filter(is_alike).take(ALIKE).copied().collect();
        if alike.len() < LEAST_ALIKE {
            return None;
        }
        let wanted = records(job);
        let is_comparable = |past: &&PastJob| past.records >= wanted.div_ceil(2);
        let mut taken: Vec<i64> = alike
            .iter()
            .filter(is_comparable)
            .filter_map(|past| self.scaled(past, wanted))
            .collect();
        if taken.is_empty() {
            let most = alike.iter().map(|past| past.records).max()?;
            let largest = alike.iter().filter(|past| past.records == most);
            taken.extend(largest.filter_map(|past| self.scaled(past, wanted)).max());
        }
        taken.sort_unstable();
        let middle = taken.len() / 2;
        let (lower, upper) = (
            taken.get(taken.len().saturating_sub(1) / 2)?,
            taken.get(middle)?,
        );
        Some(Usual {
            median_s: lower.midpoint(*upper),
            jobs: taken.len() as u64,
            longest_s: *taken.last()?,
        })
    }

    /// How long a job of `wanted` records would have taken, in seconds; `None` if this one had none to compare.
    fn scaled(&self, past: &PastJob, wanted: u64) -> Option<i64> {
        let started_at = past.started_at?;
        let began_at = self.could_begin(started_at, past.ended_at);
        let taken = past.ended_at.saturating_sub(began_at).max(0);
        if past.records >= wanted {
            return Some(taken);
        }
        let scaled = i128::from(taken) * i128::from(wanted) / i128::from(past.records).max(1);
        (past.records > 0).then(|| i64::try_from(scaled).unwrap_or(i64::MAX))
    }

    fn before(&self, ended_at: i64) -> impl DoubleEndedIterator<Item = &PastJob> {
        let end = PastJob {
            ended_at,
            started_at: None,
            records: 0,
            likeness: None,
        };
        self.ends.range(..end)
    }

    fn likeness(&self, job: &Job) -> Option<u64> {
        let (detector, event_type) = (job.detector.as_ref(), job.event_type.as_ref()?);
        if self.source.has_detectors() && detector.is_none() {
            return None;
        }
        let mut hasher = DefaultHasher::new();
        (detector, event_type).hash(&mut hasher);
        Some(hasher.finish())
    }
}

/// When a job ends, if it goes on as it did in the time it has taken; `None` if its records do not tell.
pub fn expected_end(job: &Job, taken: SignedDuration, now: Timestamp) -> Option<Timestamp> {
    let processed = job.processed_records?;
    let left = job
        .total_records?
        .checked_sub(processed)
        .filter(|left| *left > 0)?;
    let seconds = taken.as_secs_f64() * left as f64 / processed as f64;
    now.checked_add(SignedDuration::try_from_secs_f64(seconds).ok()?)
        .ok()
}

/// How many records it had, or has: in all, or else so far.
fn records(job: &Job) -> u64 {
    job.total_records.or(job.processed_records).unwrap_or(0)
}
