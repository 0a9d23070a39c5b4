//! Jobs that are seen for the first time, and those that go on.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::end::ended;
use super::merge::{
    change, heartbeat, last_known_status, merged_view, next_revision, rewrite, skewed_heartbeat,
    start,
};
use super::notices::{Occurrence, closing};
use super::{Change, RunContext, is_history};
use crate::watch::job::Job;
use crate::watch::kind::Kind;
use crate::watch::life::{Signs, first_sign, is_ahead, stall_threshold};
use crate::watch::notice::{Notice, Silence};
use crate::watch::record::{Phase, Record};
use crate::watch::status::Stage;
use crate::watch::topic::TopicArn;

/// A job that has no record.
pub(super) fn first_sight(job: &Job, context: &RunContext<'_>) -> Option<Change> {
    let Some(end) = job.end() else {
        let record = new_record(job, context.now);
        return Some(change(&record, next_revision(&record, context), Vec::new()));
    };
    let is_news = match job.finished_at() {
        // History, by far the most: nothing is made for it.
        Some(at) if is_history(at, context) => return None,
        Some(_) => true,
        None => context.baseline.began_at.is_some(),
    };
    let record = new_record(job, context.now);
    Some(ended(&record, job, end, is_news, context))
}

/// The record of a job at its first sight, which is not stored yet.
pub(super) fn new_record(job: &Job, now: Timestamp) -> Record {
    let skewed_heartbeat_at = job.heartbeat_at.filter(|at| is_ahead(*at, now));
    Record {
        rev: 0,
        written_by: String::new(),
        phase: Phase::Active,
        job: Job {
            heartbeat_at: job.heartbeat_at.filter(|_| skewed_heartbeat_at.is_none()),
            completed_at: None,
            ..job.clone()
        },
        key: job.started_at.unwrap_or(now),
        first_seen_at: now,
        recorded_at: now,
        last_sign_at: first_sign(job, now),
        skewed_heartbeat_at,
        has_begun: job.stage() == Some(Stage::Running),
        recoveries: 0,
        episode: 0,
        stall: None,
        overdue: false,
        absent_since: None,
        notified_topics: BTreeSet::new(),
        predecessor: None,
        expires: None,
    }
}

/// A known active job that is seen active.
pub(super) fn still_active(record: &Record, job: &Job, context: &RunContext<'_>) -> Option<Change> {
    let now = context.now;
    let stall_after = context.policy.stall_after;
    let signs = Signs::new(record, job, now);
    let sign = signs.latest(now);
    let allowed = stall_threshold(stall_after, record.recoveries.saturating_add(1));
    // With an older sign it would be stalled again at once.
    let recovers = |sign: &Timestamp| now.duration_since(*sign) <= allowed;
    if let (Some(_), Some(sign)) = (record.stall, sign.filter(recovers)) {
        return Some(recovered(record, job, sign, context));
    }
    // A job that beats costs no write. Of one that does not, a sample now and then is kept to compare with.
    let is_old = |at: Timestamp| now.duration_since(at) > stall_after / 4;
    let is_sample =
        sign.is_some() && is_old(record.last_sign_at) && signs.heartbeat.is_none_or(is_old);
    let has_changed = heartbeat(record, job, now).is_some() != record.job.heartbeat_at.is_some()
        || *last_known_status(record, job) != record.job.status
        || !record.has_begun && job.stage() == Some(Stage::Running)
        || start(record, job) != record.job.started_at
        || skewed_heartbeat(record, job, now) != record.skewed_heartbeat_at
        || record.absent_since.is_some();
    let is_written = is_sample || has_changed;
    is_written.then(|| change(record, rewrite(record, job, context), Vec::new()))
}

/// Who is still to hear how it ends, after a recovery: those who heard that it is overdue, and with them all others.
pub(super) fn still_open(record: &Record) -> BTreeSet<TopicArn> {
    match record.overdue {
        true => record.notified_topics.clone(),
        false => BTreeSet::new(),
    }
}

/// A job whose stall was reported shows a sign of life.
fn recovered(record: &Record, job: &Job, sign: Timestamp, context: &RunContext<'_>) -> Change {
    let next = Record {
        recoveries: record.recoveries.saturating_add(1),
        stall: None,
        notified_topics: still_open(record),
        ..rewrite(record, job, context)
    };
    let silence = Silence {
        since: record.last_sign_at,
        lasted_s: sign.duration_since(record.last_sign_at).as_secs(),
        allowed_s: next.stall_threshold(context.policy.stall_after).as_secs(),
        waiting: None,
        reminder: None,
    };
    let occurrence = Occurrence {
        kind: Kind::Recovered,
        which: record.episode.to_string(),
        happened_at: sign,
    };
    let recovered = Notice {
        silence: Some(silence),
        ..closing(
            &occurrence,
            record,
            merged_view(record, job, context.now),
            context,
        )
    };
    change(record, next, vec![recovered])
}
