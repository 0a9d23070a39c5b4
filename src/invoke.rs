//! One invocation: a payload in, an answer or an error out.
//!
//! Any JSON is a payload. `{"dry_run": true}` judges and answers, and neither writes nor publishes.
//! `{"test_notice": true}` publishes one sample, marked as a test, and does nothing else. With both, dry run
//! wins. Whatever else it holds is ignored.

use std::collections::BTreeSet;
use std::iter;

use serde_json::Value;
use tracing::info;

use crate::dry_run::dry_run;
use crate::message::{Message, Outgoing, RenderContext};
use crate::ports::{Topic, World};
use crate::run::{Answer, Failure, Outcome, RunInput, TimeLimits, bounded, run};
use crate::watch::{Job, Kind, ListedJob, Notice, NoticeId};

/// An invocation that failed: the first of its failures, with a stable name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failed {
    /// `StateUnreadable`, `StateTooNew`, `ListingFailed`, `ListingLooped`, `RecordFailed` or `PublishFailed`.
    pub error_type: &'static str,
    /// What went wrong, and what happens next.
    pub message: String,
}

/// Does what the payload asks for, and logs one summary line. `measure` is told of a run, failed or not, but not
/// of a dry run or a test notice.
pub async fn invoke<W: World>(
    world: W,
    input: &RunInput<'_>,
    payload: &Value,
    measure: impl FnOnce(&Outcome),
) -> Result<Answer, Failed> {
    let asks = |name: &str| payload.get(name) == Some(&Value::Bool(true));
    let Outcome {
        answer, failures, ..
    } = if asks("dry_run") {
        dry_run(&world, input).await
    } else if asks("test_notice") {
        test_notice(&world, input).await
    } else {
        let outcome = run(&world, input).await;
        measure(&outcome);
        outcome
    };
    summarize(&answer, &failures);
    let Some(first) = failures.first() else {
        return Ok(answer);
    };
    let others = match failures.len() {
        1 => String::new(),
        n => format!(" (and {} more)", n - 1),
    };
    Err(Failed {
        error_type: first.error_type(),
        message: format!("{first}{others}"),
    })
}

fn summarize(answer: &Answer, failures: &[Failure]) {
    let notices = serde_json::to_string(&answer.notices).unwrap_or_default();
    let by_status = serde_json::to_string(&answer.by_status).unwrap_or_default();
    let succeeded = match failures {
        [] => "succeeded",
        [..] => "failed",
    };
    info!(
        jobs = answer.jobs,
        pages = answer.pages,
        complete = answer.complete,
        by_status,
        notices,
        published = answer.published,
        pending = answer.pending,
        unreadable = answer.unreadable,
        began = answer.began,
        dry_run = answer.dry_run,
        took_ms = answer.took_ms,
        failed = failures.len(),
        "run {succeeded}"
    );
}

async fn test_notice<W: World>(world: &W, input: &RunInput<'_>) -> Outcome {
    let limits = TimeLimits::start(input.time_given);
    let now = world.now();
    let sample = ListedJob {
        job_id: Some("test_job".to_owned()),
        status: Some("COMPLETE".to_owned()),
        start_time: Some("2021-04-19T11:20:42Z".to_owned()),
        completion_time: Some("2021-04-19T11:26:41Z".to_owned()),
        detector_name: Some("test_detector".to_owned()),
        processed_records_count: Some(5_000),
        total_records_count: Some(5_000),
        ..ListedJob::default()
    };
    let notice = Notice {
        id: NoticeId::new(input.source, None, Kind::Test, input.run_id),
        kind: Kind::Test,
        source: input.source.clone(),
        happened_at: now,
        recorded_at: now,
        job: Job::from_listed(sample).ok(),
        job_seen_at: Some(now),
        incident: None,
        thread: None,
        topics: BTreeSet::new(),
        silence: None,
        overdue: None,
        expected: None,
        found: None,
    };
    let name = input.settings.name.as_ref();
    let outgoing = Outgoing {
        notice: &notice,
        job_now: None,
        compared: None,
    };
    let message = Message::of(&outgoing, &RenderContext { name, now });
    let until = limits.work_until();
    let mut outcome = Outcome::default();
    for topic in iter::once(world.topic()).chain(world.urgent()) {
        match bounded(until, topic.publish(&message)).await {
            Some(Ok(())) => outcome.answer.published += 1,
            Some(Err(error)) => outcome.fail(Failure::TestFailed(error.to_string())),
            None => outcome.fail(Failure::TestFailed("its time was spent".to_owned())),
        }
    }
    outcome.answer.took_ms = limits.took_ms();
    outcome
}
