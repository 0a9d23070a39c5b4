//! The machine's form: CloudEvents 1.0 in JSON. The types are the contract: the schemas under `events/` are made
//! from them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Many;
use super::text::WatchName;
use crate::watch::notice::{Found, Silence};
use crate::watch::{Incident, Job, Kind, Notice, NoticeId, Severity, Source};

/// The kind of a digest.
pub(super) const DIGEST: &str = "digest";

/// The type of an event of that kind.
pub(super) fn type_of(kind: &str) -> String {
    format!("fraud-job-watch.batch-prediction.{kind}.v1")
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
    #[cfg_attr(
        feature = "schema",
        schemars(regex(pattern = r"^fraud-job-watch\.batch-prediction\.[a-z]+\.v1$"))
    )]
    kind: String,
    /// The job's id; the watch's name, or `fraud-job-watch`, of what is not about a job.
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

/// What a notice tells.
#[derive(Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub(super) struct NoticeData {
    /// What it tells.
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
    /// What it does to the incident of its job: `open` opens it, or says that it goes on; `resolved` closes it. Absent
    /// if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    incident: Option<Incident>,
    /// The same for all notices of a job, and for no others: what a pager can take to know an incident again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<NoticeId>"))]
    thread: Option<String>,
    /// The silence, of stalled, of reminder, and of recovered from a stall.
    #[serde(skip_serializing_if = "Option::is_none")]
    silence: Option<Silence>,
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

/// The event of a notice: the same, byte for byte, however often and late it is told.
pub(super) fn event(notice: &Notice, name: Option<&WatchName>) -> Event<NoticeData> {
    let subject = match &notice.job {
        Some(job) if notice.kind != Kind::Test => job.id.to_string(),
        Some(_) | None => named(name),
    };
    Event {
        specversion: "1.0",
        id: notice.id.clone(),
        source: notice.source.clone(),
        kind: type_of(notice.kind.as_str()),
        subject,
        time: notice.happened_at,
        datacontenttype: "application/json",
        data: NoticeData {
            kind: notice.kind,
            severity: notice.kind.severity(),
            recorded_at: notice.recorded_at,
            account: notice.source.account().to_owned(),
            region: notice.source.region().to_owned(),
            watch: name.map(ToString::to_string),
            job: notice.job.clone(),
            job_seen_at: notice.job_seen_at,
            incident: notice.incident,
            thread: notice.thread.clone(),
            silence: notice.silence.clone(),
            found: notice.found.clone(),
        },
    }
}

/// The event of a digest.
pub(super) fn event_of_many(many: &Many<'_>) -> Event<DigestData> {
    let mut counts = BTreeMap::new();
    for notice in many.notices {
        *counts.entry(notice.kind.as_str()).or_default() += 1;
    }
    let times = many.notices.iter().map(|notice| notice.happened_at);
    Event {
        specversion: "1.0",
        id: many.id.clone(),
        source: many.source.clone(),
        kind: type_of(DIGEST),
        subject: named(many.name),
        time: times.max().unwrap_or_default(),
        datacontenttype: "application/json",
        data: DigestData {
            kind: DIGEST,
            severity: many.severity,
            account: many.source.account().to_owned(),
            region: many.source.region().to_owned(),
            watch: many.name.map(ToString::to_string),
            counts,
            events: many
                .notices
                .iter()
                .map(|notice| event(notice, many.name))
                .collect(),
        },
    }
}

fn named(name: Option<&WatchName>) -> String {
    name.map_or_else(|| "fraud-job-watch".to_owned(), ToString::to_string)
}

/// The notices of an event, one of them or those of a digest, and the name of their watch. What it does not know, it
/// ignores.
pub(super) fn notices(event: Value) -> Result<(Vec<Notice>, Option<WatchName>), String> {
    #[derive(Deserialize)]
    struct Of<D> {
        id: NoticeId,
        source: Source,
        time: Timestamp,
        data: D,
    }
    #[derive(Deserialize)]
    struct Data {
        kind: Kind,
        recorded_at: Timestamp,
        watch: Option<String>,
        job: Option<Job>,
        job_seen_at: Option<Timestamp>,
        incident: Option<Incident>,
        thread: Option<String>,
        silence: Option<Silence>,
        found: Option<Found>,
    }
    let events = match event.pointer("/data/events") {
        Some(Value::Array(events)) => events.clone(),
        Some(_) | None => vec![event],
    };
    let mut name = None;
    let read = |event: Value| -> Result<Notice, String> {
        let Of {
            id,
            source,
            time,
            data,
        } = Of::<Data>::deserialize(event)
            .map_err(|error| format!("not an event of fraud-job-watch: {error}"))?;
        name = data.watch.and_then(|name| name.parse().ok());
        Ok(Notice {
            id,
            kind: data.kind,
            source,
            happened_at: time,
            recorded_at: data.recorded_at,
            job: data.job,
            job_seen_at: data.job_seen_at,
            incident: data.incident,
            thread: data.thread,
            topics: BTreeSet::new(),
            silence: data.silence,
            found: data.found,
        })
    };
    let notices = events.into_iter().map(read).collect::<Result<_, _>>()?;
    Ok((notices, name))
}
