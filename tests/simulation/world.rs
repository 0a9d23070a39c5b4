//! The world that runs share, and the truth about it: what each job was at each moment, what the table and the
//! topics took in, and who did it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use fraud_job_watch::local::state::Memory;
use fraud_job_watch::ports::{Pending, State, Store};
use fraud_job_watch::watch::{Kind, NoticeId, Policy, SourceKind, TopicArn};
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::ledger::Ledger;
use super::life::{Heartbeat, Life, Stage, Style, Version, Work};
use super::oracle::{self, Violation};
use super::plan::{Event, Plan, Step};

/// Starts that differ by less are of one job.
const SAME_START: SignedDuration = SignedDuration::from_mins(1);

pub(crate) struct World {
    begun: Instant,
    pub(crate) table: Memory,
    pub(crate) lives: RefCell<Vec<Life>>,
    pub(crate) policy: RefCell<Policy>,
    pub(crate) ledger: RefCell<Ledger>,
    pub(crate) is_traced: bool,
    pub(crate) is_urgent: bool,
    /// Jobs are imports: they have no heartbeat and no detector, and any number runs at once.
    pub(crate) are_imports: bool,
    /// What the table was; only if a run is to load an old state.
    past: RefCell<VecDeque<(Timestamp, State)>>,
    keeps_past: bool,
}

