//! The form for a phone's screen: one line of at most 140 characters, all of them single ones in the alphabet of
//! a text message (GSM 03.38), so that it is never split nor recoded.

use super::digest::Digest;
use super::escape::{Escape, Sms, fit};
use super::words::{self, About};
use super::{Content, WatchName};

const MAX: usize = 140;
/// A job's id has at most this many characters, so that there is room for what happened to it.
const ID: usize = 48;

pub(super) fn line(content: &Content<'_>) -> String {
    let notice = content.notice;
    let mut line = name_prefix(content.name);
    line.push_str(words::label(notice));
    match About::of(notice) {
        About::Job(job) => line.push_str(&format!(" {}", Sms.id(job.id.as_str(), ID))),
        About::Detector(detector) => {
            line.push_str(&format!(" {}", detector.escaped_within(ID, &Sms)));
        }
        About::Region(_) => {}
    }
    if let Some(asides) = &content.update.asides {
        line.push_str(&format!(" ({})", asides.escaped(&Sms)));
    }
    line.push_str(": ");
    line.push_str(&content.words.brief.escaped_within(MAX, &Sms));
    within(&line)
}

pub(super) fn line_of_digest(digest: &Digest<'_>) -> String {
    within(&(name_prefix(digest.name) + &digest.summary()))
}

fn name_prefix(name: Option<&WatchName>) -> String {
    name.map(|name| format!("{name}: ")).unwrap_or_default()
}

fn within(line: &str) -> String {
    match fit(line, MAX, Sms::write) {
        (whole, true) => whole,
        (_, false) => {
            let (start, _) = fit(line, MAX - 3, Sms::write);
            format!("{}...", start.trim_end())
        }
    }
}
