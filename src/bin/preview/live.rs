//! `preview live`: what a run would tell of an account, which is only read.

use std::collections::BTreeSet;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use fraud_job_watch::aws::FraudDetector;
use fraud_job_watch::local::report::ClockFrom;
use fraud_job_watch::local::saved_listing::SavedListing;
use fraud_job_watch::message::{counted, noun};
use fraud_job_watch::run::{Failure, list_all};
use fraud_job_watch::settings::{Fault, WATCH, Wrong};
use fraud_job_watch::watch::SourceKind;

use crate::BadInput;
use crate::args::{WatchArgs, help};
use crate::view::{View, now, show};

/// Lists the jobs of an account, and shows them and what would be reported.
///
/// It changes nothing, and needs no permission but to list what it looks at: frauddetector:GetBatchPredictionJobs,
/// frauddetector:GetBatchImportJobs. With --state, a later look tells what has changed since.
#[derive(Debug, Args)]
pub(crate) struct Live {
    /// The profile of the AWS configuration [default: AWS_PROFILE, or `default`]
    #[arg(long)]
    profile: Option<String>,

    /// The region [default: AWS_REGION, or the profile's]
    #[arg(long)]
    region: Option<String>,

    #[arg(long = "watch", env = "WATCH", hide_env_values = true, value_name = "NAMES", help = help("WATCH"))]
    sources: Option<String>,

    #[command(flatten)]
    watch: WatchArgs,
}

pub(crate) async fn live(args: &Live) -> anyhow::Result<ExitCode> {
    let (settings, sources) = match (args.watch.settings.read(), sources(args)) {
        (Ok(settings), Ok(sources)) => (settings, sources),
        (settings, sources) => {
            let faults = settings.err().into_iter().flatten().chain(sources.err());
            return Err(BadInput(faults.collect()).into());
        }
    };
    let (profile, region) = (args.profile.as_deref(), args.region.as_deref());
    let connected = FraudDetector::connect(profile, region).await;
    let (service, region) = connected.map_err(|why| BadInput(vec![why]))?;
    // Only now, so that what is refused leaves no lock behind.
    let state = args.watch.open_state()?;
    let mut views = Vec::new();
    for source in &sources {
        let (clock, service) = (now(), service.listing(*source));
        let listing = list(&service, *source).await?;
        let name = match sources.len() {
            1 => format!("live, {region}"),
            _ => format!("live, {region}, {source}"),
        };
        views.push(View {
            name,
            listing,
            service: Some(service),
            region: Some(region.clone()),
            clock,
            clock_from: ClockFrom::Live,
        });
    }
    show(views, state, &settings, args.watch.json).await
}

fn sources(args: &Live) -> Result<BTreeSet<SourceKind>, String> {
    let text = args.sources.as_deref().filter(|text| !text.is_empty());
    let Some(text) = text else {
        return Ok(BTreeSet::from([SourceKind::default()]));
    };
    SourceKind::parse_set(text).ok_or_else(|| {
        let fault = Fault {
            variable: WATCH,
            wrong: Wrong::Value(text.to_owned()),
        };
        format!("--watch or {fault}")
    })
}

/// Every page. Without all of them nothing is shown.
async fn list(service: &FraudDetector, source: SourceKind) -> anyhow::Result<SavedListing> {
    // A line that is written over, where somebody watches.
    let is_watched = io::stderr().is_terminal();
    let progress = |what: String| {
        if is_watched {
            let _ = write!(io::stderr(), "\r\x1b[K{what}");
        }
    };
    progress("listing".to_owned());
    let (mut pages, mut jobs) = (Vec::new(), 0);
    let listed = list_all(service, |page| {
        jobs += page.jobs.len() as u64;
        pages.push(page.jobs);
        let (jobs, pages) = (
            counted(jobs, noun(source)),
            counted(pages.len() as u64, "page"),
        );
        progress(format!("listing: {jobs} on {pages} so far"));
    });
    let listed = listed.await;
    progress(String::new());
    let why = match listed {
        Ok(()) => return Ok(SavedListing::of_pages(source, pages)),
        Err(Failure::ListingFailed(why)) => why,
        Err(Failure::ListingLooped(page)) => format!("the listing repeats itself at page {page}"),
        Err(failure) => failure.to_string(),
    };
    bail!("nothing is shown; try again: {why}")
}
