//! What a run says of itself.

use jiff::SignedDuration;

use super::super::world::World;
use super::{Rule, broken};

/// A run was ended. If it had time until then, it should have ended by itself.
pub(crate) fn on_death(world: &World, run: usize) {
    let what = {
        let ledger = world.ledger.borrow();
        let log = &ledger.runs[run];
        let given = SignedDuration::try_from(log.time_given).unwrap();
        let is_late = log
            .ended
            .is_some_and(|ended| ended.duration_since(log.started) >= given);
        (is_late && !log.froze).then(|| format!("run {}", log.number))
    };
    if let Some(what) = what {
        world.violated(broken(Rule::Outlived, what));
    }
}

/// A run has ended, by itself or not.
pub(crate) fn on_end(world: &World, run: usize) {
    let mut found = Vec::new();
    {
        let ledger = world.ledger.borrow();
        let log = &ledger.runs[run];
        let Some(outcome) = &log.outcome else {
            return;
        };
        let what = format!("run {}", log.number);
        if log.met_error && outcome.failures.is_empty() && outcome.answer.complete {
            found.push(broken(Rule::FailedInSilence, what.clone()));
        }
        if outcome.answer.complete && !log.saw_the_end {
            found.push(broken(Rule::BelievedPartial, what));
        }
    }
    for violation in found {
        world.violated(violation);
    }
}
