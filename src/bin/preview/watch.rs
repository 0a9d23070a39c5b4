//! What every command does with listings: one run of the watch for each.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use fraud_job_watch::aws::FraudDetector;
use fraud_job_watch::dry_run::Collected;
use fraud_job_watch::local::FixedClock;
use fraud_job_watch::local::report::{ClockFrom, Report, seen};
use fraud_job_watch::local::saved_listing::SavedListing;
use fraud_job_watch::local::state::StateFile;
use fraud_job_watch::local::terminal::Screen;
use fraud_job_watch::message::one_line;
use fraud_job_watch::ports::{Listing, ListingError, Page, Ports};
use fraud_job_watch::run::{Failure, RunInput, run};
use fraud_job_watch::settings::{SettingsInvalid, VARIABLES, WatchSettings};
use fraud_job_watch::watch::{JobId, ListedJob, Source, TopicArn};
use jiff::Timestamp;
use tokio::runtime::Runtime;
use uuid::Uuid;

use crate::{BadInput, complain};

/// What a replay and a live look have in common.
#[derive(Debug, Args)]
pub(crate) struct Watch {
    /// Keeps what the watch knows in this file, to go on from next time [default: kept nowhere]
    #[arg(long, value_name = "FILE")]
    pub(crate) state: Option<PathBuf>,

    /// Prints one line of JSON for each listing
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) settings: SettingsArgs,
}

/// The variables that decide what is reported.
#[derive(Debug, Args)]
pub(crate) struct SettingsArgs {
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

impl SettingsArgs {
    /// The settings, or what is wrong with them, one a line.
    pub(crate) fn read(&self) -> Result<WatchSettings, Vec<String>> {
        let settings = WatchSettings::read(|name| match name {
            "STALL_AFTER" => self.stall_after.clone(),
            "REMIND_AFTER" => self.remind_after.clone(),
            "NOTIFY_ON" => self.notify_on.clone(),
            "DIGEST_ABOVE" => self.digest_above.clone(),
            "WATCH_NAME" => self.watch_name.clone(),
            _ => None,
        });
        settings.map_err(|SettingsInvalid(faults)| {
            let fault = |fault: &fraud_job_watch::settings::Fault| {
                let flag = fault.name.to_ascii_lowercase().replace('_', "-");
                format!("--{flag} or {fault}")
            };
            faults.iter().map(fault).collect()
        })
    }
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

/// What a command needs to wait on.
pub(crate) fn runtime() -> io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

/// Opens the state, if it is kept.
pub(crate) fn open(watch: &Watch) -> Result<StateFile, BadInput> {
    match &watch.state {
        None => Ok(StateFile::default()),
        Some(file) => StateFile::open(file, |lock| {
            let lock = one_line(&lock.to_string_lossy());
            complain(format_args!(
                "note: another process uses the state; waiting until it lets go of {lock}"
            ));
        })
        .map_err(|bad| BadInput(vec![bad.to_string()])),
    }
}

/// Whose jobs they are: as one of them says, or as the state does. A job that has no ARN in one listing may have one
/// in another.
pub(crate) fn source_of(views: &[View], state: &StateFile) -> anyhow::Result<Source> {
    let said = views.iter().find_map(|view| view.listing.source());
    match said.or_else(|| state.only_source().cloned()) {
        Some(source) => Ok(source),
        None => Ok(Source::of_arn(UNKNOWN_SOURCE)?),
    }
}

/// Runs on each listing and shows it.
pub(crate) fn show(
    views: Vec<View>,
    mut source: Source,
    mut state: StateFile,
    settings: &WatchSettings,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let runtime = runtime()?;
    let screen = Screen::of_stdout(|name| std::env::var(name).ok());
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
        let report = runtime.block_on(look(view, &its_source, settings, &mut state))?;
        if !report.failures.is_empty() {
            code = ExitCode::FAILURE;
        }
        let text = if json {
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

/// The topic that stands for what is shown.
const SCREEN: &str = "arn:aws:sns:us-east-1:000000000000:preview";

/// What time it is, in whole seconds as the service's times are.
pub(crate) fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

/// A listing and the time it was.
pub(crate) struct View {
    pub(crate) name: String,
    pub(crate) listing: SavedListing,
    /// Who is asked for jobs that are not in it, if not the listing itself.
    pub(crate) service: Option<FraudDetector>,
    pub(crate) clock: Timestamp,
    pub(crate) clock_from: ClockFrom,
}

/// A listing that was read before, and the service behind it.
struct ListedBefore {
    listing: SavedListing,
    service: Option<FraudDetector>,
}

impl Listing for ListedBefore {
    async fn page(&self, token: Option<&str>) -> Result<Page, ListingError> {
        self.listing.page(token).await
    }

    async fn ask(&self, id: &JobId) -> Result<Option<ListedJob>, ListingError> {
        match &self.service {
            Some(service) => service.ask(id).await,
            None => self.listing.ask(id).await,
        }
    }
}

/// One run over one listing. It complains of what failed.
pub(crate) async fn look(
    view: View,
    source: &Source,
    settings: &WatchSettings,
    state: &mut StateFile,
) -> anyhow::Result<Report> {
    let memory = state.watch(source);
    let ports = Ports {
        listing: ListedBefore {
            listing: view.listing,
            service: view.service,
        },
        store: memory,
        topic: Collected::new(TopicArn::try_from(SCREEN.to_owned())?),
        urgent: None,
        clock: FixedClock(view.clock),
    };
    let input = RunInput {
        source,
        settings,
        run: &Uuid::new_v4().simple().to_string(),
        time_given: None,
    };
    let outcome = run(&ports, &input).await;
    let messages = ports.topic.take();
    // That pages are missing is in the file, and no fault of the run: the report says so.
    let is_expected = |failure: &Failure| {
        ports.listing.listing.is_incomplete() && matches!(failure, Failure::ListingFailed(_))
    };
    let failures = outcome.failures.iter();
    let report = Report {
        listing: view.name,
        clock: view.clock,
        clock_from: view.clock_from,
        answer: outcome.answer,
        jobs: seen(&ports.listing.listing, &ports.store, view.clock, &messages),
        messages,
        failures: failures
            .filter(|failure| !is_expected(failure))
            .map(ToString::to_string)
            .collect(),
    };
    for failure in &report.failures {
        let name = one_line(&report.listing);
        complain(format_args!("error: {name}: {failure}"));
    }
    ports.store.forget_expired(view.clock);
    Ok(report)
}
