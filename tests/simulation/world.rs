//! The world that runs share, and the truth about it: what each job was at each moment, what the table and the
//! topic took in, and who did it.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use fraud_job_watch::local::state::Memory;
use fraud_job_watch::ports::{State, Store};
use fraud_job_watch::run::Outcome;
use fraud_job_watch::watch::{Kind, Listed, Notice, NoticeId, Policy};
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::oracle::Violation;
use super::plan::{Event, Fault, View};

/// A job from one start to whatever comes: born again under the same id, it is another.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    pub(crate) id: &'static str,
    pub(crate) start: Timestamp,
    /// What it was from which moment on.
    pub(crate) versions: Vec<(Timestamp, Version)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Version {
    pub(crate) status: &'static str,
    heartbeat: Timestamp,
    pulse: Option<u32>,
    count: i64,
    pub(crate) completed: Option<Timestamp>,
    pub(crate) is_shown: bool,
    pub(crate) is_deleted: bool,
}

impl Version {
    fn heartbeat_at(&self, now: Timestamp) -> Timestamp {
        match self.pulse {
            Some(pulse) if self.completed.is_none() => {
                let pulse = i64::from(pulse);
                let beats = now.duration_since(self.heartbeat).as_secs().max(0) / pulse;
                self.heartbeat + SignedDuration::from_secs(beats * pulse)
            }
            Some(_) | None => self.heartbeat,
        }
    }
}

impl Life {
    pub(crate) fn at(&self, moment: Timestamp) -> Option<&Version> {
        let before = self.versions.iter().rev().find(|(at, _)| *at <= moment);
        before.map(|(_, version)| version)
    }

    pub(crate) fn now(&self) -> &Version {
        &self.versions.last().unwrap().1
    }

    pub(crate) fn is_visible(&self, moment: Timestamp) -> bool {
        self.at(moment)
            .is_some_and(|version| version.is_shown && !version.is_deleted)
    }

    /// As the service shows it.
    pub(crate) fn view(&self, moment: Timestamp) -> Option<Listed> {
        let version = self.at(moment).filter(|_| self.is_visible(moment))?;
        let text = |at: Timestamp| Some(at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
        Some(Listed {
            job_id: Some(self.id.to_owned()),
            status: Some(version.status.to_owned()),
            start_time: text(self.start),
            last_heartbeat_time: text(version.heartbeat_at(moment)),
            completion_time: version.completed.and_then(text),
            processed_records_count: Some(version.count),
            ..Listed::default()
        })
    }
}

/// A run, as the world saw it.
#[derive(Debug)]
pub(crate) struct RunLog {
    pub(crate) number: u32,
    pub(crate) policy: Policy,
    pub(crate) view: View,
    pub(crate) started: Timestamp,
    pub(crate) time_given: Duration,
    pub(crate) ended: Option<Timestamp>,
    /// It died, or Lambda ended it at its deadline.
    pub(crate) died: bool,
    pub(crate) froze: bool,
    /// A call was answered with an error, other than a write's, which the run looks into itself.
    pub(crate) met_error: bool,
    /// The service gave a last page.
    pub(crate) saw_the_end: bool,
    pub(crate) outcome: Option<Outcome>,
    /// What it was shown of each job last, and of when that was.
    pub(crate) shown: BTreeMap<&'static str, Shown>,
    /// The jobs that the state it loaded calls active.
    pub(crate) loaded: BTreeSet<String>,
    /// The jobs that it was told are not there.
    pub(crate) absent: BTreeSet<String>,
}

impl RunLog {
    pub(crate) fn spent_its_time(&self) -> bool {
        let margin = SignedDuration::from_secs(1);
        let given = SignedDuration::try_from(self.time_given).unwrap();
        self.ended
            .is_some_and(|ended| ended.duration_since(self.started) > given - margin)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub(crate) start: Timestamp,
    pub(crate) status: String,
    pub(crate) heartbeat: Timestamp,
    pub(crate) as_of: Timestamp,
}

impl Shown {
    pub(crate) fn has_not_begun(&self) -> bool {
        self.status == "IN_PROGRESS_INITIALIZING" && self.heartbeat == self.start
    }

    pub(crate) fn has_ended(&self) -> bool {
        !self.status.contains("_PROGRESS") && self.status != "IN_PROGRESS"
    }
}

/// One publish that a run made.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) run: usize,
    pub(crate) ids: Vec<NoticeId>,
    pub(crate) fault: Option<Fault>,
    pub(crate) took_place: Option<Timestamp>,
}

#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) run: usize,
    pub(crate) id: NoticeId,
    pub(crate) until: Timestamp,
}

#[derive(Clone, Debug)]
pub(crate) struct Settling {
    pub(crate) run: usize,
    pub(crate) id: NoticeId,
    pub(crate) fault: Option<Fault>,
    pub(crate) took_place: Option<Timestamp>,
}

/// Everything that the oracle looks at.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) runs: Vec<RunLog>,
    pub(crate) since: Option<Timestamp>,
    /// In the order in which they were recorded.
    pub(crate) recorded: Vec<(usize, Notice)>,
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) claims: Vec<Claim>,
    pub(crate) settlings: Vec<Settling>,
    pub(crate) faults: BTreeMap<&'static str, u64>,
    pub(crate) violations: Vec<Violation>,
    /// Writes to the table, and publishes.
    pub(crate) writes: u64,
    pub(crate) trace: Vec<String>,
}

impl Ledger {
    pub(crate) fn notice(&self, id: &NoticeId) -> Option<&Notice> {
        let mut notices = self.recorded.iter().map(|(_, notice)| notice);
        notices.find(|notice| notice.id == *id)
    }

