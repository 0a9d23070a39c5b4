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

use crate::watch::Notice;

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

impl Message {
    /// The message for a notice. `now` is when it is rendered: ages are told from there.
    pub fn of(notice: &Notice, name: Option<&WatchName>, now: Timestamp) -> Self {
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
