//! What the watch would tell, shown on a laptop: nothing is published, and no AWS account is needed.

// The futures of the library nest deeply.
#![recursion_limit = "256"]

use std::fmt;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use fraud_job_watch::invoke::Collected;
use fraud_job_watch::local::FixedClock;
use fraud_job_watch::local::listing::Listing;
use fraud_job_watch::local::state::StateFile;
use fraud_job_watch::local::terminal::{ClockFrom, Report, Screen, seen};
use fraud_job_watch::message::one_line;
use fraud_job_watch::ports::Ports;
use fraud_job_watch::run::{Failure, Tick, run};
use fraud_job_watch::settings::{SettingsInvalid, VARIABLES, WatchSettings};
use fraud_job_watch::watch::{Source, job};
use jiff::Timestamp;
use tracing::Level;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use uuid::Uuid;

/// Shows what fraud-job-watch would tell of Amazon Fraud Detector batch prediction jobs.
///
/// Nothing is published, and no AWS account is needed.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Replay(Replay),
}

const AFTER_HELP: &str = "\
Example:
  aws frauddetector get-batch-prediction-jobs --output json > monday.json
  ... some hours later ...
  aws frauddetector get-batch-prediction-jobs --output json > tuesday.json
  preview replay monday.json tuesday.json

That command prints 50 jobs at most. If its answer ends with a nextToken, append what it prints with
--next-token TOKEN to the same file, and so on; without that the listing counts as incomplete, and
nothing is concluded of jobs it does not show.

Exit status: 0 all went well, 1 a run failed, 2 an argument or a file is bad (then nothing was done).";

/// Replays listings, one run of the watch for each, and shows the jobs and what would be told.
///
/// The first listing is where the watch begins: what ended before it is not told.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
struct Replay {
    /// Listings, the oldest first. FILE@TIME says what time it was, else it is the latest time in the file
    #[arg(required = true, value_name = "FILE[@TIME]")]
    listings: Vec<String>,

    /// What time it was at the last listing, like 2026-03-02T10:30:00Z, or `now`
    #[arg(long, value_name = "TIME")]
    now: Option<String>,

    /// Keeps what the watch knows in this file, for the next replay to go on from [default: kept nowhere]
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,

    /// Prints one line of JSON for each listing
    #[arg(long)]
    json: bool,

    #[arg(long, env = "STALL_AFTER", hide_env_values = true, value_name = "DURATION", help = help("STALL_AFTER"))]
    stall_after: Option<String>,

    #[arg(long, env = "REMIND_AFTER", hide_env_values = true, value_name = "DURATION", help = help("REMIND_AFTER"))]
    remind_after: Option<String>,

    #[arg(long, env = "NOTIFY_ON", hide_env_values = true, value_name = "KINDS", help = help("NOTIFY_ON"))]
    notify_on: Option<String>,

    #[arg(long, env = "DIGEST_ABOVE", hide_env_values = true, value_name = "NUMBER", help = help("DIGEST_ABOVE"))]
    digest_above: Option<String>,

    #[arg(long, env = "WATCH_NAME", hide_env_values = true, value_name = "NAME", help = help("WATCH_NAME"))]
    watch_name: Option<String>,
}

/// What the table of variables says of one.
fn help(name: &str) -> String {
    let variable = VARIABLES.iter().find(|variable| variable.name == name);
    let text = variable.map(|variable| {
        let (first, rest) = variable.meaning.split_at_checked(1).unwrap_or_default();
        let (first, rule) = (first.to_ascii_uppercase(), variable.rule);
        let default = variable.default.unwrap_or("none");
        format!("{first}{rest}: {rule} [default: {default}]")
    });
    text.unwrap_or_default()
}

/// Bad arguments or files, one a line. Nothing was done.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.join("\nerror: "))]
struct BadInput(Vec<String>);

