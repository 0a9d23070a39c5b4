//! Text that is fit for where it goes: with untrusted text kept apart, in subjects, in attributes; times in words.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};

use super::escape::{Escape, one_line, printable};
use crate::watch::{Job, JobId};

/// At most this many characters of a failure reason are shown; the event has more.
const REASON: usize = 2_000;
/// At most this many of any other untrusted text.
const TEXT: usize = 400;
/// At most this many of each where many notices share a message.
pub(super) const BRIEF: usize = 100;

/// Text of our own with untrusted text in it.
#[derive(Debug, Default)]
pub(super) struct Text(Vec<Piece>);

#[derive(Debug)]
enum Piece {
    Ours(Cow<'static, str>),
    /// In at most so many characters.
    Untrusted(String, usize),
    Id(String),
    /// AWS's reason for a failure, and how many bytes it had.
    Reason(String, u64),
}

impl Text {
    pub(super) fn ours(text: impl Into<Cow<'static, str>>) -> Self {
        Self(vec![Piece::Ours(text.into())])
    }

    pub(super) fn untrusted(text: impl Into<String>) -> Self {
        Self(vec![Piece::Untrusted(text.into(), TEXT)])
    }

    /// One of many untrusted texts.
    pub(super) fn untrusted_brief(text: impl Into<String>) -> Self {
        Self(vec![Piece::Untrusted(text.into(), BRIEF)])
    }

    pub(super) fn id(id: &JobId) -> Self {
        Self(vec![Piece::Id(id.as_str().to_owned())])
    }

    pub(super) fn reason(job: &Job) -> Self {
        let text = job.failure_reason.clone().unwrap_or_default();
        let bytes = job.failure_reason_bytes.unwrap_or(text.len() as u64);
        Self(vec![Piece::Reason(text, bytes)])
    }

    pub(super) fn and(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.0.push(Piece::Ours(text.into()));
        self
    }

    pub(super) fn and_untrusted(mut self, text: impl Into<String>) -> Self {
        self.0.push(Piece::Untrusted(text.into(), TEXT));
        self
    }

    pub(super) fn and_text(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// The parts, with `between` between them; `None` of none.
    pub(super) fn join(
        parts: impl IntoIterator<Item = Self>,
        between: &'static str,
    ) -> Option<Self> {
        parts
            .into_iter()
            .reduce(|all, part| all.and(between).and_text(part))
    }

    pub(super) fn escaped(&self, form: &impl Escape) -> String {
        self.escaped_within(usize::MAX, form)
    }

    /// The same with at most `limit` characters of each untrusted piece.
    pub(super) fn escaped_within(&self, limit: usize, form: &impl Escape) -> String {
        let mut escaped = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Ours(text) => escaped.push_str(text),
                Piece::Id(id) => escaped.push_str(&form.id(id, limit.min(TEXT))),
                Piece::Untrusted(text, max) => {
                    let (shown, whole) = form.untrusted(text, limit.min(*max));
                    let cut = if whole { "" } else { " [cut]" };
                    escaped.extend([shown.as_str(), cut]);
                }
                Piece::Reason(text, bytes) => {
                    let (shown, whole) = form.untrusted(text, limit.min(REASON));
                    escaped.push_str(&shown);
                    if !whole || *bytes > text.len() as u64 {
                        escaped.push_str(&format!(" [cut; it had {bytes} bytes]"));
                    }
                }
            }
        }
        escaped
    }
}

/// The name of a watch: 1 to 40 printable ASCII characters without brackets, so that it fits into any subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchName(String);

impl FromStr for WatchName {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let fits = |c: char| (c.is_ascii_graphic() || c == ' ') && c != '[' && c != ']';
        match (1..=40).contains(&name.len()) && name.chars().all(fits) {
            true => Ok(Self(name.to_owned())),
            false => Err("1 to 40 printable ASCII characters without [ and ]"),
        }
    }
}

impl fmt::Display for WatchName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A subject that SNS takes: 1 to 99 printable ASCII characters, the first a letter, a digit or `[`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject(String);

impl Subject {
    /// It has at most this many characters.
    pub const MAX: usize = 99;

    /// Makes a subject of any text: what is not printable ASCII becomes `?`, what is too long is cut.
    pub fn new(text: &str) -> Self {
        let begins = |c: &char| c.is_ascii_alphanumeric() || *c == '[';
        let whole: String = text
            .chars()
            .map(printable)
            .skip_while(|c| !begins(c))
            .collect();
        let whole = whole.trim_end();
        Self(match whole.len() {
            0 => "Notice".to_owned(),
            1..=Self::MAX => whole.to_owned(),
            _ => {
                let start = whole.chars().take(Self::MAX - 3);
                start.chain("...".chars()).collect()
            }
        })
    }

    /// The subject as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A message attribute: not empty, at most 256 characters, without control characters; `None` if nothing is left.
pub(super) fn attribute(text: &str) -> Option<String> {
    let text: String = one_line(text).chars().take(256).collect();
    (!text.is_empty()).then_some(text)
}

/// A duration in words, by its two largest units: `2 h 5 min`.
pub fn in_words(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    let join = |large: i64, large_unit: &str, small: i64, small_unit: &str| match small {
        0 => format!("{large} {large_unit}"),
        _ => format!("{large} {large_unit} {small} {small_unit}"),
    };
    match (days, hours, minutes) {
        (1.., _, _) => join(days, "d", hours, "h"),
        (_, 1.., _) => join(hours, "h", minutes, "min"),
        (_, _, 1..) => join(minutes, "min", seconds % 60, "s"),
        _ => format!("{seconds} s"),
    }
}

pub(super) fn at(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// A time and its age in words.
pub fn ago(time: Timestamp, now: Timestamp) -> String {
    let age = now.duration_since(time);
    let at = at(time);
    match age.as_secs() {
        0 => format!("{at} (now)"),
        1.. => format!("{at} ({} ago)", in_words(age)),
        _ => format!("{at} (in {})", in_words(-age)),
    }
}
