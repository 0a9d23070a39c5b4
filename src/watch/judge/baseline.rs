//! The beginning of a watch: what ended before it is not news.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::{Change, Expected, RunContext};
use crate::watch::kind::Kind;
use crate::watch::notice::{Found, Notice, NoticeId};
use crate::watch::record::{Baseline, Item};
use crate::watch::status_counts::StatusCounts;

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
        id: NoticeId::new(context.source, None, Kind::Began, &since.to_string()),
        kind: Kind::Began,
        source: context.source.clone(),
        happened_at: now,
        recorded_at: now,
        job: None,
        job_seen_at: None,
        incident: None,
        thread: None,
        topics: context
            .topics
            .closing(Kind::Began.severity(), &BTreeSet::new()),
        silence: None,
        overdue: None,
        expected: None,
        found: Some(Found {
            jobs,
            by_status: statuses.by_status().clone(),
            notify_on: context.policy.reported().collect(),
            expects: context.policy.expect.names().map(str::to_owned).collect(),
            stall_after_s: context.policy.stall_after.as_secs(),
            since,
        }),
    };
    let baseline = Baseline {
        rev: context.baseline.rev.saturating_add(1),
        written_by: context.run.to_owned(),
        since,
        began_at: Some(now),
    };
    Change {
        expected: Expected::Rev(context.baseline.rev),
        item: Item::Watch(baseline),
        notices: vec![notice],
    }
}
