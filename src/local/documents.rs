//! Several JSON documents in one text, one after the other.

use serde_json::Value;

use super::bad_file::without_place;

/// Each document with the line that it begins on. The first that is not JSON is the last, with the line of the fault.
pub(super) fn documents(text: &str) -> impl Iterator<Item = (usize, Result<Value, String>)> {
    // PowerShell writes a byte order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut documents = serde_json::Deserializer::from_str(text).into_iter();
    let (mut line, mut counted) = (1, 0);
    std::iter::from_fn(move || {
        let rest = text.get(documents.byte_offset()..).unwrap_or_default();
        let begins = text.len() - rest.trim_start().len();
        let passed = text.get(counted..begins).unwrap_or_default();
        line += passed.matches('\n').count();
        counted = begins;
        Some(match documents.next()? {
            Ok(document) => (line, Ok(document)),
            Err(error) => {
                let what = format!("not JSON: {}", without_place(&error));
                (error.line(), Err(what))
            }
        })
    })
}
