//! What the work costs, counted and not timed, so that it holds on any machine: requests and writes of whole runs,
//! and memory allocations of the work that a run repeats.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::lab::emulators::python_boto3;
use crate::lab::fraud_detector::{FraudDetector, IMPORTS, PREDICTIONS, ago, import, job, with};
use crate::lab::function::Function;
use crate::lab::runtime_api::RuntimeApi;
use crate::lab::table::{Counts, Table};
use crate::work;

const TIME: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A function at a table that counts.
struct Stage {
    jobs: FraudDetector,
    table: Table,
    api: RuntimeApi,
    _function: Function,
}

impl Stage {
    fn new(active: usize, history: usize) -> Self {
        Self::watching("", active, history)
    }

    fn watching(watch: &str, active: usize, history: usize) -> Self {
        let (jobs, table, api) = (
            FraudDetector::start(),
            Table::start(),
            RuntimeApi::default(),
        );
        let active = (0..active).map(|number| job(&format!("active-{number}"), "IN_PROGRESS"));
        jobs.set_jobs(active.collect());
        jobs.set_history(history, 2 * DAY);
        jobs.set_imports(vec![import("import", "IN_PROGRESS")]);
        let watch = ("WATCH".to_owned(), watch.to_owned());
        let env = table.env().into_iter().chain([jobs.env(), watch]);
        let function = Function::start(&api, env!("CARGO_BIN_EXE_fraud-job-watch"), env);
        Self {
            jobs,
            table,
            api,
            _function: function,
        }
    }

    async fn run(&self) -> Counts {
        self.jobs.clear_requests();
        self.table.take_counts();
        self.run_counted_from_before().await
    }

    /// A run, with what was asked since the counts were last taken.
    async fn run_counted_from_before(&self) -> Counts {
        let answer = self.api.invoke(json!({}), TIME).await.unwrap();
        assert_eq!(answer["complete"], true, "{answer}");
        let mut counts = self.table.take_counts();
        for operation in [PREDICTIONS, IMPORTS] {
            let pages = self.jobs.count_of(operation);
            if pages > 0 {
                counts.requests.insert(operation.to_owned(), pages);
            }
        }
        counts
    }
}

fn requests(requests: &[(&str, u64)]) -> BTreeMap<String, u64> {
    let owned = |(operation, count): &(&str, u64)| ((*operation).to_owned(), *count);
    requests.iter().map(owned).collect()
}

#[tokio::test]
async fn a_run_asks_for_nothing_that_it_does_not_need() {
    let stage = Stage::new(20, 1_980);
    let mut first = stage.run_counted_from_before().await;
    // The state that was read at the start serves for a second.
    let queries = first.requests.remove("Query");
    assert!(matches!(queries, Some(1 | 2)), "{queries:?}");
    assert_eq!(
        first.requests,
        requests(&[
            // One more of each at the start, for the connections.
            ("GetBatchPredictionJobs", 40 + 1),
            ("GetTopicAttributes", 1 + 1),
            // The watch, each active job, and the claim of what is told.
            ("UpdateItem", 1 + 20 + 1),
            ("TransactWriteItems", 1),
            ("Publish", 1),
            ("DeleteItem", 1),
        ]),
        "the first run records what is active, and tells that it began"
    );

    let idle = stage.run().await;
    assert_eq!(
        idle.requests,
        requests(&[
            ("GetBatchPredictionJobs", 40),
            ("GetTopicAttributes", 1),
            ("Query", 1)
        ]),
        "an idle run reads once and writes nothing"
    );

    for changes in [1, 5] {
        stage.jobs.update(|jobs| {
            let now = ago(Duration::ZERO);
            let ended = json!({"status": "COMPLETE", "completionTime": now});
            let active = jobs.iter_mut().filter(|job| job["status"] == "IN_PROGRESS");
            for job in active.take(changes) {
                *job = with(job.take(), ended.clone());
            }
        });
        let changed = stage.run().await;
        assert_eq!(
            (changed.writes(), changed.of("Publish"), changed.of("Query")),
            (3 * changes as u64, changes as u64, 1),
            "a change is recorded, claimed and settled: {:?}",
            changed.requests
        );
    }
}

#[tokio::test]
async fn a_second_source_adds_its_pages_and_one_query() {
    let stage = Stage::watching("batch-predictions,batch-imports", 20, 1_980);
    let first = stage.run().await;
    assert_eq!(first.of("Publish"), 2, "each began");
    let idle = stage.run().await;
    assert_eq!(
        idle.requests,
        requests(&[
            ("GetBatchPredictionJobs", 40),
            ("GetBatchImportJobs", 1),
            ("GetTopicAttributes", 1),
            ("Query", 2)
        ])
    );
}

#[tokio::test]
async fn the_state_is_read_a_megabyte_at_a_time() {
    let stage = Stage::new(2_000, 0);
    stage.run().await;
    let idle = stage.run().await;
    let megabytes = idle.read_units * 8_192.0 / f64::from(1 << 20);
    assert!((1.0..4.0).contains(&megabytes), "{megabytes} MB of state");
    assert_eq!(idle.of("Query"), megabytes.ceil() as u64);
    assert_eq!(idle.writes(), 0);
}

/// The most that each piece of work may allocate: what it did when this was written, and a tenth.
const ALLOCATIONS: [(&str, u64); 11] = [
    ("judge a job of history", 0),
    ("judge a known active job, nothing new", 0),
    ("judge a known job that completed", 62),
    ("read a page of 50 jobs", 894),
    ("write a record", 539),
    ("write a record and what is pending", 620),
    ("judge a silence that makes a stall", 67),
    ("read a state of 100 records", 10_859),
    ("render a notice", 526),
    ("render a digest of 50 notices", 11_988),
    ("an idle run over 1,000 jobs", 18_429),
];

#[test]
fn the_work_that_a_run_repeats_allocates_no_more_than_it_did() {
    let mut counted = Vec::new();
    for (name, mut work) in work::all() {
        // What is made once is not counted.
        work();
        counted.push((name, allocation_counter::measure(work).count_total));
    }
    let most: BTreeMap<_, _> = ALLOCATIONS.into_iter().collect();
    for (name, count) in &counted {
        assert!(
            *count <= most[name] + most[name] / 10,
            "{name} allocates {count} times; all counts: {counted:#?}"
        );
    }
}

/// The tables beside the benches are these, and what the README says of them is in them.
#[test]
fn what_the_cost_script_prints_is_what_is_documented() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bench/cost.py");
    let output = Command::new(python_boto3()).arg(script).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let documented = include_str!("bench/README.md");
    let tables: Vec<_> = printed.trim().split("\n\n").collect();
    assert_eq!(tables.len(), 3, "{printed}");
    for table in &tables {
        assert!(documented.contains(table), "lacking:\n{table}");
    }
    let readme = include_str!("../README.md");
    let total = tables[0]
        .lines()
        .find(|row| row.contains("without"))
        .unwrap();
    for cost in total.split("**").skip(3).step_by(2) {
        assert!(
            readme.contains(&format!("${cost}")),
            "README lacks: ${cost}"
        );
    }
}
