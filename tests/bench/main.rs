//! Side by side: this function, a boto3 function, and the floor, on one Fraud Detector, in one run.
//!
//! `tests/run bench --help` says how. Each contender runs as a process of its own: the functions at the lab's
//! Runtime API, as on Lambda, against a table and topic at memory speed. In turn, round by round, so that
//! whatever else the machine does meets all alike.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a measurement that cannot go on panics"
)]

mod contenders;
mod floor;
#[path = "../lab/mod.rs"]
mod lab;
mod process;
mod readme;
mod report;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use clap::Parser;
use serde_json::json;

use lab::fraud_detector::{FraudDetector, IMPORTS, PREDICTIONS, ago, import, job, with};
use lab::function::Function;
use lab::runtime_api::RuntimeApi;
use lab::table::{Counts, Table};
use process::ms;
use report::{Case, Results};

/// Measures the function beside a boto3 function and the floor, and prints Markdown tables.
///
/// Takes about 15 minutes, without a million jobs at 20 ms a page, and before that the time of a release
/// build. All figures go to target/bench.json as well.
#[derive(Clone, Parser)]
#[command(bin_name = "tests/run bench")]
struct Arguments {
    /// About 5 minutes instead: up to 10,000 jobs, few rounds, no shares of a processor.
    #[arg(long)]
    quick: bool,
    /// How many jobs are listed.
    #[arg(long, value_delimiter = ',', value_name = "N,…")]
    jobs: Vec<usize>,
    /// How long the service takes for a page, in milliseconds.
    #[arg(long, value_delimiter = ',', value_name = "MS,…")]
    latency: Vec<u64>,
    /// How long the table takes for an answer, in milliseconds.
    #[arg(long, default_value_t = 0, value_name = "MS")]
    table_latency: u64,
    /// How often each is measured.
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// How many of the jobs are active, and thus recorded; at least ten.
    #[arg(long, default_value_t = 20, value_name = "N")]
    active: usize,
    /// Lambda memory sizes whose share of a processor is measured; needs root.
    #[arg(long, value_delimiter = ',', value_name = "MB,…")]
    memory: Vec<u32>,
    #[command(flatten)]
    common: contenders::Common,
    /// To be the floor, for this address.
    #[arg(long, hide = true)]
    floor: Option<String>,
}

/// How many jobs change before a run with changes: few enough to be told one by one.
const CHANGES: usize = 5;
/// Nothing here waits longer than this.
const TIME: Duration = Duration::from_secs(3_000);
/// A listing that takes longer is measured in an idle run only.
const SLOW: Duration = Duration::from_secs(20);
/// A listing that takes longer is measured only if `--jobs` names it.
const LONGEST: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Contender {
    Ours,
    /// The same function, which watches batch imports as well.
    OfBoth,
    Boto3,
    Floor,
}

impl Contender {
    fn name(self) -> &'static str {
        match self {
            Self::Ours => "fraud-job-watch",
            Self::OfBoth => "fraud-job-watch of both",
            Self::Boto3 => "boto3",
            Self::Floor => "floor",
        }
    }
}

fn main() {
    let arguments = Arguments::parse();
    if let Some(address) = &arguments.floor {
        floor::serve(address).unwrap();
        return;
    }
    std::env::set_current_dir(env!("CARGO_MANIFEST_DIR")).unwrap();
    if arguments.common.write {
        readme::look_for_a_place(report::PLACE);
    }
    let results = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(measure(&arguments));
    std::fs::write("target/bench.json", results.json().to_string()).unwrap();
    let tables = results.tables();
    println!("{tables}");
    if arguments.common.write {
        readme::put(report::PLACE, &tables);
    }
}

