//! Saved events: as published, or within what carried them.
//!
//! A carrier is what SNS makes of an event for a queue, what `aws sqs receive-message` prints, the answer of a dry run, or a
//! line of `preview replay --json`. Several JSON documents may follow one another.

use std::path::Path;

use serde_json::Value;

use super::bad_file::BadFile;
use super::documents::documents;
use crate::message::Message;

/// What a file of them looks like.
pub const EXPECTED: &str = "saved events, like {\"specversion\": \"1.0\", ...}";

/// The messages of a text from `file`, each as it was when its notice was recorded; `None` if the first document is
/// neither an event nor a carrier, so that the file may be of another sort.
pub fn messages(text: &str, file: &Path) -> Result<Option<Vec<Message>>, BadFile> {
    let mut messages = None;
    for (line, document) in documents(text) {
        let bad = |what| BadFile::new(file, Some(line), format!("{what}; expected {EXPECTED}"));
        let events = match document.map(events) {
            Err(_) | Ok(Ok(None)) if messages.is_none() => return Ok(None),
            Err(what) => return Err(bad(what)),
            Ok(Ok(None)) => return Err(bad("JSON, but no event".to_owned())),
            Ok(Ok(Some(events))) => events,
            Ok(Err(error)) => return Err(bad(format!("what it carries is not JSON: {error}"))),
        };
        let messages = messages.get_or_insert_with(Vec::new);
        for event in events {
            messages.extend(Message::of_event(event).map_err(bad)?);
        }
    }
    Ok(messages)
}

/// What is wrong with a text in which [`messages`] finds nothing.
pub fn nothing(file: &Path) -> BadFile {
    BadFile::new(file, None, format!("no event in it; expected {EXPECTED}"))
}

/// The events in a document, however deep; `None` if it is neither one nor a carrier.
fn events(document: Value) -> Result<Option<Vec<Value>>, serde_json::Error> {
    let Value::Object(mut members) = document else {
        return Ok(None);
    };
    if members.contains_key("specversion") {
        return Ok(Some(vec![Value::Object(members)]));
    }
    let mut found = None;
    for list in ["notices", "would_publish", "Messages"] {
        if let Some(Value::Array(documents)) = members.remove(list) {
            let found = found.get_or_insert_with(Vec::new);
            for document in documents {
                found.extend(events(document)?.unwrap_or_default());
            }
        }
    }
    for text in ["Body", "Message"] {
        if let Some(Value::String(text)) = members.remove(text) {
            let found = found.get_or_insert_with(Vec::new);
            found.extend(events(serde_json::from_str(&text)?)?.unwrap_or_default());
        }
    }
    Ok(found)
}
