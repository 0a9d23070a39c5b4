//! Many notices in one message: how many fit, and what is said of them together.

use jiff::Timestamp;
use serde_json::Value;

use super::escape::Escape;
use super::facts::missing_records;
use super::nouns::Nouns;
use super::text::{BRIEF, Text};
use super::update::Update;
use super::words::{About, Words, label, rank};
use super::{Outgoing, PUBLISH_BYTES, RenderContext, WatchName, email, event, json_text};
use crate::watch::{Notice, NoticeId, Severity, Source};

/// What a digest needs besides its events and their lines in the email: above all the form for chat, which has
/// a bound of its own.
const REST_BYTES: usize = 48 * 1024;
/// What a line may grow by until it is rendered: by then it may be late, or later.
const GROWTH_BYTES: usize = 24;

/// How many notices go into each digest, so that there are as few digests as the size of a publish allows: each takes
/// the next so many, in the order that they are given in.
pub fn digest_sizes(notices: &[Outgoing<'_>], context: &RenderContext<'_>) -> Vec<usize> {
    let mut sizes: Vec<usize> = Vec::new();
    let mut room = 0;
    for outgoing in notices {
        let event = json_text(&event::event(outgoing.notice, context.name));
        let line = email::line(&Line::of(outgoing, context.now));
        let bytes = bytes_in_json(&event) + bytes_in_json(&line) + GROWTH_BYTES;
        match sizes.last_mut() {
            Some(size) if bytes <= room => *size += 1,
            Some(_) | None => {
                sizes.push(1);
                room = PUBLISH_BYTES - REST_BYTES;
            }
        }
        room = room.saturating_sub(bytes);
    }
    sizes
}

/// How many bytes a text takes within JSON, and what parts it from the next.
fn bytes_in_json(text: &str) -> usize {
    Value::from(text).to_string().len() + 2
}

/// The notices of a digest, and what follows from them.
pub(super) struct Digest<'a> {
    pub(super) notices: &'a [&'a Notice],
    pub(super) source: &'a Source,
    pub(super) name: Option<&'a WatchName>,
    /// That of the worst of them.
    pub(super) severity: Severity,
    pub(super) id: NoticeId,
}

impl<'a> Digest<'a> {
    /// `None` of nothing.
    pub(super) fn new(notices: &'a [&'a Notice], name: Option<&'a WatchName>) -> Option<Self> {
        Some(Self {
            notices,
            source: &notices.first()?.source,
            name,
            severity: notices.iter().map(|notice| notice.severity()).min()?,
            id: NoticeId::of_digest(notices.iter().map(|notice| &notice.id)),
        })
    }

    pub(super) fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![
            ("kind", event::DIGEST.to_owned()),
            ("severity", self.severity.as_str().to_owned()),
            ("event_id", self.id.to_string()),
        ]
    }

    /// `12 notices: 2 failed, 1 stalled, 9 completed`, the worst first.
    pub(super) fn summary(&self) -> String {
        let mut worst_first = self.notices.to_vec();
        worst_first.sort_by_key(|notice| rank(notice));
        let alike = worst_first.chunk_by(|a, b| label(a) == label(b));
        let counts = alike.filter_map(|alike| {
            let label = label(alike.first()?).to_lowercase();
            Some(format!("{} {label}", alike.len()))
        });
        let counts: Vec<_> = counts.collect();
        let noun = Nouns::of_source(self.source.kind()).notice;
        format!("{} {noun}s: {}", self.notices.len(), counts.join(", "))
    }

    pub(super) fn steps(&self) -> Vec<String> {
        let has_failures = |notice: &&Notice| notice.failed_records().is_some();
        let is_partial =
            |notice: &&Notice| missing_records(notice).is_some() && !has_failures(notice);
        let any_failures = self.notices.iter().any(has_failures);
        let any_partial = self.notices.iter().any(is_partial);
        let first = match (self.severity, any_partial) {
            (Severity::Info, false) => {
                Some("Nothing to do, unless you are waiting for one of these.")
            }
            (Severity::Info, true) => None,
            (Severity::Error | Severity::Warning, _) => {
                Some("Start at the top: the worst come first.")
            }
        };
        let second = any_partial.then_some("Check what completed in part: records are missing.");
        let third = any_failures
            .then_some("What completed with failures has an error log in its output location.");
        let steps = first.into_iter().chain(second).chain(third);
        steps.map(str::to_owned).collect()
    }
}

/// A notice of a digest: `FAILED job (detector), 2 h late: what matters`.
pub(super) struct Line {
    pub(super) label: &'static str,
    text: Text,
}

impl Line {
    pub(super) fn of(outgoing: &Outgoing<'_>, now: Timestamp) -> Self {
        let notice = outgoing.notice;
        let mut text = match About::of(notice) {
            About::Job(job) => Text::id(&job.id),
            About::Detector(detector) => detector,
            About::Region(region) => Text::ours("in ").and_untrusted(region),
        };
        let detector = notice.job.as_ref().and_then(|job| job.detector.as_deref());
        if let Some(detector) = detector {
            text = text.and(" (").and_untrusted(detector).and(")");
        }
        if let Some(asides) = Update::of(outgoing, now).asides {
            text = text.and(", ").and_text(asides);
        }
        Self {
            label: label(notice),
            text: text.and(": ").and_text(Words::of(outgoing).brief),
        }
    }

    /// What follows the label.
    pub(super) fn escaped(&self, form: &impl Escape) -> String {
        self.text.escaped_within(BRIEF, form)
    }
}
