//! The cold start for real, with TLS: `tests/run bench cold --write`; without `--write` README.md is left alone.
//! About four minutes; shares of a processor need root.
//!
//! The lab's services behind TLS on loopback, with a root of its own beside the system's. First what the clients
//! can be made of, each in new processes that read the state and list one page; then the release binary beside the
//! boto3 function, from start through idle runs over 1,000 jobs.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a measurement that cannot go on panics"
)]
#![recursion_limit = "256"]

mod contenders;
#[path = "../lab/mod.rs"]
mod lab;
#[allow(dead_code, reason = "not all of it is looked at here")]
mod process;
mod readme;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use aws_config::BehaviorVersion;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use clap::Parser;
use fraud_job_watch::aws::{FraudDetector, Table};
use fraud_job_watch::ports::{Listing, Store};
use fraud_job_watch::watch::SourceKind;
use jiff::Timestamp;
use serde_json::json;

use lab::function::Function;
use lab::runtime_api::RuntimeApi;
use process::ms;

const ROUNDS: usize = 30;
/// What puts the tables into tests/bench/README.md.
const PLACE: &str = "tests/run bench cold --write";
/// What clients trust: the system's roots and the lab's.
const ROOTS: &str = "target/cold-roots.pem";
/// The lab's root alone.
const ROOT: &str = "target/cold-root.pem";

const VARIANTS: [&str; 6] = [
    "aws-lc, every root, for each client anew, as the SDK does it",
    "aws-lc, every root, once for all clients",
    "aws-lc, one root, once for all clients",
    "ring, every root, once for all clients",
    "ring, one root, once for all clients",
    "no TLS",
];

/// Measures a cold start with TLS, beside a boto3 function, and prints Markdown tables.
#[derive(Parser)]
#[command(bin_name = "tests/run bench cold")]
struct Arguments {
    #[command(flatten)]
    common: contenders::Common,
    /// Another build of the function, to compare with.
    #[arg(long, value_name = "FILE")]
    before: Option<PathBuf>,
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    match std::env::var("COLD_VARIANT") {
        Ok(variant) => runtime.block_on(be(variant.parse().unwrap())),
        Err(_) => {
            let Arguments { common, before } = Arguments::parse();
            std::env::set_current_dir(env!("CARGO_MANIFEST_DIR")).unwrap();
            if common.write {
                readme::look_for_a_place(PLACE);
            }
            let tables = runtime.block_on(measure(&common.function, before.as_deref()));
            println!("{tables}");
            if common.write {
                readme::put(PLACE, &tables);
            }
        }
    }
}

