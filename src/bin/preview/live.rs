//! `preview live`: what a run would tell of an account, which is only read.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use anyhow::bail;
use clap::Args;
use fraud_job_watch::aws::FraudDetector;
use fraud_job_watch::local::listing::Listing;
use fraud_job_watch::local::terminal::ClockFrom;
use fraud_job_watch::ports::Listing as _;
use fraud_job_watch::watch::Source;
use jiff::Timestamp;

use crate::BadInput;
use crate::watch::{View, Watch, open, runtime, show};

/// Lists the jobs of an account, and shows them and what would be told.
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
    watch: Watch,
}

pub(crate) fn live(args: &Live) -> anyhow::Result<ExitCode> {
    let settings = args.watch.settings.read().map_err(BadInput)?;
    let state = open(&args.watch)?;
    let (listing, region) = runtime()?.block_on(list(args))?;
    let source = match listing.source() {
        Some(source) => source,
        None => {
            let known = state.only_source();
            match known.filter(|source| source.region() == region) {
                Some(source) => source.clone(),
                // Only jobs name the account.
                None => Source::of_arn(&format!(
                    "arn:aws:frauddetector:{region}:000000000000:batch-prediction"
                ))?,
            }
        }
    };
    let view = View {
        name: format!("live, {region}"),
        listing,
        clock: Timestamp::now(),
        clock_from: ClockFrom::Computer,
    };
    show(vec![view], source, state, &settings, args.watch.json)
}

/// Every page, and the region.
async fn list(args: &Live) -> anyhow::Result<(Listing, String)> {
    let connected = FraudDetector::connect(args.profile.as_deref(), args.region.as_deref()).await;
    let (detector, region) = match connected {
        Ok(connected) => connected,
        Err(why) => bail!(BadInput(vec![why])),
    };
    let progress = Progress(io::stderr().is_terminal());
    let (mut pages, mut jobs, mut token) = (Vec::new(), 0, None);
    let mut given = std::collections::HashSet::new();
    loop {
        progress.say(format_args!(
            "listing: {jobs} jobs on {} pages",
            pages.len()
        ));
        let page = detector.page(token.as_deref()).await;
        progress.clear();
        let page = page?;
        jobs += page.jobs.len();
        pages.push(page.jobs);
        token = page.next.filter(|token| !token.is_empty());
        match &token {
            None => return Ok((Listing::of_pages(pages), region)),
            Some(token) if !given.insert(token.clone()) => {
                bail!(
                    "the listing repeats itself at page {}; try again",
                    pages.len()
                )
            }
            Some(_) => {}
        }
    }
}

/// A line that is written over, where somebody watches.
struct Progress(bool);

impl Progress {
    fn say(&self, what: std::fmt::Arguments<'_>) {
        if self.0 {
            let _ = write!(io::stderr(), "\r\x1b[K{what}").and_then(|()| io::stderr().flush());
        }
    }

    fn clear(&self) {
        self.say(format_args!(""));
    }
}
