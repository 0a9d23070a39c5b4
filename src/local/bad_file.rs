//! What is wrong with a file, and where in it.

use std::path::Path;

use crate::message::one_line;

/// A file that is no listing, no state and no event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}{}: {what}", line.map(|line| format!(", line {line}")).unwrap_or_default())]
pub struct BadFile {
    /// Its name, fit to print.
    pub file: String,
    /// Where in it, counted from 1, if it is a matter of one line.
    pub line: Option<usize>,
    /// What is wrong, and what was expected.
    pub what: String,
}

impl BadFile {
    /// Says what is wrong with `file`.
    pub fn new(file: &Path, line: Option<usize>, what: impl Into<String>) -> Self {
        Self {
            file: one_line(&file.to_string_lossy()),
            line,
            what: what.into(),
        }
    }
}

/// What an error says, without the place in its end.
pub(super) fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((what, _)) => what.to_owned(),
        None => text,
    }
}
