//! The delivery promise by simulation: the real run, on ports in memory, with a virtual clock and a seed.
//!
//! A [`Plan`](plan::Plan) says what happens, [`play`] lets it happen in a [`world`] behind faulty [`ports`], and
//! the [`oracle`], which knows the truth, says what was wrong. A failing plan is cut down to a short
//! [`story`](shrink). The [`defects`] prove that the oracle sees.

#![allow(
    dead_code,
    reason = "the short and the long forms do not use all of it each"
)]

mod calendar;
mod chance;
pub(crate) mod days;
pub(crate) mod defects;
mod lateness;
pub(crate) mod ledger;
pub(crate) mod life;
pub(crate) mod oracle;
pub(crate) mod plan;
pub(crate) mod ports;
mod process;
pub(crate) mod shrink;
pub(crate) mod stories;
pub(crate) mod tally;
mod words;
pub(crate) mod world;
pub(crate) mod year;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use fraud_job_watch::ports::{Ports, Store as _};
use fraud_job_watch::run::{RunInput, run};
use fraud_job_watch::settings::WatchSettings;
use fraud_job_watch::watch::{Expectations, OverdueAfter, Policy};
use tokio::task::{JoinHandle, LocalSet};

use defects::{Defect, Flawed};
use ledger::RunLog;
use oracle::{Cause, Rule, Violation, source};
use plan::{Effect, Invocation, Plan, Step};
use ports::Port;
use process::Process;
use tally::Tally;
use world::World;

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
    let world = World::new(plan, is_traced);
    world.trace(|| format!("{} are watched", plan.source));
    let mut runs = Vec::new();
    for step in &plan.steps {
        world.trace(|| step.to_string());
        match step {
            Step::Pass(time) => tokio::time::sleep(*time).await,
            Step::Job(id, event) => world.happen(id, *event),
            Step::Settings(policy) => *world.policy.borrow_mut() = policy.clone(),
            Step::Sweep => world.table.forget_expired(world.now()),
            Step::Run(invocation) => runs.push(start(&world, invocation, plan, defect)),
        }
    }
    let mut counts = Vec::new();
    for run in runs {
        counts.push(ended(&world, run).await);
    }
    tokio::time::sleep(CALM).await;
    world.trace(|| "from here on nothing goes wrong".to_owned());
    let calm_run = async |number| {
        let run = start(&world, &Invocation::plain(number), plan, defect);
        ended(&world, run).await
    };
    for number in [1_000_000, 1_000_001] {
        calm_run(number).await;
        tokio::time::sleep(CALM).await;
    }
    // No time passes between these two.
    calm_run(1_000_002).await;
    let pending = world.table.load(world.now()).await.unwrap().outbox;
    for pending in pending {
        let what = world.called(&pending);
        world.violated(Violation {
            rule: Rule::StillPending,
            what,
        });
    }
    let writes = world.ledger.borrow().writes;
    calm_run(1_000_003).await;
    let idle = world.ledger.borrow().writes - writes;
    if idle > 0 {
        world.violated(Violation {
            rule: Rule::NotIdle,
            what: format!("{idle} writes"),
        });
    }
    let (found, causes) = oracle::at_the_end(&world);
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
fn start(
    world: &Rc<World>,
    invocation: &Invocation,
    plan: &Plan,
    defect: Option<Defect>,
) -> Running {
    let policy = world.policy.borrow().clone();
    let place = {
        let mut ledger = world.ledger.borrow_mut();
        ledger.runs.push(RunLog {
            number: invocation.number,
            policy: concerning(world, &policy),
            view: invocation.view,
            started: world.now(),
            time_given: invocation.time_given,
            ended: None,
            died: false,
            froze: false,
            met_error: false,
            saw_the_end: false,
            outcome: None,
            looks: Vec::new(),
            absent: BTreeMap::new(),
        });
        ledger.runs.len() - 1
    };
    let process = Process::new(Rc::clone(world), place, invocation.clone(), plan.seed);
    let (world, is_urgent, kind) = (Rc::clone(world), plan.is_urgent, plan.source);
    let (time_given, number) = (invocation.time_given, invocation.number);
    tokio::task::spawn_local(async move {
        let to = |topic| {
            let process = Rc::clone(&process);
            Flawed::new(Port { process, topic }, defect)
        };
        let port = to(oracle::topic());
        let ports = Ports {
            listing: port.clone(),
            store: port.clone(),
            topic: port.clone(),
            urgent: is_urgent.then(|| to(oracle::urgent_topic())),
            alarms: None,
            clock: || port.now(),
        };
        let name = match defect {
            Some(Defect::NamesAllRunsAlike) => "run".to_owned(),
            Some(_) | None => format!("run-{number}"),
        };
        let source = source().with_kind(kind);
        let settings = WatchSettings {
            name: None,
            policy,
            digest_above: 1_000,
        };
        let settings = settings.of_source(kind);
        let input = RunInput {
            source: &source,
            settings: &settings,
            run_id: &name,
            time_given: Some(time_given),
        };
        let outcome = tokio::select! {
            biased;
            () = process.died.notified() => None,
            outcome = process.freezable(run(&ports, &input)) => Some(outcome),
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
            oracle::runs::on_death(&world, place);
        }
        oracle::runs::on_end(&world, place);
        process.counts()
    })
}

/// What of the settings is about the jobs of this world: EXPECT and a duration by hand are about predictions.
fn concerning(world: &World, policy: &Policy) -> Policy {
    if !world.are_imports {
        return policy.clone();
    }
    Policy {
        overdue_after: match policy.overdue_after {
            OverdueAfter::Off => OverdueAfter::Off,
            OverdueAfter::Auto | OverdueAfter::After(_) => OverdueAfter::Auto,
        },
        expect: Expectations::default(),
        ..policy.clone()
    }
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

/// Plays the plans of seeds until one fails: then its story.
pub(crate) fn simulate(
    plan_of: impl Fn(u64) -> Plan,
    seeds: impl IntoIterator<Item = u64>,
) -> Result<Tally, String> {
    let mut tally = Tally::default();
    for seed in seeds {
        let plan = plan_of(seed);
        let ending = play(&plan, None, false);
        tally.add(&ending);
        if !ending.violations.is_empty() {
            return Err(shrink::story(&plan, None, &ending));
        }
    }
    Ok(tally)
}
