//! What makes jobs of a plan late: what they are for, how long others like them took, and what is expected of them.
//!
//! It has chances of its own, so that it changes nothing else of a plan.

use fastrand::Rng;
use fraud_job_watch::watch::{OverdueAfter, Policy};
use jiff::SignedDuration;

use super::calendar::{self, CHARGEBACKS, PAYMENTS};
use super::life::Work;
use super::plan::{Event, Step};

/// The ids of jobs that had completed before anybody looked.
const BEFORE: [&str; 10] = ["h0", "h1", "h2", "h3", "h4", "h5", "h6", "h7", "h8", "h9"];

pub(crate) struct Lateness {
    rng: Rng,
    /// Whether anything is known of what jobs are for.
    is_known: bool,
    has_history: bool,
}

impl Lateness {
    pub(crate) fn of(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed ^ 0x1a7e);
        Self {
            is_known: rng.u32(0..4) > 0,
            has_history: rng.u32(0..4) > 0,
            rng,
        }
    }

    /// What a job is for: mostly the same.
    pub(crate) fn work(&mut self) -> Work {
        let rng = &mut self.rng;
        if !self.is_known {
            return Work::UNKNOWN;
        }
        let detector = match rng.u32(0..12) {
            0 => None,
            1 => Some(CHARGEBACKS),
            _ => Some(PAYMENTS),
        };
        let event_type = match rng.u32(0..20) {
            0 => None,
            1 => Some("card"),
            _ => Some("transfer"),
        };
        let total = match rng.u32(0..8) {
            0 => None,
            1 => Some(0),
            2 => Some(rng.u32(1..500)),
            3 => Some(rng.u32(1_000..10_000)),
            _ => Some([800, 1_000, 1_000, 1_200][rng.usize(0..4)]),
        };
        Work {
            detector,
            event_type,
            total,
        }
    }

    /// Jobs that had completed, of a sixth to three times as many seconds as `usual`, one after the other; the last of
    /// them ended a quarter of an hour ago or earlier.
    pub(crate) fn history(&mut self, usual: u32) -> Vec<Step> {
        if !self.has_history || !self.is_known {
            return Vec::new();
        }
        let count = self.rng.usize(5..=BEFORE.len());
        let mut ago = self.rng.u32(900..4_000);
        let mut steps = Vec::new();
        for id in &BEFORE[..count] {
            let took = usual * [1, 5, 6, 6, 7, 8, 18][self.rng.usize(0..7)] / 6;
            let work = self.work();
            steps.push(Step::Job(id, Event::WasThere { work, ago, took }));
            // Some were accepted while the one before still ran.
            ago += took * self.rng.u32(2..5) / 4 + self.rng.u32(0..2_000);
        }
        steps
    }

    /// Lets a policy say when a job takes too long, and what is expected.
    pub(crate) fn settle(&mut self, policy: &mut Policy) {
        let minutes = policy.stall_after.as_mins().max(2);
        policy.overdue_after = match self.rng.u32(0..10) {
            0..6 => OverdueAfter::Auto,
            6 => OverdueAfter::Off,
            7 => OverdueAfter::After(SignedDuration::from_mins(minutes / 2)),
            8 => OverdueAfter::After(SignedDuration::from_mins(2 * minutes)),
            _ => OverdueAfter::After(SignedDuration::from_mins(5 * minutes)),
        };
        policy.expect = calendar::by_chance(&mut self.rng);
    }

    /// The same as another policy says it, but for now and then.
    pub(crate) fn resettle(&mut self, policy: &mut Policy, before: &Policy) {
        match self.rng.u32(0..3) {
            0 => self.settle(policy),
            _ => {
                policy.overdue_after = before.overdue_after;
                policy.expect = before.expect.clone();
            }
        }
    }
}
