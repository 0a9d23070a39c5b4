//! Signs of life: the latest moment at which a job was known to go on.
//!
//! How often a heartbeat comes is documented nowhere, so a start and a seen change of status or count are signs
//! too. A time ahead of now by more than [`AHEAD`] is no sign; one that is ahead by less counts as now.

use jiff::{SignedDuration, Timestamp};

use super::job::Job;
use super::record::Record;

/// How far clocks may differ.
pub const AHEAD: SignedDuration = SignedDuration::from_mins(5);

/// The latest of the job's own times (start, heartbeat), or when it was first seen.
pub fn own_sign(job: &Job, record: Option<&Record>, now: Timestamp) -> Timestamp {
    latest([job.started_at, job.heartbeat_at], now).unwrap_or_else(|| first_seen(record, now))
}

/// The latest sign of life, with what was recorded: it never goes back, whatever an older view says.
pub fn sign_of_life(job: &Job, record: Option<&Record>, now: Timestamp) -> Timestamp {
    let recorded = record.and_then(|record| {
        latest(
            [
                record.job.started_at,
                record.job.heartbeat_at,
                record.changed_at,
            ],
            now,
        )
    });
    match latest([job.started_at, job.heartbeat_at, recorded], now) {
        Some(sign) => sign,
        None => first_seen(record, now),
    }
}

/// Whether the job's heartbeat is older than the one recorded, so that the rest of this view is older too.
pub fn is_older_view(job: &Job, record: &Record, now: Timestamp) -> bool {
    match (
        usable(job.heartbeat_at, now),
        usable(record.job.heartbeat_at, now),
    ) {
        (Some(seen), Some(recorded)) => seen < recorded,
        (Some(_) | None, Some(_) | None) => false,
    }
}

fn first_seen(record: Option<&Record>, now: Timestamp) -> Timestamp {
    record.map_or(now, |record| record.first_seen_at.min(now))
}

/// The time, if it is no more than [`AHEAD`] of now.
pub fn usable(time: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    time.filter(|time| time.duration_since(now) <= AHEAD)
        .map(|time| time.min(now))
}

fn latest<const N: usize>(times: [Option<Timestamp>; N], now: Timestamp) -> Option<Timestamp> {
    times.into_iter().filter_map(|time| usable(time, now)).max()
}
