//! How jobs end, and what may still follow.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::active::new_record;
use super::merge::{change, forgotten, next_revision, rewrite};
use super::notices::{Occurrence, closing};
use super::{Change, HISTORY_AFTER, RunContext, is_history};
use crate::watch::job::{End, Job};
use crate::watch::kind::Kind;
use crate::watch::notice::Notice;
use crate::watch::record::{Phase, Predecessor, Record};

/// Another job has taken the id of the recorded one. If that was active, its outcome was never seen.
pub(super) fn replaced(record: &Record, job: &Job, context: &RunContext<'_>) -> Change {
    let now = context.now;
    let was_active = record.phase == Phase::Active;
    // It goes on counting: a start that was put right may be shown as it was before, and with it comes the key of before.
    let episode = record.episode.saturating_add(1);
    let closes = record.phase != Phase::Ended && !record.notified_topics.is_empty();
    let is_reported = closes || was_active && context.policy.notify_on.contains(&Kind::Vanished);
    let vanished = is_reported.then(|| {
        let occurrence = Occurrence {
            kind: Kind::Vanished,
            which: episode.to_string(),
            happened_at: now,
        };
        Notice {
            job_seen_at: Some(record.recorded_at),
            ..closing(&occurrence, record, record.job.clone(), context)
        }
    });
    let first = Record {
        rev: record.rev,
        episode,
        predecessor: Some(predecessor(record, now)),
        ..new_record(job, now)
    };
    let mut change = match job.end() {
        None => change(&first, next_revision(&first, context), Vec::new()),
        Some(end) => {
            let is_history = |at| is_history(at, context);
            let is_news = !job.finished_at().is_some_and(is_history);
            ended(&first, job, end, is_news, context)
        }
    };
    change.notices.splice(0..0, vanished);
    change
}

/// Those that waited for it are given their time, whatever became of it.
fn predecessor(record: &Record, now: Timestamp) -> Predecessor {
    let completed_at = record.job.completed_at;
    Predecessor {
        end: record.job.end().unwrap_or(End::Unknown),
        detector: record.job.detector.clone(),
        ended_at: match record.phase {
            Phase::Active => now,
            Phase::Ended => completed_at.unwrap_or(record.recorded_at),
            Phase::Vanished => record.recorded_at,
        },
    }
}

/// A job that ended: `record` is what was known of it. Of what is no news it tells only what closes an earlier report.
pub(super) fn ended(
    record: &Record,
    job: &Job,
    end: End,
    is_news: bool,
    context: &RunContext<'_>,
) -> Change {
    let now = context.now;
    let kind = match end {
        End::Completed => Kind::Completed,
        End::Failed => Kind::Failed,
        End::Canceled => Kind::Canceled,
        End::Unknown => Kind::Ended,
    };
    let last = job.clone().fill_missing_from(&record.job);
    let closes = !record.notified_topics.is_empty();
    // A job may go on after an end that is not known here, and be shown with that end again, or with a later one.
    let earlier = record.job.completed_at.filter(|_| end == End::Unknown);
    let is_repeated = earlier.is_some_and(|earlier| last.completed_at <= Some(earlier));
    let is_asked_for = closes || is_news && context.policy.notify_on.contains(&kind);
    let is_reported = is_asked_for && (closes || !is_repeated);
    let happened_at = last.finished_at().unwrap_or(now);
    let which = match earlier {
        Some(_) => format!("{}, {happened_at}", record.episode),
        None => record.episode.to_string(),
    };
    let occurrence = Occurrence {
        kind,
        which,
        happened_at,
    };
    let notice = closing(&occurrence, record, last.clone(), context);
    // Whoever is told of an end that is not known here, or was before, is to be told which it was.
    let heard = (end == End::Unknown && is_asked_for).then(|| notice.topics.clone());
    let next = Record {
        phase: Phase::Ended,
        expires: Some(forgotten(last.completed_at.unwrap_or(now))),
        job: last.identity_only(),
        recorded_at: now,
        skewed_heartbeat_at: None,
        stall: None,
        absent_since: None,
        notified_topics: heard.unwrap_or_default(),
        ..next_revision(record, context)
    };
    change(
        record,
        next,
        is_reported.then_some(notice).into_iter().collect(),
    )
}

/// A job that is recorded as ended. That is final, unless its status is not known here.
pub(super) fn after_an_end(
    record: &Record,
    job: &Job,
    end: Option<End>,
    context: &RunContext<'_>,
) -> Option<Change> {
    let now = context.now;
    let is_final = record.job.end() != Some(End::Unknown);
    match end {
        Some(end @ (End::Completed | End::Failed | End::Canceled)) if !is_final => {
            Some(ended(record, job, end, true, context))
        }
        None if !is_final && now > record.recorded_at => {
            let next = Record {
                phase: Phase::Active,
                last_sign_at: now,
                notified_topics: BTreeSet::new(),
                expires: None,
                ..rewrite(record, job, context)
            };
            Some(change(record, next, Vec::new()))
        }
        // Without a time of its end it would be news again when its record is forgotten.
        Some(_)
            if job.finished_at().is_none()
                && record.expires < Some(forgotten(now) - HISTORY_AFTER.as_secs()) =>
        {
            let next = Record {
                expires: Some(forgotten(now)),
                ..next_revision(record, context)
            };
            Some(change(record, next, Vec::new()))
        }
        Some(_) | None => None,
    }
}
