//! Jobs that are not where they should be, and those that come back.

use std::collections::BTreeSet;

use super::active::still_open;
use super::merge::{change, forgotten, merged_view, next_revision, rewrite};
use super::notices::{Occurrence, closing, notice};
use super::{Change, MIN_TIME_BETWEEN_LOOKS, RunContext};
use crate::watch::job::Job;
use crate::watch::kind::Kind;
use crate::watch::notice::{IncidentState, Notice};
use crate::watch::record::{Phase, Record};

/// Judges a job that is recorded as active, is not in a complete listing, and is not found by its id either. A list
/// and a question may both miss a job for a moment, so it is gone only when a second look misses it too.
pub fn judge_absence(record: &Record, context: &RunContext<'_>) -> Option<Change> {
    if record.phase != Phase::Active {
        return None;
    }
    match record.absent_since {
        None => {
            let next = Record {
                absent_since: Some(context.now),
                ..next_revision(record, context)
            };
            Some(change(record, next, Vec::new()))
        }
        Some(since) if context.now.duration_since(since) < MIN_TIME_BETWEEN_LOOKS => None,
        Some(_) => Some(vanished(record, context)),
    }
}

fn vanished(record: &Record, context: &RunContext<'_>) -> Change {
    let now = context.now;
    let kind = Kind::Vanished;
    let is_reported =
        context.policy.notify_on.contains(&kind) || !record.notified_topics.is_empty();
    let topics = match is_reported {
        true => context
            .topics
            .closing(kind.severity(), &record.notified_topics),
        false => BTreeSet::new(),
    };
    let next = Record {
        phase: Phase::Vanished,
        recorded_at: now,
        stall: None,
        absent_since: None,
        episode: record.episode.saturating_add(1),
        notified_topics: topics.clone(),
        expires: Some(forgotten(now)),
        ..next_revision(record, context)
    };
    let occurrence = Occurrence {
        kind,
        which: next.episode.to_string(),
        happened_at: now,
    };
    let vanished = is_reported.then(|| Notice {
        incident: Some(IncidentState::Open),
        topics,
        job_seen_at: Some(record.recorded_at),
        ..notice(&occurrence, &next, record.job.clone(), context)
    });
    change(record, next, vanished.into_iter().collect())
}

/// A job of which nothing is known but that it is listed: what missed it before counts no longer.
pub(super) fn clear_absence(record: &Record, context: &RunContext<'_>) -> Option<Change> {
    record.absent_since?;
    let next = Record {
        absent_since: None,
        ..next_revision(record, context)
    };
    Some(change(record, next, Vec::new()))
}

/// A job that is recorded as vanished is listed again, and active.
pub(super) fn back(record: &Record, job: &Job, context: &RunContext<'_>) -> Option<Change> {
    let now = context.now;
    // Who asked before it was found to be gone has an older view.
    if now <= record.recorded_at {
        return None;
    }
    let next = Record {
        phase: Phase::Active,
        last_sign_at: now,
        notified_topics: still_open(record),
        expires: None,
        ..rewrite(record, job, context)
    };
    let occurrence = Occurrence {
        kind: Kind::Recovered,
        which: record.episode.to_string(),
        happened_at: now,
    };
    let recovered = (!record.notified_topics.is_empty())
        .then(|| closing(&occurrence, record, merged_view(record, job, now), context));
    Some(change(record, next, recovered.into_iter().collect()))
}
