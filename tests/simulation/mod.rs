//! The delivery promise by simulation: the real run, on ports in memory, with a virtual clock and a seed.
//!
//! A [`Plan`](plan::Plan) says what happens, [`play`] lets it happen in a [`world`] behind faulty [`ports`], and
//! the [`oracle`], which knows the truth, says what was wrong. A failing plan is cut down to a short
//! [`story`](shrink). The [`defects`] prove that the oracle sees.

#![allow(
    dead_code,
    reason = "the short and the long forms do not use all of it each"
)]

pub(crate) mod defects;
pub(crate) mod oracle;
pub(crate) mod plan;
pub(crate) mod ports;
pub(crate) mod shrink;
pub(crate) mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use fraud_job_watch::ports::{Ports, Store as _};
use fraud_job_watch::run::{Tick, run};
use fraud_job_watch::settings::WatchSettings;
use tokio::task::{JoinHandle, LocalSet};

use defects::{Defect, Flawed};
use oracle::{Cause, Rule, Violation, source};
use plan::{Effect, Invocation, Plan, Step, View, policy};
use ports::{Port, Process};
use world::{RunLog, World};

/// What came of a plan.
pub(crate) struct Ending {
    pub(crate) violations: Vec<Violation>,
    pub(crate) causes: BTreeMap<Cause, u64>,
    pub(crate) trace: Vec<String>,
    /// What each run did: how many effects of each kind.
    pub(crate) counts: Vec<BTreeMap<Effect, u32>>,
    pub(crate) world: Rc<World>,
}

impl Ending {
    pub(crate) fn rules(&self) -> BTreeSet<Rule> {
        self.violations.iter().map(|found| found.rule).collect()
    }
}

/// Plays a plan, lets the faults end, and judges.
pub(crate) fn play(plan: &Plan, defect: Option<Defect>, is_traced: bool) -> Ending {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, perform(plan, defect, is_traced))
}

/// Longer than any claim, and than anything that lands late.
const CALM: Duration = Duration::from_secs(600);

async fn perform(plan: &Plan, defect: Option<Defect>, is_traced: bool) -> Ending {
    let is_stale = |step: &Step| matches!(step, Step::Run(run) if run.view.table_stale > 0);
    let world = World::new(policy(), is_traced, plan.steps.iter().any(is_stale));
    let mut runs = Vec::new();
    for step in &plan.steps {
        world.trace(|| step.to_string());
        match step {
            Step::Pass(time) => tokio::time::sleep(*time).await,
            Step::Job(id, event) => world.happen(id, *event),
            Step::Settings(policy) => *world.policy.borrow_mut() = policy.clone(),
            Step::Sweep => world.table.forget_expired(world.now()),
            Step::Run(invocation) => runs.push(start(&world, invocation, plan.seed, defect)),
        }
    }
    let mut counts = Vec::new();
    for run in runs {
        counts.push(ended(&world, run).await);
    }
    tokio::time::sleep(CALM).await;
    world.trace(|| "from here on nothing goes wrong".to_owned());
    for number in [1_000_000, 1_000_001] {
        ended(&world, start(&world, &Invocation::plain(number), 0, defect)).await;
        tokio::time::sleep(CALM).await;
    }
    // No time passes between these two.
    ended(
        &world,
        start(&world, &Invocation::plain(1_000_002), 0, defect),
    )
    .await;
    let owed = world.table.load(world.now()).await.unwrap().owed;
    for owed in owed {
        let what = oracle::name(&owed.notice);
        world.violated(Violation {
            rule: Rule::StillOwed,
            what,
        });
    }
    let writes = world.ledger.borrow().writes;
    ended(
        &world,
        start(&world, &Invocation::plain(1_000_003), 0, defect),
    )
    .await;
    let idle = world.ledger.borrow().writes - writes;
    if idle > 0 {
        world.violated(Violation {
            rule: Rule::NotIdle,
            what: format!("{idle} writes"),
        });
    }
    let (found, causes) = oracle::at_the_end(&world.ledger.borrow());
    for violation in found {
        world.violated(violation);
    }
    let (violations, trace) = {
        let mut ledger = world.ledger.borrow_mut();
        (ledger.violations.clone(), std::mem::take(&mut ledger.trace))
    };
    Ending {
        violations,
        causes,
        trace,
        counts,
        world,
    }
}

