//! What one run over a listing did, and the jobs that it saw: what the preview shows.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::saved_listing::SavedListing;
use super::state::Memory;
use super::terminal::in_ascii;
use crate::message::Message;
use crate::run::Answer;
use crate::watch::history::History;
use crate::watch::job::End;
use crate::watch::life::{first_sign, sign_of_life};
use crate::watch::{Job, SourceKind, Stage};

/// Where a run's clock came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ClockFrom {
    /// From whoever called.
    Given,
    /// The latest time in the file.
    LatestTime,
    /// The computer's: the file has no time.
    Computer,
    /// The computer's, just before an account was listed.
    Live,
}

impl ClockFrom {
    pub(super) fn in_words(self) -> &'static str {
        match self {
            Self::Given => "as given",
            Self::LatestTime => {
                "the latest time in the file; FILE@TIME, or --now for the last, changes it"
            }
            Self::Computer => {
                "the computer's, as the file has no time; FILE@TIME, or --now for the last, changes it"
            }
            Self::Live => "when the listing began",
        }
    }
}

/// What a run over one listing did.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The file.
    pub listing: String,
    /// Which kind of job it lists.
    #[serde(skip)]
    pub source: SourceKind,
    /// What time it was.
    pub clock: Timestamp,
    /// Why that.
    pub clock_from: ClockFrom,
    /// What the run says of itself.
    pub answer: Answer,
    /// The jobs of the listing: active ones first, then those that something is reported of, the newest of each first.
    pub jobs: Vec<Seen>,
    /// What would have been published.
    #[serde(rename = "notices", serialize_with = "all_events")]
    pub messages: Vec<Message>,
    /// What went wrong.
    pub failures: Vec<String>,
}

/// A job of the listing.
#[derive(Clone, Debug, Serialize)]
pub struct Seen {
    /// The job.
    #[serde(flatten)]
    pub job: Job,
    /// The last sign of life of an active job; when another ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_sign_at: Option<Timestamp>,
    /// When a job that runs should be done, going by how long jobs like it took; only of a complete listing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// The kinds of notices about it, from this listing.
    pub reported: Vec<String>,
    #[serde(skip)]
    pub(super) is_bad: bool,
}

impl Report {
    /// For programs: JSON on one line, in ASCII.
    pub fn json(&self) -> Result<String, serde_json::Error> {
        Ok(in_ascii(&serde_json::to_string(self)?))
    }
}

/// The jobs of a listing as the run left them; of one that is listed twice, the later.
pub fn seen(
    listing: &SavedListing,
    memory: &Memory,
    now: Timestamp,
    messages: &[Message],
) -> Vec<Seen> {
    let mut reported: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for event in messages.iter().flat_map(Message::events) {
        if let Some(id) = event.pointer("/data/job/id").and_then(Value::as_str) {
            reported.entry(id).or_default().push(event);
        }
    }
    let jobs = listing.jobs().cloned().flat_map(Job::from_listed);
    let jobs = jobs.map(|job| job.plausible_at(now));
    let jobs: BTreeMap<_, _> = jobs.map(|job| (job.id.clone(), job)).collect();
    let mut history = History::new(listing.kind());
    let ended = jobs.values().filter(|job| job.end().is_some());
    ended.for_each(|job| history.add(job));
    let due_at = |job: &Job| {
        let runs = job.status.stage() == Some(Stage::Running);
        let is_known = runs && !listing.is_incomplete();
        is_known.then(|| history.due_at(job, now)).flatten()
    };
    let seen = jobs.into_values().map(|job| {
        let events = reported.get(job.id.as_str()).map(Vec::as_slice);
        let due_at = due_at(&job);
        Seen {
            due_at,
            ..Seen::of(job, memory, now, events.unwrap_or_default())
        }
    });
    let mut seen: Vec<_> = seen.collect();
    seen.sort_by_key(|seen| {
        let when = seen.job.started_at.max(seen.last_sign_at);
        Reverse((seen.job.end().is_none(), !seen.reported.is_empty(), when))
    });
    seen
}

impl Seen {
    fn of(job: Job, memory: &Memory, now: Timestamp, events: &[&Value]) -> Self {
        let last_sign_at = match job.end() {
            None => Some(match memory.job(&job.id) {
                Some(record) => sign_of_life(&record, &job, now),
                None => first_sign(&job, now),
            }),
            Some(_) => job.finished_at(),
        };
        let data = |name: &'static str| {
            let data = events.iter();
            data.filter_map(move |event| event.get("data")?.get(name)?.as_str())
        };
        Self {
            last_sign_at,
            due_at: None,
            reported: data("kind").map(str::to_owned).collect(),
            is_bad: matches!(job.end(), Some(End::Failed | End::Unknown))
                || data("severity").any(|it| it == "error"),
            job,
        }
    }
}

fn all_events<S: Serializer>(messages: &[Message], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(messages.iter().flat_map(Message::events))
}
