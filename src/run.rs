//! One run, and the only place that orders effects.
//!
//! Load the state and list the jobs, both started together; record each change as it comes; ask by id for known
//! active jobs that were not listed; judge silences; deliver all that is pending, by this run or an earlier one:
//! claim, publish, settle. Whatever dies in between, what is recorded stays pending until it was published.

mod commit;
mod deliver;
mod list;
mod outcome;
mod pace;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use futures_util::stream::{self, FuturesUnordered, StreamExt};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{debug, error, warn};

use commit::{Commit, commit};
use list::{Listed, list};
pub use outcome::{Answer, Failure, Gauges, Outcome};
use pace::Pace;

use crate::ports::{Clock, Listing, Page, Pending, Ports, Store, StoreError, Topic};
use crate::settings::WatchSettings;
use crate::watch::judge::{self, RunContext, judge, judge_absence, judge_silence};
use crate::watch::life::sign_of_life;
use crate::watch::queue::Ends;
use crate::watch::{
    Baseline, Change, Item, Job, JobId, Phase, Queue, Record, Source, Status, Topics,
};

/// Writes under way at once.
const WRITES: usize = 16;
/// Pages that may wait for the state to be loaded.
const PAGES_AHEAD: usize = 16;
/// As many statuses are told apart: those that are not known here are the service's text, of any number.
const STATUSES: usize = 100;
/// How long the number of subscribers may take.
const SUBSCRIBERS: Duration = Duration::from_secs(5);
/// What is kept of the time given, to answer in.
const ANSWER_MARGIN: Duration = Duration::from_millis(500);

/// What one run is told.
#[derive(Clone, Copy, Debug)]
pub struct Tick<'a> {
    /// Whose jobs.
    pub source: &'a Source,
    /// What is told, when, and how.
    pub settings: &'a WatchSettings,
    /// The name of this run, unlike that of any other: it owns the claims that the run makes.
    pub run: &'a str,
    /// How long the run may take; without it, as long as it likes.
    pub time_given: Option<Duration>,
}

impl Tick<'_> {
    /// When all that a run does must have ended.
    pub(crate) fn work_until(&self, started: Instant) -> Option<Instant> {
        let given = self.time_given?;
        Some(started + given.saturating_sub(ANSWER_MARGIN))
    }
}

/// Runs once.
pub async fn run<L: Listing, S: Store, T: Topic, C: Clock>(
    ports: &Ports<L, S, T, C>,
    tick: &Tick<'_>,
) -> Outcome {
    let mut run = Run::new(ports, tick);
    let subscribers = bounded(run.subscribers_until(), subscribers(ports));
    let work = async {
        if run.load_and_list().await {
            run.ask().await;
            run.weigh_silences().await;
            run.begin().await;
        }
        run.deliver().await;
    };
    let ((), subscribers) = tokio::join!(biased; work, subscribers);
    run.finish(subscribers.flatten())
}

/// What is asked about a job, so that it can be asked again against another record.
#[derive(Clone)]
enum Question {
    Seen(Rc<Job>),
    Silent(Rc<Job>, Rc<Option<Queue>>),
    Absent,
}

impl Question {
    fn judge(
        &self,
        record: Option<&Record>,
        now: Timestamp,
        context: &RunContext<'_>,
    ) -> Option<Change> {
        match (self, record) {
            (Self::Seen(job), record) => judge(record, job, now, context),
            (Self::Silent(job, queue), Some(record)) => {
                judge_silence(record, job, now, context, queue.as_ref().as_ref())
            }
            (Self::Absent, Some(record)) => judge_absence(record, now, context),
            (Self::Silent(..) | Self::Absent, None) => None,
        }
    }
}

/// A known job, and whether this run has seen it.
struct Known {
    record: Record,
    seen: bool,
}

/// An active job as this run saw it, and when it asked.
struct Sighting {
    job: Rc<Job>,
    at: Timestamp,
}

/// The writes under way: at most one for each job, so that the next view of it meets what this one left.
#[derive(Default)]
struct Writes<'a> {
    futures: FuturesUnordered<LocalBoxFuture<'a, (JobId, Commit)>>,
    jobs: BTreeSet<JobId>,
}

