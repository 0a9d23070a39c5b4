//! What is wrong with EXPECT, so that it can be put right.

use std::fmt;

/// One thing that is wrong, with its place, the rule and an example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectFault {
    /// The number of the entry, from 1, and its text; `None` if it is about all of EXPECT.
    entry: Option<(usize, String)>,
    wrong: Wrong,
}

/// What is wrong, wherever it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) problem: String,
    pub(super) rule: &'static str,
    pub(super) example: &'static str,
}

impl Wrong {
    /// About all of EXPECT.
    pub(super) fn of_all(self) -> ExpectFault {
        ExpectFault {
            entry: None,
            wrong: self,
        }
    }

    /// About an entry.
    pub(super) fn of_entry(self, number: usize, text: &str) -> ExpectFault {
        ExpectFault {
            entry: Some((number, shortened(text))),
            wrong: self,
        }
    }
}

/// One line, whatever the text.
impl fmt::Display for ExpectFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((number, text)) = &self.entry {
            write!(f, "in entry {number}, {text:?}, ")?;
        }
        let Wrong {
            problem,
            rule,
            example,
        } = &self.wrong;
        write!(f, "{problem}, but must be {rule}, like {example:?}")
    }
}

/// So much of a text that an error stays readable.
pub(super) fn shortened(text: &str) -> String {
    const MAX: usize = 100;
    match text.char_indices().nth(MAX) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", text.split_at(end).0),
    }
}
