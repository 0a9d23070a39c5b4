//! What a watch tells of itself: that it began, so that what ended before is not news, and whether its alarms are heard.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::{Change, Expected, RunContext};
use crate::watch::kind::Kind;
use crate::watch::notice::{Found, IncidentState, Notice, NoticeId, thread_of_alarms};
use crate::watch::record::{Baseline, Item, Unheard};
use crate::watch::status_counts::StatusCounts;
use crate::watch::topic::TopicArn;

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
/// as long as confirming takes; and again when it is over, because somebody does or because alarms go elsewhere.
pub fn judge_alarm_topic(
    topic: Option<&TopicArn>,
    subscribers: Option<u64>,
    context: &RunContext<'_>,
) -> Option<Change> {
    let now = context.now;
    let before = context.baseline.unheard.as_deref();
    let is_elsewhere = |before: &Unheard| Some(&before.topic) != topic;
    let (unheard, notice) = match (before, subscribers) {
        (Some(before), _) if is_elsewhere(before) => (None, heard(before, context)),
        (Some(before), Some(1..)) => (None, heard(before, context)),
        (Some(before), Some(0)) => {
            let is_due = now.duration_since(before.since) >= UNHEARD_AFTER;
            if !before.notified_topics.is_empty() || !is_due {
                return None;
            }
            let notice = Notice {
                happened_at: before.since,
                ..of_alarms(Kind::Unheard, IncidentState::Open, before, context)
            };
            let unheard = Unheard {
                notified_topics: notice.topics.clone(),
                ..before.clone()
            };
            (Some(unheard), Some(notice))
        }
        (None, Some(0)) => {
            let unheard = Unheard {
                topic: topic?.clone(),
                since: now,
                notified_topics: BTreeSet::new(),
            };
            (Some(unheard), None)
        }
        (Some(_), None) | (None, Some(1..) | None) => return None,
    };
    let next = Baseline {
        unheard: unheard.map(Box::new),
        ..context.baseline.clone()
    };
    Some(change(next, notice.into_iter().collect(), context))
}

/// For whoever was told that they are not.
fn heard(before: &Unheard, context: &RunContext<'_>) -> Option<Notice> {
    let was_told = !before.notified_topics.is_empty();
    was_told.then(|| of_alarms(Kind::Heard, IncidentState::Resolved, before, context))
}

fn of_alarms(
    kind: Kind,
    incident: IncidentState,
    unheard: &Unheard,
    context: &RunContext<'_>,
) -> Notice {
    let (severity, notified) = (kind.severity(), &unheard.notified_topics);
    Notice {
        incident: Some(incident),
        topics: context.topics.closing(severity, notified),
        thread: Some(thread_of_alarms(context.source, unheard.since)),
        ..of_watch(kind, &unheard.since.to_string(), context)
    }
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
