//! Notices in the forms that people and machines read.
//!
//! One publish reaches every subscriber, so a [`Message`] holds a form for each kind of subscriber: the
//! CloudEvents JSON as the `default`, and what overrides it by protocol. What a notice says is put in words once;
//! each form then writes it for its place, and escapes there what comes from outside. All of it together stays
//! below what SNS takes, whatever the text.

mod chat;
mod email;
mod event;
#[cfg(feature = "schema")]
pub mod schema;
mod sms;
mod text;
mod words;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::watch::{Job, Notice, NoticeId, Severity, Source};

use words::Words;

pub use text::{Subject, WatchName, ago, in_words, one_line};

/// As many bytes SNS takes in one publish: all forms, and the attributes.
pub const PUBLISH_BYTES: usize = 256 * 1024;

/// What a digest needs besides its events and their lines in the email: above all the form for chat, which has
/// a bound of its own.
const DIGEST_REST_BYTES: usize = 48 * 1024;

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

/// How it is told.
#[derive(Clone, Copy, Debug)]
pub struct Telling<'a> {
    /// The watch's name.
    pub name: Option<&'a WatchName>,
    /// When it is rendered: ages are told from there.
    pub now: Timestamp,
}

/// A notice, with what has become of its job since.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// What to tell.
    pub notice: &'a Notice,
    /// What was recorded under the job's id after the notice was; `None` if nothing was. A notice that waited may
    /// speak of a job that has moved on.
    pub job_now: Option<JobNow<'a>>,
}

