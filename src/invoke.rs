//! One invocation: a payload in, an answer or an error out.
//!
//! Any JSON is a payload. `{"dry_run": true}` judges and answers, and neither writes nor publishes.
//! `{"test_notice": true}` publishes one sample, marked as a test, and does nothing else. With both, dry run
//! wins. Whatever else it holds is ignored.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::future::Future;
use std::iter;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::Value;
use tracing::{Instrument, info, info_span};

use crate::dry_run::dry_run;
use crate::message::{Message, Outgoing, RenderContext};
use crate::ports::{Topic, World};
use crate::run::{
    Answer, Counted, Failure, Outcome, RunInput, Subscribers, TimeLimits, bounded, run_counting,
};
use crate::settings::WatchSettings;
use crate::watch::{Job, Kind, ListedJob, Notice, NoticeId, Source, SourceKind};

/// An invocation that failed: the first of its failures, with a stable name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failed {
    /// `StateUnreadable`, `StateTooNew`, `ListingFailed`, `ListingLooped`, `RecordFailed` or `PublishFailed`.
    pub error_type: &'static str,
    /// What went wrong, with which source if there are several, and what happens next.
    pub message: String,
}

/// What an invocation is given.
#[derive(Clone, Copy, Debug)]
pub struct Invocation<'a> {
    /// What is reported, when, and how.
    pub settings: &'a WatchSettings,
    /// Its name in the log; a retry has the same.
    pub request_id: &'a str,
    /// The name of its runs, unlike that of any other.
    pub run_id: &'a str,
    /// How long it may take; without it, as long as it likes.
    pub time_given: Option<Duration>,
}

/// What is asked for.
#[derive(Clone, Copy, PartialEq)]
enum Task {
    Run,
    DryRun,
    TestNotice,
}

impl Task {
    fn of(payload: &Value) -> Self {
        let asks = |name: &str| payload.get(name) == Some(&Value::Bool(true));
        match (asks("dry_run"), asks("test_notice")) {
            (true, _) => Self::DryRun,
            (false, true) => Self::TestNotice,
            (false, false) => Self::Run,
        }
    }
}

/// Does what the payload asks for, one source after the other, each in its share of the time that is left; one that fails
/// does not stop the next. Logs a summary of each. `measure` is told of a run, failed or not, but not of a dry run or a
/// test notice.
pub async fn invoke<W: World>(
    watched: &[(Source, W)],
    invocation: &Invocation<'_>,
    payload: &Value,
    measure: impl FnOnce(&Outcome),
) -> Result<Answer, Failed> {
    let limits = TimeLimits::start(invocation.time_given);
    let task = Task::of(payload);
    let watched = match task {
        // It speaks of no job, so once is enough.
        Task::TestNotice => watched.get(..1).unwrap_or_default(),
        Task::Run | Task::DryRun => watched,
    };
    let mut outcomes = Vec::new();
    let counted = Cell::new(Counted::default());
    let mut left = u32::try_from(watched.len()).unwrap_or(u32::MAX);
    for (source, world) in watched {
        let settings = invocation.settings.of_source(source.kind());
        let input = RunInput {
            source,
            settings: &settings,
            run_id: invocation.run_id,
            time_given: limits.share(left),
        };
        let named = (watched.len() > 1).then_some(source.kind().as_str());
        let (request_id, run) = (invocation.request_id, invocation.run_id);
        let span = info_span!("run", request_id, run, source = named);
        let is_first = outcomes.is_empty();
        let subscribers = async {
            if is_first {
                counted.set(count_subscribers(world).await);
                return counted.get();
            }
            // The first opens what there is to say of the alarms. Another closes what it opened when it was the first.
            let of_alarms = counted.get().of_alarms.filter(|count| *count > 0);
            Counted {
                of_topics: None,
                of_alarms,
            }
        };
        let outcome = perform(task, world, &input, subscribers)
            .instrument(span)
            .await;
        outcomes.push((source.kind(), outcome));
        left -= 1;
    }
    let failed = failed(&outcomes);
    let outcome = Outcome::of_invocation(outcomes);
    if task == Task::Run {
        measure(&outcome);
    }
    match failed {
        Some(failed) => Err(failed),
        None => Ok(outcome.answer),
    }
}

/// `subscribers` counts those of the topics; only a run asks.
async fn perform<W: World>(
    task: Task,
    world: &W,
    input: &RunInput<'_>,
    subscribers: impl Future<Output = Counted>,
) -> Outcome {
    let outcome = match task {
        Task::Run => run_counting(world, input, subscribers).await,
        Task::DryRun => dry_run(world, input).await,
        Task::TestNotice => test_notice(world, input).await,
    };
    summarize(&outcome.answer, &outcome.failures);
    outcome
}

/// The first failure of all, and how many more there are.
fn failed(outcomes: &[(SourceKind, Outcome)]) -> Option<Failed> {
    let mut failures = outcomes.iter().flat_map(|(source, outcome)| {
        let failures = outcome.failures.iter();
        failures.map(move |failure| (source, failure))
    });
    let (source, first) = failures.next()?;
    let of = match outcomes.len() {
        1 => String::new(),
        _ => format!("{source}: "),
    };
    let others = match failures.count() {
        0 => String::new(),
        n => format!(" (and {n} more)"),
    };
    Some(Failed {
        error_type: first.error_type(),
        message: format!("{of}{first}{others}"),
    })
}

/// How many have confirmed. All sources have the same topics, so the first asks for all.
async fn count_subscribers<W: World>(world: &W) -> Counted {
    let topics = iter::once(world.topic())
        .chain(world.urgent())
        .chain(world.alarms());
    let each = join_all(topics.map(Topic::subscribers)).await;
    let of_alarms = world.alarms().and(each.last().copied().flatten());
    // If one of them does not say, a sum would seem to have fallen.
    let each: Option<Vec<u64>> = each.into_iter().collect();
    let of_topics = each.and_then(|each| {
        Some(Subscribers {
            fewest: each.iter().copied().min()?,
            all: each.iter().sum(),
        })
    });
    Counted {
        of_topics,
        of_alarms,
    }
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
    let (now, has_detectors) = (world.now(), input.source.kind().has_detectors());
    let sample = ListedJob {
        job_id: Some("test_job".to_owned()),
        status: Some("COMPLETE".to_owned()),
        start_time: Some("2021-04-19T11:20:42Z".to_owned()),
        completion_time: Some("2021-04-19T11:26:41Z".to_owned()),
        detector_name: has_detectors.then(|| "test_detector".to_owned()),
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
