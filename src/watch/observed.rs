//! What a run observed of the jobs, and what only all of it together says: who was missed, and who has been silent for
//! too long.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use jiff::Timestamp;

use super::detector::{ANY_DETECTOR, DetectorJobs};
use super::history::History;
use super::job::{Job, JobId};
use super::judge::{
    Change, RunContext, is_history, judge, judge_absence, judge_overdue, judge_silence,
};
use super::life::sign_of_life;
use super::queue::{LatestEnds, Queue};
use super::record::{Phase, Record};
use super::source::SourceKind;
use super::status_counts::StatusCounts;

/// A job as the service showed it, and when it was asked.
#[derive(Clone, Debug)]
pub struct Sighting {
    /// The job.
    pub job: Rc<Job>,
    /// When the service was asked.
    pub at: Timestamp,
}

/// What the listing as a whole showed of all jobs.
#[derive(Clone, Debug, Default)]
pub struct Overview {
    /// Who waits for whom; only of a complete listing.
    pub queue: Option<Queue>,
    /// When the latest of all jobs ended: before that, none that is active could begin.
    pub latest_end: Option<Timestamp>,
    /// How long jobs took; only of a complete listing.
    pub history: Option<Rc<History>>,
}

/// What was observed of one job. It is judged against the job's record, and once more if another run has changed that
/// meanwhile.
#[derive(Clone, Debug)]
pub enum Observation {
    /// It was seen.
    Seen(Sighting),
    /// It was seen and is active, and this is what the listing as a whole showed.
    Active(Sighting, Rc<Overview>),
    /// A complete listing did not show it, and when it was asked for by its id, it was not found.
    Absent(JobId, Timestamp),
}

impl Observation {
    /// Whose observation it is.
    pub fn id(&self) -> &JobId {
        match self {
            Self::Seen(Sighting { job, .. }) | Self::Active(Sighting { job, .. }, _) => &job.id,
            Self::Absent(id, _) => id,
        }
    }

    /// What it changes.
    pub fn judge(&self, record: Option<&Record>, context: &RunContext<'_>) -> Option<Change> {
        let (Self::Seen(Sighting { at, .. })
        | Self::Active(Sighting { at, .. }, _)
        | Self::Absent(_, at)) = self;
        let context = &context.at(*at);
        match (self, record) {
            (Self::Seen(Sighting { job, .. }), record) => judge(record, job, context),
            (Self::Active(Sighting { job, .. }, overview), Some(record)) => {
                judge_silence(record, job, context, overview.queue.as_ref())
                    .or_else(|| judge_overdue(record, job, context, overview))
            }
            (Self::Absent(..), Some(record)) => judge_absence(record, context),
            (Self::Active(..) | Self::Absent(..), None) => None,
        }
    }
}

/// What a run has observed.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// Whether the listing was complete.
    pub is_complete: bool,
    /// How many jobs were listed with each status.
    pub statuses: StatusCounts,
    /// All that was seen but for history: few.
    seen_ids: BTreeSet<JobId>,
    active: BTreeMap<JobId, Sighting>,
    ends: LatestEnds,
    /// How long jobs took.
    pub history: Rc<History>,
    /// When the first page was asked for.
    pub asked_at: Option<Timestamp>,
    /// What was seen of the detectors of which jobs are expected.
    detectors: BTreeMap<String, DetectorJobs>,
}

impl Observed {
    /// Nothing yet. Of the detectors that are named, more is taken in.
    pub fn new(source: SourceKind, detectors: impl Iterator<Item = String>) -> Self {
        Self {
            history: Rc::new(History::new(source)),
            detectors: detectors
                .map(|name| (name, DetectorJobs::default()))
                .collect(),
            ..Self::default()
        }
    }

    /// Takes in a job. `None` if it is history without a record, so that nothing is to be judged.
    pub fn add(
        &mut self,
        job: Job,
        has_record: bool,
        context: &RunContext<'_>,
    ) -> Option<Sighting> {
        let end = job.end();
        if let Some(end) = end {
            self.ends.add(end, job.completed_at);
            Rc::make_mut(&mut self.history).add(&job);
        }
        add_to_detectors(&mut self.detectors, &job);
        // By far the most.
        let is_old = |finished_at| is_history(finished_at, context);
        if !has_record && end.is_some() && job.finished_at().is_some_and(is_old) {
            return None;
        }
        let sighting = Sighting {
            job: Rc::new(job),
            at: context.now,
        };
        let job = &sighting.job;
        self.seen_ids.insert(job.id.clone());
        if end.is_none() && !job.is_unclear() {
            self.active.insert(job.id.clone(), sighting.clone());
        }
        Some(sighting)
    }

