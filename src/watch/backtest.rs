//! What would have been reported as late in the past: each job that ended, and each deadline, is judged by the rules of a
//! run and by what had ended before, as if runs had looked all the time.
//!
//! A listing keeps only how a job ended. So each job is taken to have shown life all the time, and to have had all its
//! records from the start.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use serde::Serialize;

use super::detector::{ANY_DETECTOR, Completion, DetectorJobs, DetectorRecord};
use super::history::{History, Usual};
use super::job::{End, Job, JobId};
use super::judge::{Change, RunContext, SAME_START, judge_detector, overdue_limit};
use super::kind::Kind;
use super::life::has_processed;
use super::notice::Notice;
use super::record::Item;

/// What would have been reported as late.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Backtest {
    /// The earliest time that is known of any job.
    pub from: Timestamp,
    /// Until when the past was judged.
    pub until: Timestamp,
    /// Whether the listings were complete. If not, nothing is known to be usual, or missing.
    pub complete: bool,
    /// The jobs that ran and ended, in the order of their ends.
    pub jobs: Vec<JudgedJob>,
    /// How many deadlines passed; absent if nothing is expected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadlines: Option<u64>,
    /// Those of them by which nothing had completed, in their order.
    pub missed: Vec<Missed>,
}

/// A job that ran and ended, and whether it would have been overdue before that.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct JudgedJob {
    /// The job.
    #[serde(flatten)]
    pub job: Job,
    /// When it could begin: its start, or the end of the job before it.
    pub since: Timestamp,
    /// How long it took from then on, in seconds.
    pub taken_s: i64,
    /// What was usual then for jobs like it; absent if too little was known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usual: Option<Usual>,
    /// How long it might take before it was overdue, in seconds; absent if as long as it liked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_s: Option<i64>,
    /// When it would have been reported as overdue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overdue_at: Option<Timestamp>,
}

/// A deadline by which no job had completed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Missed {
    /// The detector as EXPECT names it; `*` is any.
    pub detector: String,
    /// The deadline.
    pub by: Timestamp,
    /// The deadline as people read it, in the zone that EXPECT gives.
    pub local: String,
    /// The job that completed after all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arrived: Option<Completion>,
}

/// Views of jobs, the oldest first, as one history: of each job the latest view.
pub fn latest_views(views: impl IntoIterator<Item = Job>) -> Vec<Job> {
    let mut jobs: BTreeMap<JobId, Vec<Job>> = BTreeMap::new();
    for view in views {
        let same_id = jobs.entry(view.id.clone()).or_default();
        match same_id.iter_mut().rev().find(|job| is_same(job, &view)) {
            Some(job) => *job = view,
            None => same_id.push(view),
        }
    }
    jobs.into_values().flatten().collect()
}

/// A missing start matches any.
fn is_same(one: &Job, other: &Job) -> bool {
    match (one.started_at, other.started_at) {
        (Some(one), Some(other)) => one.duration_since(other).abs() < SAME_START,
        (None, _) | (_, None) => true,
    }
}

/// Judges the past of these jobs, until now.
pub fn backtest(jobs: &[Job], is_complete: bool, context: &RunContext<'_>) -> Backtest {
    let times = jobs
        .iter()
        .flat_map(|job| [job.started_at, job.finished_at()]);
    let from = times.flatten().min().unwrap_or(context.now);
    let mut ended: Vec<_> = jobs.iter().filter(|job| job.end().is_some()).collect();
    ended.sort_by_key(|job| (job.finished_at(), &job.id));
    let expect = &context.policy.expect;
    let mut missed = Vec::new();
    let mut deadlines = 0;
    for name in expect.names() {
        let mut past = DetectorPast::new(name, &ended);
        past.judge(from, is_complete, context);
        deadlines += past.deadlines;
        missed.append(&mut past.missed);
    }
    missed.sort_by_key(|missed| missed.by);
    Backtest {
        from,
        until: context.now,
        complete: is_complete,
        jobs: judged_jobs(&ended, is_complete, context),
        deadlines: (!expect.is_empty()).then_some(deadlines),
        missed,
    }
}

/// Judges each job by those that ended before it.
fn judged_jobs(ended: &[&Job], is_complete: bool, context: &RunContext<'_>) -> Vec<JudgedJob> {
    let mut history = History::new(context.source.kind());
    let mut before: Vec<&Job> = Vec::new();
    let mut judged = Vec::new();
    for job in ended.iter().filter(|job| job.completed_at.is_some()) {
        let usual = |until| is_complete.then(|| history.usual(job, until)).flatten();
        judged.extend(judged_job(job, &before, usual, context));
        history.add(job);
        before.push(job);
    }
    judged
}

