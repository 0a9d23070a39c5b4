//! One invocation: a payload in, an answer or an error out.
//!
//! Any JSON is a payload. `{"dry_run": true}` judges and answers, and neither writes nor publishes.
//! `{"test_notice": true}` publishes one sample, marked as a test, and does nothing else. With both, dry run
//! wins. Whatever else it holds is ignored.

use std::collections::BTreeSet;
use std::iter;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;
use tracing::{error, info};

use crate::message::{Message, Outgoing, RenderContext};
use crate::ports::{
    Claimed, Clock, Listing, Pending, Ports, PublishError, Recorded, State, Store, StoreError,
    Topic,
};
use crate::run::{Answer, Failure, Outcome, Tick, bounded, millis, run};
use crate::settings::WatchSettings;
use crate::watch::{Change, Item, Job, Key, Kind, ListedJob, Notice, NoticeId, TopicArn};

/// An invocation that failed: the first of its failures, with a stable name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failed {
    /// `StateUnreadable`, `StateTooNew`, `ListingFailed`, `ListingLooped`, `RecordFailed` or `PublishFailed`.
    pub error_type: &'static str,
    /// What went wrong, and what happens next.
    pub message: String,
}

impl From<&Failure> for Failed {
    fn from(failure: &Failure) -> Self {
        Self {
            error_type: failure.error_type(),
            message: failure.to_string(),
        }
    }
}

/// Does what the payload asks for, and logs one summary line. `measure` is told of a run, failed or not, but not
/// of a dry run or a test notice.
pub async fn invoke<L: Listing, S: Store, T: Topic, C: Clock>(
    ports: Ports<L, S, T, C>,
    tick: &Tick<'_>,
    payload: &Value,
    measure: impl FnOnce(&Outcome),
) -> Result<Answer, Failed> {
    let asks = |name: &str| payload.get(name) == Some(&Value::Bool(true));
    let (mut answer, failures) = if asks("dry_run") {
        let Ports {
            listing,
            store,
            topic,
            clock,
            ..
        } = ports;
        let ports = Ports {
            listing,
            store: ReadOnly(store),
            // Alone, so that what is for two topics is shown once.
            topic: Collected::new(topic.arn().clone()),
            urgent: None,
            clock,
        };
        // Notice by notice, however many.
        let settings = WatchSettings {
            digest_above: usize::MAX,
            ..tick.settings.clone()
        };
        let tick = Tick {
            settings: &settings,
            ..*tick
        };
        let outcome = run(&ports, &tick).await;
        let mut answer = outcome.answer;
        let would_publish = ports.topic.take();
        answer.dry_run = true;
        answer.pending += answer.published;
        answer.published = 0;
        answer.would_publish = Some(
            would_publish
                .into_iter()
                .map(|message| message.event)
                .collect(),
        );
        (answer, outcome.failures)
    } else if asks("test_notice") {
        test_notice(&ports, tick).await
    } else {
        let outcome = run(&ports, tick).await;
        measure(&outcome);
        (outcome.answer, outcome.failures)
    };
    say(&answer, &failures);
    match failures.first() {
        None => Ok(answer),
        Some(first) => {
            answer.would_publish = None;
            let others = match failures.len() {
                1 => String::new(),
                n => format!(" (and {} more)", n - 1),
            };
            let Failed {
                error_type,
                message,
            } = Failed::from(first);
            Err(Failed {
                error_type,
                message: format!("{message}{others}"),
            })
        }
    }
}

fn say(answer: &Answer, failures: &[Failure]) {
    let Answer {
        jobs,
        pages,
        complete,
        published,
        pending,
        unreadable,
        began,
        dry_run,
        took_ms,
        ..
    } = *answer;
    let notices = serde_json::to_string(&answer.notices).unwrap_or_default();
    let by_status = serde_json::to_string(&answer.by_status).unwrap_or_default();
    let failed = failures.len();
    info!(
        jobs,
        pages,
        complete,
        by_status,
        notices,
        published,
        pending,
        unreadable,
        began,
        dry_run,
        took_ms,
        failed,
        "run {}",
        if failures.is_empty() {
            "succeeded"
        } else {
            "failed"
        }
    );
}

