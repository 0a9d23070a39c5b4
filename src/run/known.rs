//! What is stored of the watch: loaded when a run starts, and kept up to date with what it records. Its own item is
//! written by the first run, once a listing was complete, and when it changes whether anybody hears the alarms.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;
use tracing::debug;

use super::commit::{CommitOutcome, commit};
use super::time_limits::bounded;
use super::{Failure, Run, RunInput};
use crate::ports::{Pending, Store, StoreError, Topic, UnreadableItem, World};
use crate::watch::judge::{began, first_baseline, judge_alarm_topic};
use crate::watch::{Baseline, Change, DetectorRecord, Item, JobId, Key, Record};

pub(super) struct Known {
    pub(super) baseline: Baseline,
    pub(super) records: BTreeMap<JobId, Record>,
    pub(super) detectors: BTreeMap<String, DetectorRecord>,
    pub(super) outbox: Vec<Pending>,
    pub(super) unreadable: Vec<UnreadableItem>,
    /// The items of which another run recorded something meanwhile, so that this one may not know all that is pending
    /// of them.
    pub(super) overtaken: BTreeSet<Key>,
}

/// Loads the state, and writes its first item if this is the watch's first run.
pub(super) async fn load<W: World>(
    world: &W,
    input: &RunInput<'_>,
    until: Option<Instant>,
) -> Result<Known, Failure> {
    let spent = || Failure::StateUnreadable("time was spent before it was there".to_owned());
    let loaded = bounded(until, world.store().load(world.now())).await;
    let state = loaded.ok_or_else(spent)?.map_err(Failure::load)?;
    let baseline = match state.baseline {
        Some(baseline) => baseline,
        None => begin_to_watch(world, input, until).await?,
    };
    let of_job = |record: Record| (record.job.id.clone(), record);
    let of_detector = |record: DetectorRecord| (record.name.clone(), record);
    Ok(Known {
        baseline,
        records: state.records.into_iter().map(of_job).collect(),
        detectors: state.detectors.into_iter().map(of_detector).collect(),
        outbox: state.outbox,
        unreadable: state.unreadable,
        overtaken: BTreeSet::new(),
    })
}

async fn begin_to_watch<W: World>(
    world: &W,
    input: &RunInput<'_>,
    until: Option<Instant>,
) -> Result<Baseline, Failure> {
    let first = first_baseline(world.now(), input.run_id);
    let rebase = |item: Option<&Item>, now| match item {
        Some(_) => None,
        None => Some(first_baseline(now, input.run_id)),
    };
    let item = match commit(world, until, first, rebase).await {
        CommitOutcome::Recorded { change, .. } => Some(change.item),
        CommitOutcome::Superseded(item) => item,
        CommitOutcome::TimedOut => None,
        CommitOutcome::Failed(StoreError::TooNew(text)) => return Err(Failure::StateTooNew(text)),
        CommitOutcome::Failed(StoreError::Failed(text)) => return Err(Failure::RecordFailed(text)),
    };
    match item {
        Some(Item::Watch(baseline)) => Ok(baseline),
        Some(Item::Job(_) | Item::Detector(_)) | None => Err(Failure::RecordFailed(
            "time was spent before the watch was recorded".to_owned(),
        )),
    }
}

impl Known {
    /// Whether the record that is filed under the key could be understood, if there is one.
    pub(super) fn can_judge(&self, key: &Key) -> bool {
        let mut unreadable = self.unreadable.iter();
        unreadable.all(|item| item.key.as_ref() != Some(key))
    }
}

impl<W: World> Run<'_, W> {
    /// Records that the watch began, if it had not and nothing is missing that a later run would take for news.
    pub(super) async fn begin(&mut self) {
        let has_begun = |baseline: &Baseline| baseline.began_at.is_some();
        // An incomplete listing has either.
        let is_missing_something = self.has_timed_out || !self.outcome.failures.is_empty();
        if has_begun(self.context.baseline) || is_missing_something {
            return;
        }
        let (jobs, statuses) = (self.outcome.answer.jobs, &self.observed.statuses);
        let context = self.context;
        let change =
            |baseline: &Baseline, now| began(&context.at(now).knowing(baseline), jobs, statuses);
        let rebase = |item: Option<&Item>, now| match item {
            Some(Item::Watch(baseline)) if !has_begun(baseline) => Some(change(baseline, now)),
            Some(_) | None => None,
        };
        let first = change(self.context.baseline, self.world.now());
        let written = commit(self.world, self.limits.work_until(), first, rebase).await;
        self.written(Key::Watch, written);
        self.outcome.answer.began = has_begun(&self.known.baseline);
    }

    /// Records whether the alarms are heard, if that has changed.
    pub(super) async fn judge_alarm_topic(&mut self, subscribers: Option<u64>) {
        let (context, topic) = (self.context, self.world.alarms().map(Topic::arn));
        let judge = |baseline: &Baseline, now| {
            judge_alarm_topic(topic, subscribers, &context.at(now).knowing(baseline))
        };
        let rebase = |item: Option<&Item>, now| match item {
            Some(Item::Watch(baseline)) => judge(baseline, now),
            Some(_) | None => None,
        };
        if let Some(first) = judge(&self.known.baseline, self.world.now()) {
            let written = commit(self.world, self.limits.work_until(), first, rebase).await;
            self.written(Key::Watch, written);
        }
    }

    /// Takes in a change that this run recorded.
    pub(super) fn apply(&mut self, change: Change) {
        for notice in &change.notices {
            debug!(kind = %notice.kind, event_id = %notice.id, "recorded");
            let by_kind = &mut self.outcome.answer.notices;
            *by_kind.entry(notice.kind.to_string()).or_default() += 1;
        }
        self.known.outbox.extend(change.pending());
        let rev = change.item.rev();
        match change.item {
            Item::Watch(baseline) => self.known.baseline = baseline,
            Item::Job(record) => {
                debug!(job = record.job.id.as_str(), phase = ?record.phase, rev, "recorded");
                self.known.records.insert(record.job.id.clone(), *record);
            }
            Item::Detector(record) => {
                debug!(detector = record.name, rev, "recorded");
                self.known.detectors.insert(record.name.clone(), *record);
            }
        }
    }
}
