//! What is judged is recorded: many writes at once, and at most one for each job, so that the next view of it is judged
//! against what this one left.

use std::collections::BTreeSet;

use futures_util::future::LocalBoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};

use super::commit::{CommitOutcome, commit};
use super::deliver::describe_key;
use super::{Failure, Run};
use crate::ports::World;
use crate::watch::{Change, Item, JobId, Key, Observation};

pub(super) const WRITES: usize = 16;

#[derive(Default)]
pub(super) struct Writes<'a> {
    under_way: FuturesUnordered<LocalBoxFuture<'a, (JobId, CommitOutcome)>>,
    jobs: BTreeSet<JobId>,
}

impl Writes<'_> {
    /// The next write that ends, and what became of it. `None` if none is under way.
    pub(super) async fn next(&mut self) -> Option<(JobId, CommitOutcome)> {
        let (id, written) = self.under_way.next().await?;
        self.jobs.remove(&id);
        Some((id, written))
    }
}

impl<W: World> Run<'_, W> {
    /// Judges what was observed of a job, and starts to record what that changes.
    pub(super) async fn judge(&mut self, observation: Observation) {
        let record = self.known.records.get(observation.id());
        if let Some(change) = observation.judge(record, &self.context) {
            self.record(observation, change).await;
        }
    }

    pub(super) async fn record(&mut self, observation: Observation, change: Change) {
        self.wait_for_writes(WRITES - 1).await;
        let (world, until) = (self.world, self.limits.work_until());
        let (context, id) = (self.context, observation.id().clone());
        self.writes.jobs.insert(id.clone());
        self.writes.under_way.push(Box::pin(async move {
            let rebase = |item: Option<&Item>, _| match item {
                Some(Item::Job(record)) => observation.judge(Some(record), &context),
                Some(_) | None => observation.judge(None, &context),
            };
            (id, commit(world, until, change, rebase).await)
        }));
    }

    pub(super) async fn wait_for_write_of(&mut self, id: &JobId) {
        while self.writes.jobs.contains(id) {
            self.wait_for_writes(self.writes.under_way.len() - 1).await;
        }
    }

    pub(super) async fn wait_for_writes(&mut self, most: usize) {
        while self.writes.under_way.len() > most {
            if let Some((id, written)) = self.writes.next().await {
                self.written(Key::Job(id), written);
            }
        }
    }

    pub(super) fn written(&mut self, key: Key, written: CommitOutcome) {
        match (key, written) {
            (key, CommitOutcome::Recorded { change, is_rebased }) => {
                self.known.overtaken.extend(is_rebased.then_some(key));
                self.apply(change);
            }
            (key @ Key::Job(_), CommitOutcome::Superseded(Some(Item::Job(record)))) => {
                // What more this run records of it must not overtake what the other recorded.
                self.known.overtaken.insert(key);
                self.known.records.insert(record.job.id.clone(), *record);
            }
            (Key::Job(id), CommitOutcome::Superseded(_)) => {
                self.known.records.remove(&id);
            }
            // No more is recorded of it in this run.
            (Key::Detector(_) | Key::Watch, CommitOutcome::Superseded(_)) => {}
            (_, CommitOutcome::TimedOut) => self.has_timed_out = true,
            (key, CommitOutcome::Failed(error)) => {
                let why = format!("{}: {error}", describe_key(&key));
                self.outcome.fail(Failure::RecordFailed(why));
            }
        }
    }
}
