//! What is seen is judged: the jobs on the pages, those that were missed and are asked for by their ids, and at the end
//! what only all of it together says.

use futures_util::stream::{self, StreamExt};
use jiff::Timestamp;
use tokio::sync::mpsc;
use tracing::warn;

use super::list::{ListingEnd, PageOrEnd};
use super::pace::Pace;
use super::{Failure, Run};
use crate::ports::{Listing, ListingError, Page, World};
use crate::watch::{Job, JobId, Key, ListedJob, Observation, judge_active_jobs};

const QUESTIONS: usize = 16;

impl<W: World> Run<'_, W> {
    /// Judges page by page as they come, until the listing ends.
    pub(super) async fn judge_pages(&mut self, mut pages: mpsc::Receiver<PageOrEnd>) {
        loop {
            tokio::select! {
                biased;
                Some((id, written)) = self.writes.next() => self.written(Key::Job(id), written),
                page = pages.recv() => match page {
                    None => break,
                    Some(Ok((asked_at, page))) => self.judge_page(asked_at, page).await,
                    Some(Err(ListingEnd::Complete)) => self.observed.is_complete = true,
                    Some(Err(ListingEnd::TimedOut)) => self.has_timed_out = true,
                    Some(Err(ListingEnd::Failed(failure))) => self.outcome.fail(failure),
                },
            }
        }
        self.wait_for_writes(0).await;
    }

    async fn judge_page(&mut self, asked_at: Timestamp, page: Page) {
        self.outcome.answer.pages += 1;
        self.observed.asked_at.get_or_insert(asked_at);
        for listed in page.jobs {
            self.outcome.answer.jobs += 1;
            if let Some(job) = self.read(listed) {
                self.observed.statuses.add(&job.status);
                self.observe(job, asked_at).await;
            }
        }
    }

    fn read(&mut self, listed: ListedJob) -> Option<Job> {
        match Job::from_listed(listed) {
            Ok(job) => Some(job.plausible_at(self.world.now())),
            Err(unreadable) => {
                self.outcome.answer.unreadable += 1;
                warn!("a listed job was passed over: {unreadable}");
                None
            }
        }
    }

    async fn observe(&mut self, job: Job, at: Timestamp) {
        self.wait_for_write_of(&job.id).await;
        let has_record = self.known.records.contains_key(&job.id);
        let context = self.context.at(at);
        let sighting = self.observed.add(job, has_record, &context);
        let Some(sighting) = sighting else { return };
        if self.known.can_judge(&Key::Job(sighting.job.id.clone())) {
            self.judge(Observation::Seen(sighting)).await;
        }
    }

    /// Asks for the known active jobs that the listing did not show.
    pub(super) async fn look_up(&mut self, pace: &Pace) {
        let missed = self.observed.missed(&self.known.records);
        let (world, until) = (self.world, self.limits.look_up_until());
        let mut answers = stream::iter(missed)
            .map(|id| async {
                let ask = async || {
                    let asked_at = world.now();
                    Ok((asked_at, world.listing().ask(&id).await?))
                };
                let answer = pace.call(until, ask).await;
                (id, answer)
            })
            .buffered(QUESTIONS);
        while let Some((id, answer)) = answers.next().await {
            match answer {
                Some(answer) => self.answered(id, answer).await,
                None => self.has_timed_out = true,
            }
        }
        drop(answers);
        self.wait_for_writes(0).await;
    }

    /// Takes in what the service answers who asks for a job, and when it was asked.
    async fn answered(
        &mut self,
        id: JobId,
        answer: Result<(Timestamp, Option<ListedJob>), ListingError>,
    ) {
        match answer {
            Ok((at, Some(listed))) => match self.read(listed) {
                Some(job) if job.id == id => self.observe(job, at).await,
                Some(other) => {
                    self.outcome.answer.unreadable += 1;
                    let (asked, got) = (id.as_str(), other.id.as_str());
                    warn!(
                        "asked for job {asked:?}, the service answered with {got:?}: nothing is concluded"
                    );
                }
                None => {}
            },
            // A partial view draws no conclusion.
            Ok((at, None)) if self.observed.is_complete => {
                self.judge(Observation::Absent(id, at)).await;
            }
            Ok((_, None)) => {}
            Err(error) => self.outcome.fail(Failure::ListingFailed(error.to_string())),
        }
    }

    /// Records what only the whole listing says of active jobs: that they are silent for too long, or overdue.
    pub(super) async fn judge_active_jobs(&mut self) {
        let context = self.context.at(self.world.now());
        let changes = judge_active_jobs(&self.observed, &self.known.records, &context);
        for (observation, change) in changes {
            self.record(observation, change).await;
        }
        self.wait_for_writes(0).await;
    }
}