/// What is recorded under the id of a notice's job.
#[derive(Clone, Copy, Debug)]
pub enum JobNow<'a> {
    /// The same job.
    Same(&'a Job),
    /// Another, which has taken its id.
    Another(&'a Job),
}

/// Notices that go out in one publish.
#[derive(Clone, Debug, PartialEq)]
pub struct Digest {
    /// What goes out: if it carries only one notice, that notice's own message.
    pub message: Message,
    /// Which notices it carries, as places in the list that it was made of.
    pub carries: Vec<usize>,
}

impl Message {
    /// The message for a notice.
    pub fn of(told: &Told<'_>, telling: &Telling<'_>) -> Self {
        let (notice, Telling { name, now }) = (told.notice, *telling);
        let event = event::event(notice, name);
        let words = Words::of(told, name, now);
        let job = notice.job.as_ref();
        let attributes = [
            ("kind", Some(notice.kind.as_str())),
            ("severity", Some(notice.kind.severity().as_str())),
            ("job_id", job.map(|job| job.id.as_str())),
            ("detector", job.and_then(|job| job.detector.as_deref())),
            ("event_id", Some(notice.id.as_str())),
        ];
        Self {
            subject: Some(email::subject(notice, name)),
            body: Body::PerProtocol(vec![
                ("default", text_of(&event)),
                ("email", email::body(&words)),
                ("sms", sms::line(told, name, now)),
                (
                    "https",
                    chat::notification(notice, &words, name).to_string(),
                ),
            ]),
            attributes: attributes
                .into_iter()
                .filter_map(|(key, value)| Some((key, text::attribute(value?)?)))
                .collect(),
            event: value_of(&event),
        }
    }

    /// The smallest form of a notice, for when the topic refuses the full one: one line that names it.
    pub fn smallest(notice: &Notice, name: Option<&WatchName>) -> Self {
        Self {
            subject: None,
            body: Body::Plain(named(notice, name)),
            attributes: vec![
                ("kind", notice.kind.as_str().to_owned()),
                ("severity", notice.kind.severity().as_str().to_owned()),
                ("event_id", notice.id.as_str().to_owned()),
            ],
            event: value_of(&event::event(notice, name)),
        }
    }

    /// One message for all of these notices: the only one's own, or a digest, in which people read the worst first.
    /// `None` of nothing.
    pub fn of_batch(told: &[Told<'_>], telling: &Telling<'_>) -> Option<Self> {
        match told {
            [one] => Some(Self::of(one, telling)),
            many => Self::of_many(many, telling),
        }
    }

    /// Digests of many notices, as few as the size of a publish allows. Each notice is in exactly one of them, and
    /// those of one job stay in the order that they are given in.
    pub fn digests(told: &[Told<'_>], telling: &Telling<'_>) -> Vec<Digest> {
        let mut first = 0;
        let digest = |count| {
            let carries: Vec<_> = (first..first + count).collect();
            first += count;
            let carried = told.get(carries.first().copied()?..first)?;
            let message = Self::of_batch(carried, telling)?;
            Some(Digest { message, carries })
        };
        let counts = digest_sizes(told, telling);
        counts.into_iter().filter_map(digest).collect()
    }

    /// `None` of nothing.
    fn of_many(told: &[Told<'_>], telling: &Telling<'_>) -> Option<Self> {
        let notices: Vec<_> = told.iter().map(|told| told.notice).collect();
        let many = Many::new(&notices, telling.name)?;
        let mut worst_first = told.to_vec();
        worst_first.sort_by_key(|told| words::rank(told.notice));
        let event = event::event_of_many(&many);
        let chat = chat::notification_of_many(&many, &worst_first, telling.now);
        Some(Self {
            subject: Some(email::subject_of_many(&many)),
            body: Body::PerProtocol(vec![
                ("default", text_of(&event)),
                (
                    "email",
                    email::body_of_many(&many, &worst_first, telling.now),
                ),
                ("sms", sms::line_of_many(&many)),
                ("https", chat.to_string()),
            ]),
            attributes: many.attributes(),
            event: value_of(&event),
        })
    }

    /// The smallest form of a digest of these notices, for when the topic refuses the full one: a line for each.
    pub fn smallest_digest(notices: &[&Notice], name: Option<&WatchName>) -> Self {
        let lines: Vec<_> = notices.iter().map(|notice| named(notice, name)).collect();
        let many = Many::new(notices, name);
        Self {
            subject: None,
            body: Body::Plain(lines.join("\n")),
            attributes: many.as_ref().map(Many::attributes).unwrap_or_default(),
            event: many.map_or(Value::Null, |many| value_of(&event::event_of_many(&many))),
        }
    }

    /// What was published as this event, rendered as it was when it was recorded. The error says why it is no event
    /// of ours.
    pub fn of_event(event: Value) -> Result<Vec<Self>, String> {
        let (notices, name) = event::notices(event)?;
        let recorded_at = notices.iter().map(|notice| notice.recorded_at).max();
        let now = recorded_at.unwrap_or_default();
        let told = |notice| Told {
            notice,
            job_now: None,
        };
        let told: Vec<_> = notices.iter().map(told).collect();
        let telling = Telling {
            name: name.as_ref(),
            now,
        };
        let digests = Self::digests(&told, &telling).into_iter();
        Ok(digests.map(|digest| digest.message).collect())
    }

    /// The form for `protocol`.
    pub fn form(&self, protocol: &str) -> &str {
        match &self.body {
            Body::Plain(text) => text,
            Body::PerProtocol(forms) => {
                let find = |name: &str| {
                    forms
                        .iter()
                        .find(|(key, _)| *key == name)
                        .map(|(_, text)| text.as_str())
                };
                find(protocol)
                    .or_else(|| find("default"))
                    .unwrap_or_default()
            }
        }
    }
}

/// How many notices go into each digest, so that there are as few digests as the size of a publish allows: each takes
/// the next so many, in the order that they are given in.
pub fn digest_sizes(told: &[Told<'_>], telling: &Telling<'_>) -> Vec<usize> {
    let mut counts: Vec<usize> = Vec::new();
    let mut room = 0;
    for told in told {
        let event = text_of(&event::event(told.notice, telling.name));
        let bytes = bytes_in_json(&event) + bytes_in_json(&email::line(told, telling.now));
        match (counts.last_mut(), bytes <= room) {
            (Some(count), true) => *count += 1,
            (Some(_) | None, _) => {
                counts.push(1);
                room = PUBLISH_BYTES - DIGEST_REST_BYTES;
            }
        }
        room = room.saturating_sub(bytes);
    }
    counts
}

/// The notices of a digest, and what follows from them.
struct Many<'a> {
    notices: &'a [&'a Notice],
    source: &'a Source,
    name: Option<&'a WatchName>,
    severity: Severity,
    id: NoticeId,
}

impl<'a> Many<'a> {
    /// `None` of nothing.
    fn new(notices: &'a [&'a Notice], name: Option<&'a WatchName>) -> Option<Self> {
        let is_bad = |notice: &&Notice| notice.kind.severity() == Severity::Error;
        Some(Self {
            notices,
            source: &notices.first()?.source,
            name,
            severity: match notices.iter().any(is_bad) {
                true => Severity::Error,
                false => Severity::Info,
            },
            id: NoticeId::of_digest(notices.iter().map(|notice| &notice.id)),
        })
    }

    fn attributes(&self) -> Vec<(&'static str, String)> {
        vec![
            ("kind", event::DIGEST.to_owned()),
            ("severity", self.severity.as_str().to_owned()),
            ("event_id", self.id.to_string()),
        ]
    }
}

/// A notice in one line of ASCII.
fn named(notice: &Notice, name: Option<&WatchName>) -> String {
    let subject = email::subject(notice, name);
    format!("{subject} at {} (event {})", notice.happened_at, notice.id)
}

// Both always succeed: the types are our own, and every key is a string.

fn text_of(event: &impl Serialize) -> String {
    serde_json::to_string(event).unwrap_or_default()
}

fn value_of(event: &impl Serialize) -> Value {
    serde_json::to_value(event).unwrap_or_default()
}

/// How many bytes a text takes within JSON, and what parts it from the next.
fn bytes_in_json(text: &str) -> usize {
    Value::from(text).to_string().len() + 2
}
