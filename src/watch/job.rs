//! One job, as this crate understands it.
//!
//! Times are listed as strings, and the service breaks its own patterns, so only an id is asked for; whatever else
//! cannot be read counts as absent. Text is cut here, once, so that no item, event or message grows beyond what its
//! carrier takes.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::life::{has_processed, is_ahead};
use super::listed::ListedJob;
use super::source::SourceKind;
use super::status::{Stage, Status};

/// The longest id that the state table can hold as a key, in bytes.
pub const ID_BYTES: usize = 1_000;
/// A failure reason is cut to this many bytes.
pub const REASON_BYTES: usize = 8 * 1024;
/// Any other text of a job is cut to this many bytes.
pub const TEXT_BYTES: usize = 1_024;

/// 2019-01-01, in seconds since 1970. The service came later.
const EARLIEST: i64 = 1_546_300_800;

/// Why a listed job cannot be watched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Neither an id nor an ARN that ends with one.
    #[error("it has neither an id nor an arn")]
    Nameless,
    /// The id is longer than [`ID_BYTES`].
    #[error(
        "its id has {bytes} bytes, more than the {ID_BYTES} that can be stored: it begins {begins:?}"
    )]
    LongId {
        /// How long it is.
        bytes: usize,
        /// Its first characters.
        begins: String,
    },
}

/// The id of a job: not empty, and short enough to be a key of the state table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct JobId(String);

impl JobId {
    /// The id as text. It comes from outside: escape it for where it goes.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for JobId {
    type Error = Unreadable;

    fn try_from(id: String) -> Result<Self, Unreadable> {
        match id.len() {
            0 => Err(Unreadable::Nameless),
            1..=ID_BYTES => Ok(Self(id)),
            bytes => Err(Unreadable::LongId {
                bytes,
                begins: id.chars().take(40).collect(),
            }),
        }
    }
}

impl From<JobId> for String {
    fn from(id: JobId) -> Self {
        id.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// COMPLETE. Some of its rows may still have failed: the output's STATUS column tells.
    Completed,
    /// FAILED.
    Failed,
    /// CANCELED.
    Canceled,
    /// A status that is not known here, with a completion time.
    Unknown,
}

/// A job that can be watched: all of it optional but the id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Job {
    /// Its id, unique in an account and region while the job exists.
    pub id: JobId,
    /// Its status.
    pub status: Status,
    /// When it started: in what was seen of the service, when the request was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Time>"))]
    pub started_at: Option<Timestamp>,
    /// Its latest heartbeat. How often one comes is documented nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Time>"))]
    pub heartbeat_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<Time>"))]
    pub completed_at: Option<Timestamp>,
    /// Records processed so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processed_records: Option<u64>,
    /// Records that failed. Only batch imports count them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_records: Option<u64>,
    /// Records in the input; absent early.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total_records: Option<u64>,
    /// Why it failed, in the service's words, cut to 8 KiB on a character.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_reason: Option<String>,
    /// How many bytes the reason had, if it was cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_reason_bytes: Option<u64>,
    /// The detector's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detector: Option<String>,
    /// The detector's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detector_version: Option<String>,
    /// The event type's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_type: Option<String>,
    /// Where its input lies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_path: Option<String>,
    /// Where its output goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_path: Option<String>,
    /// Its ARN.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
}

impl Job {
    /// Reads a listed job. A time or count that cannot be read counts as absent; a job without an id takes it
    /// from its ARN.
    pub fn from_listed(listed: ListedJob) -> Result<Self, Unreadable> {
        let named = |id: &String| !id.is_empty();
        let from_arn = |arn: &String| {
            let mut kinds = SourceKind::ALL.iter();
            kinds.find_map(|kind| {
                let (_, id) = arn.split_once(&format!(":{}/", kind.resource()))?;
                Some(id.to_owned())
            })
        };
        let id = listed
            .job_id
            .filter(named)
            .or_else(|| listed.arn.as_ref().and_then(from_arn));
        let (failure_reason, failure_reason_bytes) =
            match listed.failure_reason.map(|text| cut(text, REASON_BYTES)) {
                Some((text, bytes)) => (Some(text), bytes),
                None => (None, None),
            };
        let text = |text: Option<String>| text.map(|text| cut(text, TEXT_BYTES).0);
        let count = |count: Option<i64>| count.and_then(|count| u64::try_from(count).ok());
        Ok(Self {
            id: JobId::try_from(id.unwrap_or_default())?,
            status: Status::from(listed.status.unwrap_or_default()),
            started_at: listed.start_time.as_deref().and_then(time),
            heartbeat_at: listed.last_heartbeat_time.as_deref().and_then(time),
            completed_at: listed.completion_time.as_deref().and_then(time),
            processed_records: count(listed.processed_records_count),
            failed_records: count(listed.failed_records_count),
            total_records: count(listed.total_records_count),
            failure_reason,
            failure_reason_bytes,
            detector: text(listed.detector_name),
            detector_version: text(listed.detector_version),
            event_type: text(listed.event_type_name),
            input_path: text(listed.input_path),
            output_path: text(listed.output_path),
            arn: text(listed.arn),
        })
    }