struct Run<'a, L, S, T, C> {
    ports: &'a Ports<L, S, T, C>,
    tick: &'a Tick<'a>,
    started: Instant,
    list_until: Option<Instant>,
    work_until: Option<Instant>,
    /// Of the listing, and of the questions by id.
    pace: Rc<Pace>,
    topics: Topics,
    baseline: Option<Baseline>,
    known: BTreeMap<JobId, Known>,
    /// What is stored and cannot be understood, and the jobs that are not judged because of it.
    unreadable: Vec<StoreError>,
    unjudged: BTreeSet<JobId>,
    /// The active jobs that this run saw: they are few.
    active: BTreeMap<JobId, Sighting>,
    ends: Ends,
    pending: Vec<Pending>,
    /// The jobs of which another run recorded something meanwhile, so that this one may not know all that is pending.
    overtaken: BTreeSet<JobId>,
    answer: Answer,
    failures: Vec<Failure>,
    /// Time was spent before everything was judged.
    spent: bool,
}

impl<'a, L: Listing, S: Store, T: Topic, C: Clock> Run<'a, L, S, T, C> {
    fn new(ports: &'a Ports<L, S, T, C>, tick: &'a Tick<'a>) -> Self {
        let started = Instant::now();
        let reserve = |given: Duration| (given / 3).min(Duration::from_secs(60));
        Self {
            ports,
            tick,
            started,
            list_until: tick
                .time_given
                .map(|given| started + given.saturating_sub(reserve(given))),
            work_until: tick.work_until(started),
            pace: Rc::default(),
            topics: ports.topics(),
            baseline: None,
            known: BTreeMap::new(),
            unreadable: Vec::new(),
            unjudged: BTreeSet::new(),
            active: BTreeMap::new(),
            ends: Ends::default(),
            pending: Vec::new(),
            overtaken: BTreeSet::new(),
            answer: Answer::default(),
            failures: Vec::new(),
            spent: false,
        }
    }

    /// Nothing waits longer than this for the number of subscribers.
    fn subscribers_until(&self) -> Option<Instant> {
        let until = self.started + SUBSCRIBERS;
        Some(
            self.work_until
                .map_or(until, |work_until| work_until.min(until)),
        )
    }

    /// The questions by id end in the middle of what is left after the listing: delivery needs its time, however long
    /// the service refuses to answer.
    fn ask_until(&self) -> Option<Instant> {
        let (list_until, work_until) = (self.list_until?, self.work_until?);
        let left = work_until.saturating_duration_since(list_until);
        Some(work_until.min(list_until + left / 2))
    }

    fn finish(mut self, subscribers: Option<u64>) -> Outcome {
        for failure in Failure::unreadable(std::mem::take(&mut self.unreadable)) {
            self.fail(failure);
        }
        let now = self.ports.clock.now();
        let age = |at: Timestamp| now.duration_since(at).max(SignedDuration::ZERO);
        let signs = self.active.values().filter_map(|Sighting { job, .. }| {
            let record = &self.known.get(&job.id)?.record;
            (record.phase == Phase::Active).then(|| age(sign_of_life(record, job, now)))
        });
        let pending = self
            .pending
            .iter()
            .map(|pending| age(pending.notice.recorded_at));
        let gauges = Gauges {
            oldest_pending: pending.max().unwrap_or_default(),
            oldest_sign_of_life: signs.max(),
            subscribers,
        };
        self.answer.pending = self.pending.len() as u64;
        self.answer.took_ms = millis(self.started.elapsed());
        self.answer.complete &= !self.spent;
        Outcome {
            answer: self.answer,
            gauges,
            failures: self.failures,
        }
    }

    fn fail(&mut self, failure: Failure) {
        error!(error_type = failure.error_type(), "{failure}");
        self.failures.push(failure);
    }

    /// Loads and lists side by side, and judges page by page. False if nothing could be judged.
    async fn load_and_list(&mut self) -> bool {
        let (sender, mut pages) = mpsc::channel(PAGES_AHEAD);
        let (ports, pace) = (self.ports, Rc::clone(&self.pace));
        let listing = list(&ports.listing, &ports.clock, &pace, sender, self.list_until);
        let judging = async {
            let Some(baseline) = self.load().await else {
                // The listing ends when nobody takes its pages.
                pages.close();
                return false;
            };
            self.baseline = Some(baseline.clone());
            self.judge_pages(&mut pages, &baseline).await;
            true
        };
        let (listed, judged) = tokio::join!(biased; listing, judging);
        match listed {
            Listed::Whole => self.answer.complete = judged,
            Listed::Spent => self.spent = true,
            Listed::Failed(failure) => self.fail(failure),
        }
        judged
    }

