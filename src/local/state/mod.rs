//! The state without a table: of one watch in memory, and of all watches in a file.

mod file;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};

use crate::ports::{Claimed, Pending, Recorded, State, Store, StoreError};
use crate::watch::judge::Expected;
use crate::watch::{Baseline, Change, DetectorRecord, Item, JobId, Key, Record};

pub use file::StateFile;

/// The state of one watch in memory. Clones share it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(from = "Items")]
pub struct Memory(Rc<RefCell<Items>>);

impl From<Items> for Memory {
    fn from(items: Items) -> Self {
        Self(Rc::new(RefCell::new(items)))
    }
}

impl Serialize for Memory {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Items {
    #[serde(skip_serializing_if = "Option::is_none")]
    watch: Option<Baseline>,
    jobs: BTreeMap<JobId, Record>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    detectors: BTreeMap<String, DetectorRecord>,
    /// By notice and topic.
    outbox: BTreeMap<String, OutboxEntry>,
}

#[derive(Debug, Serialize, Deserialize)]
struct OutboxEntry {
    #[serde(flatten)]
    pending: Pending,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    claim: Option<Claim>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Claim {
    by: String,
    until: Timestamp,
}

impl Items {
    fn get(&self, key: &Key) -> Option<Item> {
        match key {
            Key::Watch => self.watch.clone().map(Item::Watch),
            Key::Job(id) => {
                let record = self.jobs.get(id).cloned();
                record.map(|record| Item::Job(Box::new(record)))
            }
            Key::Detector(name) => {
                let record = self.detectors.get(name).cloned();
                record.map(|record| Item::Detector(Box::new(record)))
            }
        }
    }

    fn stored(&self, key: &Key, now: Timestamp) -> Option<Item> {
        self.get(key)
            .filter(|item| !matches!(item, Item::Job(record) if record.has_expired(now)))
    }
}

impl Memory {
    /// Forgets the records that count as absent: a table does so by itself.
    pub fn forget_expired(&self, now: Timestamp) {
        let mut items = self.0.borrow_mut();
        items.jobs.retain(|_, record| !record.has_expired(now));
    }

    /// What is known of a job.
    pub fn job(&self, id: &JobId) -> Option<Record> {
        self.0.borrow().jobs.get(id).cloned()
    }
}

impl Store for Memory {
    async fn load(&self, now: Timestamp) -> Result<State, StoreError> {
        let items = self.0.borrow();
        let is_kept = |record: &&Record| !record.has_expired(now);
        let records = items.jobs.values().filter(is_kept).cloned();
        let outbox = items.outbox.values().map(|entry| entry.pending.clone());
        Ok(State {
            baseline: items.watch.clone(),
            records: records.collect(),
            detectors: items.detectors.values().cloned().collect(),
            outbox: outbox.collect(),
            unreadable: Vec::new(),
        })
    }

    async fn read(&self, key: &Key, now: Timestamp) -> Result<Option<Item>, StoreError> {
        Ok(self.0.borrow().stored(key, now))
    }

    async fn record(&self, change: &Change, now: Timestamp) -> Result<Recorded, StoreError> {
        let mut items = self.0.borrow_mut();
        let key = change.item.key();
        let stored = items.stored(&key, now);
        let holds = match change.expected {
            Expected::Absent => stored.is_none(),
            Expected::Rev(rev) => items.get(&key).is_some_and(|item| item.rev() == rev),
        };
        if !holds {
            return Ok(Recorded::Conflict(stored));
        }
        match change.item.clone() {
            Item::Watch(baseline) => items.watch = Some(baseline),
            Item::Job(record) => {
                items.jobs.insert(record.job.id.clone(), *record);
            }
            Item::Detector(record) => {
                items.detectors.insert(record.name.clone(), *record);
            }
        }
        items.outbox.extend(change.pending().map(|pending| {
            let claim = None;
            (pending.key(), OutboxEntry { pending, claim })
        }));
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
        let Some(entry) = items.outbox.get_mut(&pending.key()) else {
            return Ok(Claimed::Gone);
        };
        let is_held = |claim: &Claim| claim.until > now && claim.by != by;
        if entry.claim.as_ref().is_some_and(is_held) {
            return Ok(Claimed::Held);
        }
        let by = by.to_owned();
        entry.claim = Some(Claim { by, until });
        Ok(Claimed::Mine)
    }

    async fn settle(&self, pending: &Pending) -> Result<(), StoreError> {
        self.0.borrow_mut().outbox.remove(&pending.key());
        Ok(())
    }
}
