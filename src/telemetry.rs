//! The log: one line an event, in JSON with an RFC 3339 timestamp and a level, or as plain text.
//!
//! Lambda says which: `AWS_LAMBDA_LOG_FORMAT` (`JSON` or `Text`) and `AWS_LAMBDA_LOG_LEVEL`. Lines without a
//! timestamp would be given level INFO by Lambda and be lost to its filter.

use tracing::Subscriber;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, Registry, fmt};

/// The subscriber that the variables ask for. Only this crate goes below WARN: the crates beneath it would log
/// what jobs contain.
pub fn subscriber<W>(
    lookup: impl Fn(&str) -> Option<String>,
    writer: W,
) -> impl Subscriber + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let level = level(lookup("AWS_LAMBDA_LOG_LEVEL").as_deref());
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

fn level(name: Option<&str>) -> LevelFilter {
    match name.map(str::to_ascii_uppercase).as_deref() {
        Some("TRACE") => LevelFilter::TRACE,
        Some("DEBUG") => LevelFilter::DEBUG,
        Some("WARN") => LevelFilter::WARN,
        Some("ERROR" | "FATAL") => LevelFilter::ERROR,
        Some(_) | None => LevelFilter::INFO,
    }
}