type Running = JoinHandle<BTreeMap<Effect, u32>>;

/// Triggers a run. It goes on beside whatever else happens.
fn start(world: &Rc<World>, plan: &Invocation, seed: u64, defect: Option<Defect>) -> Running {
    let policy = world.policy.borrow().clone();
    let place = {
        let mut ledger = world.ledger.borrow_mut();
        ledger.runs.push(RunLog {
            number: plan.number,
            policy: policy.clone(),
            view: plan.view,
            started: world.now(),
            time_given: plan.time_given,
            ended: None,
            died: false,
            froze: false,
            met_error: false,
            saw_the_end: false,
            outcome: None,
            shown: BTreeMap::new(),
            loaded: BTreeSet::new(),
            absent: BTreeSet::new(),
        });
        ledger.runs.len() - 1
    };
    let process = Process::new(Rc::clone(world), place, plan.clone(), seed);
    let (world, time_given, number) = (Rc::clone(world), plan.time_given, plan.number);
    tokio::task::spawn_local(async move {
        let port = Flawed::new(Port(Rc::clone(&process)), defect);
        let ports = Ports {
            listing: port.clone(),
            store: port.clone(),
            topic: port.clone(),
            urgent: None,
            clock: port,
        };
        let name = match defect {
            Some(Defect::NamesAllRunsAlike) => "run".to_owned(),
            Some(_) | None => format!("run-{number}"),
        };
        let source = source();
        let settings = WatchSettings {
            name: None,
            policy,
            digest_above: 1_000,
        };
        let tick = Tick {
            source: &source,
            settings: &settings,
            run: &name,
            time_given: Some(time_given),
        };
        let outcome = tokio::select! {
            biased;
            () = process.died.notified() => None,
            outcome = process.freezable(run(&ports, &tick)) => Some(outcome),
            () = tokio::time::sleep(time_given) => None,
        };
        let is_dead = outcome.is_none();
        {
            let mut ledger = world.ledger.borrow_mut();
            let log = &mut ledger.runs[place];
            log.ended = Some(world.now());
            log.died = is_dead;
            log.outcome = outcome;
        }
        world.trace(|| {
            let ledger = world.ledger.borrow();
            match &ledger.runs[place].outcome {
                None => format!("run {number} is dead"),
                Some(outcome) => {
                    let failures = outcome.failures.iter().map(ToString::to_string);
                    let failures: Vec<_> = failures.collect();
                    let complete = outcome.answer.complete;
                    format!("run {number} ends; complete: {complete}; failures: {failures:?}")
                }
            }
        });
        if is_dead {
            oracle::on_death(&world, place);
        }
        oracle::on_end(&world, place).await;
        process.counts()
    })
}

async fn ended(world: &World, run: Running) -> BTreeMap<Effect, u32> {
    match run.await {
        Ok(counts) => counts,
        Err(panicked) => {
            world.violated(Violation {
                rule: Rule::Panicked,
                what: panicked.to_string(),
            });
            BTreeMap::new()
        }
    }
}

/// What many plans came to.
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
        for run in &ledger.runs {
            let View {
                jobs_stale,
                table_stale,
                omits,
                tokens,
                ..
            } = run.view;
            for (name, is_so) in [
                ("jobs shown late", jobs_stale > 0),
                ("state loaded late", table_stale > 0),
                ("job left out of the listing", omits.is_some()),
                ("tokens that lead nowhere", tokens.is_some()),
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
        line("lost", self.lost)
    }
}

/// Plays seeds until one fails: then its story.
pub(crate) fn simulate(seeds: impl IntoIterator<Item = u64>) -> Result<Tally, String> {
    let mut tally = Tally::default();
    for seed in seeds {
        let plan = Plan::of(seed);
        let ending = play(&plan, None, false);
        tally.add(&ending);
        if !ending.violations.is_empty() {
            return Err(shrink::story(&plan, None, &ending));
        }
    }
    Ok(tally)
}
