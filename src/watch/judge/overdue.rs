//! Jobs that take much longer than others like them.

use std::collections::BTreeSet;

use jiff::SignedDuration;

use super::merge::{change, merged_view, rewrite, start};
use super::notices::{Occurrence, notice};
use super::{Change, Incarnation, Policy, RunContext, incarnation};
use crate::watch::history::{Usual, expected_end};
use crate::watch::job::Job;
use crate::watch::kind::Kind;
use crate::watch::notice::{IncidentState, Notice, Overdue};
use crate::watch::observed::Overview;
use crate::watch::record::{Phase, Record};
use crate::watch::status::Stage;

/// When an active job is overdue: the variable OVERDUE_AFTER.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OverdueAfter {
    /// When it has taken much longer than its like.
    #[default]
    Auto,
    /// Never.
    Off,
    /// When it has taken this long.
    After(SignedDuration),
}

/// So many times what is usual is too long. `tests/bench/overdue.py` has the comparison by which it was chosen.
const TIMES_USUAL: i64 = 3;

/// Nothing is overdue sooner, unless STALL_AFTER is less.
const NOT_BEFORE: SignedDuration = SignedDuration::from_hours(1);

/// Judges how long an active job has taken that was judged before in this run, when the listing has ended. One that
/// waits, is being canceled or is reported as stalled is not overdue.
pub fn judge_overdue(
    record: &Record,
    job: &Job,
    context: &RunContext<'_>,
    overview: &Overview,
) -> Option<Change> {
    let (now, policy) = (context.now, context.policy);
    let is_same = incarnation(record, job, now) == Incarnation::Same;
    let is_active = record.phase == Phase::Active;
    let is_reported = record.overdue || record.stall.is_some();
    let runs = match record.stage(job) {
        Some(Stage::Running) => true,
        Some(Stage::Waiting) => {
            let queue = overview.queue.as_ref();
            queue.is_some_and(|queue| !queue.waits(&job.id))
        }
        Some(Stage::Canceling) | None => false,
    };
    let is_asked_for = policy.notify_on.contains(&Kind::Overdue);
    if !(is_same && is_active && runs && is_asked_for) || is_reported {
        return None;
    }
    let view = merged_view(record, job, now);
    let usual = || overview.history.as_ref()?.usual(&view, now);
    let limit = overdue_limit(policy, usual)?;
    let started_at = start(record, job).unwrap_or(record.first_seen_at);
    let latest_end = overview.latest_end.unwrap_or(started_at);
    let since = latest_end.max(started_at);
    let taken = now.duration_since(since);
    (taken >= limit).then(|| {
        let overdue = Overdue {
            since,
            taken_s: taken.as_secs(),
            limit_s: limit.as_secs(),
            usual: usual(),
            expected_end: expected_end(&view, taken, now),
        };
        report(record, job, overdue, context)
    })
}

/// How long a job may take of which this is usual, which is found only if it matters; `None` if nothing says so.
pub fn overdue_limit(
    policy: &Policy,
    usual: impl FnOnce() -> Option<Usual>,
) -> Option<SignedDuration> {
    match policy.overdue_after {
        OverdueAfter::Off => None,
        OverdueAfter::After(limit) => Some(limit),
        OverdueAfter::Auto => {
            let limit = SignedDuration::from_secs(usual()?.median_s.saturating_mul(TIMES_USUAL));
            Some(limit.max(NOT_BEFORE.min(policy.stall_after)))
        }
    }
}

fn report(record: &Record, job: &Job, overdue: Overdue, context: &RunContext<'_>) -> Change {
    let now = context.now;
    let mut next = rewrite(record, job, context);
    next.overdue = true;
    let own = context.topics.own(Kind::Overdue.severity()).clone();
    next.notified_topics.insert(own.clone());
    let limit = SignedDuration::from_secs(overdue.limit_s);
    let occurrence = Occurrence {
        kind: Kind::Overdue,
        which: record.episode.to_string(),
        happened_at: overdue.since.saturating_add(limit).unwrap_or(now),
    };
    let notice = Notice {
        overdue: Some(overdue),
        incident: Some(IncidentState::Open),
        topics: BTreeSet::from([own]),
        ..notice(&occurrence, &next, merged_view(record, job, now), context)
    };
    change(record, next, vec![notice])
}
