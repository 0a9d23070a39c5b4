//! What goes out when.

use std::collections::{BTreeMap, BTreeSet};

use crate::ports::Pending;
use crate::watch::{Key, Severity};

/// At most this many items are listed of a digest that did not go out.
const ITEMS_LISTED: usize = 5;

pub(super) type Batch = Vec<Pending>;

/// Notices with the same one go out in the order in which they were recorded: those of one item.
pub(super) type OrderKey = Key;

pub(super) fn order_key(pending: &Pending) -> OrderKey {
    pending.notice.item()
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
    let is_bad = |pending: &Pending| pending.notice.severity() == Severity::Error;
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
            let items: BTreeSet<_> = many.iter().map(order_key).collect();
            let listed: Vec<_> = items.iter().take(ITEMS_LISTED).map(describe_key).collect();
            let more = match items.len().saturating_sub(ITEMS_LISTED) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let listed = listed.join(", ");
            format!("a digest of {} notices, of {listed}{more}", many.len())
        }
    }
}

pub(super) fn describe_one(pending: &Pending) -> String {
    let kind = pending.notice.kind;
    format!("the {kind} notice of {}", describe_key(&order_key(pending)))
}

/// What a failure calls an item.
pub(in crate::run) fn describe_key(key: &Key) -> String {
    match key {
        Key::Job(id) => format!("job {:?}", id.as_str()),
        Key::Detector(name) => format!("detector {name:?}"),
        Key::Watch => "the watch".to_owned(),
    }
}