/// How often a case is measured: as often as its length allows.
fn rounds(arguments: &Arguments, case: Case) -> usize {
    let shared = case.memory.is_some();
    arguments
        .rounds
        .unwrap_or(match (arguments.quick, case.latency, case.jobs) {
            (true, ..) => 3,
            (false, _, ..=1_000) if shared => 3,
            (false, ..) if shared => 1,
            (false, 0, ..=10_000) => 7,
            (false, 0, ..=100_000) => 2,
            (false, _, ..=1_000) => 5,
            (false, _, ..=10_000) => 3,
            (false, ..) => 1,
        })
}

async fn measure(arguments: &Arguments) -> Results {
    let mut results = Results::default();
    results.zip_bytes = zipped(&arguments.common.function);
    let sizes = match (arguments.jobs.as_slice(), arguments.quick) {
        ([], true) => vec![100, 1_000, 10_000],
        ([], false) => vec![100, 1_000, 10_000, 100_000, 1_000_000],
        (given, _) => given.to_vec(),
    };
    let latencies = match arguments.latency.as_slice() {
        [] => vec![0, 20],
        given => given.to_vec(),
    };
    let memories = match (arguments.memory.as_slice(), arguments.quick) {
        ([], true) => vec![],
        ([], false) => vec![128, 256, 512],
        (given, _) => given.to_vec(),
    };
    let stage = Stage::new(arguments);
    // The first start of Python compiles what later ones find compiled.
    stage.set(100, Duration::ZERO);
    drop(stage.start(Contender::Boto3, None).await);
    for &latency in &latencies {
        for &jobs in &sizes {
            let case = Case {
                jobs,
                latency,
                memory: None,
            };
            // A million jobs at 20 ms a page are a matter of their own.
            let pages = u32::try_from(jobs.div_ceil(50)).unwrap();
            if arguments.jobs.is_empty() && Duration::from_millis(latency) * pages > LONGEST {
                continue;
            }
            let rounds = rounds(arguments, case);
            for round in 0..rounds {
                eprintln!("{jobs} jobs, {latency} ms: round {} of {rounds}", round + 1);
                // By turns in either order, so that none is always the one that follows another.
                let mut turn = vec![Contender::Floor, Contender::Ours];
                if jobs <= 100_000 {
                    turn.extend([Contender::OfBoth, Contender::Boto3]);
                }
                if round % 2 == 1 {
                    turn.reverse();
                }
                for contender in turn {
                    match contender {
                        Contender::Floor => stage.floor(case, &mut results),
                        function => stage.function(case, function, &mut results).await,
                    }
                }
            }
        }
    }
    let are_shared = |jobs: &usize| (1_000..=10_000).contains(jobs);
    for memory in memories {
        for jobs in sizes.iter().copied().filter(are_shared) {
            let case = Case {
                jobs,
                latency: 20,
                memory: Some(memory),
            };
            let rounds = rounds(arguments, case);
            for round in 0..rounds {
                eprintln!(
                    "{jobs} jobs, 20 ms, {memory} MB: round {} of {rounds}",
                    round + 1
                );
                for function in [Contender::Ours, Contender::Boto3] {
                    if let Err(error) = stage.share(case, memory, function, &mut results).await {
                        eprintln!("no share of a processor can be given: {error}");
                        return results;
                    }
                }
            }
        }
    }
    results
}

/// How many idle runs in a round.
fn idle_runs(case: Case) -> usize {
    match case.jobs {
        ..10_000 => 3,
        10_000 => 2,
        _ => 1,
    }
}

/// What every contender meets.
struct Stage {
    arguments: Arguments,
    jobs: FraudDetector,
    table: Table,
    api: RuntimeApi,
}

impl Stage {
    fn new(arguments: &Arguments) -> Self {
        let table = Table::start();
        table.set_latency(Duration::from_millis(arguments.table_latency));
        Self {
            arguments: arguments.clone(),
            jobs: FraudDetector::start(),
            table,
            api: RuntimeApi::default(),
        }
    }