    /// When it was published, each time.
    pub(crate) fn publications(&self, id: &NoticeId) -> impl Iterator<Item = &Attempt> {
        let of_it = |attempt: &&Attempt| attempt.took_place.is_some() && attempt.ids.contains(id);
        self.attempts.iter().filter(of_it)
    }
}

pub(crate) struct World {
    begun: Instant,
    pub(crate) table: Memory,
    pub(crate) lives: RefCell<Vec<Life>>,
    pub(crate) policy: RefCell<Policy>,
    pub(crate) ledger: RefCell<Ledger>,
    pub(crate) is_traced: bool,
    /// What the table was; only if a run is to load an old state.
    past: RefCell<VecDeque<(Timestamp, State)>>,
    keeps_past: Cell<bool>,
}

impl World {
    pub(crate) fn new(policy: Policy, is_traced: bool, keeps_past: bool) -> Rc<Self> {
        Rc::new(Self {
            begun: Instant::now(),
            table: Memory::default(),
            lives: RefCell::default(),
            policy: RefCell::new(policy),
            ledger: RefCell::default(),
            is_traced,
            past: RefCell::default(),
            keeps_past: Cell::new(keeps_past),
        })
    }

    pub(crate) fn now(&self) -> Timestamp {
        let base: Timestamp = "2026-03-02T00:00:00Z".parse().unwrap();
        base + SignedDuration::try_from(self.begun.elapsed()).unwrap()
    }

    /// The time as the service writes it: in whole seconds.
    fn second(&self) -> Timestamp {
        Timestamp::from_second(self.now().as_second()).unwrap()
    }

    pub(crate) fn trace(&self, line: impl FnOnce() -> String) {
        if self.is_traced {
            let line = format!("{}  {}", self.now().strftime("%d %H:%M:%S%.3f"), line());
            self.ledger.borrow_mut().trace.push(line);
        }
    }

    pub(crate) fn violated(&self, violation: Violation) {
        self.trace(|| format!("VIOLATION: {violation}"));
        self.ledger.borrow_mut().violations.push(violation);
    }

    /// The table has changed.
    pub(crate) async fn written(&self) {
        self.ledger.borrow_mut().writes += 1;
        if self.keeps_past.get() {
            let now = self.now();
            let state = self.table.load(now).await.unwrap();
            let mut past = self.past.borrow_mut();
            past.push_back((now, state));
            if past.len() > 60 {
                past.pop_front();
            }
        }
    }

    /// The state as it was then, or as old as it is remembered.
    pub(crate) fn state_at(&self, moment: Timestamp) -> State {
        let past = self.past.borrow();
        let before = past.iter().rev().find(|(at, _)| *at <= moment);
        before.map(|(_, state)| state.clone()).unwrap_or_default()
    }

    /// Something happens to a job, if it can.
    pub(crate) fn happen(&self, id: &'static str, event: Event) {
        let (now, second) = (self.now(), self.second());
        let mut lives = self.lives.borrow_mut();
        let life = lives
            .iter_mut()
            .rev()
            .find(|life| life.id == id && !life.now().is_deleted);
        if let Event::Starts { waits, pulse } = event {
            let was_born_now = lives
                .iter()
                .any(|life| life.id == id && life.start >= second);
            let is_there = lives
                .iter()
                .any(|life| life.id == id && !life.now().is_deleted);
            if was_born_now || is_there {
                return;
            }
            let version = Version {
                status: if waits {
                    "IN_PROGRESS_INITIALIZING"
                } else {
                    "IN_PROGRESS"
                },
                heartbeat: second,
                pulse: pulse.filter(|_| !waits),
                count: 0,
                completed: None,
                is_shown: true,
                is_deleted: false,
            };
            lives.push(Life {
                id,
                start: second,
                versions: vec![(now, version)],
            });
            return;
        }
        let Some(life) = life else {
            return;
        };
        let was = *life.now();
        let mut version = Version {
            heartbeat: was.heartbeat_at(now),
            ..was
        };
        let goes_on = was.completed.is_none();
        match event {
            Event::Starts { .. } => {}
            Event::Beats(pulse) if goes_on => {
                version.status = match was.status {
                    "IN_PROGRESS_INITIALIZING" => "IN_PROGRESS",
                    status => status,
                };
                version.heartbeat = second;
                version.pulse = pulse;
            }
            Event::FallsSilent if goes_on => version.pulse = None,
            Event::Moves if goes_on && was.status != "IN_PROGRESS_INITIALIZING" => {
                version.count += 1
            }
            Event::IsToBeCanceled if goes_on => version.status = "CANCEL_IN_PROGRESS",
            Event::Ends(status) if goes_on => {
                version.status = status;
                version.heartbeat = second;
                version.completed = Some(second);
            }
            Event::IsDeleted => version.is_deleted = true,
            Event::Hides => version.is_shown = false,
            Event::Returns => version.is_shown = true,
            Event::Beats(_)
            | Event::FallsSilent
            | Event::Moves
            | Event::IsToBeCanceled
            | Event::Ends(_) => {}
        }
        if version != was {
            life.versions.push((now, version));
        }
    }

    /// What was published of jobs, in order: kind and job.
    pub(crate) fn told(&self) -> Vec<(Kind, String)> {
        let ledger = self.ledger.borrow();
        let mut done: Vec<_> = ledger
            .attempts
            .iter()
            .filter(|attempt| attempt.took_place.is_some())
            .collect();
        done.sort_by_key(|attempt| attempt.took_place);
        done.into_iter()
            .flat_map(|attempt| &attempt.ids)
            .filter_map(|id| {
                let notice = ledger.notice(id)?;
                let job = notice.job.as_ref()?;
                Some((notice.kind, job.id.to_string()))
            })
            .collect()
    }
}
