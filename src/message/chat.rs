//! The form for a chat channel: a custom notification of Amazon Q Developer in chat applications, as documented in
//! <https://docs.aws.amazon.com/chatbot/latest/adminguide/custom-notifs.html>. It subscribes to a topic by `https`.
//!
//! It shows what a channel needs; the email has all facts, and the event everything.

use serde_json::{Value, json};

use super::digest::{Digest, Line};
use super::escape::{Chat, Escape, fit, write_markdown};
use super::facts::{self, Fact};
use super::nouns::Nouns;
use super::words::{self, About};
use super::{Content, WatchName, event};
use crate::watch::{Notice, SourceKind};

/// The most characters in a title, and in a description.
const TITLE: usize = 250;
/// The most of a title after the watch's name.
const AFTER_NAME: usize = 180;
const DESCRIPTION: usize = 8_000;
/// Of a description, this many are kept for what follows the list of a digest.
const AFTER_LIST: usize = 500;

pub(super) fn notification(content: &Content<'_>) -> Value {
    let notice = content.notice;
    let mut lines = content.first_lines(&Chat);
    lines.push(String::new());
    lines.extend(content.key_facts.iter().filter_map(fact));
    document(Parts {
        id: notice.id.as_str(),
        title: title_of_notice(notice, content.name),
        description: lines.join("\n"),
        next_steps: &content.steps(),
        source: notice.source.kind(),
        kind: notice.kind.as_str(),
        thread: notice.thread.clone(),
        context: &context(notice),
    })
}

fn fact((label, value): &Fact) -> Option<String> {
    Some(format!("*{label}:* {}", value.as_ref()?.escaped(&Chat)))
}

fn title_of_notice(notice: &Notice, name: Option<&WatchName>) -> String {
    let job = notice.job.as_ref();
    let what = match About::of(notice) {
        About::Job(job) => Chat.id(job.id.as_str(), 90),
        About::Detector(detector) => detector.escaped_within(90, &Chat),
        About::Region(region) => {
            let region = Chat.untrusted(region, 40).0;
            format!("{} in {region}", Nouns::of(notice).all)
        }
    };
    let mut title = title(name, &format!("{}: {what}", words::full_label(notice)));
    if let Some(detector) = job.and_then(|job| job.detector.as_ref()) {
        let room = TITLE - title.chars().count().min(TITLE);
        let detector = Chat.untrusted(detector, room.saturating_sub(3).min(60)).0;
        title.push_str(&format!(" ({detector})"));
    }
    title
}

type Context = (&'static str, Option<String>);

fn context(notice: &Notice) -> [Context; 7] {
    let job = notice.job.as_ref();
    let detector = notice.detector();
    let incident = notice.incident.map(|incident| incident.as_str().to_owned());
    [
        ("event_id", Some(notice.id.to_string())),
        ("kind", Some(notice.kind.to_string())),
        ("severity", Some(notice.severity().as_str().to_owned())),
        ("incident", incident),
        ("thread", notice.thread.clone()),
        ("job_id", job.map(|job| Chat.id(job.id.as_str(), 1_000))),
        (
            "detector",
            detector.map(|detector| Chat.untrusted(detector, 250).0),
        ),
    ]
}

pub(super) fn notification_of_digest(digest: &Digest<'_>, worst_first: &[Line]) -> Value {
    let mut description = String::new();
    let mut room = DESCRIPTION - AFTER_LIST;
    let mut left_out = worst_first.len();
    for line in worst_first {
        let line = format!("• *{}* {}\n", line.label, line.escaped(&Chat));
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
    for fact in facts::whose(digest.source).iter().filter_map(fact) {
        description.push_str(&format!("\n{fact}"));
    }
    document(Parts {
        id: digest.id.as_str(),
        title: title(digest.name, &digest.summary()),
        description,
        next_steps: &digest.steps(),
        source: digest.source.kind(),
        kind: event::DIGEST,
        thread: None,
        context: &[
            ("event_id", Some(digest.id.to_string())),
            ("kind", Some(event::DIGEST.to_owned())),
            ("severity", Some(digest.severity.as_str().to_owned())),
        ],
    })
}

struct Parts<'a> {
    id: &'a str,
    title: String,
    description: String,
    next_steps: &'a [String],
    source: SourceKind,
    kind: &'a str,
    thread: Option<String>,
    context: &'a [Context],
}

fn document(parts: Parts<'_>) -> Value {
    let known = |(key, value): &Context| Some((*key, value.clone()?));
    let context: Value = parts.context.iter().filter_map(known).collect();
    let mut metadata = json!({
        "summary": parts.title,
        "eventType": event::type_of(parts.source, parts.kind),
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
            "keywords": [parts.kind, "Fraud Detector", Nouns::of_source(parts.source).keyword],
        },
        "metadata": metadata,
    })
}

/// The name takes at most 60 characters, and what follows no more than 180: a label and an id, or a digest's counts, of
/// which the worst come first.
fn title(name: Option<&WatchName>, what: &str) -> String {
    let keep = |c, line: &mut String| line.push(c);
    let what = match fit(what, AFTER_NAME, keep) {
        (whole, true) => whole,
        (_, false) => format!("{}…", fit(what, AFTER_NAME - 1, keep).0),
    };
    match name {
        // The operator's own text: an emoji is welcome, a mention is not.
        Some(name) => format!("[{}] {what}", fit(&name.to_string(), 60, write_markdown).0),
        None => what,
    }
}
