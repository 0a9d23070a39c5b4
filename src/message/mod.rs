//! Notices in the forms that people and machines read.
//!
//! One publish reaches every subscriber, so a [`Message`] holds a form for each kind of subscriber: the
//! CloudEvents JSON as the `default`, and what overrides it by protocol. What there is to say is found once: the
//! words of the notice's kind, what has changed since, and the facts. Each form then writes what fits it, and escapes
//! untrusted text in its own way. All of it together stays below what SNS takes, whatever the text.
//!
//! To people: `words` has what is said of each kind, `update` what is added if it goes out late, `facts` the facts;
//! `email`, `sms` and `chat` (by `https`) write them, `escape` has how each form escapes, and `text` keeps untrusted text
//! apart until then. To machines: `event`, and the `schema` made from it. `digest` is what many notices in one message
//! have in common.

mod chat;
mod digest;
mod email;
mod escape;
mod event;
mod facts;
mod nouns;
#[cfg(feature = "schema")]
pub mod schema;
mod sms;
mod text;
mod update;
mod words;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::watch::history::Compared;
use crate::watch::{Job, Notice};

use digest::{Digest, Line};
use escape::Escape;
use facts::Fact;
use update::Update;
use words::Words;

pub use digest::digest_sizes;
pub use escape::one_line;
pub use facts::counted;
pub use nouns::noun;
pub use text::{Subject, WatchName, ago, in_words};

/// SNS takes at most this many bytes in one publish: all forms, and the attributes.
pub const PUBLISH_BYTES: usize = 256 * 1024;

/// What goes out in one publish.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// The subject, which only email shows. The smallest form has none.
    pub subject: Option<Subject>,
    /// The forms.
    pub body: Body,
    /// What goes with it; an absent value is left out. `severity` is on every message, so that subscribers can filter by
    /// it.
    pub attributes: Vec<(&'static str, String)>,
    /// The event, also for those who print it instead of publishing.
    pub event: Value,
}

/// The text of a message.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// `default` and the protocols that override it.
    PerProtocol(Vec<(&'static str, String)>),
    /// The same for all.
    Plain(String),
}

/// What all messages of a run are rendered with.
#[derive(Clone, Copy, Debug)]
pub struct RenderContext<'a> {
    /// The watch's name.
    pub name: Option<&'a WatchName>,
    /// When they are rendered: ages count until then.
    pub now: Timestamp,
}

/// A notice to render, with what has become of its job since.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// What to report.
    pub notice: &'a Notice,
    /// What was recorded under the job's id after the notice was; `None` if nothing was. A notice that waited may
    /// speak of a job that has moved on.
    pub job_now: Option<JobNow<'a>>,
    /// How the time it took compares, of a completed job, if that is out of the ordinary.
    pub compared: Option<Compared>,
}

/// What is recorded under the id of a notice's job.
#[derive(Clone, Copy, Debug)]
pub enum JobNow<'a> {
    /// The same job.
    Same(&'a Job),
    /// Another, which has taken its id.
    Another(&'a Job),
}

/// All there is to say of a notice to people.
struct Content<'a> {
    notice: &'a Notice,
    name: Option<&'a WatchName>,
    update: Update,
    words: Words,
    key_facts: Vec<Fact>,
    details: Vec<Fact>,
}

impl<'a> Content<'a> {
    fn of(outgoing: &Outgoing<'a>, context: &RenderContext<'a>) -> Self {
        let notice = outgoing.notice;
        let update = Update::of(outgoing, context.now);
        Self {
            notice,
            name: context.name,
            words: Words::of(outgoing),
            key_facts: facts::key_facts(notice, context.now, update.has_moved_on),
            details: facts::details(notice, context.name, context.now),
            update,
        }
    }

    /// What a reader sees first: what to know before the rest, and what happened.
    fn first_lines(&self, form: &impl Escape) -> Vec<String> {
        let lines = self.update.sentences.iter().chain([&self.words.headline]);
        lines.map(|line| line.escaped(form)).collect()
    }

    /// What to do.
    fn steps(&self) -> Vec<String> {
        match &self.update.step {
            Some(step) => vec![step.clone()],
            None => self.words.steps.clone(),
        }
    }
}