impl World {
    pub(crate) fn new(plan: &Plan, is_traced: bool) -> Rc<Self> {
        let is_stale = |step: &Step| matches!(step, Step::Run(run) if run.view.table_stale > 0);
        Rc::new(Self {
            begun: Instant::now(),
            table: Memory::default(),
            lives: RefCell::default(),
            policy: RefCell::new(plan.policy.clone()),
            ledger: RefCell::default(),
            is_traced,
            is_urgent: plan.is_urgent,
            are_imports: plan.source == SourceKind::BatchImports,
            past: RefCell::default(),
            keeps_past: plan.steps.iter().any(is_stale),
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
        if self.keeps_past {
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
        let (waits, pulse, style) = match event {
            Event::Starts { waits, pulse } => (waits, pulse.filter(|_| !waits), Style::PLAIN),
            Event::Arrives(style) => (true, None, style),
            Event::WasThere { work, ago, took } => return self.was_there(id, work, ago, took),
            _ => return self.befalls(id, event),
        };
        let (now, second) = (self.now(), self.second());
        let mut lives = self.lives.borrow_mut();
        // Two that start so close cannot be told apart, unless the first was seen to end before the second started.
        let stands_in_the_way = |(place, life): (usize, &Life)| {
            let was_born_now = life.start > second - SAME_START;
            let is_over = life.now().completed.is_some_and(|end| end < second);
            let has_ended = is_over && self.was_seen_to_end(place);
            life.id == id && (was_born_now && !has_ended || !life.now().is_deleted)
        };
        if lives.iter().enumerate().any(stands_in_the_way) {
            return;
        }
        let version = Version {
            status: match waits {
                true => "IN_PROGRESS_INITIALIZING",
                false => "IN_PROGRESS",
            },
            heartbeat: second,
            pulse,
            count: 0,
            rate: 0,
            completed: None,
            is_shown: true,
            is_deleted: false,
        };
        lives.push(self.life(Life {
            id,
            start: second,
            style,
            versions: vec![(now, version)],
        }));
    }

    /// A job as it is in this world.
    fn life(&self, mut life: Life) -> Life {
        if self.are_imports {
            life.style.heartbeat = Heartbeat::Missing;
            life.style.work.detector = None;
            for (_, version) in &mut life.versions {
                (version.heartbeat, version.pulse) = (life.start, None);
            }
        }
        life
    }

    /// A job that had completed before anybody looked.
    fn was_there(&self, id: &'static str, work: Work, ago: u32, took: u32) {
        let seconds = |seconds: u32| SignedDuration::from_secs(i64::from(seconds));
        let ended = self.second() - seconds(ago);
        let start = ended - seconds(took);
        let count = work.total.map_or(0, i64::from);
        let runs = Version {
            status: "IN_PROGRESS",
            heartbeat: start,
            pulse: Some(60),
            count,
            rate: 0,
            completed: None,
            is_shown: true,
            is_deleted: false,
        };
        let has_ended = Version {
            status: "COMPLETE",
            heartbeat: ended,
            pulse: None,
            completed: Some(ended),
            ..runs
        };
        let life = Life {
            id,
            start,
            style: Style {
                work,
                ..Style::PLAIN
            },
            versions: vec![(start, runs), (ended, has_ended)],
        };
        self.lives.borrow_mut().push(self.life(life));
    }

    fn was_seen_to_end(&self, place: usize) -> bool {
        let ledger = self.ledger.borrow();
        let mut runs = ledger.runs.iter().filter(|run| run.is_good());
        runs.any(|run| run.look(place).is_some_and(|look| !look.stage.is_active()))
    }

    /// Something happens to a job that is there.
    fn befalls(&self, id: &'static str, event: Event) {
        let (now, second) = (self.now(), self.second());
        let mut lives = self.lives.borrow_mut();
        let runs = |life: &Life| !life.now().is_deleted && life.now().stage().runs();
        let is_busy = !self.are_imports && lives.iter().any(|life| life.id != id && runs(life));
        let its_own = |life: &&mut Life| life.id == id && !life.now().is_deleted;
        let Some(life) = lives.iter_mut().rev().find(its_own) else {
            return;
        };
        let (from, was) = *life.versions.last().unwrap();
        let mut version = Version {
            heartbeat: was.heartbeat_at(now),
            count: was.count_at(from, now),
            ..was
        };
        if let Event::IsFor(work) = event {
            if life.versions.iter().all(|(at, _)| *at == now) {
                life.style.work = work;
                *life = self.life(life.clone());
            }
            return;
        }
        let goes_on = was.completed.is_none();
        let is_unknown_end = was.stage() == Stage::Ended(Kind::Ended);
        match event {
            Event::Begins {
                rate,
                pulse,
                overtakes,
            } if goes_on && was.stage() == Stage::Waits && (overtakes || !is_busy) => {
                version.status = "IN_PROGRESS";
                version.heartbeat = second;
                (version.rate, version.pulse) = (rate, pulse);
            }
            Event::Works { rate, pulse }
                if is_unknown_end || goes_on && was.stage() != Stage::Waits =>
            {
                if !was.stage().runs() {
                    version.status = "IN_PROGRESS";
                }
                version.completed = None;
                version.heartbeat = second;
                (version.rate, version.pulse) = (rate, pulse);
            }
            Event::Beats(pulse) if goes_on => {
                version.status = match was.status {
                    "IN_PROGRESS_INITIALIZING" => "IN_PROGRESS",
                    status => status,
                };
                version.heartbeat = second;
                version.pulse = pulse;
            }
            Event::FallsSilent if goes_on => (version.rate, version.pulse) = (0, None),
            Event::Moves if goes_on && was.stage() != Stage::Waits => version.count += 1,
            Event::IsToBeCanceled if goes_on => version.status = "CANCEL_IN_PROGRESS",
            Event::Shows(status) if goes_on => version.status = status,
            Event::Ends(status) if goes_on || is_unknown_end => {
                version.status = status;
                if goes_on {
                    version.heartbeat = second;
                    version.completed = Some(second);
                    (version.rate, version.pulse) = (0, None);
                }
            }
            Event::IsDeleted => version.is_deleted = true,
            Event::Hides => version.is_shown = false,
            Event::Returns => version.is_shown = true,
            _ => return,
        }
        if self.are_imports {
            (version.heartbeat, version.pulse) = (life.start, None);
        }
        if version != was {
            life.versions.push((now, version));
        }
    }

    /// What a notice is called in a story.
    pub(crate) fn named(&self, id: &NoticeId, topic: &TopicArn) -> String {
        let ledger = self.ledger.borrow();
        let name = match ledger.notice(id) {
            Some(notice) => oracle::name(notice),
            None => format!("an unknown notice, {:.8}", id.as_str()),
        };
        match *topic == oracle::topic() {
            true => name,
            false => format!("{name}, urgently"),
        }
    }

    pub(crate) fn called(&self, pending: &Pending) -> String {
        self.named(&pending.notice.id, &pending.topic)
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
