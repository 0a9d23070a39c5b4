//! What is said of each kind of notice: one function a kind.

mod end;
mod late;

pub(super) use late::detector as detector_in_words;

use super::Outgoing;
use super::facts::{self, counted, is_replaced, missing_records, seconds_in_words};
use super::nouns::Nouns;
use super::text::{Text, at};
use crate::watch::notice::Silence;
use crate::watch::{IncidentState, Job, Kind, Notice};

/// What is said of a notice.
pub(super) struct Words {
    /// What happened, and to which job, in a few sentences.
    pub(super) headline: Text,
    /// What matters most of it, in a few words after the job's id.
    pub(super) brief: Text,
    /// What to do.
    pub(super) steps: Vec<String>,
}

impl Words {
    pub(super) fn of(outgoing: &Outgoing<'_>) -> Self {
        let notice = outgoing.notice;
        match (notice.kind, &notice.job, &notice.expected) {
            (Kind::Began, _, _) => began(notice),
            (Kind::Test, _, _) => test(notice),
            (Kind::Unheard, _, _) => unheard(notice),
            (Kind::Heard, _, _) => heard(),
            (Kind::Missing, _, Some(expected)) => late::missing(expected),
            (Kind::Arrived, _, Some(expected)) => late::arrived(notice, expected),
            // A saved event need not name what it is of.
            (kind @ (Kind::Missing | Kind::Arrived), _, None) | (kind, None, _) => {
                Self::new(Text::ours(kind.label()), list([None]), &[])
            }
            (Kind::Completed, Some(job), _) => {
                match (notice.failed_records(), missing_records(notice)) {
                    (Some(failed), _) => end::completed_with_failures(notice, job, failed),
                    (None, Some(missing)) => end::completed_in_part(notice, job, missing),
                    (None, None) => end::completed(notice, job, outgoing.compared.as_ref()),
                }
            }
            (Kind::Failed, Some(job), _) => end::failed(notice, job),
            (Kind::Stalled, Some(job), _) => stalled(notice, job, "is stalled"),
            (Kind::Recovered, Some(job), _) => match &notice.silence {
                Some(silence) => recovered(notice, job, silence),
                None => listed_again(notice, job),
            },
            (Kind::Canceled, Some(job), _) => end::canceled(notice, job),
            (Kind::Ended, Some(job), _) => end::ended(notice, job),
            (Kind::Vanished, Some(job), _) if is_replaced(notice) => replaced(notice, job),
            (Kind::Vanished, Some(job), _) => vanished(notice, job),
            (Kind::Reminder, Some(job), _) => stalled(notice, job, "is still stalled"),
            (Kind::Overdue, Some(job), _) => late::overdue(notice, job),
        }
    }

    fn new(headline: Text, brief: Text, steps: &[&str]) -> Self {
        let steps = steps.iter().map(|step| (*step).to_owned()).collect();
        Self {
            headline,
            brief,
            steps,
        }
    }
}

/// What has a label and a rank of its own: a completed job that lacks records, and one in which some failed.
const IN_PART: (&str, u8) = ("Completed in part", 50);
const WITH_FAILURES: (&str, u8) = ("Completed with failures", 48);

/// What a notice is about.
pub(super) enum About<'a> {
    Job(&'a Job),
    /// A detector of which a job was expected.
    Detector(Text),
    /// All jobs of a region.
    Region(&'a str),
}

impl<'a> About<'a> {
    pub(super) fn of(notice: &'a Notice) -> Self {
        match (&notice.job, &notice.expected) {
            (Some(job), _) => Self::Job(job),
            (None, Some(expected)) => Self::Detector(late::detector(&expected.detector)),
            (None, None) => Self::Region(notice.source.region()),
        }
    }
}

/// What people read first.
pub(super) fn label(notice: &Notice) -> &'static str {
    label_and_rank(notice).0
}

/// The same where there is room: a completed job of which not all is well has the counts.
pub(super) fn full_label(notice: &Notice) -> String {
    let job = notice.job.as_ref();
    let missing = job.filter(|_| missing_records(notice).is_some());
    let count = missing.and_then(facts::count);
    let failed = notice.failed_records().map(failed_in_words);
    let parts = [Some(notice.kind.label().to_owned()), count, failed];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    parts.join(", ")
}

/// `1 record failed`.
fn failed_in_words(failed: u64) -> String {
    format!("{} failed", counted(failed, "record"))
}

/// Its place in a digest: the worst has the lowest.
pub(super) fn rank(notice: &Notice) -> u8 {
    label_and_rank(notice).1
}

