//! `preview backtest`: what would have been reported as late in the past.

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Args;
use fraud_job_watch::local::backtest::BacktestReport;
use fraud_job_watch::local::state::StateFile;
use fraud_job_watch::local::terminal::Screen;
use fraud_job_watch::watch::backtest::{backtest, latest_views};
use fraud_job_watch::watch::judge::RunContext;
use fraud_job_watch::watch::{Baseline, Job, TopicArn, Topics};

use crate::BadInput;
use crate::args::LateArgs;
use crate::replay::views;
use crate::view::{SCREEN, View, now, source_of};

const AFTER_HELP: &str = "\
Example:
  aws frauddetector get-batch-prediction-jobs --output json > jobs.json
  preview backtest jobs.json --expect 'payments_detector by 07:00 MON-FRI'

That command prints 50 jobs at most; `preview replay --help` says how to get the rest. Each job is
judged by those that ended before it, and as if the watch had looked all the time, the job had
shown life throughout, and the number of its records had been known from the start. What is missing
for less than the time between two runs may in truth go unreported.

Exit status: 0 all went well, 2 an argument or a file is bad (then nothing was done).";

/// Tries what is overdue and what is missing on the past, from saved listings.
///
/// For each job that ended it says how long jobs like it took until then, from when on it would have been overdue, and
/// whether it was; and which deadlines of EXPECT would have been missed in the time that the listings span. Listings of
/// batch imports are taken as well, by themselves; EXPECT, and a duration in OVERDUE_AFTER, are not about them.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Backtest {
    /// Listings, like those of `replay`. Several are one history: of a job in several, the later view counts
    #[arg(required = true, value_name = "FILE[@TIME]")]
    listings: Vec<String>,

    /// Prints one line of JSON
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    settings: LateArgs,
}

pub(crate) fn run(args: &Backtest) -> anyhow::Result<ExitCode> {
    let (settings, mut views) = match (args.settings.read(), views(&args.listings, None)) {
        (Ok(settings), Ok(views)) => (settings, views),
        (settings, views) => {
            let faults = settings.err().into_iter().chain(views.err());
            return Err(BadInput(faults.flatten().collect()).into());
        }
    };
    let kinds: BTreeSet<_> = views.iter().map(|view| view.listing.kind()).collect();
    if kinds.len() > 1 {
        let fault =
            "the listings are of batch predictions and of batch imports: give those of one kind";
        return Err(BadInput(vec![fault.to_owned()]).into());
    }
    let names = views.iter().map(|view| view.name.clone()).collect();
    views.sort_by_key(|view| view.clock);
    let until = views.last().map_or_else(now, |view| view.clock);
    let source = source_of(&views, &StateFile::default())?;
    let context = RunContext {
        source: &source,
        policy: &settings.policy.of_source(source.kind()),
        topics: &Topics {
            main: TopicArn::try_from(SCREEN.to_owned())?,
            urgent: None,
        },
        baseline: &Baseline {
            rev: 0,
            written_by: String::new(),
            since: until,
            began_at: None,
            unheard: None,
        },
        run: "backtest",
        now: until,
    };
    let jobs = latest_views(views.iter().flat_map(jobs));
    let is_complete = !views.iter().any(|view| view.listing.is_incomplete());
    let report = BacktestReport::new(names, source.kind(), backtest(&jobs, is_complete, &context));
    let text = match args.json {
        true => report.json()?,
        false => report.text(Screen::of_stdout(|name| std::env::var(name).ok())),
    };
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// The jobs of a listing, as they are understood at its time.
fn jobs(view: &View) -> impl Iterator<Item = Job> {
    let read = view
        .listing
        .jobs()
        .map(|listed| Job::from_listed(listed.clone()));
    read.filter_map(Result::ok)
        .map(|job| job.plausible_at(view.clock))
}
