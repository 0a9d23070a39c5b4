//! The form for an inbox: what happened, what to do, and then the facts; one thought a line, for a phone to wrap.

use jiff::Timestamp;

use super::text::{Subject, WatchName, fit, put};
use super::words::{self, Place, Words};
use super::{Many, Told};
use crate::watch::Notice;

/// Plain text.
pub(super) struct Email;

impl Place for Email {
    fn theirs(&self, text: &str, most: usize) -> (String, bool) {
        fit(text, most, put)
    }
}

/// `[name] kind: job (detector)`.
pub(super) fn subject(notice: &Notice, name: Option<&WatchName>) -> Subject {
    let what = match &notice.job {
        Some(job) => match &job.detector {
            Some(detector) => format!("{} ({detector})", job.id),
            None => job.id.to_string(),
        },
        None => format!("batch prediction jobs in {}", notice.source.region()),
    };
    named(name, &format!("{}: {what}", words::label(notice.kind)))
}

/// `[name] 12 notices: 2 failed, 1 stalled, 9 completed`.
pub(super) fn subject_of_many(many: &Many<'_>) -> Subject {
    named(many.name, &words::of_many(many.notices))
}

fn named(name: Option<&WatchName>, what: &str) -> Subject {
    match name {
        Some(name) => Subject::new(&format!("[{name}] {what}")),
        None => Subject::new(what),
    }
}

/// The body of a notice.
pub(super) fn body(words: &Words) -> String {
    let mut lines = words.first_lines(&Email);
    lines.push(String::new());
    lines.extend(words.steps.iter().map(|step| format!("- {step}")));
    lines.push(String::new());
    let fact = |(label, value): &(_, words::Text)| format!("{label}: {}", value.at(&Email));
    lines.extend(words.facts.iter().map(fact));
    lines.push(String::new());
    lines.join("\n")
}

/// A notice among many.
pub(super) fn line(told: &Told<'_>, now: Timestamp) -> String {
    let label = words::label(told.notice.kind);
    format!("{label} {}", words::line(told, now).at(&Email))
}

/// The body of a digest.
pub(super) fn body_of_many(many: &Many<'_>, worst_first: &[Told<'_>], now: Timestamp) -> String {
    let mut lines = vec![format!("{}.", words::of_many(many.notices)), String::new()];
    lines.push(format!("- {}", words::step_for_many(many.severity)));
    lines.push(String::new());
    lines.extend(worst_first.iter().map(|told| line(told, now)));
    lines.push(String::new());
    let account = words::account(many.source).at(&Email);
    lines.push(format!("Account: {account}"));
    let console = words::console(many.source);
    lines.extend(console.map(|console| format!("Console: {}", console.at(&Email))));
    lines.extend(many.name.map(|name| format!("Watch: {name}")));
    lines.push(format!("Digest id: {}", many.id));
    lines.push(String::new());
    lines.join("\n")
}
