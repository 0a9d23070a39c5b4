//! The form for an inbox: what happened, what to do, and then the facts; one thought a line, for a phone to wrap.

use super::Content;
use super::digest::{Digest, Line};
use super::escape::{Email, fit_ends, printable};
use super::facts::{self, Fact};
use super::nouns::Nouns;
use super::text::{Subject, WatchName};
use super::words::{self, About};
use crate::watch::{Job, Notice};

/// With fewer characters a detector's name says nothing.
const DETECTOR: usize = 12;

/// `[name] label: job (detector)`.
pub(super) fn subject(notice: &Notice, name: Option<&WatchName>) -> Subject {
    let (prefix, label) = (name_prefix(name), words::label(notice));
    match About::of(notice) {
        About::Job(job) => subject_of_job(notice, job, name),
        About::Detector(detector) => {
            Subject::new(&format!("{prefix}{label}: {}", detector.escaped(&Email)))
        }
        About::Region(region) => {
            let all = Nouns::of(notice).all;
            Subject::new(&format!("{prefix}{label}: {all} in {region}"))
        }
    }
}

/// After name and label, which always stay, the job's id has the room. If that is too little, both of its ends stay, so
/// that those of many similar ids differ still. The detector has what is left.
fn subject_of_job(notice: &Notice, job: &Job, name: Option<&WatchName>) -> Subject {
    let ends = |text: &str, max| fit_ends(text, max, "..", |c, line| line.push(printable(c)));
    let prefix = name_prefix(name);
    let room = |label: &str| Subject::MAX.saturating_sub(prefix.len() + label.len() + ": ".len());
    let id = job.id.as_str();
    let full = words::full_label(notice);
    let label = match id.chars().count() <= room(&full) {
        true => &full,
        false => words::label(notice),
    };
    let mut subject = format!("{prefix}{label}: {}", ends(id, room(label)));
    if let Some(detector) = &job.detector {
        let room = Subject::MAX.saturating_sub(subject.len() + " ()".len());
        if room >= DETECTOR.min(detector.chars().count()) {
            subject.push_str(&format!(" ({})", ends(detector, room)));
        }
    }
    Subject::new(&subject)
}

/// `[name] 12 notices: 2 failed, 1 stalled, 9 completed`.
pub(super) fn subject_of_digest(digest: &Digest<'_>) -> Subject {
    Subject::new(&(name_prefix(digest.name) + &digest.summary()))
}

fn name_prefix(name: Option<&WatchName>) -> String {
    name.map(|name| format!("[{name}] ")).unwrap_or_default()
}

pub(super) fn body(content: &Content<'_>) -> String {
    let mut lines = content.first_lines(&Email);
    lines.push(String::new());
    lines.extend(content.steps().iter().map(|step| format!("- {step}")));
    lines.push(String::new());
    for facts in [&content.key_facts, &content.details] {
        lines.extend(facts.iter().filter_map(fact));
        lines.push(String::new());
    }
    lines.join("\n")
}

fn fact((label, value): &Fact) -> Option<String> {
    Some(format!("{label}: {}", value.as_ref()?.escaped(&Email)))
}

pub(super) fn line(line: &Line) -> String {
    format!("{} {}", line.label, line.escaped(&Email))
}

pub(super) fn body_of_digest(digest: &Digest<'_>, worst_first: &[Line]) -> String {
    let mut lines = vec![format!("{}.", digest.summary()), String::new()];
    lines.extend(digest.steps().iter().map(|step| format!("- {step}")));
    lines.push(String::new());
    lines.extend(worst_first.iter().map(line));
    lines.push(String::new());
    lines.extend(facts::whose(digest.source).iter().filter_map(fact));
    lines.extend(digest.name.map(|name| format!("Watch: {name}")));
    lines.push(format!("Digest id: {}", digest.id));
    lines.join("\n") + "\n"
}
