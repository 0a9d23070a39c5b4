//! Signs of life: what a view of a job shows that its record does not have yet.
//!
//! How often a heartbeat comes is documented nowhere, so a count that rises and the first step out of INITIALIZING
//! are signs too. No sign are a status that changes otherwise, a member that is missing, a lower count, and a time
//! further ahead of now than [`CLOCK_SKEW`].

use jiff::{SignedDuration, Timestamp};

use super::job::Job;
use super::record::Record;
use super::status::Stage;

/// How far clocks may differ.
pub const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(5);

/// The stall threshold doubles at most this many times.
const DOUBLINGS: u32 = 2;

/// What is new in a view.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Signs {
    /// A later heartbeat than any that is recorded.
    pub heartbeat: Option<Timestamp>,
    /// A higher count than any that is recorded, or the first step out of INITIALIZING: when that was is not known,
    /// so it counts from when it was seen.
    pub advanced: bool,
}

impl Signs {
    /// What `job`, seen at `now`, shows beyond its record.
    pub fn new(record: &Record, job: &Job, now: Timestamp) -> Self {
        let heartbeat = comparable_heartbeat(record, job, now);
        let heartbeat = heartbeat.filter(|heartbeat| *heartbeat > record.last_sign_at);
        let rises = job
            .processed_records
            .is_some_and(|count| count > record.job.processed_records.unwrap_or(0));
        let stages = (record.job.status.stage(), job.status.stage());
        let begins = stages == (Some(Stage::Waiting), Some(Stage::Running));
        Self {
            heartbeat: heartbeat.map(|heartbeat| heartbeat.min(now)),
            advanced: rises || begins,
        }
    }

    /// The latest of them.
    pub fn latest(&self, now: Timestamp) -> Option<Timestamp> {
        match self.advanced {
            true => Some(now),
            false => self.heartbeat,
        }
    }
}

/// The heartbeat, unless it is ahead of its time, or was when it was first seen.
pub fn comparable_heartbeat(record: &Record, job: &Job, now: Timestamp) -> Option<Timestamp> {
    job.heartbeat_at.filter(|heartbeat| {
        !is_ahead(*heartbeat, now) && record.skewed_heartbeat_at != Some(*heartbeat)
    })
}

/// Whether the heartbeat of a job that is recorded with one is missing now, and its count, which is known to move, does
/// not say that it stands still either. Heartbeats that come in time are not written down, so nobody knows how long ago
/// the last one was: silence counts from now, once, until it beats again.
pub fn has_lost_heartbeat(record: &Record, job: &Job, now: Timestamp) -> bool {
    let shows_none = job.heartbeat_at.is_none_or(|at| is_ahead(at, now));
    let can_compare = has_processed(&record.job) && job.processed_records.is_some();
    shows_none && record.job.heartbeat_at.is_some() && !can_compare && record.stall.is_none()
}

/// The last sign of life of an active job that is seen at `now`.
pub fn sign_of_life(record: &Record, job: &Job, now: Timestamp) -> Timestamp {
    if has_lost_heartbeat(record, job, now) {
        return now;
    }
    let seen = Signs::new(record, job, now).latest(now);
    seen.map_or(record.last_sign_at, |sign| sign.max(record.last_sign_at))
}

/// From when on silence counts for a job that is seen for the first time.
///
/// Its heartbeats may be rare. If it has processed records and yet its heartbeat never moved, nothing is known of when
/// it last did something, and silence counts from now.
pub fn first_sign(job: &Job, now: Timestamp) -> Timestamp {
    let heartbeat = job.heartbeat_at.filter(|at| !is_ahead(*at, now));
    if has_processed(job) && !has_moved(heartbeat, job.started_at) {
        return now;
    }
    let latest = heartbeat.max(job.started_at);
    latest.map_or(now, |latest| latest.min(now))
}

/// Whether a heartbeat is not just the one that comes with the start.
fn has_moved(heartbeat: Option<Timestamp>, started_at: Option<Timestamp>) -> bool {
    match (heartbeat, started_at) {
        (None, _) => false,
        (Some(heartbeat), Some(start)) => {
            heartbeat.duration_since(start) >= SignedDuration::from_mins(1)
        }
        (Some(_), None) => true,
    }
}

/// Whether a job shows, or its record, that it did something, whatever its status.
pub fn shows_work(record: &Record, job: &Job) -> bool {
    let before = &record.job;
    let is_skewed = |at: &Timestamp| record.skewed_heartbeat_at == Some(*at);
    let heartbeat = job.heartbeat_at.filter(|at| !is_skewed(at));
    let (heartbeat, start) = (
        heartbeat.max(before.heartbeat_at),
        job.started_at.or(before.started_at),
    );
    let has_moved = start.is_some() && has_moved(heartbeat, start);
    has_processed(before) || has_processed(job) || has_moved
}

/// Whether the job has processed records.
pub fn has_processed(job: &Job) -> bool {
    job.processed_records.is_some_and(|count| count > 0)
}

/// Whether a time is further ahead than clocks differ.
pub fn is_ahead(time: Timestamp, now: Timestamp) -> bool {
    time.duration_since(now) > CLOCK_SKEW
}

/// How long a job may be silent that has recovered from this many stalls.
pub fn stall_threshold(stall_after: SignedDuration, recoveries: u32) -> SignedDuration {
    stall_after.saturating_mul(2i32.pow(recoveries.min(DOUBLINGS)))
}