/// A process that makes its clients, reads the state, lists one page, and ends.
async fn be(variant: usize) {
    let context = |all: bool| {
        let roots = match all {
            true => TrustStore::default(),
            false => TrustStore::empty().with_pem_certificate(std::fs::read(ROOT).unwrap()),
        };
        TlsContext::builder()
            .with_trust_store(roots)
            .build()
            .unwrap()
    };
    let client = |mode: CryptoMode, all: bool| {
        Builder::new()
            .tls_provider(Provider::rustls(mode))
            .tls_context(context(all))
            .build_https()
    };
    let mut config = aws_config::defaults(BehaviorVersion::latest());
    match variant {
        0 | 1 => config = config.http_client(client(CryptoMode::AwsLc, true)),
        2 => config = config.http_client(client(CryptoMode::AwsLc, false)),
        3 => config = config.http_client(client(CryptoMode::Ring, true)),
        4 => config = config.http_client(client(CryptoMode::Ring, false)),
        _ => config = config.http_client(Builder::new().build_http()),
    }
    let config = config.load().await;
    let own = match variant {
        0 => config
            .to_builder()
            .http_client(client(CryptoMode::AwsLc, true))
            .build(),
        _ => config.clone(),
    };
    let source = "arn:aws:frauddetector:us-east-1:123456789012:batch-prediction";
    let table = Table::new(
        aws_sdk_dynamodb::Client::new(&config),
        "state".to_owned(),
        &source.parse().unwrap(),
    );
    let detector = FraudDetector::new(
        aws_sdk_frauddetector::Client::new(&own),
        SourceKind::BatchPredictions,
    );
    let (state, page) = tokio::join!(table.load(Timestamp::now()), detector.page(None));
    assert_eq!(page.unwrap().jobs.len(), 50);
    state.unwrap();
    // For whoever measures: it ends when it may.
    println!("done");
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

async fn measure(function: &Path, before: Option<&Path>) -> String {
    let jobs = lab::fraud_detector::FraudDetector::start();
    jobs.set_history(1_000, Duration::from_secs(2 * 24 * 60 * 60));
    let table = lab::table::Table::start();
    let tls = lab::tls::Tls::new();
    std::fs::write(ROOT, tls.root()).unwrap();
    std::fs::write(ROOTS, tls.roots()).unwrap();
    let mut plain = table.env().to_vec();
    plain.push(jobs.env());
    let mut secret = tls.before(&plain);
    secret.push(("SSL_CERT_FILE".to_owned(), ROOTS.to_owned()));
    secret.push(("AWS_CA_BUNDLE".to_owned(), ROOTS.to_owned()));

    let mut figures: BTreeMap<usize, Vec<(f64, f64)>> = BTreeMap::new();
    for _ in 0..ROUNDS {
        for (variant, name) in VARIANTS.iter().enumerate() {
            let env = if *name == "no TLS" { &plain } else { &secret };
            let env = env.clone();
            let figure = tokio::task::spawn_blocking(move || once(variant, &env))
                .await
                .unwrap();
            figures.entry(variant).or_default().push(figure);
        }
    }
    let roots = std::fs::read_to_string(ROOTS)
        .unwrap()
        .matches("BEGIN CERT")
        .count();
    let mut text = format!(
        "From start through a Query and a page, {roots} roots, {ROUNDS} processes each, medians:\n\n\
         | clients | ms | processor, ms |\n|---|---|---|\n"
    );
    for (variant, figures) in figures {
        let (wall, cpu): (Vec<_>, Vec<_>) = figures.into_iter().unzip();
        let [wall, cpu] = [wall, cpu].map(median);
        writeln!(text, "| {} | {wall:.1} | {cpu:.1} |", VARIANTS[variant]).unwrap();
    }

    text.push_str(
        "\nThe functions, with idle runs over 1,000 jobs at 0 ms. As on Lambda, the start has a whole processor, and what \
         follows the share that the memory brings:\n\n\
         | function | start to ready, ms | first run, ms | both, ms | a warm run, ms | a cold start costs, ms | processor of the first two, ms |\n\
         |---|---|---|---|---|---|---|\n",
    );
    let api = RuntimeApi::default();
    let cases = [
        ("TLS", &secret, None),
        ("no TLS", &plain, None),
        ("TLS, 512 MB", &secret, Some(512)),
        ("TLS, 256 MB", &secret, Some(256)),
        ("TLS, 128 MB", &secret, Some(128)),
    ];
    let before = before.map(|before| ("before", contenders::ours(before)));
    let functions = [("fraud-job-watch", contenders::ours(function))];
    let functions = functions.into_iter().chain(before);
    let functions: Vec<_> = functions.chain([("boto3", contenders::boto3())]).collect();
    for (name, env, memory) in cases {
        if let Some(Err(error)) = memory.map(process::Share::of_memory) {
            eprintln!("no share of a processor can be given: {error}");
            break;
        }
        table.clear();
        let mut figures = vec![Vec::new(); functions.len()];
        for round in 0..=10 {
            // By turns, so that whatever else the machine does meets all alike.
            for ((_, command), figures) in functions.iter().zip(&mut figures) {
                let mut again = Command::new(command.get_program());
                again.args(command.get_args());
                let figure = cold_and_warm(&api, again, env, memory).await;
                // The first of all writes the first items, and compiled Python.
                if round > 0 {
                    figures.push(figure);
                }
            }
        }
        for ((contender, _), figures) in functions.iter().zip(figures) {
            let of = |which: fn(&Figure) -> f64| median(figures.iter().map(which).collect());
            let (start, run, warm) = (of(|it| it.start), of(|it| it.first), of(|it| it.warm));
            let (both, cpu) = (of(|it| it.start + it.first), of(|it| it.cpu));
            let costs = of(|it| it.start + it.first - it.warm);
            writeln!(
                text,
                "| {contender}, {name} | {start:.1} | {run:.1} | {both:.1} | {warm:.1} | {costs:.1} | {cpu:.1} |"
            )
            .unwrap();
        }
    }
    text
}

/// What a cold start and a warm run took, in ms.
#[derive(Clone)]
struct Figure {
    start: f64,
    first: f64,
    warm: f64,
    cpu: f64,
}

async fn cold_and_warm(
    api: &RuntimeApi,
    command: Command,
    env: &[(String, String)],
    memory: Option<u32>,
) -> Figure {
    let share = memory.map(|mb| process::Share::of_memory(mb).unwrap());
    let env = env.iter().cloned().chain(contenders::boto3_env());
    let function = Function::run(api, command, env);
    lab::eventually(|| function.start_to_ready().is_some()).await;
    if let Some(share) = &share {
        share.take_in(function.id()).unwrap();
    }
    let run = async || {
        let start = Instant::now();
        let answer = api.invoke(json!({}), Duration::from_secs(60)).await;
        answer.unwrap();
        ms(start.elapsed())
    };
    let first = run().await;
    let cpu = ms(process::cpu(function.id()));
    run().await;
    Figure {
        start: ms(function.start_to_ready().unwrap()),
        first,
        cpu,
        warm: run().await,
    }
}

/// One process: until it is done, and its processor time.
fn once(variant: usize, env: &[(String, String)]) -> (f64, f64) {
    let start = Instant::now();
    let mut process = Command::new(std::env::current_exe().unwrap())
        .env_clear()
        .envs(env.iter().cloned())
        .envs([
            ("COLD_VARIANT", variant.to_string().as_str()),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut done = String::new();
    let mut output = std::io::BufReader::new(process.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut output, &mut done).unwrap();
    assert_eq!(done.trim(), "done", "variant {variant}");
    let wall = start.elapsed();
    let cpu = process::cpu(process.id());
    process.stdin.take().unwrap().write_all(b"\n").unwrap();
    process.wait().unwrap();
    (ms(wall), ms(cpu))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
