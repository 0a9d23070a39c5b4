//! What is reported: one notice for one thing that happened, with an id that a repeat carries again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::detector::Completion;
use super::history::Usual;
use super::job::{Job, JobId};
use super::kind::{Kind, Severity};
use super::record::Key;
use super::source::Source;
use super::topic::TopicArn;

/// What a notice does to the incident of its job or detector, which is open from the report that something is wrong until the
/// report of how it went on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "Incident")
)]
pub enum IncidentState {
    /// It is open.
    Open,
    /// It is closed.
    Resolved,
}

impl IncidentState {
    /// Its name in events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Resolved => "resolved",
        }
    }
}

/// The id of a notice: the same for the same thing reported twice, different for anything else.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NoticeId(
    #[cfg_attr(feature = "schema", schemars(regex(pattern = r"^[0-9a-f]{64}$")))] String,
);

/// What is no id of a notice.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no id of a notice, which has 64 digits of 0-9 and a-f")]
pub struct NotAnId(String);

impl TryFrom<String> for NoticeId {
    type Error = NotAnId;

    fn try_from(id: String) -> Result<Self, NotAnId> {
        match id.len() == 64 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            true => Ok(Self(id)),
            false => Err(NotAnId(id.chars().take(80).collect())),
        }
    }
}

impl NoticeId {
    /// SHA-256, in hexadecimal, of source, job id, the job's key, kind, and which one of them it is. They are hashed as a JSON array, so
    /// that no two different lists read the same.
    pub fn new(source: &Source, job: Option<(&JobId, Timestamp)>, kind: Kind, which: &str) -> Self {
        let (id, key) = job.unzip();
        Self(hash(&json!([
            source.to_string(),
            id.map(JobId::as_str),
            key.map(|at| at.to_string()),
            kind.as_str(),
            which
        ])))
    }

    /// The same of a deadline: of source, detector, the deadline and kind, in a form that no job's has.
    pub fn of_deadline(source: &Source, detector: &str, deadline: Timestamp, kind: Kind) -> Self {
        let thread = thread_of_deadline(source, detector, deadline);
        Self(hash(&json!(["deadline", thread, kind.as_str()])))
    }

    /// The id of a digest: the same for the same notices, in any order.
    pub fn of_digest<'a>(notices: impl Iterator<Item = &'a Self>) -> Self {
        let mut ids: Vec<_> = notices.map(Self::as_str).collect();
        ids.sort_unstable();
        Self(hash(&json!(["digest", ids])))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NoticeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The silence that a stall, a reminder or a recovery reports.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Silence {
    /// The last sign of life before it.
    #[cfg_attr(feature = "schema", schemars(with = "super::job::Time"))]
    pub since: Timestamp,
    /// How long it has lasted, in seconds; of a recovery, how long it lasted.
    pub lasted_s: i64,
    /// How long a silence of this job may be, in seconds; of a recovery, how long it may be from now on.
    pub allowed_s: i64,
    /// How many jobs wait for this one; absent if the listing was incomplete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<u64>,
    /// Which reminder this is; the first is 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reminder: Option<u32>,
}

/// How an active job that is overdue compares with what is usual.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Overdue {
    /// When it could begin: its start, or the end of the job before it.
    #[cfg_attr(feature = "schema", schemars(with = "super::job::Time"))]
    pub since: Timestamp,
    /// How long it has taken since, in seconds.
    pub taken_s: i64,
    /// From when on it was overdue, in seconds.
    pub limit_s: i64,
    /// What is usual for jobs like it; absent if too little is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usual: Option<Usual>,
    /// When it ends if it goes on as it did so far; absent if its records do not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<super::job::Time>"))]
    pub expected_end: Option<Timestamp>,
}

