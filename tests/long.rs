//! The long forms of tests that take as long as one likes: `tests/run simulate`, `days`, `year`, `kill`, `fuzz` and
//! `arm64`.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on panics"
)]
#![recursion_limit = "256"]

mod arm64;
mod fuzz;
mod lab;
mod simulation;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Span, SpanRelativeTo};

use fuzz::inputs::{SURFACES, Surface};
use fuzz::mutation::{mutated, seeds};
use lab::mishaps::{Case, Day, MISHAPS, calm, doubled, matrix, play_all, stuck};
use lab::proxy::Mishap;
use simulation::{days, plan::Plan, shrink, simulate, tally::Tally, year};

const USAGE: &str = "\
simulate [SEEDS|TIME [FIRST]]   so many stories by chance, from the seed FIRST on; 100000 unless told
simulate seed SEED              one of them, told whole; if it fails, cut down to what it takes
days [SEEDS|TIME [FIRST]]       days of true work and true silences by chance, and what must be told of them; likewise
days seed SEED                  one of them
year [SEEDS|TIME [FIRST]]       nightly jobs for four weeks of a year, and which are told to be late or missing; 13 make
                                a whole year, and are played unless told
year seed SEED                  one of them
kill                            the real process, killed and cut off at each of its calls on four days
fuzz [CASES|TIME [FIRST]]       so many bad inputs by chance, from the seed FIRST on; 1000000 unless told
fuzz seeds DIR                  writes good inputs into the directory, for the coverage-guided form to begin with
arm64 BINARY EMULATOR...        a day of the function that is built for arm64, started by this command";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args.as_slice() {
        ["simulate", rest @ ..] => simulations(Plan::of, rest),
        ["days", rest @ ..] => simulations(days::plan, rest),
        ["year", "seed", seed] => seed_of(seed).and_then(year::tell),
        ["year", rest @ ..] => stories(years, rest, "13"),
        ["kill"] => Ok(kill()),
        ["fuzz", "seeds", directory] => write_seeds(Path::new(directory)),
        ["fuzz", rest @ ..] => bad_inputs(rest),
        ["arm64", binary, emulator @ ..] => Ok(day_on_arm64(Path::new(binary), emulator)),
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

/// How much is asked for, as a number or a time: at most so many cases, for so long.
fn amount(text: &str) -> Result<(u64, Duration), String> {
    if let Ok(cases) = text.parse() {
        return Ok((cases, Duration::MAX));
    }
    let time = |span: Span| span.to_duration(SpanRelativeTo::days_are_24_hours());
    let time = text.parse::<Span>().and_then(time);
    let time = time.and_then(|time: SignedDuration| Duration::try_from(time));
    time.map(|time| (u64::MAX, time))
        .map_err(|_| format!("{text:?} is neither a number nor a time, like 100000 or 10m"))
}

type Seeds<'a> = &'a mut dyn Iterator<Item = u64>;

fn years(seeds: Seeds<'_>) -> Result<Tally, String> {
    year::simulate(seeds)
}

fn simulations(plan_of: fn(u64) -> Plan, args: &[&str]) -> Result<String, String> {
    let play_all = |seeds: Seeds<'_>| simulate(plan_of, seeds);
    match args {
        ["seed", seed] => seed_of(seed).and_then(|seed| tell(&plan_of(seed))),
        _ => stories(play_all, args, "100000"),
    }
}

fn seed_of(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| format!("{text:?} is no seed, like 4711"))
}

fn tell(plan: &Plan) -> Result<String, String> {
    let seed = plan.seed;
    let ending = simulation::play(plan, None, true);
    match ending.violations.as_slice() {
        [] => Ok(format!(
            "{}\nseed {seed} breaks no rule",
            ending.trace.join("\n")
        )),
        _ => Err(shrink::story(plan, None, &ending)),
    }
}

