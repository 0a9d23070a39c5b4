//! The machine's form: CloudEvents 1.0 in JSON. The types are the contract: the schemas under `events/` are made
//! from them.

use std::collections::{BTreeMap, BTreeSet};
use std::slice;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::digest::Digest;
use super::text::WatchName;
use crate::watch::notice::{ExpectedJob, Found, Overdue, Silence};
use crate::watch::{IncidentState, Job, Key, Kind, Notice, NoticeId, Severity, Source, SourceKind};

pub(super) const DIGEST: &str = "digest";

pub(super) fn type_of(source: SourceKind, kind: &str) -> String {
    format!("fraud-job-watch.{}.{kind}.v1", source.resource())
}

/// A CloudEvents 1.0 event.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct Event<D> {
    /// The version of CloudEvents.
    #[cfg_attr(feature = "schema", schemars(extend("const" = "1.0")))]
    specversion: &'static str,
    /// The same for a repeat: drop what you have seen.
    id: NoticeId,
    /// Whose jobs: the ARN that those of one account and region begin with.
    source: Source,
    /// What happened, and the version of this contract. Ignore a type that you do not know.
    #[serde(rename = "type")]
    #[cfg_attr(feature = "schema", schemars(regex(pattern = "")))]
    kind: String,
    /// The job's id; of missing and arrived, the detector as EXPECT names it; of what is about neither, the watch's name or
    /// `fraud-job-watch`.
    subject: String,
    /// When it happened; of a digest, when the latest of its events did.
    #[cfg_attr(feature = "schema", schemars(with = "crate::watch::job::Time"))]
    time: Timestamp,
    /// The format of `data`.
    #[cfg_attr(feature = "schema", schemars(extend("const" = "application/json")))]
    datacontenttype: &'static str,
    /// The rest.
    data: D,
}

/// What a notice reports.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct NoticeData {
    /// What it reports.
    kind: Kind,
    /// How bad that is.
    severity: Severity,
    /// When it was recorded: from then on it was pending.
    #[cfg_attr(feature = "schema", schemars(with = "crate::watch::job::Time"))]
    recorded_at: Timestamp,
    /// The account.
    account: String,
    /// The region.
    region: String,
    /// The watch's name, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    watch: Option<String>,
    /// The job as it stood when this was recorded; of a test, a made-up one.
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<Job>,
    /// When the job was last seen as it stands here.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<crate::watch::job::Time>"))]
    job_seen_at: Option<Timestamp>,
    /// What it does to the incident: `open` opens it, or says that it goes on; `resolved` closes it. Absent
    /// if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    incident: Option<IncidentState>,
    /// The same for all notices of a job, or of what is missing until it arrives, and for no others: what a pager can take
    /// to know an incident again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<NoticeId>"))]
    thread: Option<String>,
    /// The silence, of stalled, of reminder, and of recovered from a stall.
    #[serde(skip_serializing_if = "Option::is_none")]
    silence: Option<Silence>,
    /// How it compares with what is usual, of overdue.
    #[serde(skip_serializing_if = "Option::is_none")]
    overdue: Option<Overdue>,
    /// What was expected, of missing and arrived.
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<ExpectedJob>,
    /// What was found, of began.
    #[serde(skip_serializing_if = "Option::is_none")]
    found: Option<Found>,
}

/// What a digest holds.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct DigestData {
    /// Always `digest`.
    #[cfg_attr(feature = "schema", schemars(extend("const" = "digest")))]
    kind: &'static str,
    /// That of the worst of its events.
    severity: Severity,
    /// The account.
    account: String,
    /// The region.
    region: String,
    /// The watch's name, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    watch: Option<String>,
    /// How many events of each kind.
    counts: BTreeMap<&'static str, usize>,
    /// The events, whole, those of one job in the order in which they were recorded.
    #[cfg_attr(feature = "schema", schemars(length(min = 2)))]
    events: Vec<Event<NoticeData>>,
}

