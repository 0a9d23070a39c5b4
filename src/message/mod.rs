//! A notice in the forms that people and machines read.
//!
//! One publish reaches every subscriber, so a [`Message`] holds a form for each kind of subscriber: the
//! CloudEvents JSON as the `default`, and what overrides it by protocol. A further form is one more entry in
//! [`Body::PerProtocol`].

mod email;
mod event;
mod text;

use serde_json::Value;

use jiff::Timestamp;

use crate::watch::{Job, Notice, Severity};

pub use text::{Subject, WatchName, ago, in_words, one_line};

/// What goes out in one publish.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// The subject, which only email shows. The smallest form has none.
    pub subject: Option<Subject>,
    /// The forms.
    pub body: Body,
    /// What subscribers can filter by; an absent value is left out.
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
    /// The job as recorded now, if it is. A notice that waited may speak of a job that has moved on.
    pub job_now: Option<&'a Job>,
}

/// Many notices in one message.
#[derive(Clone, Debug, PartialEq)]
pub struct Digest {
    /// What goes out.
    pub message: Message,
    /// Which notices it carries, as places in the list that it was made of.
    pub carries: Vec<usize>,
}

impl Message {
    /// The message for a notice.
    pub fn of(told: &Told<'_>, telling: &Telling<'_>) -> Self {
        let (notice, Telling { name, now }) = (told.notice, *telling);
        let event = event::event(notice, name);
        let job = notice.job.as_ref();
        let attributes = [
            ("kind", Some(notice.kind.as_str().to_owned())),
            ("severity", Some(notice.kind.severity().as_str().to_owned())),
            ("job_id", job.map(|job| job.id.as_str().to_owned())),
            ("detector", job.and_then(|job| job.detector.clone())),
            ("event_id", Some(notice.id.as_str().to_owned())),
        ];
        Self {
            subject: Some(email::subject(notice, name)),
            body: Body::PerProtocol(vec![
                ("default", event.to_string()),
                ("email", email::body(notice, name, now)),
            ]),
            attributes: attributes
                .into_iter()
                .filter_map(|(key, value)| Some((key, text::attribute(&value?)?)))
                .collect(),
            event,
        }
    }

    /// The smallest form of a notice, for when the topic refuses the full one: one line that names it.
    pub fn smallest(notice: &Notice, name: Option<&WatchName>) -> Self {
        let line = format!(
            "{} at {} (event {})",
            email::subject(notice, name),
            notice.happened_at,
            notice.id
        );
        Self {
            subject: None,
            body: Body::Plain(line),
            attributes: vec![
                ("kind", notice.kind.as_str().to_owned()),
                ("event_id", notice.id.as_str().to_owned()),
            ],
            event: event::event(notice, name),
        }
    }

    /// As few digests as the size of a publish allows, worst notices first. Each notice is in exactly one.
    pub fn digests(told: &[Told<'_>], telling: &Telling<'_>) -> Vec<Digest> {
        let mut places: Vec<usize> = (0..told.len()).collect();
        let notice = |place: &usize| told.get(*place).map(|told| told.notice);
        places.sort_by_key(|place| {
            notice(place).map(|notice| {
                (
                    notice.kind.severity() != Severity::Error,
                    notice.recorded_at,
                )
            })
        });
        places
            .chunks(10)
            .map(|places| {
                let notices: Vec<_> = places.iter().filter_map(notice).collect();
                Digest {
                    message: Self::smallest_digest(&notices, telling.name),
                    carries: places.to_vec(),
                }
            })
            .collect()
    }

    /// The smallest form of a digest, for when the topic refuses the full one: a line for each notice.
    pub fn smallest_digest(notices: &[&Notice], name: Option<&WatchName>) -> Self {
        let lines: Vec<_> = notices
            .iter()
            .map(|notice| {
                format!(
                    "{} at {} (event {})",
                    email::subject(notice, name),
                    notice.happened_at,
                    notice.id
                )
            })
            .collect();
        let events: Vec<_> = notices
            .iter()
            .map(|notice| event::event(notice, name))
            .collect();
        Self {
            subject: None,
            body: Body::Plain(lines.join("\n")),
            attributes: vec![("kind", "digest".to_owned())],
            event: Value::from(events),
        }
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
