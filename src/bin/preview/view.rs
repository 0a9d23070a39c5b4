//! What every command does with listings: one run of the watch for each.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::process::ExitCode;

use anyhow::Context as _;
use fraud_job_watch::aws::FraudDetector;
use fraud_job_watch::dry_run::Collected;
use fraud_job_watch::local::report::{ClockFrom, Report, seen};
use fraud_job_watch::local::saved_listing::SavedListing;
use fraud_job_watch::local::state::StateFile;
use fraud_job_watch::local::terminal::Screen;
use fraud_job_watch::message::one_line;
use fraud_job_watch::ports::{Listing, ListingError, Page, Ports};
use fraud_job_watch::run::{Failure, RunInput, run};
use fraud_job_watch::settings::WatchSettings;
use fraud_job_watch::watch::{JobId, ListedJob, Source, TopicArn};
use jiff::Timestamp;
use uuid::Uuid;

use crate::complain;

/// Whose jobs they are: as one of them says, or as the state does, unless they are known to be of another `region`. A
/// job that has no ARN in one listing may have one in another.
pub(crate) fn source_of(views: &[View], state: &StateFile) -> anyhow::Result<Source> {
    let region = views.iter().find_map(|view| view.region.as_deref());
    let said = views.iter().find_map(|view| view.listing.source());
    let kind = views.first().map(|view| view.listing.kind());
    let kind = kind.unwrap_or_default();
    let is_there = |source: &Source| region.is_none_or(|region| source.region() == region);
    if let Some(source) = said.or_else(|| state.only_source(kind).filter(is_there)) {
        return Ok(source.with_kind(kind));
    }
    // Only jobs name the account.
    let region = region.unwrap_or("us-east-1");
    let arn = format!("arn:aws:frauddetector:{region}:000000000000:batch-prediction");
    Ok(Source::of_arn(&arn)?.with_kind(kind))
}

pub(crate) async fn show(
    views: Vec<View>,
    mut state: StateFile,
    settings: &WatchSettings,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let screen = Screen::of_stdout(|name| std::env::var(name).ok());
    run_on_each(views, &mut state, settings, |report, state| {
        let text = match json {
            true => report.json()?,
            false => report.text(screen),
        };
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        stdout.flush()?;
        // Only after it was shown: a preview that dies shows it again rather than never.
        state.save().with_context(|| {
            let name = one_line(&report.listing);
            format!("{name} was shown, but its state could not be saved, so the next replay shows it again")
        })
    })
    .await
}

/// Runs on one listing after the other. `take` gets what each run did; what failed is complained of here.
pub(crate) async fn run_on_each(
    views: Vec<View>,
    state: &mut StateFile,
    settings: &WatchSettings,
    mut take: impl FnMut(Report, &mut StateFile) -> anyhow::Result<()>,
) -> anyhow::Result<ExitCode> {
    let mut source = source_of(&views, state)?;
    let (mut clocks, mut code) = (BTreeMap::new(), ExitCode::SUCCESS);
    for view in views {
        let (name, kind) = (one_line(&view.name), view.listing.kind());
        let before = clocks.insert(kind, view.clock);
        if before.is_some_and(|clock| clock > view.clock) {
            complain(format_args!(
                "note: {name} is of an earlier time than the listing before it"
            ));
        }
        source = view.listing.source().unwrap_or(source).with_kind(kind);
        let report = look(view, &source, settings, state).await?;
        for failure in &report.failures {
            complain(format_args!("error: {name}: {failure}"));
            code = ExitCode::FAILURE;
        }
        take(report, state)?;
    }
    Ok(code)
}

pub(crate) const SCREEN: &str = "arn:aws:sns:us-east-1:000000000000:preview";

/// What time it is, in whole seconds as the service's times are.
pub(crate) fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

pub(crate) struct View {
    pub(crate) name: String,
    pub(crate) listing: SavedListing,
    /// Who is asked for jobs that are not in it, if not the listing itself.
    pub(crate) service: Option<FraudDetector>,
    /// Where all jobs are, if that is known without them.
    pub(crate) region: Option<String>,
    pub(crate) clock: Timestamp,
    pub(crate) clock_from: ClockFrom,
}

impl Listing for View {
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

async fn look(
    view: View,
    source: &Source,
    settings: &WatchSettings,
    state: &mut StateFile,
) -> anyhow::Result<Report> {
    let ports = Ports {
        listing: &view,
        store: state.watch(source),
        topic: Collected::new(TopicArn::try_from(SCREEN.to_owned())?),
        urgent: None,
        alarms: None,
        clock: || view.clock,
    };
    let input = RunInput {
        source,
        settings: &settings.of_source(source.kind()),
        run_id: &Uuid::new_v4().simple().to_string(),
        time_given: None,
    };
    let outcome = run(&ports, &input).await;
    let messages = ports.topic.take();
    // That pages are missing is in the file, and no fault of the run: the report says so.
    let is_expected = |failure: &Failure| {
        view.listing.is_incomplete() && matches!(failure, Failure::ListingFailed(_))
    };
    let failures = outcome.failures.iter().filter(|it| !is_expected(it));
    let report = Report {
        listing: view.name.clone(),
        source: source.kind(),
        clock: view.clock,
        clock_from: view.clock_from,
        answer: outcome.answer,
        jobs: seen(&view.listing, &ports.store, view.clock, &messages),
        messages,
        failures: failures.map(ToString::to_string).collect(),
    };
    ports.store.forget_expired(view.clock);
    Ok(report)
}
