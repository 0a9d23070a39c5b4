//! What a watch tells of itself: that it began, so that what ended before is not news, and whether its alarms are heard.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::{Change, Expected, RunContext};
use crate::watch::kind::Kind;
use crate::watch::notice::{Found, IncidentState, Notice, NoticeId, thread_of_alarms};
use crate::watch::record::{Baseline, Item, Unheard};
use crate::watch::status_counts::StatusCounts;

/// Whoever is asked to confirm a subscription has this long before it is missed.
const UNHEARD_AFTER: SignedDuration = SignedDuration::from_hours(1);

/// The first item of a new watch.
pub fn first_baseline(now: Timestamp, run: &str) -> Change {
    let since = now
        .saturating_sub(SignedDuration::from_mins(1))
        .unwrap_or(now);
    let baseline = Baseline {
        rev: 1,
        written_by: run.to_owned(),
        since,
        began_at: None,
        unheard: None,
    };
    Change {
        expected: Expected::Absent,
        item: Item::Watch(baseline),
        notices: Vec::new(),
    }
}

/// The first listing was complete.
pub fn began(context: &RunContext<'_>, jobs: u64, statuses: &StatusCounts) -> Change {
    let now = context.now;
    let since = context.baseline.since;
    let notice = Notice {
        found: Some(Found {
            jobs,
            by_status: statuses.by_status().clone(),
            notify_on: context.policy.reported().collect(),
            expects: context.policy.expect.names().map(str::to_owned).collect(),
            stall_after_s: context.policy.stall_after.as_secs(),
            since,
        }),
        ..of_watch(Kind::Began, &since.to_string(), context)
    };
    let next = Baseline {
        began_at: Some(now),
        ..context.baseline.clone()
    };
    change(next, vec![notice], context)
}

/// Whether anybody hears the alarms. An alarm cannot say that itself, so the main topic is told, once it has been so for
/// as long as confirming takes; and again when somebody does.
pub fn judge_alarm_topic(subscribers: Option<u64>, context: &RunContext<'_>) -> Option<Change> {
    let (before, now) = (&context.baseline.unheard, context.now);
    let told = |kind, unheard: &Unheard| {
        let incident = match kind {
            Kind::Unheard => IncidentState::Open,
            _ => IncidentState::Resolved,
        };
        let thread = thread_of_alarms(context.source, unheard.since);
        Notice {
            incident: Some(incident),
            topics: context
                .topics
                .closing(kind.severity(), &unheard.notified_topics),
            happened_at: if kind == Kind::Unheard {
                unheard.since
            } else {
                now
            },
            thread: Some(thread),
            ..of_watch(kind, &unheard.since.to_string(), context)
        }
    };
    let (unheard, notice) = match (subscribers?, before) {
        (0, None) => {
            let unheard = Unheard {
                since: now,
                notified_topics: BTreeSet::new(),
            };
            (Some(unheard), None)
        }
        (0, Some(before)) => {
            let is_due = now.duration_since(before.since) >= UNHEARD_AFTER;
            if !before.notified_topics.is_empty() || !is_due {
                return None;
            }
            let notice = told(Kind::Unheard, before);
            let unheard = Unheard {
                notified_topics: notice.topics.clone(),
                ..before.clone()
            };
            (Some(unheard), Some(notice))
        }
        (_, None) => return None,
        (_, Some(before)) => {
            let was_told = !before.notified_topics.is_empty();
            (None, was_told.then(|| told(Kind::Heard, before)))
        }
    };
    let next = Baseline {
        unheard,
        ..context.baseline.clone()
    };
    Some(change(next, notice.into_iter().collect(), context))
}

/// The write that replaces the watch's item.
fn change(next: Baseline, notices: Vec<Notice>, context: &RunContext<'_>) -> Change {
    let rev = context.baseline.rev;
    Change {
        expected: Expected::Rev(rev),
        item: Item::Watch(Baseline {
            rev: rev.saturating_add(1),
            written_by: context.run.to_owned(),
            ..next
        }),
        notices,
    }
}

/// A notice of the watch itself.
fn of_watch(kind: Kind, which: &str, context: &RunContext<'_>) -> Notice {
    Notice {
        id: NoticeId::new(context.source, None, kind, which),
        kind,
        source: context.source.clone(),
        happened_at: context.now,
        recorded_at: context.now,
        job: None,
        job_seen_at: None,
        incident: None,
        thread: None,
        topics: context.topics.closing(kind.severity(), &BTreeSet::new()),
        silence: None,
        overdue: None,
        expected: None,
        found: None,
    }
}