    /// So many jobs, most of them long ended, and one page of imports; nothing recorded.
    fn set(&self, jobs: usize, latency: Duration) {
        let active = self.arguments.active.max(2 * CHANGES);
        self.table.clear();
        let long_ago = Duration::from_secs(2 * 24 * 60 * 60);
        self.jobs.set_history(jobs.saturating_sub(active), long_ago);
        let active = (0..active).map(|number| job(&format!("active_{number:08}"), "IN_PROGRESS"));
        self.jobs.set_jobs(active.collect());
        let long_ago = json!({"startTime": ago(2 * long_ago), "completionTime": ago(long_ago)});
        let imports = (0..50).map(|number| import(&format!("import_{number:08}"), "COMPLETE"));
        let imports = imports.map(|import| with(import, long_ago.clone()));
        self.jobs.set_imports(imports.collect());
        self.jobs.script(|script| script.latency = latency);
    }

    /// Some of the active jobs end.
    fn change(&self) {
        let now = ago(Duration::ZERO);
        let ended = json!({"status": "COMPLETE", "completionTime": now, "lastHeartbeatTime": now});
        self.jobs.update(|jobs| {
            for job in jobs.iter_mut().take(CHANGES) {
                *job = with(job.take(), ended.clone());
            }
        });
    }

    fn command(&self, contender: Contender) -> Command {
        match contender {
            Contender::Ours | Contender::OfBoth => {
                contenders::ours(&self.arguments.common.function)
            }
            Contender::Boto3 => contenders::boto3(),
            Contender::Floor => unreachable!("the floor is no function"),
        }
    }

    /// A function process that has asked for its first event.
    async fn start(&self, contender: Contender, share: Option<&process::Share>) -> Function {
        let mut env = self.table.env().to_vec();
        env.push(self.jobs.env());
        env.extend(contenders::boto3_env());
        if contender == Contender::OfBoth {
            let both = "batch-predictions,batch-imports";
            env.push(("WATCH".to_owned(), both.to_owned()));
        }
        let mut command = self.command(contender);
        if let Some(share) = share {
            command = share.confine(&command);
        }
        let function = Function::run(&self.api, command, env);
        lab::eventually(|| function.start_to_ready().is_some()).await;
        function
    }

    /// One invocation: how long it took, its processor time, and what it asked of the table and the topic.
    async fn invoke(&self, function: &Function) -> (Duration, Duration, Counts) {
        self.jobs.clear_requests();
        self.table.take_counts();
        let cpu = process::cpu(function.id());
        let start = Instant::now();
        let answer = self.api.invoke(json!({}), TIME).await.unwrap();
        let wall = start.elapsed();
        let cpu = process::cpu(function.id()) - cpu;
        assert_eq!(answer["complete"], true, "{answer}");
        let mut counts = self.table.take_counts();
        for operation in [PREDICTIONS, IMPORTS] {
            let pages = self.jobs.count_of(operation);
            if pages > 0 {
                counts.requests.insert(operation.to_owned(), pages);
            }
        }
        (wall, cpu, counts)
    }

    /// A first run, idle runs, a run with changes; then an idle run of a new process.
    async fn function(&self, case: Case, contender: Contender, results: &mut Results) {
        let latency = Duration::from_millis(case.latency);
        let is_slow = latency * u32::try_from(case.jobs / 50).unwrap() > SLOW;
        let (name, idle_runs) = (contender.name(), idle_runs(case));
        self.set(case.jobs, if is_slow { Duration::ZERO } else { latency });

        let function = self.start(contender, None).await;
        let mut note = |what: &str, value: f64| results.note(case, name, what, value);
        if !is_slow {
            note("start", ms(function.start_to_ready().unwrap()));
            note("start cpu", ms(process::cpu(function.id())));
        }
        let (wall, cpu, counts) = self.invoke(&function).await;
        if !is_slow {
            note("first", ms(wall));
            note("first cpu", ms(cpu));
            results.count(case, name, "first", counts);
        }
        self.jobs.script(|script| script.latency = latency);
        for _ in 0..idle_runs {
            let (wall, cpu, counts) = self.invoke(&function).await;
            results.note(case, name, "idle", ms(wall));
            results.note(case, name, "idle cpu", ms(cpu));
            results.count(case, name, "idle", counts);
        }
        if is_slow {
            results.note(case, name, "peak", process::peak_mib(function.id()));
            return;
        }
        self.change();
        let (wall, cpu, counts) = self.invoke(&function).await;
        results.note(case, name, "changed", ms(wall));
        results.note(case, name, "changed cpu", ms(cpu));
        results.count(case, name, "changed", counts);
        results.note(case, name, "peak", process::peak_mib(function.id()));
        drop(function);

        let function = self.start(contender, None).await;
        results.note(case, name, "start", ms(function.start_to_ready().unwrap()));
        let (wall, _, _) = self.invoke(&function).await;
        results.note(case, name, "cold idle", ms(wall));
        results.note(case, name, "cold idle cpu", ms(process::cpu(function.id())));
        results.note(
            case,
            name,
            "cold idle peak",
            process::peak_mib(function.id()),
        );
    }