    /// The jobs that are recorded as active and were not seen.
    pub fn missed(&self, records: &BTreeMap<JobId, Record>) -> Vec<JobId> {
        let is_missed = |record: &&Record| {
            record.phase == Phase::Active && !self.seen_ids.contains(&record.job.id)
        };
        let missed = records.values().filter(is_missed);
        missed.map(|record| record.job.id.clone()).collect()
    }

    /// What was seen of each detector of which jobs are expected, or is recorded: a job that was deleted in time was still
    /// in time.
    pub fn detectors(&self, records: &BTreeMap<JobId, Record>) -> BTreeMap<String, DetectorJobs> {
        let mut detectors = self.detectors.clone();
        let latest_end = self.latest_ends(records).latest();
        for (name, jobs) in &mut detectors {
            jobs.set_latest_end(latest_end);
            let is_its =
                |detector: &Option<String>| name == ANY_DETECTOR || detector.as_ref() == Some(name);
            for record in records.values() {
                let is_missed = !self.seen_ids.contains(&record.job.id);
                if is_its(&record.job.detector) {
                    jobs.add_recorded(record, is_missed);
                }
                let predecessor = record.predecessor.as_ref();
                if let Some(predecessor) = predecessor.filter(|it| is_its(&it.detector)) {
                    jobs.add_predecessor(&record.job.id, predecessor);
                }
            }
        }
        detectors
    }

    /// The latest ends of all jobs that are listed or recorded.
    fn latest_ends(&self, records: &BTreeMap<JobId, Record>) -> LatestEnds {
        let mut ends = self.ends;
        for record in records.values() {
            ends.add_recorded(record);
        }
        ends
    }

    /// When the active job that has been silent longest last showed a sign of life.
    pub fn oldest_sign_of_life(
        &self,
        records: &BTreeMap<JobId, Record>,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let signs = self.active.values().filter_map(|Sighting { job, .. }| {
            let record = records.get(&job.id)?;
            (record.phase == Phase::Active).then(|| sign_of_life(record, job, now))
        });
        signs.min()
    }
}

fn add_to_detectors(detectors: &mut BTreeMap<String, DetectorJobs>, job: &Job) {
    if detectors.is_empty() {
        return;
    }
    for name in job.detector.as_deref().into_iter().chain([ANY_DETECTOR]) {
        if let Some(jobs) = detectors.get_mut(name) {
            jobs.add(job);
        }
    }
}

/// The active jobs of which something is to be recorded now that the listing has ended: a silence, or that they are
/// overdue.
pub fn judge_active_jobs(
    observed: &Observed,
    records: &BTreeMap<JobId, Record>,
    context: &RunContext<'_>,
) -> Vec<(Observation, Change)> {
    let ends = observed.latest_ends(records);
    let was_seen = |record: &Record| observed.active.contains_key(&record.job.id);
    let one_at_a_time = context.source.kind().runs_one_at_a_time();
    // Only a complete listing says who waits for whom, and what is usual.
    let queue = || {
        let active = observed.active.values().map(|Sighting { job, .. }| job);
        Queue::new(
            active.map(|job| (job.as_ref(), records.get(&job.id))),
            records
                .values()
                .filter(|record| !was_seen(record))
                .map(|record| (record, !observed.seen_ids.contains(&record.job.id))),
            ends,
            context.now,
            context.policy.stall_after,
        )
    };
    let queue = match one_at_a_time {
        true => observed.is_complete.then(queue),
        false => Some(Queue::default()),
    };
    // What was active and is not seen now may have ended only now.
    let may_have_ended = !observed.missed(records).is_empty();
    let latest_end = || ends.latest().max(may_have_ended.then_some(context.now));
    let overview = Rc::new(Overview {
        queue,
        latest_end: one_at_a_time.then(latest_end).flatten(),
        history: observed.is_complete.then(|| Rc::clone(&observed.history)),
    });
    let judge_active = |sighting: &Sighting| {
        let observation = Observation::Active(sighting.clone(), Rc::clone(&overview));
        let change = observation.judge(records.get(observation.id()), context)?;
        Some((observation, change))
    };
    observed.active.values().filter_map(judge_active).collect()
}
