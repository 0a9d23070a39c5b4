//! The log: one line an event, in JSON with an RFC 3339 timestamp and a level, or as plain text; and the metrics,
//! which are a line of the log as well, in CloudWatch's embedded metric format.
//!
//! Lambda says which: `AWS_LAMBDA_LOG_FORMAT` (`JSON` or `Text`) and `AWS_LAMBDA_LOG_LEVEL`. Lines without a
//! timestamp would be given level INFO by Lambda and be lost to its filter.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tracing::Subscriber;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, Registry, fmt};

use crate::run::Outcome;
use crate::watch::{Kind, Status};

/// The subscriber that the variables ask for. Only this crate goes below WARN: the crates beneath it would log
/// what jobs contain.
pub fn subscriber<W>(
    lookup: impl Fn(&str) -> Option<String>,
    writer: W,
) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let level = match level(&lookup) {
        "FATAL" => LevelFilter::ERROR,
        level => level.parse().unwrap_or(LevelFilter::INFO),
    };
    let targets = Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("fraud_job_watch", level);
    let is_json =
        lookup("AWS_LAMBDA_LOG_FORMAT").is_some_and(|format| format.eq_ignore_ascii_case("json"));
    let layer = fmt::layer().with_writer(writer).with_ansi(false);
    let layer = if is_json {
        layer
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .boxed()
    } else {
        layer.boxed()
    };
    Registry::default().with(layer.with_filter(targets))
}

/// The level as Lambda writes it; INFO if it is none of Lambda's.
fn level(lookup: impl Fn(&str) -> Option<String>) -> &'static str {
    let name = lookup("AWS_LAMBDA_LOG_LEVEL").unwrap_or_default();
    ["TRACE", "DEBUG", "WARN", "ERROR", "FATAL"]
        .into_iter()
        .find(|level| level.eq_ignore_ascii_case(&name))
        .unwrap_or("INFO")
}

/// The level of a line that is never to be lost: INFO, unless Lambda lets only worse ones pass.
pub fn level_that_passes(lookup: impl Fn(&str) -> Option<String>) -> &'static str {
    match level(lookup) {
        "TRACE" | "DEBUG" => "INFO",
        level => level,
    }
}

/// Where metrics are filed.
pub const NAMESPACE: &str = "fraud-job-watch";
/// Their one dimension: the function's name.
pub const DIMENSION: &str = "FunctionName";

/// What a run is measured by.
#[derive(Clone, Copy, Debug)]
pub struct Metrics<'a> {
    /// The function's name.
    pub function: &'a str,
    /// Whether more is measured than what alarms need.
    pub detailed: bool,
    /// The level of the line.
    pub level: &'static str,
}

impl Metrics<'_> {
    /// The line: one JSON object. What is not known of a run is left out.
    pub fn line(&self, outcome: &Outcome, now: Timestamp) -> Value {
        let mut metrics = health(outcome);
        if self.detailed {
            let details = details(outcome).into_iter();
            metrics.extend(details.map(|(name, unit, value)| (name, unit, value.into())));
        }
        let definitions: Vec<_> = metrics
            .iter()
            .map(|(name, unit, _)| json!({"Name": name, "Unit": unit}))
            .collect();
        let mut line = json!({
            "_aws": {
                "Timestamp": now.as_millisecond(),
                "CloudWatchMetrics": [{
                    "Namespace": NAMESPACE,
                    "Dimensions": [[DIMENSION]],
                    "Metrics": definitions,
                }],
            },
            DIMENSION: self.function,
            "level": self.level,
            "timestamp": now,
        });
        if let Some(line) = line.as_object_mut() {
            let values = metrics.into_iter();
            line.extend(values.map(|(name, _, value)| (name, value)));
        }
        line
    }
}

/// Name, unit and value; of what alarms need, a value may be several.
type Metric<V> = (String, &'static str, V);

/// What alarms need.
fn health(outcome: &Outcome) -> Vec<Metric<Value>> {
    let gauges = &outcome.gauges;
    let seconds = |duration: SignedDuration| u64::try_from(duration.as_secs()).unwrap_or(0);
    let succeeded = u64::from(outcome.failures.is_empty());
    // That a run failed is heard already.
    let incomplete = (succeeded == 1).then(|| u64::from(!outcome.answer.complete));
    let oldest_pending = gauges.oldest_pending.map(seconds);
    let oldest_sign = gauges.oldest_sign_of_life.map(seconds);
    // One metric for both, since each is paid for: its minimum is of the topic that has fewest, its maximum of all.
    let subscribers = gauges.subscribers.map(|of| json!([of.fewest, of.all]));
    let known = [
        ("RunSucceeded", "Count", Some(succeeded.into())),
        ("ListingIncomplete", "Count", incomplete.map(Value::from)),
        (
            "OldestPendingAge",
            "Seconds",
            oldest_pending.map(Value::from),
        ),
        ("OldestSignOfLife", "Seconds", oldest_sign.map(Value::from)),
        ("ConfirmedSubscribers", "Count", subscribers),
    ];
    let metric = |(name, unit, value)| Some((String::from(name), unit, value?));
    known.into_iter().filter_map(metric).collect()
}

/// What is good to know: each is paid for.
fn details(outcome: &Outcome) -> Vec<Metric<u64>> {
    let answer = &outcome.answer;
    let statuses = [
        ("JobsInitializing", Status::Initializing),
        ("JobsInProgress", Status::InProgress),
        ("JobsCancelInProgress", Status::CancelInProgress),
        ("JobsCanceled", Status::Canceled),
        ("JobsComplete", Status::Complete),
        ("JobsFailed", Status::Failed),
    ];
    let count = |counts: &BTreeMap<String, u64>, name: &str| counts.get(name).copied().unwrap_or(0);
    let jobs = |status: &Status| count(&answer.by_status, status.as_str());
    let with_jobs = statuses.map(|(name, status)| (name.to_owned(), "Count", jobs(&status)));
    let mut metrics = Vec::from(with_jobs);
    let known: u64 = metrics.iter().map(|(_, _, jobs)| jobs).sum();
    let all: u64 = answer.by_status.values().sum();
    metrics.push(("JobsOther".to_owned(), "Count", all.saturating_sub(known)));
    let is_of_a_job = |kind: &&Kind| !matches!(kind, Kind::Test | Kind::Unheard | Kind::Heard);
    let kinds = Kind::ALL.iter().filter(is_of_a_job);
    metrics.extend(kinds.map(|kind| {
        let (first, rest) = kind.as_str().split_at_checked(1).unwrap_or_default();
        let name = format!("Notices{}{rest}", first.to_ascii_uppercase());
        (name, "Count", count(&answer.notices, kind.as_str()))
    }));
    metrics.push(("Pages".to_owned(), "Count", answer.pages));
    metrics.push(("RunTime".to_owned(), "Milliseconds", answer.took_ms));
    metrics
}