    /// Loads the state, and writes its first item if this is the watch's first run.
    async fn load(&mut self) -> Option<Baseline> {
        let store = &self.ports.store;
        let now = self.ports.clock.now();
        let state = match bounded(self.list_until, store.load(now)).await {
            Some(Ok(state)) => state,
            Some(Err(error)) => {
                self.fail(Failure::load(error));
                return None;
            }
            None => {
                self.fail(Failure::StateUnreadable(
                    "time was spent before it was there".to_owned(),
                ));
                return None;
            }
        };
        for record in state.records {
            self.known.insert(
                record.job.id.clone(),
                Known {
                    record,
                    seen: false,
                },
            );
        }
        self.pending = state.outbox;
        for item in state.unreadable {
            self.unjudged.extend(item.job);
            self.unreadable.push(item.error);
        }
        if let Some(baseline) = state.baseline {
            return Some(baseline);
        }
        let first = judge::first_baseline(now, self.tick.run);
        let anew = |item: Option<&Item>, now| match item {
            Some(_) => None,
            None => Some(judge::first_baseline(now, self.tick.run)),
        };
        match commit(self.ports, self.list_until, first, anew).await {
            Commit::Made(Change {
                item: Item::Watch(baseline),
                ..
            })
            | Commit::MadeAnew(Change {
                item: Item::Watch(baseline),
                ..
            })
            | Commit::Moot(Some(Item::Watch(baseline))) => Some(baseline),
            Commit::Failed(StoreError::TooNew(text)) => {
                self.fail(Failure::StateTooNew(text));
                None
            }
            Commit::Failed(StoreError::Failed(text)) => {
                self.fail(Failure::RecordFailed(text));
                None
            }
            Commit::Made(_) | Commit::MadeAnew(_) | Commit::Moot(_) | Commit::Spent => {
                self.fail(Failure::RecordFailed(
                    "time was spent before the watch was recorded".to_owned(),
                ));
                None
            }
        }
    }

    async fn judge_pages(
        &mut self,
        pages: &mut mpsc::Receiver<(Timestamp, Page)>,
        baseline: &Baseline,
    ) {
        let mut writes = Writes::default();
        loop {
            tokio::select! {
                biased;
                Some(written) = writes.futures.next() => self.written(&mut writes, written),
                page = pages.recv() => match page {
                    None => break,
                    Some((asked_at, page)) => {
                        self.answer.pages += 1;
                        for listed in page.jobs {
                            self.answer.jobs += 1;
                            if let Some(job) = self.read(listed) {
                                self.count(&job.status);
                                self.see(&mut writes, job, asked_at, baseline).await;
                            }
                        }
                    }
                },
            }
        }
        self.drain(&mut writes, 0).await;
    }

    fn read(&mut self, listed: crate::watch::ListedJob) -> Option<Job> {
        match Job::read(listed) {
            Ok(job) => Some(job.plausible_at(self.ports.clock.now())),
            Err(unreadable) => {
                self.answer.unreadable += 1;
                warn!("a listed job was passed over: {unreadable}");
                None
            }
        }
    }

    fn count(&mut self, status: &Status) {
        let by_status = &mut self.answer.by_status;
        let is_known = !matches!(status, Status::Other(_));
        let name = match by_status.contains_key(status.name()) {
            false if !is_known && by_status.len() >= STATUSES => "(others)",
            true | false => status.name(),
        };
        match by_status.get_mut(name) {
            Some(count) => *count += 1,
            None => {
                by_status.insert(name.to_owned(), 1);
            }
        }
    }

    /// Judges a job that is seen.
    async fn see(&mut self, writes: &mut Writes<'a>, job: Job, at: Timestamp, baseline: &Baseline) {
        let end = job.end();
        if let Some(end) = end {
            self.ends.add(end, job.completed_at);
        }
        while writes.jobs.contains(&job.id) {
            self.drain(writes, writes.futures.len().saturating_sub(1))
                .await;
        }
        if let Some(known) = self.known.get_mut(&job.id) {
            known.seen = true;
        } else if end.is_some() && job.finished_at().is_some_and(|at| at <= baseline.since) {
            // History: by far the most, and judged as such without more ado.
            return;
        }
        let job = Rc::new(job);
        if end.is_none() && !job.is_unclear() {
            self.active.insert(
                job.id.clone(),
                Sighting {
                    job: Rc::clone(&job),
                    at,
                },
            );
        }
        if !self.unjudged.contains(&job.id) {
            self.put(writes, job.id.clone(), Question::Seen(job), at, baseline)
                .await;
        }
    }

