//! What many plans came to.

use std::collections::BTreeMap;

use super::Ending;
use super::oracle::{Rule, Violation};

/// Counts of what took place.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) seeds: u64,
    pub(crate) runs: u64,
    pub(crate) deaths: u64,
    pub(crate) faults: BTreeMap<&'static str, u64>,
    pub(crate) recorded: BTreeMap<String, u64>,
    pub(crate) published: u64,
    pub(crate) repeats: BTreeMap<&'static str, u64>,
    pub(crate) lost: u64,
    /// How often what the oracle judges came about.
    pub(crate) came_about: BTreeMap<&'static str, u64>,
}

impl Tally {
    pub(crate) fn add(&mut self, ending: &Ending) {
        let ledger = ending.world.ledger.borrow();
        self.seeds += 1;
        self.runs += ledger.runs.len() as u64;
        self.deaths += ledger.runs.iter().filter(|run| run.died).count() as u64;
        for (name, count) in &ledger.faults {
            *self.faults.entry(name).or_default() += count;
        }
        for (name, count) in &ledger.came_about {
            *self.came_about.entry(name).or_default() += count;
        }
        for run in &ledger.runs {
            let view = run.view;
            for (name, is_so) in [
                ("jobs shown late", view.jobs_stale > 0),
                ("state loaded late", view.table_stale > 0),
                ("job left out of the listing", view.omits.is_some()),
                ("job not to be found", view.misses.is_some()),
                ("tokens that lead nowhere", view.tokens.is_some()),
            ] {
                *self.faults.entry(name).or_default() += u64::from(is_so);
            }
        }
        for (_, notice) in &ledger.recorded {
            *self.recorded.entry(notice.kind.to_string()).or_default() += 1;
        }
        for attempt in ledger
            .attempts
            .iter()
            .filter(|made| made.took_place.is_some())
        {
            self.published += attempt.ids.len() as u64;
        }
        for (cause, count) in &ending.causes {
            *self.repeats.entry(cause.name()).or_default() += count;
        }
        let lost = |found: &&Violation| found.rule == Rule::Lost;
        self.lost += ending.violations.iter().filter(lost).count() as u64;
    }
}

impl Tally {
    pub(crate) fn merge(&mut self, other: Self) {
        self.seeds += other.seeds;
        self.runs += other.runs;
        self.deaths += other.deaths;
        self.published += other.published;
        self.lost += other.lost;
        for (name, count) in other.faults {
            *self.faults.entry(name).or_default() += count;
        }
        for (name, count) in other.came_about {
            *self.came_about.entry(name).or_default() += count;
        }
        for (name, count) in other.recorded {
            *self.recorded.entry(name).or_default() += count;
        }
        for (name, count) in other.repeats {
            *self.repeats.entry(name).or_default() += count;
        }
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut line = |name: &str, count: u64| writeln!(f, "{count:>12}  {name}");
        line("seeds", self.seeds)?;
        line("runs", self.runs)?;
        line("runs that died", self.deaths)?;
        line("faults", self.faults.values().sum())?;
        for (name, count) in &self.faults {
            line(&format!("  {name}"), *count)?;
        }
        line("notices recorded", self.recorded.values().sum())?;
        for (name, count) in &self.recorded {
            line(&format!("  {name}"), *count)?;
        }
        line("notices published", self.published)?;
        line("repeats", self.repeats.values().sum())?;
        for (name, count) in &self.repeats {
            line(&format!("  {name}"), *count)?;
        }
        for (name, count) in &self.came_about {
            line(name, *count)?;
        }
        line("lost", self.lost)
    }
}
