//! How each form escapes untrusted text, and cuts it to its room.

pub(super) trait Escape {
    /// What stands between the ends of an id that is cut.
    const GAP: &'static str = "…";

    /// Adds an untrusted character to a line.
    fn write(c: char, line: &mut String) {
        write_visible(c, line);
    }

    /// Untrusted text, escaped, in at most `max` characters; and whether that is all of it.
    fn untrusted(&self, text: &str, max: usize) -> (String, bool) {
        fit(text, max, Self::write)
    }

    /// A job's id, escaped, in at most `max` characters; both of its ends if it is cut.
    fn id(&self, id: &str, max: usize) -> String {
        fit_ends(id, max, Self::GAP, Self::write)
    }
}

/// Plain text.
pub(super) struct Email;

impl Escape for Email {}

/// The channel's own markdown. Untrusted text stands in code spans, where no markdown, link or mention is read, with `&`,
/// `<` and `>` written as Slack asks for, and an apostrophe for each backtick. A name of letters, digits, `-` and inner
/// `_` needs no code span.
pub(super) struct Chat;

impl Escape for Chat {
    fn write(c: char, line: &mut String) {
        match c {
            '`' => line.push('\''),
            c => write_markdown(c, line),
        }
    }

    fn untrusted(&self, text: &str, max: usize) -> (String, bool) {
        if is_name(text) && text.len() <= max {
            return (text.to_owned(), true);
        }
        // Three are the two backticks and what tells that it is cut.
        let (span, whole) = fit(text, max.saturating_sub(3), Self::write);
        let span = match (span.trim().is_empty(), whole) {
            // A span must hold something.
            (true, true) => "`(empty)`".to_owned(),
            (_, true) => format!("`{span}`"),
            (_, false) => format!("`{span}…`"),
        };
        (span, whole)
    }

    fn id(&self, id: &str, max: usize) -> String {
        match self.untrusted(id, max) {
            (whole, true) => whole,
            (_, false) => {
                let ends = fit_ends(id, max.saturating_sub(2), Self::GAP, Self::write);
                format!("`{ends}`")
            }
        }
    }
}

fn is_name(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    text.chars().all(is_plain)
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric())
}

pub(super) fn write_markdown(c: char, line: &mut String) {
    match c {
        '&' => line.push_str("&amp;"),
        '<' => line.push_str("&lt;"),
        '>' => line.push_str("&gt;"),
        c => write_visible(c, line),
    }
}

pub(super) struct Sms;

impl Escape for Sms {
    const GAP: &'static str = "..";

    /// What is not a single character in the alphabet of a text message becomes a `?`; brackets become round.
    fn write(c: char, line: &mut String) {
        line.push(match c {
            c if c.is_ascii_alphanumeric() => c,
            ' ' | '@' | '$' | '!' | '"' | '#' | '%' | '&' | '\'' | '(' | ')' | '*' | '+' | ','
            | '-' | '.' | '/' | ':' | ';' | '<' | '=' | '>' | '?' | '_' => c,
            '[' | '{' => '(',
            ']' | '}' => ')',
            _ => '?',
        });
    }
}

/// A character as it stands in a subject.
pub(super) fn printable(c: char) -> char {
    match c.is_ascii_graphic() || c == ' ' {
        true => c,
        false => '?',
    }
}

/// Untrusted text on one line: control characters and whatever breaks lines, changes the direction of text or cannot be
/// seen are written out.
pub fn one_line(text: &str) -> String {
    fit(text, usize::MAX, write_visible).0
}

fn write_visible(c: char, line: &mut String) {
    match c {
        c if c.is_control() => line.extend(c.escape_unicode()),
        // What breaks lines, changes the direction of text, or cannot be seen.
        '\u{61c}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}'
        | '\u{feff}' => line.extend(c.escape_unicode()),
        c => line.push(c),
    }
}

/// As much of `text` as takes at most `max` characters when `write` has written each; the second value tells
/// whether that is all of it. What `write` writes for one character is never cut apart.
pub(super) fn fit(text: &str, max: usize, write: impl Fn(char, &mut String)) -> (String, bool) {
    let (mut fitting, mut room) = (String::new(), max);
    let mut written = String::new();
    for c in text.chars() {
        written.clear();
        write(c, &mut written);
        match room.checked_sub(written.chars().count()) {
            Some(left) => room = left,
            None => return (fitting, false),
        }
        fitting.push_str(&written);
    }
    (fitting, true)
}

/// As much of both ends of `text` as takes at most `max` characters when `write` has written each, and `gap` for what is
/// left out between them. Ids often differ only at one end.
pub(super) fn fit_ends(
    text: &str,
    max: usize,
    gap: &str,
    write: impl Fn(char, &mut String),
) -> String {
    if let (whole, true) = fit(text, max, &write) {
        return whole;
    }
    let room = max.saturating_sub(gap.chars().count());
    let (mut fitting, _) = fit(text, room / 2, &write);
    fitting.push_str(gap);
    let mut room = room - room / 2;
    let mut end = Vec::new();
    for c in text.chars().rev() {
        let mut written = String::new();
        write(c, &mut written);
        match room.checked_sub(written.chars().count()) {
            Some(left) => room = left,
            None => break,
        }
        end.push(written);
    }
    fitting.extend(end.into_iter().rev());
    fitting
}
