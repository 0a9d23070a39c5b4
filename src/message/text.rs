//! Text that is fit for where it goes: subjects, attributes, single lines, times in words.

use std::fmt;
use std::fmt::Write as _;
use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};

/// The name of a watch: 1 to 40 printable ASCII characters without brackets, so that it fits into any subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchName(String);

/// A name that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("1 to 40 printable ASCII characters without [ and ]")]
pub struct BadName;

impl FromStr for WatchName {
    type Err = BadName;

    fn from_str(name: &str) -> Result<Self, BadName> {
        let fits = |c: char| (c.is_ascii_graphic() || c == ' ') && c != '[' && c != ']';
        if (1..=40).contains(&name.len()) && name.chars().all(fits) {
            Ok(Self(name.to_owned()))
        } else {
            Err(BadName)
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
    /// As many characters it may have.
    pub const MOST: usize = 99;

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
            1..=Self::MOST => whole.to_owned(),
            _ => {
                let start = whole.chars().take(Self::MOST - 3);
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

/// A character as it stands in a subject.
pub(super) fn printable(c: char) -> char {
    match c.is_ascii_graphic() || c == ' ' {
        true => c,
        false => '?',
    }
}

/// A message attribute: not empty, at most 256 characters, without control characters; `None` if nothing is left.
pub(super) fn attribute(text: &str) -> Option<String> {
    let text: String = one_line(text).chars().take(256).collect();
    (!text.is_empty()).then_some(text)
}

/// Text from outside on one line: control characters and whatever breaks lines, changes
/// the direction of text or cannot be seen are written out.
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    text.chars().for_each(|c| put(c, &mut line));
    line
}

/// Adds a character from outside to a line, as [`one_line`] does.
pub(super) fn put(c: char, line: &mut String) {
    match c {
        c if c.is_control() => write_out(c, line),
        // What breaks lines, changes the direction of text, or cannot be seen.
        '\u{61c}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}'
        | '\u{feff}' => write_out(c, line),
        c => line.push(c),
    }
}

fn write_out(c: char, line: &mut String) {
    // Writing to a String cannot fail.
    let _ = write!(line, "\\u{{{:x}}}", u32::from(c));
}

/// As much of `text` as takes at most `most` characters when `put` has written each; the second value tells
/// whether that is all of it. What `put` writes for one character is never cut apart.
pub(super) fn fit(text: &str, most: usize, put: impl Fn(char, &mut String)) -> (String, bool) {
    let (mut fitting, mut room) = (String::new(), most);
    let mut written = String::new();
    for c in text.chars() {
        written.clear();
        put(c, &mut written);
        match room.checked_sub(written.chars().count()) {
            Some(left) => room = left,
            None => return (fitting, false),
        }
        fitting.push_str(&written);
    }
    (fitting, true)
}

/// As much of both ends of `text` as takes at most `most` characters when `put` has written each, and `gap` for what is
/// left out between them. Ids often differ only at one end.
pub(super) fn fit_ends(
    text: &str,
    most: usize,
    gap: &str,
    put: impl Fn(char, &mut String),
) -> String {
    if let (whole, true) = fit(text, most, &put) {
        return whole;
    }
    let room = most.saturating_sub(gap.chars().count());
    let (mut fitting, _) = fit(text, room / 2, &put);
    fitting.push_str(gap);
    let mut room = room - room / 2;
    let mut end = Vec::new();
    for c in text.chars().rev() {
        let mut written = String::new();
        put(c, &mut written);
        match room.checked_sub(written.chars().count()) {
            Some(left) => room = left,
            None => break,
        }
        end.push(written);
    }
    fitting.extend(end.into_iter().rev());
    fitting
}

/// A duration in words, by its two largest units: `2 h 5 min`.
pub fn in_words(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    let join = |large: i64, large_unit: &str, small: i64, small_unit: &str| match small {
        0 => format!("{large} {large_unit}"),
        _ => format!("{large} {large_unit} {small} {small_unit}"),
    };
    if days > 0 {
        join(days, "d", hours, "h")
    } else if hours > 0 {
        join(hours, "h", minutes, "min")
    } else if minutes > 0 {
        join(minutes, "min", seconds % 60, "s")
    } else {
        format!("{seconds} s")
    }
}

/// A time, to the second.
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