/// A job that was expected of a detector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExpectedJob {
    /// The detector as EXPECT names it; `*` is any.
    pub detector: String,
    /// The deadline; of `arrived`, the one with which it became missing.
    #[cfg_attr(feature = "schema", schemars(with = "super::job::Time"))]
    pub by: Timestamp,
    /// The deadline as people read it, in the zone that EXPECT gives.
    pub local: String,
    /// The job that completed last; of `arrived`, the one that was missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_completed: Option<Completion>,
    /// What there is instead of a completed job: one that runs, failed in the time that counts, or waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead: Option<Job>,
    /// When that ends if it goes on as it did so far; absent if its records do not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<super::job::Time>"))]
    pub expected_end: Option<Timestamp>,
}

/// What all notices of one job have in common, and no others: SHA-256 of source, job id and the job's key.
pub fn thread(source: &Source, id: &JobId, key: Timestamp) -> String {
    hash(&json!([source.to_string(), id.as_str(), key.to_string()]))
}

/// What all notices of what is missing since a deadline have in common.
pub fn thread_of_deadline(source: &Source, detector: &str, deadline: Timestamp) -> String {
    let deadline = deadline.to_string();
    hash(&json!(["deadline", source.to_string(), detector, deadline]))
}

/// What the notices have in common that the alarms are unheard since then, and heard again.
pub fn thread_of_alarms(source: &Source, since: Timestamp) -> String {
    hash(&json!(["alarms", source.to_string(), since.to_string()]))
}

fn hash(list: &Value) -> String {
    use fmt::Write as _;
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(list.to_string()) {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

/// What a new watch found and what it will report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Found {
    /// Jobs in the first complete listing.
    pub jobs: u64,
    /// How many of them have each status.
    pub by_status: BTreeMap<String, u64>,
    /// The kinds that will be reported.
    pub notify_on: Vec<Kind>,
    /// The detectors of which jobs are expected; `*` is any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expects: Vec<String>,
    /// How long a silence makes a stall, in seconds.
    pub stall_after_s: i64,
    /// What ended before this moment is not reported.
    #[cfg_attr(feature = "schema", schemars(with = "super::job::Time"))]
    pub since: Timestamp,
}

/// One thing to report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// The same for a repeat.
    pub id: NoticeId,
    /// What it reports.
    pub kind: Kind,
    /// Whose jobs.
    pub source: Source,
    /// When it happened.
    pub happened_at: Timestamp,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// The job as last recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<Job>,
    /// When the job was last seen as it stands here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job_seen_at: Option<Timestamp>,
    /// What it does to the job's incident; `None` if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<IncidentState>,
    /// The same for all notices of a job, or of what is missing until it arrives, and for no others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread: Option<String>,
    /// The topics it goes to, as they were configured when it was recorded.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub topics: BTreeSet<TopicArn>,
    /// The silence, of a stall, a reminder or a recovery from a stall.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silence: Option<Silence>,
    /// How it compares with what is usual, of `overdue`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overdue: Option<Overdue>,
    /// What was expected, of `missing` and `arrived`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<ExpectedJob>,
    /// What was found, of `began`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<Found>,
}

impl Notice {
    /// How bad it is: that of its kind, unless records failed in a job that completed.
    pub fn severity(&self) -> Severity {
        match self.failed_records() {
            Some(_) => Severity::Warning,
            None => self.kind.severity(),
        }
    }

    /// How many records failed in a completed job, if any did.
    pub fn failed_records(&self) -> Option<u64> {
        let failed = self.job.as_ref()?.failed_records?;
        (self.kind == Kind::Completed && failed > 0).then_some(failed)
    }

    /// The detector: of its job, or as EXPECT names it.
    pub fn detector(&self) -> Option<&str> {
        let expected = self.expected.as_ref();
        let of_job = self.job.as_ref().and_then(|job| job.detector.as_deref());
        of_job.or(expected.map(|expected| expected.detector.as_str()))
    }

    /// The item that it was recorded with.
    pub fn item(&self) -> Key {
        match (&self.job, &self.expected) {
            (Some(job), _) => Key::Job(job.id.clone()),
            (None, Some(expected)) => Key::Detector(expected.detector.clone()),
            (None, None) => Key::Watch,
        }
    }
}
