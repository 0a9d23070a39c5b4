//! What goes out when.

use std::collections::{BTreeMap, BTreeSet};

use crate::ports::Pending;
use crate::watch::{JobId, Severity};

/// At most this many jobs are listed of a digest that did not go out.
const JOBS_LISTED: usize = 5;

pub(super) type Batch = Vec<Pending>;

/// Notices with the same one go out in the order in which they were recorded: those of one job, and those of none.
pub(super) type OrderKey = Option<JobId>;

pub(super) fn order_key(pending: &Pending) -> OrderKey {
    pending.notice.job.as_ref().map(|job| job.id.clone())
}

pub(super) fn by_order_key(pending: Vec<Pending>) -> BTreeMap<OrderKey, Vec<Pending>> {
    let mut by_key: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for pending in pending {
        by_key.entry(order_key(&pending)).or_default().push(pending);
    }
    by_key
}

/// Job after job: those with something bad first, and then the one with the oldest notice.
pub(super) fn in_order(pending: Vec<Pending>) -> Vec<Pending> {
    let mut jobs: Vec<_> = by_order_key(pending).into_values().collect();
    for of_job in &mut jobs {
        of_job.sort_by_key(|pending| pending.order);
    }
    let is_bad = |pending: &Pending| pending.notice.kind.severity() == Severity::Error;
    jobs.sort_by_key(|of_job| {
        let oldest = of_job.first().map(|pending| pending.notice.recorded_at);
        (!of_job.iter().any(is_bad), oldest)
    });
    jobs.into_iter().flatten().collect()
}

/// What a failure calls a message.
pub(super) fn describe(batch: &[Pending]) -> String {
    match batch {
        [one] => describe_one(one),
        many => {
            let ids: BTreeSet<_> = many.iter().filter_map(order_key).collect();
            let jobs: Vec<_> = ids.iter().map(JobId::as_str).take(JOBS_LISTED).collect();
            let more = match ids.len().saturating_sub(JOBS_LISTED) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!("a digest of {} notices of jobs {jobs:?}{more}", many.len())
        }
    }
}

pub(super) fn describe_one(pending: &Pending) -> String {
    let notice = &pending.notice;
    match &notice.job {
        Some(job) => format!("the {} notice of job {:?}", notice.kind, job.id.as_str()),
        None => format!("the {} notice", notice.kind),
    }
}
