//! The beginning of a watch.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::{Change, Expected, RunContext};
use crate::watch::kind::Kind;
use crate::watch::notice::{Found, Notice, NoticeId};
use crate::watch::record::{Baseline, Item};

/// As many statuses are counted apart when a watch begins. The service documents six.
const STATUSES: usize = 20;

/// The first item of a new watch.
pub fn first_baseline(now: Timestamp, run: &str) -> Change {
    let since = now
        .saturating_sub(SignedDuration::from_mins(1))
        .unwrap_or(now);
    let baseline = Baseline {
        rev: 1,
        by: run.to_owned(),
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
pub fn began(
    context: &RunContext<'_>,
    now: Timestamp,
    jobs: u64,
    by_status: &BTreeMap<String, u64>,
) -> Change {
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
        found: Some(Found {
            jobs,
            by_status: most_frequent(by_status),
            notify_on: context.policy.notify_on.iter().copied().collect(),
            stall_after_s: context.policy.stall_after.as_secs(),
            since,
        }),
    };
    let baseline = Baseline {
        rev: context.baseline.rev.saturating_add(1),
        by: context.run.to_owned(),
        since,
        began_at: Some(now),
    };
    Change {
        expected: Expected::Rev(context.baseline.rev),
        item: Item::Watch(baseline),
        notices: vec![notice],
    }
}

/// The counts of the most frequent statuses, and of the rest together: statuses are the service's text, and what
/// is stored and published of them has a bound.
fn most_frequent(by_status: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let mut counts: Vec<_> = by_status.iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let rest = counts.split_off(counts.len().min(STATUSES));
    let mut kept: BTreeMap<_, _> = counts
        .into_iter()
        .map(|(status, count)| (status.clone(), *count))
        .collect();
    if !rest.is_empty() {
        let count = rest.into_iter().map(|(_, count)| count).sum::<u64>();
        *kept.entry("(others)".to_owned()).or_default() += count;
    }
    kept
}
