//! What the watch would tell, shown on a laptop: nothing is published.

// The futures of the library nest deeply.
#![recursion_limit = "256"]

mod args;
mod backtest;
mod live;
mod render;
mod replay;
mod view;

use std::fmt;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing::Level;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;

/// Shows what fraud-job-watch would tell of Amazon Fraud Detector batch jobs.
///
/// Nothing is published, and only `live` needs an AWS account, which it reads and no more.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Replay(replay::Replay),
    Backtest(backtest::Backtest),
    Live(live::Live),
    Render(render::Render),
}

/// Bad arguments or files, one a line. Nothing was done.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\nerror: "))]
pub(crate) struct BadInput(pub(crate) Vec<String>);

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Cli { command } = Cli::parse();
    match run(command).await {
        Ok(code) => code,
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            complain(format_args!("error: {error:#}"));
            match error.is::<BadInput>() {
                true => ExitCode::from(2),
                false => ExitCode::FAILURE,
            }
        }
    }
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    log_to_stderr()?;
    match &command {
        Command::Replay(args) => replay::replay(args).await,
        Command::Backtest(args) => backtest::run(args),
        Command::Live(args) => live::live(args).await,
        Command::Render(args) => render::render(args).await,
    }
}

/// Says something on the side; if nobody can hear it, it is not said.
pub(crate) fn complain(what: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{what}");
}

/// Whoever read the output has had enough.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let kind = error.downcast_ref().map(io::Error::kind);
    kind == Some(io::ErrorKind::BrokenPipe)
}

/// Our own warnings go to stderr. What a run failed of is not logged there, but printed with its listing; what the SDK
/// warns of is in the error that it ends with.
fn log_to_stderr() -> anyhow::Result<()> {
    let is_shown = filter_fn(|metadata| {
        let (level, target) = (*metadata.level(), metadata.target());
        let is_failure = level == Level::ERROR && target.starts_with("fraud_job_watch::run");
        level <= Level::WARN && target.starts_with("fraud_job_watch") && !is_failure
    });
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(false)
        .with_target(false)
        .without_time();
    let subscriber = tracing_subscriber::registry().with(layer.with_filter(is_shown));
    Ok(tracing::subscriber::set_global_default(subscriber)?)
}