    /// The job without times that cannot be: before 2019, when the service did not exist, or ahead of `now`, or an end
    /// before its start. Only of an active job a heartbeat may be ahead: it is kept to know it again.
    pub fn plausible_at(mut self, now: Timestamp) -> Self {
        let can_be = |at: &Timestamp| at.as_second() >= EARLIEST && !is_ahead(*at, now);
        self.started_at = self.started_at.filter(can_be);
        // A start may be given with a fraction of a second, and its end without.
        let second = |at: Timestamp| at.as_second();
        let begun = self.started_at.map(second);
        self.completed_at = self
            .completed_at
            .filter(|end| can_be(end) && Some(second(*end)) >= begun);
        let is_active = self.end().is_none();
        self.heartbeat_at = self
            .heartbeat_at
            .filter(|at| at.as_second() >= EARLIEST && (is_active || can_be(at)));
        self
    }

    /// How the job ended, or `None` if it did not, or if that cannot be told. A status that is not known here is an end
    /// if the job has a completion time.
    pub fn end(&self) -> Option<End> {
        match &self.status {
            Status::Initializing | Status::InProgress | Status::CancelInProgress => None,
            Status::Canceled => Some(End::Canceled),
            Status::Complete => Some(End::Completed),
            Status::Failed | Status::CreateFailed => Some(End::Failed),
            Status::Other(text) if text.is_empty() => None,
            Status::Other(_) => self.completed_at.map(|_| End::Unknown),
        }
    }

    /// How far an active job has come. One whose status is not known here runs, if it has processed records.
    pub fn stage(&self) -> Option<Stage> {
        match &self.status {
            Status::Other(_) if has_processed(self) => Some(Stage::Running),
            status => status.stage(),
        }
    }

    /// Whether it has a completion time and no status, so that nothing can be concluded.
    pub fn is_unclear(&self) -> bool {
        self.status.is_missing() && self.completed_at.is_some()
    }

    /// The job with what this view of it lacks, as it was before: members come and go. How it ended is this view's own.
    pub fn fill_missing_from(self, before: &Self) -> Self {
        let text = |now: Option<String>, before: &Option<String>| now.or_else(|| before.clone());
        Self {
            started_at: self.started_at.or(before.started_at),
            heartbeat_at: self.heartbeat_at.or(before.heartbeat_at),
            processed_records: self.processed_records.or(before.processed_records),
            failed_records: self.failed_records.or(before.failed_records),
            total_records: self.total_records.or(before.total_records),
            detector: text(self.detector, &before.detector),
            detector_version: text(self.detector_version, &before.detector_version),
            event_type: text(self.event_type, &before.event_type),
            input_path: text(self.input_path, &before.input_path),
            output_path: text(self.output_path, &before.output_path),
            arn: text(self.arn, &before.arn),
            ..self
        }
    }

    /// What is needed to know an ended job again, and that it was a job of its detector.
    pub fn identity_only(&self) -> Self {
        Self {
            id: self.id.clone(),
            status: self.status.clone(),
            started_at: self.started_at,
            completed_at: self.completed_at,
            heartbeat_at: None,
            processed_records: None,
            failed_records: None,
            total_records: None,
            failure_reason: None,
            failure_reason_bytes: None,
            detector: self.detector.clone(),
            detector_version: None,
            event_type: None,
            input_path: None,
            output_path: None,
            arn: None,
        }
    }

    /// When an ended job finished, as well as its times tell.
    pub fn finished_at(&self) -> Option<Timestamp> {
        self.completed_at.or(self.heartbeat_at).or(self.started_at)
    }
}

/// How a time is written in an event: RFC 3339, in UTC.
#[cfg(feature = "schema")]
pub(crate) struct Time;

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Time {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Time".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "format": "date-time"})
    }
}

/// Reads a time as the service writes it: with or without a fraction, with an offset or in UTC.
pub fn time(text: &str) -> Option<Timestamp> {
    text.parse::<Timestamp>().ok().or_else(|| {
        let civil = text.parse::<jiff::civil::DateTime>().ok()?;
        jiff::tz::TimeZone::UTC.to_timestamp(civil).ok()
    })
}

/// Cuts `text` to at most `bytes` on a character; the second value is its former length if it was cut.
pub(super) fn cut(mut text: String, bytes: usize) -> (String, Option<u64>) {
    if text.len() <= bytes {
        return (text, None);
    }
    let former = text.len() as u64;
    text.truncate(text.floor_char_boundary(bytes));
    text.shrink_to_fit();
    (text, Some(former))
}