    fn context<'t>(&'t self, baseline: &'t Baseline) -> RunContext<'t> {
        context(self.tick, &self.topics, baseline)
    }

    /// Judges, and starts to write what it makes.
    async fn put(
        &mut self,
        writes: &mut Writes<'a>,
        id: JobId,
        question: Question,
        now: Timestamp,
        baseline: &Baseline,
    ) {
        let record = self.known.get(&id).map(|known| &known.record);
        let Some(change) = question.judge(record, now, &self.context(baseline)) else {
            return;
        };
        self.drain(writes, WRITES - 1).await;
        let (ports, tick, until) = (self.ports, self.tick, self.work_until);
        let (baseline, topics) = (baseline.clone(), self.topics.clone());
        writes.jobs.insert(id.clone());
        writes.futures.push(Box::pin(async move {
            let context = context(tick, &topics, &baseline);
            let anew = |item: Option<&Item>, _| {
                let record = match item {
                    Some(Item::Job(record)) => Some(record.as_ref()),
                    Some(Item::Watch(_)) | None => None,
                };
                question.judge(record, now, &context)
            };
            (id, commit(ports, until, change, anew).await)
        }));
    }

    /// Waits until at most `most` writes are under way.
    async fn drain(&mut self, writes: &mut Writes<'a>, most: usize) {
        while writes.futures.len() > most {
            if let Some(written) = writes.futures.next().await {
                self.written(writes, written);
            }
        }
    }

    /// Takes in what became of a write.
    fn written(&mut self, writes: &mut Writes<'a>, (id, commit): (JobId, Commit)) {
        writes.jobs.remove(&id);
        match commit {
            Commit::Made(change) => self.made(change),
            Commit::MadeAnew(change) => {
                self.overtaken.insert(id);
                self.made(change);
            }
            Commit::Moot(Some(Item::Job(record))) => {
                self.known.insert(
                    id,
                    Known {
                        record: *record,
                        seen: true,
                    },
                );
            }
            Commit::Moot(Some(Item::Watch(_)) | None) => {
                self.known.remove(&id);
            }
            Commit::Spent => self.spent = true,
            Commit::Failed(error) => self.fail(Failure::RecordFailed(format!(
                "job {:?}: {error}",
                id.as_str()
            ))),
        }
    }

    fn made(&mut self, change: Change) {
        let rev = change.item.rev();
        for (place, notice) in change.notices.iter().enumerate() {
            debug!(kind = %notice.kind, event_id = %notice.id, "recorded");
            *self
                .answer
                .notices
                .entry(notice.kind.to_string())
                .or_default() += 1;
            self.pending
                .extend(notice.topics.iter().map(|topic| Pending {
                    notice: notice.clone(),
                    topic: topic.clone(),
                    order: (rev, place as u64),
                }));
        }
        match change.item {
            Item::Watch(baseline) => self.baseline = Some(baseline),
            Item::Job(record) => {
                debug!(job = record.job.id.as_str(), phase = ?record.phase, rev, "recorded");
                self.known.insert(
                    record.job.id.clone(),
                    Known {
                        record: *record,
                        seen: true,
                    },
                );
            }
        }
    }

    /// Asks for the known active jobs that the listing did not show.
    async fn ask(&mut self) {
        let Some(baseline) = self.baseline.clone() else {
            return;
        };
        let is_missing = |known: &Known| !known.seen && known.record.phase == Phase::Active;
        let missing: Vec<_> = self
            .known
            .values()
            .filter(|known| is_missing(known))
            .map(|known| known.record.job.id.clone())
            .collect();
        let (ports, until, pace) = (self.ports, self.ask_until(), Rc::clone(&self.pace));
        let mut answers = stream::iter(missing)
            .map(|id| async {
                let ask = async || {
                    let asked_at = ports.clock.now();
                    Ok((asked_at, ports.listing.ask(&id).await?))
                };
                let answer = pace.call(until, ask).await;
                (id, answer)
            })
            .buffered(WRITES);
        let mut writes = Writes::default();
        while let Some((id, answer)) = answers.next().await {
            match answer {
                Some(Ok((at, Some(listed)))) => match self.read(listed) {
                    Some(job) if job.id == id => {
                        self.see(&mut writes, job, at, &baseline).await;
                    }
                    Some(other) => {
                        self.answer.unreadable += 1;
                        let (asked, got) = (id.as_str(), other.id.as_str());
                        warn!(
                            "asked for job {asked:?}, the service answered with {got:?}: nothing is concluded"
                        );
                    }
                    None => {}
                },
                // A partial view draws no conclusion.
                Some(Ok((at, None))) if self.answer.complete => {
                    self.put(&mut writes, id, Question::Absent, at, &baseline)
                        .await
                }
                Some(Ok((_, None))) => {}
                Some(Err(error)) => self.fail(Failure::ListingFailed(error.to_string())),
                None => self.spent = true,
            }
        }
        drop(answers);
        self.drain(&mut writes, 0).await;
    }

