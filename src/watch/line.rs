//! Who waits for whom. One batch prediction job runs at a time, so one that has not begun is not stalled while
//! an earlier one goes on.

use jiff::{SignedDuration, Timestamp};

use super::job::{Job, JobId};
use super::life;
use super::record::{Phase, Record};

/// The jobs that a complete listing showed to be active or to have ended just now.
#[derive(Clone, Debug, Default)]
pub struct Line {
    places: Vec<Place>,
}

#[derive(Clone, Debug)]
struct Place {
    id: JobId,
    started_at: Timestamp,
    /// It goes on, or its end is so recent that the next job cannot be blamed for not having begun.
    alive: bool,
    waits: bool,
    told_at: Option<Timestamp>,
}

impl Line {
    /// Adds an active job.
    pub fn add_active(
        &mut self,
        job: &Job,
        record: &Record,
        now: Timestamp,
        stall_after: SignedDuration,
    ) {
        let sign = life::sign_of_life(job, Some(record), now);
        self.add(
            job,
            now.duration_since(sign) <= patience(record, stall_after),
        );
        if let Some(place) = self.places.last_mut().filter(|place| place.id == job.id) {
            place.waits = job.has_not_begun();
            place.told_at = record.stall.map(|stall| stall.told_at);
        }
    }

    /// Adds a job that ended: what waited for it is given the time to begin.
    pub fn add_ended(&mut self, job: &Job, now: Timestamp, stall_after: SignedDuration) {
        if ended_lately(job, now, stall_after) {
            self.add(job, true);
        }
    }

    /// Adds a job that is recorded as ended or vanished, whether it is still listed or not.
    pub fn add_recorded(&mut self, record: &Record, now: Timestamp, stall_after: SignedDuration) {
        match record.phase {
            Phase::Active => {}
            Phase::Ended => {
                // Without a time of its end it is given the one at which that was seen.
                let completed_at = record.job.completed_at.or(Some(record.recorded_at));
                let job = Job {
                    completed_at,
                    ..record.job.clone()
                };
                self.add_ended(&job, now, stall_after)
            }
            Phase::Vanished if now.duration_since(record.recorded_at) <= stall_after => {
                self.add(&record.job, true)
            }
            Phase::Vanished => {}
        }
    }

    fn add(&mut self, job: &Job, alive: bool) {
        if let Some(started_at) = job.started_at {
            self.places.push(Place {
                id: job.id.clone(),
                started_at,
                alive,
                waits: false,
                told_at: None,
            });
        }
    }

    /// Notes that the job's stall is told now, and with it how many wait behind it.
    pub fn tell(&mut self, id: &JobId, now: Timestamp) {
        for place in self.places.iter_mut().filter(|place| place.id == *id) {
            place.told_at = Some(now);
        }
    }

    /// Whether the job waits: it has not begun, and one that started no later is alive, or is stalled and the
    /// notice of that counted this one among those behind it.
    pub fn waits(&self, job: &Job) -> bool {
        let Some(started_at) = job.started_at.filter(|_| job.has_not_begun()) else {
            return false;
        };
        self.places.iter().any(|place| {
            place.id != job.id
                && place.started_at <= started_at
                && (place.alive || place.told_at.is_some_and(|told_at| told_at >= started_at))
        })
    }

    /// How many other jobs started no earlier than this one and have not begun.
    pub fn behind(&self, job: &Job) -> u64 {
        let Some(started_at) = job.started_at else {
            return 0;
        };
        let behind =
            |place: &&Place| place.waits && place.id != job.id && place.started_at >= started_at;
        self.places.iter().filter(behind).count() as u64
    }
}

/// Whether the job ended within `stall_after`: those that waited for it are still to be given time.
pub fn ended_lately(job: &Job, now: Timestamp, stall_after: SignedDuration) -> bool {
    job.finished_at().is_some_and(|at| {
        let ago = now.duration_since(at);
        ago <= stall_after && ago >= -life::AHEAD
    })
}

/// How long the job may be silent: [`Record::patience_s`], if that is longer.
pub fn patience(record: &Record, stall_after: SignedDuration) -> SignedDuration {
    stall_after.max(SignedDuration::from_secs(record.patience_s.unwrap_or(0)))
}