fn main() -> ExitCode {
    let Cli {
        command: Command::Replay(args),
    } = Cli::parse();
    match replay(&args) {
        Ok(code) => code,
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            complain(format_args!("error: {error:#}"));
            if error.is::<BadInput>() {
                ExitCode::from(2)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

/// Says something on the side; if nobody can hear it, it is not said.
fn complain(what: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr(), "{what}");
}

/// Whoever read the output has had enough.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let kind = error.downcast_ref().map(io::Error::kind);
    kind == Some(io::ErrorKind::BrokenPipe)
}

fn replay(args: &Replay) -> anyhow::Result<ExitCode> {
    log_to_stderr()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    // All is read before anything is done, so that a bad last file leaves nothing half done.
    let (settings, views) = read(args)?;
    let mut state = match &args.state {
        None => StateFile::default(),
        Some(file) => StateFile::open(file, |lock| {
            let lock = one_line(&lock.to_string_lossy());
            complain(format_args!(
                "note: another process uses the state; waiting until it lets go of {lock}"
            ));
        })
        .map_err(|bad| BadInput(vec![bad.to_string()]))?,
    };
    let screen = Screen::of_stdout(|name| std::env::var(name).ok());
    // A job that has no ARN in one listing may have one in another.
    let mut source = match views.iter().find_map(|view| view.listing.source()) {
        Some(source) => source,
        None => match state.only_source() {
            Some(source) => source.clone(),
            None => Source::of_arn(UNKNOWN_SOURCE)?,
        },
    };
    let (mut clock, mut code) = (None, ExitCode::SUCCESS);
    for view in views {
        if clock.is_some_and(|clock| clock > view.clock) {
            let name = one_line(&view.name);
            complain(format_args!(
                "note: {name} is of an earlier time than the listing before it"
            ));
        }
        clock = Some(view.clock);
        let its_source = view.listing.source().unwrap_or_else(|| source.clone());
        let name = one_line(&view.name);
        let report = runtime.block_on(look(view, &its_source, &settings, &mut state));
        for failure in &report.failures {
            complain(format_args!("error: {name}: {failure}"));
            code = ExitCode::FAILURE;
        }
        let text = if args.json {
            report.json()?
        } else {
            report.text(screen)
        };
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        stdout.flush()?;
        // Only after it was shown: a preview that dies shows it again rather than never.
        state
            .save()
            .with_context(|| format!("{name} was shown, but its state could not be saved, so the next replay shows it again"))?;
        source = its_source;
    }
    Ok(code)
}

/// Whose jobs they are if no job says so.
const UNKNOWN_SOURCE: &str = "arn:aws:frauddetector:us-east-1:000000000000:batch-prediction";

/// A listing and the time it was.
struct View {
    name: String,
    listing: Listing,
    clock: Timestamp,
    clock_from: ClockFrom,
}

/// One run over one listing.
async fn look(
    view: View,
    source: &Source,
    settings: &WatchSettings,
    state: &mut StateFile,
) -> Report {
    let memory = state.watch(source);
    let ports = Ports {
        listing: view.listing,
        store: memory,
        topic: Collected::default(),
        urgent: None,
        clock: FixedClock(view.clock),
    };
    let tick = Tick {
        source,
        settings,
        run: &Uuid::new_v4().simple().to_string(),
        time_given: None,
    };
    let outcome = run(&ports, &tick).await;
    let messages = ports.topic.take();
    // That pages are missing is in the file, and no fault of the run: the report says so.
    let is_expected = |failure: &Failure| {
        ports.listing.is_incomplete() && matches!(failure, Failure::ListingFailed(_))
    };
    let failures = outcome.failures.iter();
    let report = Report {
        listing: view.name,
        clock: view.clock,
        clock_from: view.clock_from,
        answer: outcome.answer,
        jobs: seen(&ports.listing, &ports.store, view.clock, &messages),
        messages,
        failures: failures
            .filter(|failure| !is_expected(failure))
            .map(ToString::to_string)
            .collect(),
    };
    ports.store.forget_expired(view.clock);
    report
}

fn read(args: &Replay) -> Result<(WatchSettings, Vec<View>), BadInput> {
    let mut faults = Vec::new();
    let settings = WatchSettings::read(|name| match name {
        "STALL_AFTER" => args.stall_after.clone(),
        "REMIND_AFTER" => args.remind_after.clone(),
        "NOTIFY_ON" => args.notify_on.clone(),
        "DIGEST_ABOVE" => args.digest_above.clone(),
        "WATCH_NAME" => args.watch_name.clone(),
        _ => None,
    });
    let settings = settings.map_err(|SettingsInvalid(invalid)| {
        faults.extend(invalid.into_iter().map(|fault| {
            let flag = fault.name.to_ascii_lowercase().replace('_', "-");
            format!("--{flag} or {fault}")
        }));
    });
    let now = args.now.as_deref().map(|text| {
        moment(text).ok_or_else(|| format!("--now is {text:?}, but must be {TIME_RULE}"))
    });
    let now = now.transpose().unwrap_or_else(|fault| {
        faults.push(fault);
        None
    });
    let mut views = Vec::new();
    let last = args.listings.len() - 1;
    for (i, argument) in args.listings.iter().enumerate() {
        match view(argument, now.filter(|_| i == last)) {
            Ok(view) => views.push(view),
            Err(fault) => faults.push(fault),
        }
    }
    match settings {
        Ok(settings) if faults.is_empty() => Ok((settings, views)),
        Ok(_) | Err(()) => Err(BadInput(faults)),
    }
}

/// Reads FILE or FILE@TIME. A file whose name has an @ is taken for what it is.
fn view(argument: &str, now: Option<Timestamp>) -> Result<View, String> {
    let (file, given) = match argument.rsplit_once('@') {
        Some((file, text)) if !file.is_empty() && !Path::new(argument).exists() => {
            let given = moment(text).ok_or_else(|| {
                format!("{argument:?} is no file, and {text:?} after the @ is not {TIME_RULE}")
            })?;
            (file, Some(given))
        }
        Some(_) | None => (argument, None),
    };
    let listing = Listing::read(Path::new(file)).map_err(|bad| bad.to_string())?;
    let (clock, clock_from) = match (given, now, listing.latest_time()) {
        (Some(_), Some(_), _) => {
            return Err(format!(
                "{argument:?} and --now both say what time it was; one of them must go"
            ));
        }
        (Some(clock), None, _) | (None, Some(clock), _) => (clock, ClockFrom::Given),
        (None, None, Some(clock)) => (clock, ClockFrom::LatestTime),
        (None, None, None) => (Timestamp::now(), ClockFrom::Computer),
    };
    Ok(View {
        name: file.to_owned(),
        listing,
        clock,
        clock_from,
    })
}

const TIME_RULE: &str = "a time like 2026-03-02T10:30:00Z, or `now`";

fn moment(text: &str) -> Option<Timestamp> {
    match text {
        "now" => Some(Timestamp::now()),
        text => job::time(text),
    }
}

/// Warnings go to stderr. What a run failed of is not logged there, but printed with its listing.
fn log_to_stderr() -> anyhow::Result<()> {
    let is_shown = filter_fn(|metadata| {
        let is_failure =
            *metadata.level() == Level::ERROR && metadata.target() == "fraud_job_watch::run";
        *metadata.level() <= Level::WARN && !is_failure
    });
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(false)
        .with_target(false)
        .without_time();
    let subscriber = tracing_subscriber::registry().with(layer.with_filter(is_shown));
    Ok(tracing::subscriber::set_global_default(subscriber)?)
}