impl Message {
    /// The message for a notice.
    pub fn of(outgoing: &Outgoing<'_>, context: &RenderContext<'_>) -> Self {
        let (notice, name) = (outgoing.notice, context.name);
        let event = event::event(notice, name);
        let content = Content::of(outgoing, context);
        let job = notice.job.as_ref();
        let attributes = [
            ("kind", Some(notice.kind.as_str())),
            ("severity", Some(notice.severity().as_str())),
            ("job_id", job.map(|job| job.id.as_str())),
            ("detector", notice.detector()),
            ("event_id", Some(notice.id.as_str())),
        ];
        Self {
            subject: Some(email::subject(notice, name)),
            body: Body::PerProtocol(vec![
                ("default", json_text(&event)),
                ("email", email::body(&content)),
                ("sms", sms::line(&content)),
                ("https", chat::notification(&content).to_string()),
            ]),
            attributes: attributes
                .into_iter()
                .filter_map(|(key, value)| Some((key, text::attribute(value?)?)))
                .collect(),
            event: json(&event),
        }
    }

    /// The message for a batch: a notice's own, or a digest of many, of which people read the worst first. `None` of
    /// nothing. [`digest_sizes`] says how many fit.
    pub fn of_batch(batch: &[Outgoing<'_>], context: &RenderContext<'_>) -> Option<Self> {
        if let [one] = batch {
            return Some(Self::of(one, context));
        }
        let notices: Vec<_> = batch.iter().map(|outgoing| outgoing.notice).collect();
        let digest = Digest::new(&notices, context.name)?;
        let mut worst_first = batch.to_vec();
        worst_first.sort_by_key(|outgoing| words::rank(outgoing.notice));
        let lines = worst_first.iter().map(|it| Line::of(it, context.now));
        let lines: Vec<_> = lines.collect();
        let event = event::event_of_digest(&digest);
        let chat = chat::notification_of_digest(&digest, &lines);
        Some(Self {
            subject: Some(email::subject_of_digest(&digest)),
            body: Body::PerProtocol(vec![
                ("default", json_text(&event)),
                ("email", email::body_of_digest(&digest, &lines)),
                ("sms", sms::line_of_digest(&digest)),
                ("https", chat.to_string()),
            ]),
            attributes: digest.attributes(),
            event: json(&event),
        })
    }

    /// The smallest form of this message of a batch, for when the topic refuses it: a line for each notice.
    pub fn smallest(mut self, batch: &[Outgoing<'_>], name: Option<&WatchName>) -> Self {
        let lines = batch.iter().map(|Outgoing { notice, .. }| {
            let subject = email::subject(notice, name);
            format!("{subject} at {} (event {})", notice.happened_at, notice.id)
        });
        self.subject = None;
        self.body = Body::Plain(lines.collect::<Vec<_>>().join("\n"));
        self.attributes
            .retain(|(key, _)| ["kind", "severity", "event_id"].contains(key));
        self
    }

    /// What was published as this event, rendered as it was when it was recorded. The error says why it is no event
    /// of ours.
    pub fn of_event(event: Value) -> Result<Vec<Self>, String> {
        let (notices, name) = event::notices(event)?;
        let recorded_at = notices.iter().map(|notice| notice.recorded_at).max();
        let context = RenderContext {
            name: name.as_ref(),
            now: recorded_at.unwrap_or_default(),
        };
        let outgoing = notices.iter().map(|notice| Outgoing {
            notice,
            job_now: None,
            compared: None,
        });
        let outgoing: Vec<_> = outgoing.collect();
        let mut rest = outgoing.iter().copied();
        let messages = digest_sizes(&outgoing, &context).into_iter().map(|size| {
            let batch: Vec<_> = rest.by_ref().take(size).collect();
            Self::of_batch(&batch, &context)
        });
        Ok(messages.flatten().collect())
    }

    /// The events of its notices: its own, or those in a digest.
    pub fn events(&self) -> &[Value] {
        event::events(&self.event)
    }

    /// The form for `protocol`.
    pub fn form(&self, protocol: &str) -> &str {
        match &self.body {
            Body::Plain(text) => text,
            Body::PerProtocol(forms) => {
                let find = |name| forms.iter().find(|(key, _)| *key == name);
                let form = find(protocol).or_else(|| find("default"));
                form.map_or("", |(_, text)| text)
            }
        }
    }
}

// Both always succeed: the types are our own, and every key is a string.

fn json_text(event: &impl Serialize) -> String {
    serde_json::to_string(event).unwrap_or_default()
}

fn json(event: &impl Serialize) -> Value {
    serde_json::to_value(event).unwrap_or_default()
}