/// Judges a job in the time that it had to itself: what must have had its turn before it made it wait, and the end of
/// any other began its time anew. One without a start or an end cannot be judged, nor one that may never have run.
fn judged_job(
    job: &Job,
    before: &[&Job],
    usual: impl Fn(Timestamp) -> Option<Usual>,
    context: &RunContext<'_>,
) -> Option<JudgedJob> {
    let (started_at, ended_at) = (job.started_at?, job.completed_at?);
    if !has_run(job) {
        return None;
    }
    let end = |other: &Job| other.completed_at.unwrap_or(started_at);
    // Where many run at once, none waits for another.
    let has_queue = context.source.kind().runs_one_at_a_time();
    let latest_first = before.iter().rev().filter(|_| has_queue);
    let mut meanwhile = latest_first
        .skip_while(|other| end(other).as_second() >= ended_at.as_second())
        .take_while(|other| end(other) > started_at);
    // From the last stretch of its time back to the first: the first in which it was overdue counts.
    let (mut until, mut judged) = (ended_at, None);
    loop {
        let other = meanwhile.next();
        let since = other.map_or(started_at, |other| end(other));
        let usual = usual(until);
        let limit = overdue_limit(context.policy, || usual);
        let limit_passes_at = limit.and_then(|limit| since.checked_add(limit).ok());
        let past = JudgedJob {
            job: job.clone(),
            since,
            taken_s: ended_at.duration_since(since).as_secs(),
            usual,
            limit_s: limit.map(|limit| limit.as_secs()),
            overdue_at: limit_passes_at.filter(|at| *at < until),
        };
        if judged.is_none() || past.overdue_at.is_some() {
            judged = Some(past);
        }
        if other.is_none_or(|other| is_ahead_of(other, job)) {
            return judged;
        }
        until = since;
    }
}

/// Whether a job is known to have run.
fn has_run(job: &Job) -> bool {
    job.end() == Some(End::Completed) || has_processed(job)
}

/// Whether a job that ended first must have had its turn before the other.
fn is_ahead_of(first: &Job, other: &Job) -> bool {
    has_run(first) || first.started_at <= other.started_at
}

/// A detector that EXPECT names, in the past.
struct DetectorPast<'a> {
    name: &'a str,
    /// What is still to come of its jobs, in the order of their ends.
    coming: VecDeque<&'a Job>,
    seen: DetectorJobs,
    record: Option<DetectorRecord>,
    deadlines: u64,
    missed: Vec<Missed>,
}

impl<'a> DetectorPast<'a> {
    fn new(name: &'a str, ended: &[&'a Job]) -> Self {
        let is_its = |job: &Job| name == ANY_DETECTOR || job.detector.as_deref() == Some(name);
        let has_end = |job: &Job| job.finished_at().is_some();
        let its = ended.iter().copied();
        Self {
            name,
            coming: its.filter(|job| is_its(job) && has_end(job)).collect(),
            seen: DetectorJobs::default(),
            record: None,
            deadlines: 0,
            missed: Vec::new(),
        }
    }

    /// Looks from `from` until now whenever a job ends or a deadline passes.
    fn judge(&mut self, from: Timestamp, is_complete: bool, context: &RunContext<'_>) {
        let mut next = Some(from);
        while let Some(now) = next.filter(|next| *next <= context.now) {
            while let Some(job) = self
                .coming
                .pop_front_if(|job| job.finished_at() <= Some(now))
            {
                self.seen.add(job);
            }
            let (record, at) = (self.record.as_ref(), context.at(now));
            let listed_at = is_complete.then_some(now);
            if let Some(change) = judge_detector(record, self.name, &self.seen, listed_at, &at) {
                self.apply(change);
            }
            let deadline = context.policy.expect.next_deadline(self.name, now);
            let end = self.coming.front().and_then(|job| job.finished_at());
            let both = [deadline.map(|deadline| deadline.at), end];
            next = both.into_iter().flatten().min();
        }
    }

    fn apply(&mut self, change: Change) {
        if let Item::Detector(record) = change.item {
            let concluded = self.record.as_ref().and_then(|before| before.concluded);
            self.deadlines += u64::from(record.concluded != concluded);
            self.record = Some(*record);
        }
        for Notice { kind, expected, .. } in change.notices {
            match (kind, expected) {
                (Kind::Missing, Some(expected)) => self.missed.push(Missed {
                    detector: expected.detector,
                    by: expected.by,
                    local: expected.local,
                    arrived: None,
                }),
                (Kind::Arrived, Some(expected)) => {
                    let missed = self.missed.iter_mut().rev();
                    for missed in missed.take_while(|missed| missed.arrived.is_none()) {
                        missed.arrived.clone_from(&expected.last_completed);
                    }
                }
                (_, _) => {}
            }
        }
    }
}
