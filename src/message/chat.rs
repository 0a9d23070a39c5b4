//! The form for a chat channel: a custom notification of Amazon Q Developer in chat applications, as documented in
//! <https://docs.aws.amazon.com/chatbot/latest/adminguide/custom-notifs.html>. It subscribes to a topic by `https`.
//!
//! The text is the channel's own markdown. What comes from outside stands in code spans, where no markdown, link
//! or mention is read, with `&`, `<` and `>` written as Slack asks for, and an apostrophe for each backtick. A
//! name of letters, digits, `-` and inner `_` needs no code span.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::text::{WatchName, fit, fit_ends, put};
use super::words::{self, Place, Words};
use super::{Many, Told, event};
use crate::watch::Notice;

/// As many characters a title may have.
const TITLE: usize = 250;
/// As many characters a description may have.
const DESCRIPTION: usize = 8_000;
/// Facts that stand in the title or in the context already.
const ELSEWHERE: [&str; 3] = ["Job", "Watch", "Event id"];
/// As many are kept for what follows the list of a digest.
const AFTER_LIST: usize = 500;

/// Markdown, with text from outside in code spans.
struct Chat;

impl Place for Chat {
    fn theirs(&self, text: &str, most: usize) -> (String, bool) {
        plain_or_code(text, most)
    }

    fn id(&self, id: &str, most: usize) -> String {
        plain_or_ends(id, most)
    }
}

/// A notice.
pub(super) fn notification(notice: &Notice, words: &Words, name: Option<&WatchName>) -> Value {
    let mut lines = words.first_lines(&Chat);
    lines.push(String::new());
    let facts = words.facts.iter();
    let facts = facts.filter(|(label, _)| !ELSEWHERE.contains(label));
    lines.extend(facts.map(|(label, value)| format!("*{label}:* {}", value.at(&Chat))));
    let job = notice.job.as_ref();
    let what = match job {
        Some(job) => plain_or_ends(job.id.as_str(), 90),
        None => format!(
            "batch prediction jobs in {}",
            plain_or_code(notice.source.region(), 40).0
        ),
    };
    let mut title = title(name, &format!("{}: {what}", words::full_label(notice)));
    if let Some(detector) = job.and_then(|job| job.detector.as_ref()) {
        let room = TITLE - title.chars().count().min(TITLE);
        let detector = plain_or_code(detector, room.saturating_sub(3).min(60)).0;
        title.push_str(&format!(" ({detector})"));
    }
    let context = [
        ("event_id", Some(notice.id.to_string())),
        ("kind", Some(notice.kind.to_string())),
        ("severity", Some(notice.kind.severity().as_str().to_owned())),
        (
            "incident",
            notice.incident.map(|incident| incident.as_str().to_owned()),
        ),
        ("thread", notice.thread.clone()),
        (
            "job_id",
            job.map(|job| plain_or_ends(job.id.as_str(), 1_000)),
        ),
        (
            "detector",
            job.and_then(|job| Some(plain_or_code(job.detector.as_ref()?, 250).0)),
        ),
    ];
    document(Parts {
        id: notice.id.as_str(),
        title,
        description: lines.join("\n"),
        next_steps: &words.steps,
        kind: notice.kind.as_str(),
        thread: notice.thread.clone(),
        context: &context,
    })
}

/// A digest.
pub(super) fn notification_of_many(
    many: &Many<'_>,
    worst_first: &[Told<'_>],
    now: Timestamp,
) -> Value {
    let mut description = String::new();
    let mut room = DESCRIPTION - AFTER_LIST;
    let mut left_out = worst_first.len();
    for told in worst_first {
        let label = words::label_of(told.notice);
        let line = format!("• *{label}* {}\n", words::line(told, now).at(&Chat));
        let Some(left) = room.checked_sub(line.chars().count()) else {
            break;
        };
        room = left;
        left_out -= 1;
        description.push_str(&line);
    }
    if left_out > 0 {
        description.push_str(&format!(
            "… and {left_out} more: the email and the event have them all.\n"
        ));
    }
    let account = words::account(many.source).at(&Chat);
    description.push_str(&format!("\n*Account:* {account}"));
    if let Some(console) = words::console(many.source) {
        description.push_str(&format!("\n*Console:* {}", console.at(&Chat)));
    }
    document(Parts {
        id: many.id.as_str(),
        title: title(many.name, &words::of_many(many.notices)),
        description,
        next_steps: &words::steps_for_many(many),
        kind: event::DIGEST,
        thread: None,
        context: &[
            ("event_id", Some(many.id.to_string())),
            ("kind", Some(event::DIGEST.to_owned())),
            ("severity", Some(many.severity.as_str().to_owned())),
        ],
    })
}

struct Parts<'a> {
    id: &'a str,
    title: String,
    description: String,
    next_steps: &'a [String],
    kind: &'a str,
    thread: Option<String>,
    context: &'a [(&'static str, Option<String>)],
}

fn document(parts: Parts<'_>) -> Value {
    let context: serde_json::Map<_, _> = parts
        .context
        .iter()
        .filter_map(|(key, value)| Some(((*key).to_owned(), value.clone()?.into())))
        .collect();
    let mut metadata = json!({
        "summary": parts.title,
        "eventType": event::type_of(parts.kind),
        "additionalContext": context,
    });
    if let (Some(metadata), Some(thread)) = (metadata.as_object_mut(), parts.thread) {
        metadata.insert("threadId".to_owned(), thread.into());
    }
    json!({
        "version": "1.0",
        "source": "custom",
        "id": parts.id,
        "content": {
            "textType": "client-markdown",
            "title": parts.title,
            "description": parts.description,
            "nextSteps": parts.next_steps,
            "keywords": [parts.kind, "Fraud Detector", "batch prediction"],
        },
        "metadata": metadata,
    })
}

/// The name takes at most 60 characters, and what follows no more than 180: a label and an id, or a digest's counts.
fn title(name: Option<&WatchName>, what: &str) -> String {
    match name {
        // The operator's own text: an emoji is welcome, a mention is not.
        Some(name) => format!("[{}] {what}", fit(&name.to_string(), 60, escape).0),
        None => what.to_owned(),
    }
}

/// Text from outside in at most `most` characters, and whether that is all of it: as it is if it cannot be more
/// than a name, or else in a code span.
fn plain_or_code(text: &str, most: usize) -> (String, bool) {
    if is_name(text) && text.len() <= most {
        return (text.to_owned(), true);
    }
    // Three are the two backticks and what tells that it is cut.
    let (span, whole) = fit(text, most.saturating_sub(3), in_code);
    let span = match (span.trim().is_empty(), whole) {
        // A span must hold something.
        (true, true) => "`(empty)`".to_owned(),
        (_, true) => format!("`{span}`"),
        (_, false) => format!("`{span}…`"),
    };
    (span, whole)
}

/// The same of an id, of which both ends stay if it is cut.
fn plain_or_ends(id: &str, most: usize) -> String {
    match plain_or_code(id, most) {
        (whole, true) => whole,
        (_, false) => format!("`{}`", fit_ends(id, most.saturating_sub(2), "…", in_code)),
    }
}

fn is_name(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    text.chars().all(is_plain)
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric())
}

fn in_code(c: char, line: &mut String) {
    match c {
        '`' => line.push('\''),
        c => escape(c, line),
    }
}

fn escape(c: char, line: &mut String) {
    match c {
        '&' => line.push_str("&amp;"),
        '<' => line.push_str("&lt;"),
        '>' => line.push_str("&gt;"),
        c => put(c, line),
    }
}
