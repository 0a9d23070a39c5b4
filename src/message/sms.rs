//! The form for a phone's screen: one line of at most 140 characters, all of them single ones in the alphabet of
//! a text message (GSM 03.38), so that it is never split nor recoded.

use jiff::Timestamp;

use super::text::{WatchName, fit, fit_ends};
use super::words::{self, Place};
use super::{Many, Told};

const MOST: usize = 140;
/// As much of a job's id, so that there is room for what happened to it.
const ID: usize = 48;

/// A text message.
struct Sms;

impl Place for Sms {
    fn theirs(&self, text: &str, most: usize) -> (String, bool) {
        fit(text, most, put)
    }

    fn id(&self, id: &str, most: usize) -> String {
        fit_ends(id, most, "..", put)
    }
}

/// A notice in one line.
pub(super) fn line(told: &Told<'_>, name: Option<&WatchName>, now: Timestamp) -> String {
    let notice = told.notice;
    let mut line = name.map(|name| format!("{name}: ")).unwrap_or_default();
    line.push_str(words::label_of(notice));
    if let Some(job) = &notice.job {
        line.push(' ');
        line.push_str(&Sms.id(job.id.as_str(), ID));
    }
    let asides: Vec<_> = words::asides(told, now)
        .iter()
        .map(|text| text.at(&Sms))
        .collect();
    if !asides.is_empty() {
        line.push_str(&format!(" ({})", asides.join(", ")));
    }
    line.push_str(": ");
    line.push_str(&words::brief(notice, MOST).at(&Sms));
    within(&line)
}

/// A digest in one line.
pub(super) fn line_of_many(many: &Many<'_>) -> String {
    let name = many
        .name
        .map(|name| format!("{name}: "))
        .unwrap_or_default();
    within(&format!("{name}{}", words::of_many(many.notices)))
}

fn within(line: &str) -> String {
    match fit(line, MOST, put) {
        (whole, true) => whole,
        (_, false) => {
            let (start, _) = fit(line, MOST - 3, put);
            format!("{}...", start.trim_end())
        }
    }
}

/// What is not a single character there becomes a `?`; brackets become round.
fn put(c: char, line: &mut String) {
    line.push(match c {
        c if c.is_ascii_alphanumeric() => c,
        ' ' | '@' | '$' | '!' | '"' | '#' | '%' | '&' | '\'' | '(' | ')' | '*' | '+' | ','
        | '-' | '.' | '/' | ':' | ';' | '<' | '=' | '>' | '?' | '_' => c,
        '[' | '{' => '(',
        ']' | '}' => ')',
        _ => '?',
    });
}
