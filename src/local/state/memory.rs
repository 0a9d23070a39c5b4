//! The state of one watch in memory.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ports::{Claimed, Pending, Recorded, State, Store, StoreError};
use crate::watch::judge::Expected;
use crate::watch::{Baseline, Change, Item, JobId, Key, Notice, Record, TopicArn};

/// The state of one watch in memory. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Memory(Rc<RefCell<Items>>);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Items {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    watch: Option<Baseline>,
    #[serde(default)]
    jobs: BTreeMap<JobId, Record>,
    /// By notice and topic.
    #[serde(default)]
    outbox: BTreeMap<String, PendingItem>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct PendingItem {
    notice: Notice,
    topic: TopicArn,
    order: (u64, u64),
    #[serde(default, skip_serializing_if = "Option::is_none")]
    claim: Option<Claim>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Claim {
    by: String,
    until: Timestamp,
}

impl Items {
    fn standing(&self, key: &Key, now: Timestamp) -> Option<Item> {
        match key {
            Key::Watch => self.watch.clone().map(Item::Watch),
            Key::Job(id) => self
                .jobs
                .get(id)
                .filter(|record| !record.has_expired(now))
                .map(|record| Item::Job(Box::new(record.clone()))),
        }
    }

    fn rev(&self, key: &Key) -> Option<u64> {
        match key {
            Key::Watch => self.watch.as_ref().map(|baseline| baseline.rev),
            Key::Job(id) => self.jobs.get(id).map(|record| record.rev),
        }
    }
}

impl Memory {
    pub(super) fn of(items: Items) -> Self {
        Self(Rc::new(RefCell::new(items)))
    }

    pub(super) fn items(&self) -> Items {
        self.0.borrow().clone()
    }

    /// Forgets the records that count as absent: a table does so by itself.
    pub fn forget_expired(&self, now: Timestamp) {
        self.0
            .borrow_mut()
            .jobs
            .retain(|_, record| !record.has_expired(now));
    }

    /// What is known of a job.
    pub fn job(&self, id: &JobId) -> Option<Record> {
        self.0.borrow().jobs.get(id).cloned()
    }
}

impl Store for Memory {
    async fn load(&self, now: Timestamp) -> Result<State, StoreError> {
        let items = self.0.borrow();
        let records = items.jobs.values();
        let outbox = items.outbox.values().map(|item| Pending {
            notice: item.notice.clone(),
            topic: item.topic.clone(),
            order: item.order,
        });
        Ok(State {
            baseline: items.watch.clone(),
            records: records
                .filter(|record| !record.has_expired(now))
                .cloned()
                .collect(),
            outbox: outbox.collect(),
            unreadable: Vec::new(),
        })
    }

    async fn read(&self, key: &Key, now: Timestamp) -> Result<Option<Item>, StoreError> {
        Ok(self.0.borrow().standing(key, now))
    }

    async fn record(&self, change: &Change, now: Timestamp) -> Result<Recorded, StoreError> {
        let mut items = self.0.borrow_mut();
        let key = change.item.key();
        let standing = items.standing(&key, now);
        let holds = match change.expected {
            Expected::Absent => standing.is_none(),
            Expected::Rev(rev) => items.rev(&key) == Some(rev),
        };
        if !holds {
            return Ok(Recorded::Conflict(standing));
        }
        match change.item.clone() {
            Item::Watch(baseline) => items.watch = Some(baseline),
            Item::Job(record) => {
                items.jobs.insert(record.job.id.clone(), *record);
            }
        }
        for (place, notice) in change.notices.iter().enumerate() {
            for topic in &notice.topics {
                let pending = PendingItem {
                    notice: notice.clone(),
                    topic: topic.clone(),
                    order: (change.item.rev(), place as u64),
                    claim: None,
                };
                items.outbox.insert(outbox_key(notice, topic), pending);
            }
        }
        Ok(Recorded::Done)
    }

    async fn claim(
        &self,
        pending: &Pending,
        by: &str,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Claimed, StoreError> {
        let mut items = self.0.borrow_mut();
        let key = outbox_key(&pending.notice, &pending.topic);
        let Some(pending) = items.outbox.get_mut(&key) else {
            return Ok(Claimed::Gone);
        };
        let is_held = |claim: &Claim| claim.until > now && claim.by != by;
        if pending.claim.as_ref().is_some_and(is_held) {
            return Ok(Claimed::Held);
        }
        pending.claim = Some(Claim {
            by: by.to_owned(),
            until,
        });
        Ok(Claimed::Mine)
    }

    async fn settle(&self, pending: &Pending) -> Result<(), StoreError> {
        let key = outbox_key(&pending.notice, &pending.topic);
        self.0.borrow_mut().outbox.remove(&key);
        Ok(())
    }
}

fn outbox_key(notice: &Notice, topic: &TopicArn) -> String {
    format!("{}#{topic}", notice.id)
}
