//! Judging what was expected of detectors by now, once the listing has ended.

use std::collections::BTreeSet;

use futures_util::stream::{self, StreamExt};

use super::Run;
use super::commit::commit;
use super::known::Known;
use super::writes::WRITES;
use crate::ports::World;
use crate::watch::judge::judge_detector;
use crate::watch::{Item, Key, Policy};

/// The detectors that EXPECT names, and those of which something is missing.
pub(super) fn names(policy: &Policy, known: &Known) -> BTreeSet<String> {
    let named = policy.expect.names().map(str::to_owned);
    let known = known.detectors.values();
    let missing = known.filter(|record| record.missing.is_some());
    named
        .chain(missing.map(|record| record.name.clone()))
        .collect()
}

impl<W: World> Run<'_, W> {
    /// Judges each of them, and records what changes.
    pub(super) async fn judge_detectors(&mut self) {
        let (world, until) = (self.world, self.limits.work_until());
        let context = self.context.at(world.now());
        // A deadline that passed meanwhile is for the next run: a page that was asked for before does not know what has
        // completed since.
        let asked_at = self.observed.asked_at;
        let listed_at = asked_at.filter(|_| self.observed.is_complete);
        let seen = self.observed.detectors(&self.known.records);
        let mut changes = Vec::new();
        for (name, jobs) in seen {
            let record = self.known.detectors.get(&name);
            let change = judge_detector(record, &name, &jobs, listed_at, &context);
            let can_judge = self.known.can_judge(&Key::Detector(name.clone()));
            changes.extend(
                change
                    .filter(|_| can_judge)
                    .map(|change| (name, jobs, change)),
            );
        }
        let written: Vec<_> = stream::iter(changes)
            .map(|(name, jobs, change)| async move {
                let rebase = |item: Option<&Item>, now| {
                    let record = match item {
                        Some(Item::Detector(record)) => Some(record.as_ref()),
                        Some(_) | None => None,
                    };
                    judge_detector(record, &name, &jobs, listed_at, &context.at(now))
                };
                let written = commit(world, until, change, rebase).await;
                (name, written)
            })
            .buffered(WRITES)
            .collect()
            .await;
        for (name, written) in written {
            self.written(Key::Detector(name), written);
        }
    }
}
