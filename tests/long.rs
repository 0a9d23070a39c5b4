//! The long forms of tests that take as long as one likes: `tests/run simulate`, `kill` and `fuzz`.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on panics"
)]
#![recursion_limit = "256"]

mod lab;
mod simulation;

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Span, SpanRelativeTo};

use lab::mishaps::{Case, Day, MISHAPS, calm, doubled, matrix, play_all, stuck};
use lab::proxy::Mishap;
use simulation::{Tally, plan::Plan, play, shrink, simulate};

const USAGE: &str = "\
simulate [SEEDS|TIME [FIRST]]   so many stories by chance, from the seed FIRST on; 100000 unless told
simulate seed SEED              one of them, told whole; if it fails, cut down to what it takes
kill                            the real process, killed and cut off at each of its calls on three days";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args.as_slice() {
        ["simulate", "seed", seed] => match seed.parse() {
            Ok(seed) => tell(seed),
            Err(_) => Err(format!("{seed:?} is no seed, like 4711")),
        },
        ["simulate"] => stories("100000", "0"),
        ["simulate", amount] => stories(amount, "0"),
        ["simulate", amount, first] => stories(amount, first),
        ["kill"] => Ok(kill()),
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// How much is asked for: a number, or a time.
pub(crate) enum Amount {
    Cases(u64),
    Time(Duration),
}

impl Amount {
    fn read(text: &str) -> Result<Self, String> {
        if let Ok(cases) = text.parse() {
            return Ok(Self::Cases(cases));
        }
        let time = |span: Span| span.to_duration(SpanRelativeTo::days_are_24_hours());
        let time = text.parse::<Span>().and_then(time);
        let time = time.and_then(|time: SignedDuration| Duration::try_from(time));
        time.map(Self::Time)
            .map_err(|_| format!("{text:?} is neither a number nor a time, like 100000 or 10m"))
    }
}

fn tell(seed: u64) -> Result<String, String> {
    let plan = Plan::of(seed);
    let ending = simulation::play(&plan, None, true);
    match ending.violations.as_slice() {
        [] => Ok(format!(
            "{}\nseed {seed} breaks no rule",
            ending.trace.join("\n")
        )),
        _ => Err(shrink::story(&plan, None, &ending)),
    }
}

fn stories(amount: &str, first: &str) -> Result<String, String> {
    let first: u64 = first
        .parse()
        .map_err(|_| format!("{first:?} is no seed, like 4711"))?;
    let amount = Amount::read(amount)?;
    let begun = Instant::now();
    let goes_on = AtomicBool::new(true);
    let next = AtomicU64::new(first);
    let take = || {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        let is_wanted = match amount {
            Amount::Cases(cases) => seed - first < cases,
            Amount::Time(time) => begun.elapsed() < time,
        };
        (is_wanted && goes_on.load(Ordering::Relaxed)).then_some(seed)
    };
    let work = || {
        let tally = simulate(std::iter::from_fn(take));
        if tally.is_err() {
            goes_on.store(false, Ordering::Relaxed);
        }
        tally
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let tallies: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .collect()
    });
    let mut all = Tally::default();
    for tally in tallies {
        all.merge(tally?);
    }
    let took = begun.elapsed().as_secs();
    Ok(format!("{all}{took:>12}  seconds; seeds from {first} on"))
}

/// Every call of three days, with each mishap, alone and beside another process.
fn kill() -> String {
    let begun = Instant::now();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut report = String::new();
    let mut play = |what: &str, cases: Vec<Case>| {
        let count = cases.len();
        let done = runtime.block_on(play_all(cases));
        let repeats: usize = done.iter().map(|done| done.repeats).sum();
        report.push_str(&format!("{count:>6} cases, {repeats:>3} repeats  {what}\n"));
    };
    for day in [Day::OneEnds, Day::First, Day::Eventful] {
        let calls = runtime.block_on(lab::mishaps::play(calm(day))).calls.len();
        for mishap in MISHAPS {
            let what = format!("{day:?}, {calls} calls: {mishap:?}");
            play(&what, matrix(day, calls, &[mishap]));
        }
        play(
            &format!("{day:?}: hangs from a call on"),
            stuck(day, calls, &[Mishap::HangBefore, Mishap::HangAfter]),
        );
        let kills = matrix(day, 2 * calls, &[Mishap::KillBefore, Mishap::KillAfter]);
        play(
            &format!("{day:?}: two processes, one is killed"),
            doubled(kills),
        );
    }
    let took = begun.elapsed().as_secs();
    format!("{report}every notice came, each under one id; {took} s")
}