fn label_and_rank(notice: &Notice) -> (&'static str, u8) {
    match (notice.failed_records(), missing_records(notice)) {
        (Some(_), _) => WITH_FAILURES,
        (None, Some(_)) => IN_PART,
        (None, None) => (notice.kind.label(), notice.kind.rank()),
    }
}

fn began(notice: &Notice) -> Words {
    let Nouns {
        one, title, stalls, ..
    } = Nouns::of(notice);
    let step =
        format!("Nothing to do. {title}s that ended before the watch started are not reported.");
    let Some(found) = &notice.found else {
        return Words::new(Text::ours("The watch has started."), list([None]), &[&step]);
    };
    let kinds: Vec<_> = found.notify_on.iter().map(|kind| kind.as_str()).collect();
    let expects = found.expects.iter().map(|name| late::detector(name));
    let expects = match Text::join(expects, ", ") {
        Some(names) => Text::ours(" It expects jobs of ").and_text(names).and("."),
        None => Text::ours(""),
    };
    let reports = match kinds.split_last() {
        None => "nothing else".to_owned(),
        Some((only, [])) => format!("{only} {one}s"),
        Some((last, others)) => format!("{} and {last} {one}s", others.join(", ")),
    };
    let jobs = counted(found.jobs, one);
    let threshold = seconds_in_words(found.stall_after_s);
    Words::new(
        Text::ours(format!(
            "The watch has started and found {jobs}. It will report {reports}."
        ))
        .and_text(expects)
        .and(format!(" {}{threshold}{}", stalls.0, stalls.1)),
        Text::ours(format!("{jobs} found")),
        &[&step],
    )
}

/// Of a stall and of its reminders.
fn stalled(notice: &Notice, job: &Job, is_stalled: &str) -> Words {
    let silence = notice.silence.as_ref();
    let lasted = silence.map(|silence| seconds_in_words(silence.lasted_s));
    let silent = match (silence, &lasted) {
        (Some(silence), Some(lasted)) => format!("for {lasted}, since {}", at(silence.since)),
        (Some(_) | None, _) => "for too long".to_owned(),
    };
    let processed = facts::progress(job).map(|progress| format!(" It has processed {progress}."));
    let processed = processed.unwrap_or_default();
    let waiting = silence.and_then(|silence| silence.waiting);
    let waiting = waiting.filter(|count| *count > 0);
    let behind = match waiting {
        None => String::new(),
        Some(1) => " 1 job is waiting behind it.".to_owned(),
        Some(more) => format!(" {more} jobs are waiting behind it."),
    };
    let Nouns { one, holds_up, .. } = Nouns::of(notice);
    let look = format!(
        "Look at the {one} in the console. If its record count is not moving, cancel it and start it again."
    );
    let holds_up = holds_up.map(|why| format!("{why}, so a stalled {one} may hold up others."));
    let often = format!("If your {one}s are often silent for this long, raise STALL_AFTER.");
    let steps = [Some(look), holds_up, Some(often)];
    let steps: Vec<_> = steps.iter().flatten().map(String::as_str).collect();
    Words::new(
        job_phrase(notice, job).and(format!(
            " {is_stalled}: no sign of life {silent}.{processed}{behind}"
        )),
        list([
            lasted.map(|lasted| format!("silent for {lasted}")),
            facts::count(job),
            waiting.map(|count| format!("{} waiting behind it", counted(count, "job"))),
        ]),
        &steps,
    )
}

fn recovered(notice: &Notice, job: &Job, silence: &Silence) -> Words {
    let still = still_overdue(notice);
    let (so_far, lasted) = (so_far(job), seconds_in_words(silence.lasted_s));
    let (since, one) = (at(silence.since), Nouns::of(notice).one);
    let allowed = seconds_in_words(silence.allowed_s);
    Words::new(
        job_phrase(notice, job).and(format!(
            " shows signs of life again{so_far}. It had been silent for {lasted}, since {since}. This resolves the earlier report that it had stalled.{still}"
        )),
        list([Some(format!("was silent for {lasted}")), facts::count(job)]),
        &[&format!(
            "Nothing to do. From now on this {one} counts as stalled after {allowed} of silence: each recovery doubles its stall threshold, up to four times STALL_AFTER."
        )],
    )
}

fn still_overdue(notice: &Notice) -> &'static str {
    match notice.incident {
        Some(IncidentState::Open) => " It is still overdue.",
        Some(IncidentState::Resolved) | None => "",
    }
}

