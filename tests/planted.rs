//! Plays the stories made by hand, and then days and stories by chance, until one of them breaks a rule: how
//! `tests/run defects` looks for what it planted.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on panics"
)]

mod simulation;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use simulation::plan::Plan;
use simulation::{days, play, stories, year};

/// Of each three seeds, two make days.
fn by_chance(seed: u64) -> Plan {
    match seed % 3 {
        0 => Plan::of(seed),
        _ => days::plan(seed),
    }
}

/// After so many stories, eight weeks of a year.
const BEFORE_THE_YEAR: usize = 150;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [seeds, seconds] = args.as_slice() else {
        eprintln!("planted SEEDS SECONDS: so many stories, for so long at the most");
        return ExitCode::from(2);
    };
    let seeds: u64 = seeds.parse().unwrap();
    let most = Duration::from_secs(seconds.parse().unwrap());
    let begun = Instant::now();
    let by_hand = stories::by_hand().into_iter();
    let by_hand = by_hand.map(|(name, plan)| (format!("by hand: {name}"), plan));
    let by_chance = (0..seeds).map(|seed| {
        let plan = by_chance(seed);
        (format!("{} seed {seed}", plan.command), plan)
    });
    for (place, (name, plan)) in by_hand.chain(by_chance).enumerate() {
        if place == BEFORE_THE_YEAR
            && let Err(told) = year::simulate([0, 8])
        {
            println!(
                "{}  year",
                told.lines()
                    .nth(1)
                    .and_then(|it| it.split(':').next())
                    .unwrap_or_default()
            );
            return ExitCode::FAILURE;
        }
        if begun.elapsed() > most {
            break;
        }
        if let Some(found) = play(&plan, None, false).violations.first() {
            println!("{:?}  {name}", found.rule);
            return ExitCode::FAILURE;
        }
    }
    println!("no rule is broken");
    ExitCode::SUCCESS
}
