//! The facts of a notice, with their labels: progress, pace, silence, times, whose jobs, where to click.

use jiff::{SignedDuration, Timestamp};

use super::WatchName;
use super::nouns::Nouns;
use super::text::{Text, ago, in_words};
use super::words::detector_in_words as named;
use crate::watch::detector::Completion;
use crate::watch::history::{self, Usual};
use crate::watch::notice::Found;
use crate::watch::{IncidentState, Job, Kind, Notice, Source, Status};

/// A fact, if it is known, after its label.
pub(super) type Fact = (&'static str, Option<Text>);

/// What whoever looks needs: how far the job is, since when, whose it is, where to click. The end is only expected if
/// the job still is as the notice says.
pub(super) fn key_facts(notice: &Notice, now: Timestamp, has_moved_on: bool) -> Vec<Fact> {
    let (job, silence) = (notice.job.as_ref(), notice.silence.as_ref());
    let nouns = Nouns::of(notice);
    let time = |at: Option<Timestamp>| at.map(|at| Text::ours(ago(at, now)));
    let failed = job.and_then(|job| job.failed_records);
    let status = job.map(|job| Text::untrusted(job.status.to_string()));
    let expected_end = expected_end(notice, now).filter(|_| !has_moved_on);
    let silent = match notice.kind {
        Kind::Recovered => "Was silent from",
        _ => "Silent since",
    };
    let [account, console] = whose(&notice.source);
    let last_recorded = notice.job_seen_at.filter(|_| notice.kind == Kind::Vanished);
    let (overdue, expected) = (notice.overdue.as_ref(), notice.expected.as_ref());
    let usual = overdue.and_then(|overdue| overdue.usual.as_ref());
    // Without a queue that is its start.
    let could_begin = overdue
        .map(|overdue| overdue.since)
        .filter(|_| notice.source.kind().runs_one_at_a_time());
    let deadline = expected.map(|expected| Text::untrusted(&expected.local));
    let last_completed = expected.and_then(|expected| expected.last_completed.as_ref());
    vec![
        ("Deadline", deadline),
        (
            "Last completed",
            last_completed.map(|last| completion(last, now)),
        ),
        (
            "Other job",
            expected.and_then(|expected| instead(expected.instead.as_ref()?)),
        ),
        ("Status", status),
        ("Progress", progress_and_pace(notice)),
        (
            "Failed records",
            failed.map(|count| Text::ours(count.to_string())),
        ),
        ("Expected end", expected_end.map(Text::ours)),
        ("Could begin", time(could_begin)),
        ("Usually takes", usual.map(usual_in_words).map(Text::ours)),
        (silent, time(silence.map(|silence| silence.since))),
        ("Started", time(job.and_then(|job| job.started_at))),
        ("Ended", time(job.and_then(|job| job.completed_at))),
        ("Last recorded", time(last_recorded)),
        (
            nouns.title_of_all,
            notice.found.as_ref().map(jobs_by_status),
        ),
        (
            "Detector",
            job.and_then(detector)
                .or(expected.map(|it| named(&it.detector))),
        ),
        account,
        console,
    ]
}

pub(super) fn details(notice: &Notice, name: Option<&WatchName>, now: Timestamp) -> Vec<Fact> {
    let (job, silence) = (notice.job.as_ref(), notice.silence.as_ref());
    let time = |at: Option<Timestamp>| at.map(|at| Text::ours(ago(at, now)));
    let untrusted = |text: fn(&Job) -> &Option<String>| text(job?).as_deref().map(Text::untrusted);
    let threshold = silence.map(|silence| seconds_in_words(silence.allowed_s));
    let limit = notice.overdue.as_ref();
    let limit = limit.map(|overdue| seconds_in_words(overdue.limit_s));
    let waiting = silence.and_then(|silence| Some(counted(silence.waiting?, "job")));
    let reminder = silence.and_then(|silence| Some(silence.reminder?.to_string()));
    vec![
        (Nouns::of(notice).title, job.map(|job| Text::id(&job.id))),
        ("Last heartbeat", time(job.and_then(|job| job.heartbeat_at))),
        ("Stall threshold", threshold.map(Text::ours)),
        ("Overdue after", limit.map(Text::ours)),
        ("Waiting behind it", waiting.map(Text::ours)),
        ("Reminder", reminder.map(Text::ours)),
        ("Event type", untrusted(|job| &job.event_type)),
        ("Input", untrusted(|job| &job.input_path)),
        ("Output", untrusted(|job| &job.output_path)),
        ("Detected", time(Some(notice.recorded_at))),
        ("Watch", name.map(|name| Text::untrusted(name.to_string()))),
        ("Event id", Some(Text::ours(notice.id.to_string()))),
    ]
}

fn completion(completion: &Completion, now: Timestamp) -> Text {
    Text::id(&completion.job_id).and(format!(", {}", ago(completion.at, now)))
}

/// A job that there is in place of a completed one.
fn instead(job: &Job) -> Option<Text> {
    let progress = progress(job).map(|progress| format!(", {progress}"));
    let status = Text::id(&job.id)
        .and(", ")
        .and_untrusted(job.status.to_string());
    Some(status.and(progress.unwrap_or_default()))
}

/// `25 min (the median of 20; the longest 31 min)`.
pub(super) fn usual_in_words(usual: &Usual) -> String {
    let (median, longest) = (
        seconds_in_words(usual.median_s),
        seconds_in_words(usual.longest_s),
    );
    match usual.jobs {
        0 | 1 => format!("{median} (by the largest of them)"),
        jobs => format!("{median} (the median of {jobs}; the longest {longest})"),
    }
}

/// Whose jobs, and where to click: the console's address is known in AWS's standard partition, and of no single job.
pub(super) fn whose(source: &Source) -> [Fact; 2] {
    let region = source.region();
    let account = Text::untrusted(source.account());
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let known = source.to_string().starts_with("arn:aws:") && region.chars().all(is_plain);
    let console = known.then(|| {
        Text::ours(format!(
            "https://{region}.console.aws.amazon.com/frauddetector/home?region={region}"
        ))
    });
    [
        ("Account", Some(account.and(", ").and_untrusted(region))),
        ("Console", console),
    ]
}

fn detector(job: &Job) -> Option<Text> {
    let detector = Text::untrusted(job.detector.as_deref()?);
    Some(match &job.detector_version {
        Some(version) => detector.and(", version ").and_untrusted(version),
        None => detector,
    })
}

/// The statuses of most jobs, and how many have each.
fn jobs_by_status(found: &Found) -> Text {
    let mut statuses: Vec<_> = found.by_status.iter().collect();
    statuses.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let counts = statuses.into_iter().take(20).map(|(status, count)| {
        Text::ours(format!("{count} ")).and_text(Text::untrusted_brief(status))
    });
    Text::join(counts, ", ").unwrap_or_else(|| Text::ours("none"))
}

/// How long a job took that has ended, from its start to what is reported.
pub(super) fn took(notice: &Notice) -> Option<String> {
    let started = notice.job.as_ref()?.started_at?;
    let took = notice.happened_at.duration_since(started);
    (took.as_secs() > 0).then(|| in_words(took))
}

/// How many records a completed job did not process, if there are any.
pub(super) fn missing_records(notice: &Notice) -> Option<u64> {
    let job = notice.job.as_ref()?;
    let missing = job.total_records?.checked_sub(job.processed_records?)?;
    (notice.kind == Kind::Completed && missing > 0).then_some(missing)
}

/// Whether another job took the id of one that vanished.
pub(super) fn is_replaced(notice: &Notice) -> bool {
    notice.kind == Kind::Vanished && notice.incident != Some(IncidentState::Open)
}

/// `1234 of 5000 records`.
pub(super) fn count(job: &Job) -> Option<String> {
    let processed = job.processed_records?;
    Some(match job.total_records {
        Some(0) | None => counted(processed, "record"),
        Some(total) => format!("{processed} of {}", counted(total, "record")),
    })
}

/// `1234 of 5000 records (24%)`.
pub(super) fn progress(job: &Job) -> Option<String> {
    let (count, processed) = (count(job)?, u128::from(job.processed_records?));
    Some(match job.total_records.map(u128::from) {
        Some(total @ 1..) => format!("{count} ({}%)", processed * 100 / total),
        Some(0) | None => count,
    })
}

fn progress_and_pace(notice: &Notice) -> Option<Text> {
    let progress = progress(notice.job.as_ref()?)?;
    let pace = pace(notice).map(|pace| match pace {
        10.0.. => format!(", {pace:.0} records per second on average"),
        1.0.. => format!(", {pace:.1} records per second on average"),
        0.01.. => format!(", {pace:.2} records per second on average"),
        _ => format!(", {:.1} records per hour on average", pace * 3_600.0),
    });
    Some(Text::ours(progress + &pace.unwrap_or_default()))
}

/// Records per second, from the job's start until its count was last known to grow: its end, the beginning of
/// its silence, or when it was seen.
fn pace(notice: &Notice) -> Option<f64> {
    let job = notice.job.as_ref()?;
    let is_silent = notice.kind != Kind::Recovered;
    let until = match (job.end(), &notice.silence) {
        (Some(_), _) => job.completed_at?,
        (None, Some(silence)) if is_silent => silence.since,
        (None, Some(_) | None) => notice.job_seen_at?,
    };
    let seconds = until.duration_since(job.started_at?).as_secs_f64();
    let records = job.processed_records.filter(|count| *count > 0)? as f64;
    (seconds >= 1.0).then_some(records / seconds)
}

/// Only of a job that is seen to go on, and only from what it did so far.
fn expected_end(notice: &Notice, now: Timestamp) -> Option<String> {
    let known = match (&notice.overdue, &notice.expected) {
        (Some(overdue), _) => overdue.expected_end,
        (None, Some(expected)) => expected.expected_end,
        (None, None) => expected_end_of_recovered(notice),
    };
    let end = known.filter(|end| *end > now)?;
    let end = end.strftime("%Y-%m-%d %H:%M UTC");
    Some(format!("about {end}, at its average pace so far"))
}

fn expected_end_of_recovered(notice: &Notice) -> Option<Timestamp> {
    let (job, seen_at) = (notice.job.as_ref()?, notice.job_seen_at?);
    let runs = notice.kind == Kind::Recovered && job.status == Status::InProgress;
    let started_at = job.started_at.filter(|_| runs)?;
    history::expected_end(job, seen_at.duration_since(started_at), seen_at)
}

/// `1 job`, `2 jobs`.
pub fn counted(count: u64, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}

pub(super) fn seconds_in_words(seconds: i64) -> String {
    in_words(SignedDuration::from_secs(seconds))
}
