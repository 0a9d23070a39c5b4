//! The form for an inbox: what happened, what to do, and then the facts; one thought a line, for a phone to wrap.

use jiff::Timestamp;

use super::text::{Subject, WatchName, fit, fit_ends, printable, put};
use super::words::{self, Place, Words};
use super::{Many, Told};
use crate::watch::{Job, Notice};

/// Plain text.
pub(super) struct Email;

impl Place for Email {
    fn theirs(&self, text: &str, most: usize) -> (String, bool) {
        fit(text, most, put)
    }

    fn id(&self, id: &str, most: usize) -> String {
        fit_ends(id, most, "…", put)
    }
}

/// With fewer characters a detector's name says nothing.
const DETECTOR: usize = 12;

/// `[name] kind: job (detector)`.
pub(super) fn subject(notice: &Notice, name: Option<&WatchName>) -> Subject {
    match &notice.job {
        Some(job) => subject_of_job(notice, job, name),
        None => {
            let label = words::label_of(notice);
            let region = notice.source.region();
            named(name, &format!("{label}: batch prediction jobs in {region}"))
        }
    }
}

/// After name and label, which always stay, the job's id has the room. If that is too little, both of its ends stay, so
/// that those of many similar ids differ still. The detector has what is left.
fn subject_of_job(notice: &Notice, job: &Job, name: Option<&WatchName>) -> Subject {
    let ends = |text: &str, most| fit_ends(text, most, "..", |c, line| line.push(printable(c)));
    let lead = name.map(|name| format!("[{name}] ")).unwrap_or_default();
    let room = |label: &str| Subject::MOST.saturating_sub(lead.len() + label.len() + ": ".len());
    let id = job.id.as_str();
    let full = words::full_label(notice);
    let label = match id.chars().count() <= room(&full) {
        true => &full,
        false => words::label_of(notice),
    };
    let mut subject = format!("{lead}{label}: {}", ends(id, room(label)));
    if let Some(detector) = &job.detector {
        let room = Subject::MOST.saturating_sub(subject.len() + " ()".len());
        if room >= DETECTOR.min(detector.chars().count()) {
            subject.push_str(&format!(" ({})", ends(detector, room)));
        }
    }
    Subject::new(&subject)
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
    let label = words::label_of(told.notice);
    format!("{label} {}", words::line(told, now).at(&Email))
}

/// The body of a digest.
pub(super) fn body_of_many(many: &Many<'_>, worst_first: &[Told<'_>], now: Timestamp) -> String {
    let mut lines = vec![format!("{}.", words::of_many(many.notices)), String::new()];
    let steps = words::steps_for_many(many);
    lines.extend(steps.into_iter().map(|step| format!("- {step}")));
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
