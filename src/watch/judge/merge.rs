//! What is seen now merged into a record, without letting a fact go back.

use jiff::Timestamp;

use super::{Change, Expected, RunContext, SAME_START};
use crate::watch::job::Job;
use crate::watch::life::{Signs, comparable_heartbeat, has_lost_heartbeat, is_ahead, sign_of_life};
use crate::watch::notice::Notice;
use crate::watch::record::{Item, RETENTION, Record};
use crate::watch::status::{Stage, Status};

/// The record with what is seen now, without letting a fact go back.
pub(super) fn rewrite(record: &Record, job: &Job, context: &RunContext<'_>) -> Record {
    let now = context.now;
    Record {
        job: Job {
            status: last_known_status(record, job).clone(),
            started_at: start(record, job),
            heartbeat_at: heartbeat(record, job, now),
            ..merged_view(record, job, now)
        },
        has_begun: record.has_begun
            || [record.job.stage(), job.stage()].contains(&Some(Stage::Running)),
        last_sign_at: sign_of_life(record, job, now),
        skewed_heartbeat_at: skewed_heartbeat(record, job, now),
        recorded_at: now,
        absent_since: None,
        ..next_revision(record, context)
    }
}

/// What is not known here says nothing of how far a job has come, nor does a view from before.
pub(super) fn last_known_status<'a>(record: &'a Record, job: &'a Job) -> &'a Status {
    let (before, now) = (&record.job.status, &job.status);
    match now.is_missing() || now.stage() < before.stage() {
        true => before,
        false => now,
    }
}

/// The recorded start, unless it is missing or was wrong.
pub(super) fn start(record: &Record, job: &Job) -> Option<Timestamp> {
    let recorded = record.job.started_at;
    let is_better = |start: &Timestamp| {
        recorded.is_none_or(|recorded| recorded.duration_since(*start) >= SAME_START)
    };
    job.started_at.filter(is_better).or(recorded)
}

/// The latest heartbeat; none once it was missing, until a new one comes.
pub(super) fn heartbeat(record: &Record, job: &Job, now: Timestamp) -> Option<Timestamp> {
    match record.job.heartbeat_at {
        None => Signs::new(record, job, now).heartbeat,
        Some(_) if has_lost_heartbeat(record, job, now) => None,
        recorded => comparable_heartbeat(record, job, now).max(recorded),
    }
}

/// The heartbeat that is never to be compared.
pub(super) fn skewed_heartbeat(record: &Record, job: &Job, now: Timestamp) -> Option<Timestamp> {
    let seen = job.heartbeat_at.filter(|at| is_ahead(*at, now));
    seen.or(record.skewed_heartbeat_at)
}

/// The job as it is seen, but for what the record knows better.
pub(super) fn merged_view(record: &Record, job: &Job, now: Timestamp) -> Job {
    let before = &record.job;
    let status = match job.status.stage() {
        None if !job.status.is_missing() => &job.status,
        Some(_) | None => last_known_status(record, job),
    };
    Job {
        status: status.clone(),
        heartbeat_at: comparable_heartbeat(record, job, now).max(before.heartbeat_at),
        completed_at: before.completed_at,
        processed_records: job.processed_records.max(before.processed_records),
        ..job.clone().fill_missing_from(before)
    }
}

/// The record, to be written by this run.
pub(super) fn next_revision(record: &Record, context: &RunContext<'_>) -> Record {
    Record {
        rev: record.rev.saturating_add(1),
        written_by: context.run.to_owned(),
        ..record.clone()
    }
}

/// The write that replaces `before`, which is stored unless its revision is 0.
pub(super) fn change(before: &Record, next: Record, notices: Vec<Notice>) -> Change {
    Change {
        expected: match before.rev {
            0 => Expected::Absent,
            rev => Expected::Rev(rev),
        },
        item: Item::Job(Box::new(next)),
        notices,
    }
}

/// When a record of something that ended at `at` may go, in seconds since 1970.
pub(super) fn forgotten(at: Timestamp) -> i64 {
    at.as_second().saturating_add(RETENTION.as_secs())
}
