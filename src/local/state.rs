//! The state without a table: in memory, and in a file that one preview at a time may use.
//!
//! A [`StateFile`] is locked from when it is opened until it is dropped. It is replaced as a whole, so that
//! whoever dies while writing leaves the old one. A file that cannot be read is never written to.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::listing::{BadFile, without_place};
use crate::ports::{Claimed, Pending, Recorded, State, Store, StoreError};
use crate::watch::judge::Expected;
use crate::watch::{Baseline, Change, Item, JobId, Key, Notice, Record, Source, TopicArn};

/// The format version that this one writes, and the newest that it reads.
const FORMAT: u64 = 1;

/// The state of one watch in memory. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Memory(Rc<RefCell<Items>>);

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Items {
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
                items.outbox.insert(place_of(notice, topic), pending);
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
        let place = place_of(&pending.notice, &pending.topic);
        let Some(pending) = items.outbox.get_mut(&place) else {
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
        let place = place_of(&pending.notice, &pending.topic);
        self.0.borrow_mut().outbox.remove(&place);
        Ok(())
    }
}

fn place_of(notice: &Notice, topic: &TopicArn) -> String {
    format!("{}#{topic}", notice.id)
}

/// The state of all watches.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Contents {
    /// The oldest format version that can read it.
    reads_from: u64,
    watches: BTreeMap<Source, Items>,
}

/// The state of all watches, kept in a file if there is one.
#[derive(Debug, Default)]
pub struct StateFile {
    watches: BTreeMap<Source, Memory>,
    place: Option<Place>,
}

#[derive(Debug)]
struct Place {
    file: PathBuf,
    /// What the file holds.
    text: String,
    /// Locked until this is dropped.
    _lock: File,
}

impl StateFile {
    /// Opens a file that may not exist yet, and locks it by a file beside it, whose name ends in `.lock`. If
    /// another process has it, `waiting` is told and it is waited for.
    pub fn open(file: &Path, waiting: impl FnOnce(&Path)) -> Result<Self, BadFile> {
        let failed = |doing: &str, error: io::Error| {
            BadFile::new(
                file,
                None,
                format!("the state could not be {doing}: {error}"),
            )
        };
        // One file under two names has one lock, and a link to it stays a link.
        let target = match fs::canonicalize(file) {
            Ok(target) => target,
            Err(error) if error.kind() == io::ErrorKind::NotFound => file.to_owned(),
            Err(error) => return Err(failed("found", error)),
        };
        let lock_file = beside(&target, ".lock");
        let lock = File::options()
            .create(true)
            .append(true)
            .open(&lock_file)
            .map_err(|error| failed("locked", error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                waiting(&lock_file);
                lock.lock().map_err(|error| failed("locked", error))?;
            }
            Err(TryLockError::Error(error)) => return Err(failed("locked", error)),
        }
        let (text, watches) = match fs::read_to_string(&target) {
            Ok(text) => {
                let contents =
                    parse(&text).map_err(|(line, what)| BadFile::new(file, line, what))?;
                let memory = |items| Memory(Rc::new(RefCell::new(items)));
                let watches = contents.watches.into_iter();
                let watches = watches.map(|(source, items)| (source, memory(items)));
                (text, watches.collect())
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Default::default(),
            Err(error) => return Err(failed("read", error)),
        };
        Ok(Self {
            watches,
            place: Some(Place {
                file: target,
                text,
                _lock: lock,
            }),
        })
    }

    /// The state of the watch over `source`.
    pub fn watch(&mut self, source: &Source) -> Memory {
        self.watches.entry(source.clone()).or_default().clone()
    }

    /// The watch that it is about, if it is about one only.
    pub fn only_source(&self) -> Option<&Source> {
        let mut sources = self.watches.keys();
        sources.next().filter(|_| sources.next().is_none())
    }

    /// Replaces the file, if anything changed. Until that is done the old one stands, whatever happens.
    pub fn save(&mut self) -> io::Result<()> {
        let Some(place) = &mut self.place else {
            return Ok(());
        };
        let contents = Contents {
            reads_from: FORMAT,
            watches: self
                .watches
                .iter()
                .map(|(source, memory)| (source.clone(), memory.0.borrow().clone()))
                .collect(),
        };
        let mut text = serde_json::to_string_pretty(&contents)?;
        text.push('\n');
        if text == place.text {
            return Ok(());
        }
        replace(&place.file, &text)?;
        place.text = text;
        Ok(())
    }
}

fn replace(file: &Path, text: &str) -> io::Result<()> {
    let new = beside(file, ".new");
    match fs::remove_file(&new) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut writer = File::create_new(&new)?;
    if let Ok(old) = fs::metadata(file) {
        writer.set_permissions(old.permissions())?;
    }
    writer.write_all(text.as_bytes())?;
    writer.sync_all()?;
    fs::rename(&new, file)?;
    let directory = file.parent().filter(|path| !path.as_os_str().is_empty());
    // Not everywhere can a directory be opened; where it can, the new name is to last too.
    match File::open(directory.unwrap_or(Path::new("."))) {
        Ok(directory) => directory.sync_all(),
        Err(_) => Ok(()),
    }
}

fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Reads a state file. The error has the line that it is about, if it is about one.
fn parse(text: &str) -> Result<Contents, (Option<usize>, String)> {
    let broken = |error: serde_json::Error| {
        let what = format!(
            "not a state file, or a broken one: {}; it is left untouched: mend it, or delete it to begin anew",
            without_place(&error)
        );
        (Some(error.line()), what)
    };
    #[derive(Deserialize)]
    struct Version {
        reads_from: u64,
    }
    let Version { reads_from } = serde_json::from_str(text).map_err(broken)?;
    if reads_from > FORMAT {
        let what = format!(
            "a newer version wrote it: it needs format {reads_from}, and this version reads {FORMAT}; it is left untouched: use that version, or another file"
        );
        return Err((None, what));
    }
    serde_json::from_str(text).map_err(broken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::judge::first_baseline;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap_or_default()
    }

    #[tokio::test]
    async fn a_write_needs_what_it_expects_and_a_loser_sees_what_stands() {
        let memory = Memory::default();
        let now = at(1_000);
        let first = first_baseline(now, "one");
        assert_eq!(memory.record(&first, now).await.ok(), Some(Recorded::Done));
        let second = first_baseline(now, "two");
        let stands = Recorded::Conflict(Some(first.item.clone()));
        assert_eq!(memory.record(&second, now).await.ok(), Some(stands));
        let newer = Change {
            expected: Expected::Rev(7),
            ..second
        };
        let stands = Recorded::Conflict(Some(first.item));
        assert_eq!(memory.record(&newer, now).await.ok(), Some(stands));
    }
}