/// What had vanished.
fn listed_again(notice: &Notice, job: &Job) -> Words {
    let (so_far, still) = (so_far(job), still_overdue(notice));
    Words::new(
        job_phrase(notice, job).and(format!(
            " is listed again{so_far}. This resolves the earlier report that it had vanished.{still}"
        )),
        list([Some("listed again".to_owned()), facts::count(job)]),
        &["Nothing to do. Its silence is counted from when it was listed again."],
    )
}

fn vanished(notice: &Notice, job: &Job) -> Words {
    let (headline, brief) = last_seen(notice);
    let Nouns { one, result, .. } = Nouns::of(notice);
    Words::new(
        job_phrase(notice, job).and(format!(
            " was active and has vanished: two complete runs found it neither in the listing nor by its id.{headline}"
        )),
        list([Some(brief)]),
        &[&format!(
            "If nobody deleted it on purpose, check whether its {} {}. If not, start the {one} again.",
            result.what, result.exists
        )],
    )
}

/// What has vanished since another job has its id.
fn replaced(notice: &Notice, job: &Job) -> Words {
    let (headline, brief) = last_seen(notice);
    let resolves = resolves(notice);
    let Nouns { one, result, .. } = Nouns::of(notice);
    Words::new(
        job_phrase(notice, job).and(format!(
            " was active, but another {one} has started under its id.{headline}{resolves}"
        )),
        list([
            Some(format!("another {one} has its id")),
            Some(brief),
            resolves_in_brief(notice),
        ]),
        &[&format!(
            "Check whether the {} of the {one} that is gone {}. If not, start it again, under an id of its own.",
            result.what, result.exists
        )],
    )
}

fn unheard(notice: &Notice) -> Words {
    let since = at(notice.happened_at);
    Words::new(
        Text::ours(format!(
            "Nobody has subscribed to the topic of this watch's alarms, at least since {since}. If the watch itself fails, nobody will hear of it."
        )),
        Text::ours("nobody has subscribed to the topic of the alarms"),
        &[
            "Confirm the subscription that AWS sent you by mail, or subscribe somebody: the stack's output Alarms has the command.",
        ],
    )
}

fn heard() -> Words {
    Words::new(
        Text::ours(
            "Somebody has subscribed to the topic of this watch's alarms, or they go to another topic now. This resolves the earlier report that nobody had subscribed.",
        ),
        Text::ours("somebody has subscribed, or they go to another topic"),
        &["Nothing to do."],
    )
}

fn test(notice: &Notice) -> Words {
    let one = Nouns::of(notice).one;
    Words::new(
        Text::ours(format!(
            "This is a test: nothing has happened to any {one}. What follows looks like a real notice."
        )),
        Text::ours(format!("nothing has happened to any {one}")),
        &["Nothing to do."],
    )
}

/// What the first sentence is about.
fn job_phrase(notice: &Notice, job: &Job) -> Text {
    Text::ours(Nouns::of(notice).full).and_text(Text::id(&job.id))
}

fn took(notice: &Notice, preposition: &str) -> String {
    let took = facts::took(notice).map(|took| format!("{preposition}{took}"));
    took.unwrap_or_default()
}

fn so_far(job: &Job) -> String {
    let progress = facts::progress(job).map(|progress| format!(", at {progress}"));
    progress.unwrap_or_default()
}

fn resolves(notice: &Notice) -> &'static str {
    match notice.incident {
        Some(IncidentState::Resolved) => " This resolves the earlier report about it.",
        Some(IncidentState::Open) | None => "",
    }
}

fn resolves_in_brief(notice: &Notice) -> Option<String> {
    let resolves = notice.incident == Some(IncidentState::Resolved);
    resolves.then(|| "resolves an earlier report".to_owned())
}

/// In a sentence or two, and in brief.
fn last_seen(notice: &Notice) -> (String, String) {
    match notice.job_seen_at.map(at) {
        Some(seen) => (
            format!(" Its outcome is unknown. It was last recorded at {seen}."),
            format!("outcome unknown, last recorded {seen}"),
        ),
        None => (
            " Its outcome is unknown.".to_owned(),
            "outcome unknown".to_owned(),
        ),
    }
}

/// How long it took, how far it came, and what it resolves.
fn end_in_brief(notice: &Notice, preposition: &str) -> Text {
    list([
        facts::took(notice).map(|took| format!("{preposition}{took}")),
        notice.job.as_ref().and_then(facts::count),
        resolves_in_brief(notice),
    ])
}

fn list<const N: usize>(parts: [Option<String>; N]) -> Text {
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    match parts.is_empty() {
        true => Text::ours("no more is known"),
        false => Text::ours(parts.join(", ")),
    }
}