fn stories(
    play_all: impl Fn(Seeds<'_>) -> Result<Tally, String> + Sync,
    args: &[&str],
    usually: &str,
) -> Result<String, String> {
    let begun = Instant::now();
    let (tallies, first) = on_all_cores(args, usually, play_all)?;
    let mut all = Tally::default();
    tallies.into_iter().for_each(|tally| all.merge(tally));
    let took = begun.elapsed().as_secs();
    Ok(format!("{all}{took:>12}  seconds; seeds from {first} on"))
}

/// Works through seeds, as many as there are cores side by side, until one of them fails; answers with what each made,
/// and the first seed. The arguments are how many, and the first.
fn on_all_cores<T: Send>(
    args: &[&str],
    usually: &str,
    work: impl Fn(Seeds<'_>) -> Result<T, String> + Sync,
) -> Result<(Vec<T>, u64), String> {
    let (amount, first) = match *args {
        [] => (usually, "0"),
        [amount] => (amount, "0"),
        [amount, first] => (amount, first),
        _ => return Err(USAGE.to_owned()),
    };
    let first = seed_of(first)?;
    let (cases, time) = self::amount(amount)?;
    let begun = Instant::now();
    let goes_on = AtomicBool::new(true);
    let next = AtomicU64::new(first);
    let take = || {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        let is_wanted = seed - first < cases && begun.elapsed() < time;
        (is_wanted && goes_on.load(Ordering::Relaxed)).then_some(seed)
    };
    let work = || {
        let made = work(&mut std::iter::from_fn(take));
        if made.is_err() {
            goes_on.store(false, Ordering::Relaxed);
        }
        made
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let made: Result<Vec<_>, _> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .collect()
    });
    Ok((made?, first))
}

/// No input may take longer than this, by the clock of its thread: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(5);

fn thread_time() -> Duration {
    let clock = nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID;
    Duration::from(clock.now().unwrap())
}

/// What makes whole runs takes ten times as long, and comes less often.
fn surface(seed: u64) -> Surface {
    match (seed % 16, seed % 32) {
        (0, 0) => Surface::Listing,
        (0, _) => Surface::Imports,
        (5, _) => Surface::Stored,
        (10, _) => Surface::File,
        (other, _) => [
            Surface::Time,
            Surface::Payload,
            Surface::Settings,
            Surface::Event,
            Surface::Expect,
        ][other as usize / 3 % 5],
    }
}

fn bad_inputs(args: &[&str]) -> Result<String, String> {
    let begun = Instant::now();
    let (made, first) = on_all_cores(args, "1000000", |seeds| {
        let mut counts: BTreeMap<Surface, u64> = BTreeMap::new();
        for seed in seeds {
            let surface = surface(seed);
            let mut rng = fastrand::Rng::with_seed(seed);
            let start = rng.u64(..);
            let moves: Vec<_> = (0..rng.usize(1..10)).map(|_| rng.u64(..)).collect();
            let input = mutated(surface, start, &moves);
            let began = thread_time();
            let holds = catch_unwind(AssertUnwindSafe(|| fuzz::check_bounded(surface, &input)));
            let took = thread_time() - began;
            if holds.is_err() || took > PATIENCE {
                let input = String::from_utf8_lossy(&input);
                return Err(format!(
                    "seed {seed} ({surface:?}) does not hold, after {took:?}; `tests/run fuzz 1 {seed}` shows it again: {input:?}"
                ));
            }
            *counts.entry(surface).or_default() += 1;
        }
        Ok(counts)
    })?;
    let mut all: BTreeMap<Surface, u64> = BTreeMap::new();
    for (surface, cases) in made.into_iter().flatten() {
        *all.entry(surface).or_default() += cases;
    }
    let lines: String = all
        .iter()
        .map(|(surface, cases)| format!("{cases:>12}  {surface:?}\n"))
        .collect();
    let cases: u64 = all.values().sum();
    let took = begun.elapsed().as_secs();
    Ok(format!(
        "{lines}{cases:>12}  cases, and each held; {took} s; seeds from {first} on"
    ))
}

/// The coverage-guided form takes the surface from the first byte.
fn write_seeds(directory: &Path) -> Result<String, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", directory.display());
    std::fs::create_dir_all(directory).map_err(failed)?;
    let mut count = 0;
    for (number, surface) in SURFACES.into_iter().enumerate() {
        for seed in seeds(surface) {
            let input: Vec<u8> = [number as u8]
                .into_iter()
                .chain(seed.iter().copied())
                .collect();
            std::fs::write(directory.join(format!("seed-{count}")), input).map_err(failed)?;
            count += 1;
        }
    }
    Ok(format!("{count} good inputs"))
}

/// Every call of four days, with each mishap, alone and beside another process.
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
    for day in [Day::OneEnds, Day::First, Day::Eventful, Day::OfBoth] {
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

fn day_on_arm64(binary: &Path, emulator: &[&str]) -> String {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(arm64::play(binary, emulator))
}