/// Publishes a sample to each topic.
async fn test_notice<L, S, T: Topic, C: Clock>(
    ports: &Ports<L, S, T, C>,
    tick: &Tick<'_>,
) -> (Answer, Vec<Failure>) {
    let (started, now) = (Instant::now(), ports.clock.now());
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
        id: NoticeId::new(tick.source, None, Kind::Test, tick.run),
        kind: Kind::Test,
        source: tick.source.clone(),
        happened_at: now,
        recorded_at: now,
        job: Job::read(sample).ok(),
        job_seen_at: Some(now),
        incident: None,
        thread: None,
        topics: BTreeSet::new(),
        silence: None,
        found: None,
    };
    let outgoing = Outgoing {
        notice: &notice,
        job_now: None,
    };
    let context = RenderContext {
        name: tick.settings.name.as_ref(),
        now,
    };
    let message = Message::of(&outgoing, &context);
    let until = tick.work_until(started);
    let mut answer = Answer::default();
    let mut failures = Vec::new();
    for topic in iter::once(&ports.topic).chain(&ports.urgent) {
        let why = match bounded(until, topic.publish(&message)).await {
            Some(Ok(())) => {
                answer.published += 1;
                continue;
            }
            Some(Err(error)) => error.to_string(),
            None => "its time was spent".to_owned(),
        };
        let failure = Failure::TestFailed(why);
        error!(error_type = failure.error_type(), "{failure}");
        failures.push(failure);
    }
    answer.took_ms = millis(started.elapsed());
    (answer, failures)
}

/// How much of the time given is left; `None` if the deadline was past from the start, as with emulators that
/// send one in 1970.
pub fn time_given(deadline_ms: u64, now: Timestamp) -> Option<Duration> {
    let now_ms = u64::try_from(now.as_millisecond()).unwrap_or(0);
    deadline_ms
        .checked_sub(now_ms)
        .filter(|left| *left > 0)
        .map(Duration::from_millis)
}

/// A store that is read and never written: to whoever writes, all goes well.
#[derive(Clone, Debug)]
pub struct ReadOnly<S>(pub S);

impl<S: Store> Store for ReadOnly<S> {
    async fn load(&self, now: Timestamp) -> Result<State, StoreError> {
        self.0.load(now).await
    }

    async fn read(&self, key: &Key, now: Timestamp) -> Result<Option<Item>, StoreError> {
        self.0.read(key, now).await
    }

    async fn record(&self, _: &Change, _: Timestamp) -> Result<Recorded, StoreError> {
        Ok(Recorded::Done)
    }

    async fn claim(
        &self,
        _: &Pending,
        _: &str,
        _: Timestamp,
        _: Timestamp,
    ) -> Result<Claimed, StoreError> {
        Ok(Claimed::Mine)
    }

    async fn settle(&self, _: &Pending) -> Result<(), StoreError> {
        Ok(())
    }
}

/// A topic that keeps what is published.
#[derive(Debug)]
pub struct Collected {
    topic: TopicArn,
    messages: Mutex<Vec<Message>>,
}

impl Collected {
    /// Stands in for that topic.
    pub fn new(topic: TopicArn) -> Self {
        Self {
            topic,
            messages: Mutex::default(),
        }
    }

    /// Takes what was published since the last time.
    pub fn take(&self) -> Vec<Message> {
        std::mem::take(&mut self.messages.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Topic for Collected {
    fn arn(&self) -> &TopicArn {
        &self.topic
    }

    async fn ready(&self) {}

    async fn publish(&self, message: &Message) -> Result<(), PublishError> {
        self.messages
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(message.clone());
        Ok(())
    }
}
