//! `preview replay`: one run for each listing file.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use fraud_job_watch::local::report::ClockFrom;
use fraud_job_watch::local::saved_listing::SavedListing;
use fraud_job_watch::watch::job;
use jiff::Timestamp;

use crate::BadInput;
use crate::args::WatchArgs;
use crate::view::{View, now, show};

const AFTER_HELP: &str = "\
Example:
  aws frauddetector get-batch-prediction-jobs --output json > monday.json
  ... some hours later ...
  aws frauddetector get-batch-prediction-jobs --output json > tuesday.json
  preview replay monday.json tuesday.json

That command prints 50 jobs at most. If its answer ends with a nextToken, append what it prints with
--next-token TOKEN to the same file, and so on; without that the listing counts as incomplete, and
nothing is concluded of jobs it does not show.

Listings of batch imports are what get-batch-import-jobs prints. A file holds one kind; give
files of both, and each kind is watched by itself.

Exit status: 0 all went well, 1 a run failed, 2 an argument or a file is bad (then nothing was done).";

/// Replays listings, one run of the watch for each, and shows the jobs and what would be reported.
///
/// The first listing is where the watch begins: what ended before it is not reported.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Replay {
    /// Listings, the oldest first. FILE@TIME says what time it was, else it is the latest time in the file
    #[arg(required = true, value_name = "FILE[@TIME]")]
    listings: Vec<String>,

    /// What time it was at the last listing, like 2026-03-02T10:30:00Z, or `now`
    #[arg(long, value_name = "TIME")]
    now: Option<String>,

    #[command(flatten)]
    watch: WatchArgs,
}

pub(crate) async fn replay(args: &Replay) -> anyhow::Result<ExitCode> {
    // All is read before anything is done, so that a bad last file leaves nothing half done.
    let settings = args.watch.settings.read();
    let views = views(&args.listings, args.now.as_deref());
    let (settings, views) = match (settings, views) {
        (Ok(settings), Ok(views)) => (settings, views),
        (settings, views) => {
            let faults = settings.err().into_iter().chain(views.err());
            return Err(BadInput(faults.flatten().collect()).into());
        }
    };
    let state = args.watch.open_state()?;
    show(views, state, &settings, args.watch.json).await
}

/// Reads listings, the last of them as it was at `now`, or says all that is wrong with them.
pub(crate) fn views(listings: &[String], now: Option<&str>) -> Result<Vec<View>, Vec<String>> {
    let mut faults = Vec::new();
    let now = now.and_then(|text| {
        let now = moment(text);
        if now.is_none() {
            faults.push(format!("--now is {text:?}, but must be {TIME_RULE}"));
        }
        now
    });
    let mut views = Vec::new();
    for (i, argument) in listings.iter().enumerate() {
        match view(argument, now.filter(|_| i + 1 == listings.len())) {
            Ok(view) => views.push(view),
            Err(fault) => faults.push(fault),
        }
    }
    match faults.is_empty() {
        true => Ok(views),
        false => Err(faults),
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
    let listing = SavedListing::read(Path::new(file)).map_err(|bad| bad.to_string())?;
    let (clock, clock_from) = match (given, now, listing.latest_time()) {
        (Some(_), Some(_), _) => {
            return Err(format!(
                "{argument:?} and --now both say what time it was; one of them must go"
            ));
        }
        (Some(clock), None, _) | (None, Some(clock), _) => (clock, ClockFrom::Given),
        (None, None, Some(clock)) => (clock, ClockFrom::LatestTime),
        (None, None, None) => (self::now(), ClockFrom::Computer),
    };
    Ok(View {
        name: file.to_owned(),
        listing,
        service: None,
        region: None,
        clock,
        clock_from,
    })
}

const TIME_RULE: &str = "a time like 2026-03-02T10:30:00Z, or `now`";

fn moment(text: &str) -> Option<Timestamp> {
    match text {
        "now" => Some(now()),
        text => job::time(text),
    }
}