    /// An idle run from a cold start, with a share of a processor.
    async fn share(
        &self,
        case: Case,
        memory: u32,
        contender: Contender,
        results: &mut Results,
    ) -> std::io::Result<()> {
        let share = process::Share::of_memory(memory)?;
        self.set(case.jobs, Duration::ZERO);
        let function = self.start(contender, None).await;
        self.invoke(&function).await;
        drop(function);
        self.jobs
            .script(|script| script.latency = Duration::from_millis(case.latency));
        let function = self.start(contender, Some(&share)).await;
        assert!(share.holds(function.id())?, "it runs outside its share");
        let name = contender.name();
        results.note(case, name, "start", ms(function.start_to_ready().unwrap()));
        let (wall, _, _) = self.invoke(&function).await;
        results.note(case, name, "cold idle", ms(wall));
        let (wall, _, _) = self.invoke(&function).await;
        results.note(case, name, "idle", ms(wall));
        results.note(case, name, "peak", process::peak_mib(function.id()));
        Ok(())
    }

    fn floor(&self, case: Case, results: &mut Results) {
        self.set(case.jobs, Duration::from_millis(case.latency));
        let mut floor = Floor::start(&self.jobs);
        for _ in 0..idle_runs(case) {
            let cpu = process::cpu(floor.process.id());
            let start = Instant::now();
            let pages = floor.list();
            let wall = start.elapsed();
            let cpu = process::cpu(floor.process.id()) - cpu;
            assert_eq!(pages, case.jobs.div_ceil(50));
            results.note(case, "floor", "idle", ms(wall));
            results.note(case, "floor", "idle cpu", ms(cpu));
        }
        results.note(case, "floor", "peak", process::peak_mib(floor.process.id()));
    }
}

/// The floor in a process of its own.
struct Floor {
    process: Child,
    asks: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Floor {
    fn start(jobs: &FraudDetector) -> Self {
        let address = jobs.url().trim_start_matches("http://").to_owned();
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--floor", &address])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Self {
            asks: process.stdin.take().unwrap(),
            answers: BufReader::new(process.stdout.take().unwrap()),
            process,
        }
    }

    fn list(&mut self) -> usize {
        self.asks.write_all(b"\n").unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        answer.trim().parse().unwrap()
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The size of the artifact that is uploaded.
fn zipped(binary: &std::path::Path) -> u64 {
    let script = "import io, sys, zipfile
zipped = io.BytesIO()
with zipfile.ZipFile(zipped, 'w', zipfile.ZIP_DEFLATED) as archive:
    archive.write(sys.argv[1], 'bootstrap')
print(len(zipped.getvalue()))";
    let output = Command::new(contenders::PYTHON)
        .args(["-c", script])
        .arg(binary)
        .output()
        .unwrap();
    let size = String::from_utf8(output.stdout).unwrap();
    size.trim()
        .parse()
        .unwrap_or_else(|_| panic!("{} cannot be zipped", binary.display()))
}
