//! How the items of the table are written and read.
//!
//! The attributes of the watch's item, of a job's and of a detector's are the members of their types, name by name, and
//! NULL stands for what is to be removed. `job` is the job as it was last seen, and is replaced as a whole. Each item says
//! in `reads_from` which format version can read it.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_dynamo::aws_sdk_dynamodb_1::{from_item, to_item};
use tracing::debug;

use crate::ports::{Pending, StoreError};
use crate::watch::{Item, JobId, Key};

pub(super) type Attributes = HashMap<String, AttributeValue>;

/// The format version that this one writes, and the newest that it reads.
const FORMAT: u64 = 1;

// How the sort keys of each sort of item begin.
pub(super) const WATCH: &str = "watch";
const JOB: &str = "job#";
const DETECTOR: &str = "detector#";
const OUTBOX: &str = "outbox#";

pub(super) enum Stored {
    Item(Item),
    Pending(Box<Pending>),
}

/// The sort key of a pending notice.
pub(super) fn name_of_pending(pending: &Pending) -> String {
    format!("{OUTBOX}{}", pending.key())
}

/// The sort key of an item.
pub(super) fn name_of(attributes: &Attributes) -> Option<&str> {
    attributes.get("item")?.as_s().ok().map(String::as_str)
}

/// What a job or a detector is filed under that has this sort key.
pub(super) fn key_of(name: &str) -> Option<Key> {
    let job = |id: &str| JobId::try_from(id.to_owned()).ok().map(Key::Job);
    let detector = |name: &str| Key::Detector(name.to_owned());
    let of_detector = || name.strip_prefix(DETECTOR).map(detector);
    name.strip_prefix(JOB).and_then(job).or_else(of_detector)
}

/// What an update sets, and with NULL what it removes.
pub(super) fn encode(item: &Item) -> Result<Attributes, StoreError> {
    let name = item.key().to_string();
    match item {
        Item::Watch(baseline) => write(&name, baseline),
        Item::Job(record) => write(&name, record),
        Item::Detector(record) => write(&name, record),
    }
}

pub(super) fn write(name: &str, content: &impl Serialize) -> Result<Attributes, StoreError> {
    let mut attributes: Attributes = to_item(content)
        .map_err(|error| StoreError::Failed(format!("item {:?}: {error}", brief(name))))?;
    let format = AttributeValue::N(FORMAT.to_string());
    attributes.insert("reads_from".to_owned(), format);
    Ok(attributes)
}

/// The item that an answer holds: an expired record counts as absent.
pub(super) fn stored(
    attributes: Option<Attributes>,
    now: Timestamp,
) -> Result<Option<Item>, StoreError> {
    let Some(attributes) = attributes.filter(|attributes| !attributes.is_empty()) else {
        return Ok(None);
    };
    Ok(match decode(attributes)? {
        Some(Stored::Item(Item::Job(record))) if record.has_expired(now) => None,
        Some(Stored::Item(item)) => Some(item),
        Some(Stored::Pending(_)) | None => None,
    })
}

/// Reads an item; `None` if it is of a sort that this version does not know and need not.
pub(super) fn decode(attributes: Attributes) -> Result<Option<Stored>, StoreError> {
    let Some(name) = name_of(&attributes).map(str::to_owned) else {
        return Err(StoreError::Failed("an item without a sort key".to_owned()));
    };
    let needs = match attributes.get("reads_from") {
        Some(AttributeValue::N(needs)) => needs.parse().unwrap_or(u64::MAX),
        Some(_) | None => FORMAT,
    };
    if needs > FORMAT {
        return Err(StoreError::TooNew(format!(
            "item {:?} needs format {needs}, and this version reads {FORMAT}",
            brief(&name)
        )));
    }
    let stored = if name == WATCH {
        Stored::Item(Item::Watch(read(&name, attributes)?))
    } else if name.starts_with(JOB) {
        Stored::Item(Item::Job(read(&name, attributes)?))
    } else if name.starts_with(DETECTOR) {
        Stored::Item(Item::Detector(read(&name, attributes)?))
    } else if name.starts_with(OUTBOX) {
        Stored::Pending(read(&name, attributes)?)
    } else {
        return Ok(None);
    };
    let key = match &stored {
        Stored::Item(item) => item.key().to_string(),
        Stored::Pending(pending) => name_of_pending(pending),
    };
    // Under another's key it would be written, claimed and settled in vain.
    if key != name {
        return Err(makes_no_sense(&name, "it is not filed under its own id"));
    }
    Ok(Some(stored))
}

fn read<T: DeserializeOwned>(name: &str, attributes: Attributes) -> Result<T, StoreError> {
    // What reads the item would panic at a data type that the SDK does not know.
    if let Some((unknown, _)) = attributes.iter().find(|(_, value)| !is_known(value)) {
        let why = format!("its {:?} cannot be read", brief(unknown));
        return Err(makes_no_sense(name, &why));
    }
    from_item(attributes).map_err(|error| {
        // Its words may repeat what the item holds, unless something is missing.
        debug!("item {name:?}: {error}");
        match error.to_string().strip_prefix("missing field ") {
            Some(missing) => makes_no_sense(name, &format!("it has no {missing}")),
            None => makes_no_sense(
                name,
                "an attribute cannot be read; at level DEBUG the log says why",
            ),
        }
    })
}

fn is_known(value: &AttributeValue) -> bool {
    match value {
        AttributeValue::L(values) => values.iter().all(is_known),
        AttributeValue::M(values) => values.values().all(is_known),
        value => !value.is_unknown(),
    }
}

fn makes_no_sense(name: &str, why: &str) -> StoreError {
    let name = brief(name);
    StoreError::Failed(format!(
        "item {name:?} makes no sense; mend or delete it: {why}"
    ))
}

/// The beginning of a name: it may be long.
fn brief(name: &str) -> String {
    name.chars().take(200).collect()
}
