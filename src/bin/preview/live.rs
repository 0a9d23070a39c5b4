//! `preview live`: what a run would tell of an account, which is only read.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use fraud_job_watch::aws::FraudDetector;
use fraud_job_watch::local::report::ClockFrom;
use fraud_job_watch::local::saved_listing::SavedListing;
use fraud_job_watch::run::{Failure, list_all};

use crate::BadInput;
use crate::args::WatchArgs;
use crate::view::{View, now, show};

/// Lists the jobs of an account, and shows them and what would be reported.
///
/// It needs no permission but frauddetector:GetBatchPredictionJobs, and changes nothing. With --state, a later look
/// tells what has changed since.
#[derive(Debug, Args)]
pub(crate) struct Live {
    /// The profile of the AWS configuration [default: AWS_PROFILE, or `default`]
    #[arg(long)]
    profile: Option<String>,

    /// The region [default: AWS_REGION, or the profile's]
    #[arg(long)]
    region: Option<String>,

    #[command(flatten)]
    watch: WatchArgs,
}

pub(crate) async fn live(args: &Live) -> anyhow::Result<ExitCode> {
    let settings = args.watch.settings.read().map_err(BadInput)?;
    let (profile, region) = (args.profile.as_deref(), args.region.as_deref());
    let connected = FraudDetector::connect(profile, region).await;
    let (service, region) = connected.map_err(|why| BadInput(vec![why]))?;
    // Only now, so that what is refused leaves no lock behind.
    let state = args.watch.open_state()?;
    let clock = now();
    let listing = list(&service).await?;
    let view = View {
        name: format!("live, {region}"),
        listing,
        service: Some(service),
        region: Some(region),
        clock,
        clock_from: ClockFrom::Live,
    };
    show(vec![view], state, &settings, args.watch.json).await
}

/// Every page. Without all of them nothing is shown.
async fn list(service: &FraudDetector) -> anyhow::Result<SavedListing> {
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
        jobs += page.jobs.len();
        pages.push(page.jobs);
        let pages = pages.len();
        progress(format!("listing: {jobs} jobs on {pages} pages so far"));
    });
    let listed = listed.await;
    progress(String::new());
    let why = match listed {
        Ok(()) => return Ok(SavedListing::of_pages(pages)),
        Err(Failure::ListingFailed(why)) => why,
        Err(Failure::ListingLooped(page)) => format!("the listing repeats itself at page {page}"),
        Err(failure) => failure.to_string(),
    };
    bail!("nothing is shown; try again: {why}")
}