    /// Judges the silence of the active jobs, now that the listing says who waits for whom.
    async fn weigh_silences(&mut self) {
        let Some(baseline) = self.baseline.clone() else {
            return;
        };
        // Of who waits for whom only a whole listing tells.
        let queue = Rc::new(self.answer.complete.then(|| self.queue()));
        let mut writes = Writes::default();
        let seen: Vec<_> = self
            .active
            .values()
            .map(|it| (Rc::clone(&it.job), it.at))
            .collect();
        for (job, at) in seen {
            let question = Question::Silent(Rc::clone(&job), Rc::clone(&queue));
            self.put(&mut writes, job.id.clone(), question, at, &baseline)
                .await;
        }
        self.drain(&mut writes, 0).await;
    }

    fn queue(&self) -> Queue {
        let record = |id: &JobId| self.known.get(id).map(|known| &known.record);
        let seen = self.active.values();
        Queue::new(
            seen.map(|Sighting { job, .. }| (job.as_ref(), record(&job.id))),
            self.known.values().map(|known| {
                (
                    &known.record,
                    self.active.contains_key(&known.record.job.id),
                )
            }),
            self.ends,
            self.ports.clock.now(),
            self.tick.settings.policy.stall_after,
        )
    }

    /// Records that the watch began, when its first listing was complete.
    async fn begin(&mut self) {
        let Some(baseline) = self
            .baseline
            .clone()
            .filter(|baseline| baseline.began_at.is_none())
        else {
            return;
        };
        // Nothing may be missing that a later run would take for news.
        if !self.answer.complete || self.spent || !self.failures.is_empty() {
            return;
        }
        let (tick, topics) = (self.tick, self.topics.clone());
        let (jobs, by_status) = (self.answer.jobs, self.answer.by_status.clone());
        let change = |baseline: &Baseline, now| {
            judge::began(&context(tick, &topics, baseline), now, jobs, &by_status)
        };
        let anew = |item: Option<&Item>, now| match item {
            Some(Item::Watch(baseline)) if baseline.began_at.is_none() => {
                Some(change(baseline, now))
            }
            Some(_) | None => None,
        };
        let first = change(&baseline, self.ports.clock.now());
        match commit(self.ports, self.work_until, first, anew).await {
            Commit::Made(change) | Commit::MadeAnew(change) => {
                self.made(change);
                self.answer.began = true;
            }
            Commit::Moot(_) => {}
            Commit::Spent => self.spent = true,
            Commit::Failed(error) => {
                self.fail(Failure::RecordFailed(format!("the watch: {error}")))
            }
        }
    }
}

fn context<'t>(tick: &'t Tick<'_>, topics: &'t Topics, baseline: &'t Baseline) -> RunContext<'t> {
    RunContext {
        source: tick.source,
        policy: &tick.settings.policy,
        topics,
        baseline,
        run: tick.run,
    }
}

/// How many have confirmed, of the topic that has fewer.
async fn subscribers<L, S, T: Topic, C>(ports: &Ports<L, S, T, C>) -> Option<u64> {
    let urgent = async {
        match &ports.urgent {
            Some(topic) => topic.subscribers().await,
            None => None,
        }
    };
    let (all, urgent) = tokio::join!(ports.topic.subscribers(), urgent);
    all.into_iter().chain(urgent).min()
}

/// In whole milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What the future gives, or `None` if it takes longer than until then.
pub(crate) async fn bounded<F: Future>(until: Option<Instant>, future: F) -> Option<F::Output> {
    match until {
        Some(until) => tokio::time::timeout_at(until, future).await.ok(),
        None => Some(future.await),
    }
}
