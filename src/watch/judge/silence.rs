//! Stalls, and the reminders of them.

use std::collections::BTreeSet;

use jiff::SignedDuration;

use super::merge::{change, merged_view, rewrite};
use super::notices::{Occurrence, notice};
use super::{Change, Incarnation, MIN_TIME_BETWEEN_LOOKS, RunContext, incarnation};
use crate::watch::job::Job;
use crate::watch::kind::Kind;
use crate::watch::life::{has_processed, sign_of_life};
use crate::watch::notice::{IncidentState, Notice, Silence};
use crate::watch::queue::{Queue, has_begun};
use crate::watch::record::{Phase, Record, Stall};

/// The longest interval between reminders, unless REMIND_AFTER is longer.
const MAX_REMINDER_INTERVAL: SignedDuration = SignedDuration::from_hours(24);

/// What a silence is reported as.
#[derive(Clone, Copy)]
enum Due {
    Stall,
    /// The reminder with this number.
    Reminder(u32),
}

/// Judges the silence of an active job that was judged before in this run, when the listing has ended. `queue` is
/// what a complete listing showed; without it nothing is concluded of a job that may be waiting.
pub fn judge_silence(
    record: &Record,
    job: &Job,
    context: &RunContext<'_>,
    queue: Option<&Queue>,
) -> Option<Change> {
    let (now, policy) = (context.now, context.policy);
    let is_same = incarnation(record, job, now) == Incarnation::Same;
    if record.phase != Phase::Active || !is_same || job.end().is_some() || job.is_unclear() {
        return None;
    }
    let since = sign_of_life(record, job, now);
    let allowed = record.stall_threshold(policy.stall_after);
    let lasted = now.duration_since(since);
    let may_wait = || {
        let has_not_begun = !has_begun(record, job);
        has_not_begun && queue.is_none_or(|queue| queue.waits(&job.id))
    };
    // A large input is validated first, of which nothing is seen.
    let shows_nothing = || {
        let has_counted = has_processed(&record.job) || has_processed(job);
        !context.source.kind().has_heartbeats() && !has_counted
    };
    let is_asked_for = policy.notify_on.contains(&Kind::Stalled);
    if lasted <= allowed || !is_asked_for || may_wait() || shows_nothing() {
        return None;
    }
    let reminder = match due(record, job, context)? {
        Due::Stall => None,
        Due::Reminder(number) => Some(number),
    };
    let silence = Silence {
        since,
        lasted_s: lasted.as_secs(),
        allowed_s: allowed.as_secs(),
        waiting: queue
            .filter(|_| context.source.kind().runs_one_at_a_time())
            .map(|queue| queue.behind(&job.id)),
        reminder,
    };
    Some(report_stall(record, job, silence, context))
}

/// What is to be reported of a silence now, if anything.
fn due(record: &Record, job: &Job, context: &RunContext<'_>) -> Option<Due> {
    let Some(stall) = record.stall else {
        // Its heartbeats may be rare: only a later look can tell that its count stands still.
        let is_first = context.now.duration_since(record.first_seen_at) < MIN_TIME_BETWEEN_LOOKS;
        return (!(has_processed(job) && is_first)).then_some(Due::Stall);
    };
    let first = context.policy.remind_after?;
    let doubled = first.saturating_mul(2i32.saturating_pow(stall.reminders));
    let interval = doubled.min(MAX_REMINDER_INTERVAL.max(first));
    let is_due = context.now.duration_since(stall.reminded_at) >= interval;
    is_due.then(|| Due::Reminder(stall.reminders.saturating_add(1)))
}

fn report_stall(record: &Record, job: &Job, silence: Silence, context: &RunContext<'_>) -> Change {
    let now = context.now;
    let mut next = rewrite(record, job, context);
    let occurrence = match silence.reminder {
        None => {
            next.episode = next.episode.saturating_add(1);
            let allowed = record.stall_threshold(context.policy.stall_after);
            Occurrence {
                kind: Kind::Stalled,
                which: next.episode.to_string(),
                happened_at: silence.since.saturating_add(allowed).unwrap_or(now),
            }
        }
        Some(number) => Occurrence {
            kind: Kind::Reminder,
            which: format!("{}#{number}", next.episode),
            happened_at: now,
        },
    };
    next.stall = Some(Stall {
        reminders: silence.reminder.unwrap_or(0),
        reminded_at: now,
    });
    let own = context.topics.own(occurrence.kind.severity()).clone();
    next.notified_topics.insert(own.clone());
    let notice = Notice {
        silence: Some(silence),
        incident: Some(IncidentState::Open),
        topics: BTreeSet::from([own]),
        ..notice(&occurrence, &next, merged_view(record, job, now), context)
    };
    change(record, next, vec![notice])
}
