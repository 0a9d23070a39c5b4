//! The watch begins, once a listing was complete.

use super::commit::{CommitOutcome, commit};
use super::{Failure, Run};
use crate::ports::World;
use crate::watch::judge::began;
use crate::watch::{Baseline, Item};

impl<W: World> Run<'_, W> {
    /// Records that the watch began, if it had not and nothing is missing that a later run would take for news.
    pub(super) async fn begin(&mut self) {
        let has_begun = |baseline: &Baseline| baseline.began_at.is_some();
        // An incomplete listing has either.
        let is_missing_something = self.has_timed_out || !self.outcome.failures.is_empty();
        if has_begun(self.context.baseline) || is_missing_something {
            return;
        }
        let change = |now| {
            let jobs = self.outcome.answer.jobs;
            began(&self.context.at(now), jobs, &self.observed.statuses)
        };
        let rebase = |item: Option<&Item>, now| match item {
            Some(Item::Watch(baseline)) if !has_begun(baseline) => Some(change(now)),
            Some(_) | None => None,
        };
        let first = change(self.world.now());
        match commit(self.world, self.deadlines.work_until(), first, rebase).await {
            CommitOutcome::Recorded { change, .. } => {
                self.apply(change);
                self.outcome.answer.began = true;
            }
            CommitOutcome::Superseded(_) => {}
            CommitOutcome::TimedOut => self.has_timed_out = true,
            CommitOutcome::Failed(error) => self
                .outcome
                .fail(Failure::RecordFailed(format!("the watch: {error}"))),
        }
    }
}