/// The event of a notice: the same, byte for byte, however often and late it is published.
pub(super) fn event(notice: &Notice, name: Option<&WatchName>) -> Event<NoticeData> {
    let subject = match notice.item() {
        Key::Job(id) if notice.kind != Kind::Test => id.to_string(),
        Key::Detector(name) => name,
        Key::Job(_) | Key::Watch => watch_or_product(name),
    };
    Event {
        specversion: "1.0",
        id: notice.id.clone(),
        source: notice.source.clone(),
        kind: type_of(notice.source.kind(), notice.kind.as_str()),
        subject,
        time: notice.happened_at,
        datacontenttype: "application/json",
        data: NoticeData {
            kind: notice.kind,
            severity: notice.severity(),
            recorded_at: notice.recorded_at,
            account: notice.source.account().to_owned(),
            region: notice.source.region().to_owned(),
            watch: name.map(ToString::to_string),
            job: notice.job.clone(),
            job_seen_at: notice.job_seen_at,
            incident: notice.incident,
            thread: notice.thread.clone(),
            silence: notice.silence.clone(),
            overdue: notice.overdue.clone(),
            expected: notice.expected.clone(),
            found: notice.found.clone(),
        },
    }
}

pub(super) fn event_of_digest(digest: &Digest<'_>) -> Event<DigestData> {
    let mut counts = BTreeMap::new();
    for notice in digest.notices {
        *counts.entry(notice.kind.as_str()).or_default() += 1;
    }
    let events = digest.notices.iter();
    let times = digest.notices.iter().map(|notice| notice.happened_at);
    Event {
        specversion: "1.0",
        id: digest.id.clone(),
        source: digest.source.clone(),
        kind: type_of(digest.source.kind(), DIGEST),
        subject: watch_or_product(digest.name),
        time: times.max().unwrap_or_default(),
        datacontenttype: "application/json",
        data: DigestData {
            kind: DIGEST,
            severity: digest.severity,
            account: digest.source.account().to_owned(),
            region: digest.source.region().to_owned(),
            watch: digest.name.map(ToString::to_string),
            counts,
            events: events.map(|it| event(it, digest.name)).collect(),
        },
    }
}

fn watch_or_product(name: Option<&WatchName>) -> String {
    name.map_or_else(|| "fraud-job-watch".to_owned(), ToString::to_string)
}

/// The events of single notices in it: itself, or those in a digest.
pub(super) fn events(event: &Value) -> &[Value] {
    let events = event.pointer("/data/events").and_then(Value::as_array);
    events.map_or(slice::from_ref(event), Vec::as_slice)
}

/// The notices of an event, one of them or those of a digest, and the name of their watch. Unknown
/// members are ignored; an unknown kind is an error.
pub(super) fn notices(event: Value) -> Result<(Vec<Notice>, Option<WatchName>), String> {
    let mut name = None;
    let read = |event: &Value| {
        let event = PublishedEvent::deserialize(event)
            .map_err(|error| format!("not an event of fraud-job-watch: {error}"))?;
        name = event.data.watch.as_deref().and_then(|it| it.parse().ok());
        Ok(notice_of(event))
    };
    let notices: Result<_, String> = events(&event).iter().map(read).collect();
    Ok((notices?, name))
}

/// What is read of an event.
#[derive(Deserialize)]
struct PublishedEvent {
    id: NoticeId,
    source: Source,
    time: Timestamp,
    data: NoticeData,
}

fn notice_of(event: PublishedEvent) -> Notice {
    let data = event.data;
    Notice {
        id: event.id,
        kind: data.kind,
        source: event.source,
        happened_at: event.time,
        recorded_at: data.recorded_at,
        job: data.job,
        job_seen_at: data.job_seen_at,
        incident: data.incident,
        thread: data.thread,
        topics: BTreeSet::new(),
        silence: data.silence,
        overdue: data.overdue,
        expected: data.expected,
        found: data.found,
    }
}
