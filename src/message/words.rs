//! What there is to say about a notice, before any form writes it down for its place.

use jiff::{SignedDuration, Timestamp};

use super::text::{ago, at, in_words};
use super::{Told, WatchName};
use crate::watch::{Job, Kind, Notice, Severity, Source, Status};

/// Text in which what comes from outside stays apart, until a [`Place`] escapes it.
#[derive(Clone, Debug, Default)]
pub(super) struct Text(Vec<Piece>);

#[derive(Clone, Debug)]
enum Piece {
    Ours(String),
    Theirs {
        text: String,
        /// How many characters of it are shown.
        most: usize,
        /// How many bytes it had, if that is said when it is cut.
        bytes: Option<u64>,
    },
}

/// Where text goes.
pub(super) trait Place {
    /// Text from outside, escaped, in at most `most` characters; and whether that is all of it.
    fn theirs(&self, text: &str, most: usize) -> (String, bool);
}

/// As many characters of a failure reason are shown; the event has more.
const REASON: usize = 2_000;
/// As many of any other text from outside.
const TEXT: usize = 400;
/// As many of an id or a name where many share a message.
const BRIEF: usize = 100;

impl Text {
    pub(super) fn ours(text: impl Into<String>) -> Self {
        Self(vec![Piece::Ours(text.into())])
    }

    pub(super) fn theirs(text: &str) -> Self {
        Self::default().and_theirs(text, TEXT)
    }

    pub(super) fn and(mut self, text: impl Into<String>) -> Self {
        self.0.push(Piece::Ours(text.into()));
        self
    }

    pub(super) fn and_theirs(mut self, text: &str, most: usize) -> Self {
        self.0.push(Piece::Theirs {
            text: text.to_owned(),
            most,
            bytes: None,
        });
        self
    }

    pub(super) fn and_all(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    fn and_reason(mut self, job: &Job, most: usize) -> Self {
        let text = job.failure_reason.clone().unwrap_or_default();
        let bytes = job.failure_reason_bytes.unwrap_or(text.len() as u64);
        self.0.push(Piece::Theirs {
            text,
            most,
            bytes: Some(bytes),
        });
        self
    }

    /// The text as it stands in that place.
    pub(super) fn at(&self, place: &impl Place) -> String {
        self.0
            .iter()
            .map(|piece| match piece {
                Piece::Ours(text) => text.clone(),
                Piece::Theirs { text, most, bytes } => {
                    let (shown, whole) = place.theirs(text, *most);
                    match bytes {
                        Some(bytes) if !whole || *bytes > text.len() as u64 => {
                            format!("{shown} [cut; it had {bytes} bytes]")
                        }
                        None if !whole => format!("{shown} [cut]"),
                        Some(_) | None => shown,
                    }
                }
            })
            .collect()
    }
}

/// All there is to say.
pub(super) struct Words {
    /// What to know before the rest: that it is told late, and what has become of the job since.
    pub(super) notes: Vec<Text>,
    /// What happened, in a few sentences.
    pub(super) headline: Text,
    /// What to do.
    pub(super) steps: Vec<String>,
    /// The facts, with their labels.
    pub(super) facts: Vec<(&'static str, Text)>,
}

impl Words {
    pub(super) fn of(told: &Told<'_>, name: Option<&WatchName>, now: Timestamp) -> Self {
        let late = lateness(told.notice, now).map(|waited| {
            Text::ours(format!(
                "Told late: what follows was recorded {} ago and could not be delivered before.",
                in_words(waited)
            ))
        });
        let since = since(told);
        let moved = since.as_ref().map(moved_on);
        Self {
            notes: late.into_iter().chain(moved).collect(),
            headline: headline(told.notice),
            steps: steps(told.notice, since.as_ref()),
            facts: facts(told, name, now),
        }
    }

    /// What a reader sees first. If there is something to know before the rest, it has the first line.
    pub(super) fn first_lines(&self, place: &impl Place) -> Vec<String> {
        let notes: Vec<_> = self.notes.iter().map(|note| note.at(place)).collect();
        let notes = (!notes.is_empty()).then(|| notes.join(" "));
        notes.into_iter().chain([self.headline.at(place)]).collect()
    }
}

/// How a kind is called where people read it.
pub(super) fn label(kind: Kind) -> &'static str {
    match kind {
        Kind::Began => "Watching",
        Kind::Completed => "Completed",
        Kind::Failed => "FAILED",
        Kind::Stalled => "STALLED",
        Kind::Recovered => "Recovered",
        Kind::Canceled => "Canceled",
        Kind::Vanished => "VANISHED",
        Kind::Reminder => "STILL STALLED",
        Kind::Test => "TEST",
    }
}

/// From the worst to the least.
pub(super) fn rank(kind: Kind) -> u8 {
    match kind {
        Kind::Failed => 0,
        Kind::Stalled => 1,
        Kind::Reminder => 2,
        Kind::Vanished => 3,
        Kind::Recovered => 4,
        Kind::Canceled => 5,
        Kind::Completed => 6,
        Kind::Began => 7,
        Kind::Test => 8,
    }
}

/// `12 notices: 2 failed, 1 stalled, 9 completed`, the worst first.
pub(super) fn of_many(notices: &[&Notice]) -> String {
    let mut kinds: Vec<_> = notices.iter().map(|notice| notice.kind).collect();
    kinds.sort_by_key(|kind| rank(*kind));
    let counted = |same: &[Kind]| {
        let name = match (same.first()?, same.len()) {
            (Kind::Reminder, 1) => "reminder",
            (Kind::Reminder, _) => "reminders",
            (kind, _) => kind.as_str(),
        };
        Some(format!("{} {name}", same.len()))
    };
    let counts: Vec<_> = kinds.chunk_by(|a, b| a == b).filter_map(counted).collect();
    format!("{} notices: {}", notices.len(), counts.join(", "))
}

/// What to do about many notices, the worst of which is this bad.
pub(super) fn step_for_many(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "Nothing to do, unless you wait for one of these.",
        Severity::Error => "Look first at what failed, stalled or vanished: it stands first.",
    }
}

/// A notice in a line, where many share a message: `FAILED job (detector): what matters`.
pub(super) fn line(told: &Told<'_>, now: Timestamp) -> Text {
    let notice = told.notice;
    let mut line = Text::default();
    match &notice.job {
        Some(job) => {
            line = line.and_theirs(job.id.as_str(), BRIEF);
            if let Some(detector) = &job.detector {
                line = line.and(" (").and_theirs(detector, BRIEF).and(")");
            }
        }
        None => line = line.and("batch prediction jobs"),
    }
    for aside in asides(told, now) {
        line = line.and(", ").and_all(aside);
    }
    line.and(": ").and_all(brief(notice, BRIEF))
}

/// What to know besides, in a few words.
pub(super) fn asides(told: &Told<'_>, now: Timestamp) -> Vec<Text> {
    let late = lateness(told.notice, now)
        .map(|waited| Text::ours(format!("told {} late", in_words(waited))));
    let since = since(told).map(|since| match since {
        Since::Ended(job) => Text::ours("now ").and_theirs(job.status.as_str(), BRIEF),
        Since::Alive => Text::ours("alive since"),
        Since::Back => Text::ours("back since"),
        Since::Another(_) => Text::ours("its id used again since"),
    });
    late.into_iter().chain(since).collect()
}

/// What matters most of a notice, in a few words.
pub(super) fn brief(notice: &Notice, reason: usize) -> Text {
    let job = notice.job.as_ref();
    let progress = job.and_then(count);
    let lasted = lasted(notice);
    let list = |parts: [Option<String>; 3]| {
        let parts: Vec<_> = parts.into_iter().flatten().collect();
        match parts.is_empty() {
            true => Text::ours("no more is known"),
            false => Text::ours(parts.join(", ")),
        }
    };
    let after = took(notice).map(|took| format!("after {}", in_words(took)));
    match notice.kind {
        Kind::Began => match &notice.found {
            Some(found) => Text::ours(format!("{} found", counted(found.jobs, "job"))),
            None => Text::ours("the watch began"),
        },
        Kind::Completed | Kind::Canceled => list([after, progress, None]),
        Kind::Failed => {
            let after = list([after, progress, None]);
            match job.filter(|job| job.failure_reason.is_some()) {
                Some(job) => after.and(": ").and_reason(job, reason),
                None => after.and(", no reason given"),
            }
        }
        Kind::Stalled | Kind::Reminder => {
            let silence = notice.silence.as_ref();
            let behind = silence.and_then(|silence| silence.waiting);
            let behind = behind.filter(|count| *count > 0);
            list([
                lasted.map(|lasted| format!("silent for {lasted}")),
                progress,
                behind.map(|count| format!("{} waiting behind it", counted(count, "job"))),
            ])
        }
        Kind::Recovered => list([
            lasted.map(|lasted| format!("it was silent for {lasted}")),
            progress,
            None,
        ]),
        Kind::Vanished => list([
            Some("outcome never seen".to_owned()),
            notice
                .job_seen_at
                .map(|seen| format!("last recorded {}", at(seen))),
            None,
        ]),
        Kind::Test => Text::ours("nothing has happened to any job"),
    }
}

/// What has become of a job since a notice of it was recorded.
enum Since<'a> {
    /// It has ended.
    Ended(&'a Job),
    /// A silent one shows life.
    Alive,
    /// A vanished one is listed again.
    Back,
    /// Another job with its id has started.
    Another(Timestamp),
}

fn since<'a>(told: &Told<'a>) -> Option<Since<'a>> {
    let (then, now) = (told.notice.job.as_ref()?, told.job_now?);
    if let (Some(before), Some(after)) = (then.started_at, now.started_at)
        && after > before
    {
        return Some(Since::Another(after));
    }
    let has_ended = now.end().is_some();
    match told.notice.kind {
        Kind::Stalled | Kind::Reminder | Kind::Recovered | Kind::Vanished if has_ended => {
            Some(Since::Ended(now))
        }
        Kind::Stalled | Kind::Reminder => {
            let moved = now.heartbeat_at > then.heartbeat_at
                || now.status != then.status
                || now.processed_records != then.processed_records;
            moved.then_some(Since::Alive)
        }
        Kind::Vanished => Some(Since::Back),
        Kind::Began
        | Kind::Completed
        | Kind::Failed
        | Kind::Recovered
        | Kind::Canceled
        | Kind::Test => None,
    }
}

fn moved_on(since: &Since<'_>) -> Text {
    match since {
        Since::Ended(job) => {
            let ended = Text::ours("Since then the job has ended: ")
                .and_theirs(&job.status.to_string(), TEXT);
            match job.finished_at() {
                Some(finished) => ended.and(format!(", {}.", at(finished))),
                None => ended.and("."),
            }
        }
        Since::Alive => Text::ours("Since then the job has shown life again."),
        Since::Back => Text::ours("Since then the job has been listed again."),
        Since::Another(started) => Text::ours(format!(
            "Since then another job with the same id has started, {}.",
            at(*started)
        )),
    }
}

/// A run takes at most 15 minutes, so what has waited longer was not delivered by the run that recorded it.
const ONE_RUN: SignedDuration = SignedDuration::from_mins(15);

fn lateness(notice: &Notice, now: Timestamp) -> Option<SignedDuration> {
    Some(now.duration_since(notice.recorded_at)).filter(|waited| *waited > ONE_RUN)
}

fn headline(notice: &Notice) -> Text {
    let Some(job) = &notice.job else {
        return began(notice);
    };
    let named = Text::ours("Batch prediction job ").and_theirs(job.id.as_str(), TEXT);
    let after = took(notice)
        .map(|took| format!(" after {}", in_words(took)))
        .unwrap_or_default();
    let progress = progress(job);
    let so_far = progress
        .as_ref()
        .map(|progress| format!(", at {progress}"))
        .unwrap_or_default();
    let got_to = progress
        .as_ref()
        .map(|progress| format!(" It got to {progress}."))
        .unwrap_or_default();
    let lasted = lasted(notice).unwrap_or_else(|| "too long".to_owned());
    let silent_since = notice
        .silence
        .as_ref()
        .map(|silence| format!(", since {}", at(silence.since)))
        .unwrap_or_default();
    let behind = match notice.silence.as_ref().and_then(|silence| silence.waiting) {
        None | Some(0) => String::new(),
        Some(1) => " 1 job that started later has not begun.".to_owned(),
        Some(more) => format!(" {more} jobs that started later have not begun."),
    };
    match notice.kind {
        Kind::Began => began(notice),
        Kind::Completed => match progress {
            Some(progress) => named.and(format!(" completed{after}: {progress}.")),
            None => named.and(format!(" completed{after}.")),
        },
        Kind::Failed => {
            let failed = named.and(format!(" failed{after}{so_far}. "));
            match &job.failure_reason {
                Some(_) => failed.and("AWS says: ").and_reason(job, REASON),
                None => failed.and("AWS gave no reason."),
            }
        }
        Kind::Canceled => named.and(format!(" was canceled{after}{so_far}.")),
        Kind::Stalled => named.and(format!(
            " is active, but has shown no sign of life for {lasted}{silent_since}.{got_to}{behind}"
        )),
        Kind::Reminder => named.and(format!(
            " is still stalled: no sign of life for {lasted}{silent_since}.{got_to}{behind}"
        )),
        Kind::Recovered => named.and(format!(
            " shows life again{so_far}. Its stall was told: it was silent for {lasted}{silent_since}."
        )),
        Kind::Vanished => {
            let seen = notice
                .job_seen_at
                .map(|seen| format!(" It was last recorded {}.", at(seen)))
                .unwrap_or_default();
            named.and(format!(
                " was active and is gone: it is neither listed nor found by its id. Its outcome was never seen.{seen}"
            ))
        }
        Kind::Test => Text::ours(
            "This is a test: nothing has happened to any job. What follows looks like what you would get.",
        ),
    }
}

fn began(notice: &Notice) -> Text {
    let Some(found) = &notice.found else {
        return Text::ours("The watch began.");
    };
    let kinds: Vec<_> = found.notify_on.iter().map(|kind| kind.as_str()).collect();
    let tells = match kinds.split_last() {
        None => "It will tell of nothing else.".to_owned(),
        Some((last, [])) => format!("It will tell of jobs that are {last}."),
        Some((last, others)) => {
            format!(
                "It will tell of jobs that are {} or {last}.",
                others.join(", ")
            )
        }
    };
    Text::ours(format!(
        "The watch began and found {}. {tells} It calls a job stalled after {} without a sign of life.",
        counted(found.jobs, "job"),
        in_words(SignedDuration::from_secs(found.stall_after_s)),
    ))
}

fn steps(notice: &Notice, since: Option<&Since<'_>>) -> Vec<String> {
    let over: Option<&str> = match since {
        Some(Since::Ended(_)) => Some("Nothing to do about this any more: the job has ended."),
        Some(Since::Alive) => Some("Nothing to do for now: the job goes on."),
        Some(Since::Back) => Some("Nothing to do for now: the job is back."),
        Some(Since::Another(_)) | None => None,
    };
    if let Some(over) = over {
        return vec![over.to_owned()];
    }
    let steps: &[&str] = match notice.kind {
        Kind::Began => &["Nothing to do. What ended before the watch began is not told."],
        Kind::Completed => {
            &["Fetch the output. Records that failed are marked in its STATUS column."]
        }
        Kind::Failed => &["Fix what the reason names, then start the job again."],
        Kind::Stalled | Kind::Reminder => &[
            "Look at the job in the console. If its count of records stands still, cancel it and start it again.",
            "One job runs at a time: while this one is stalled, others may be held up.",
            "If your jobs are often silent for so long, raise STALL_AFTER.",
        ],
        Kind::Recovered => &[
            "Nothing to do. From now on this job is called stalled only after at least twice that silence.",
        ],
        Kind::Canceled => &["Nothing to do, if it was meant. The output may be partial."],
        Kind::Vanished => &[
            "If nobody deleted it on purpose, look whether its output is there. If not, start the job again.",
        ],
        Kind::Test => &["Nothing to do."],
    };
    steps.iter().map(|step| (*step).to_owned()).collect()
}

fn facts(told: &Told<'_>, name: Option<&WatchName>, now: Timestamp) -> Vec<(&'static str, Text)> {
    let notice = told.notice;
    let mut facts = Vec::new();
    let mut put = |label, value: Option<Text>| facts.extend(value.map(|value| (label, value)));
    let time = |at: Option<Timestamp>| at.map(|at| Text::ours(ago(at, now)));
    let theirs = |text: &Option<String>| text.as_deref().map(Text::theirs);
    if let Some(job) = &notice.job {
        put("Job", Some(Text::theirs(job.id.as_str())));
        put("Status", Some(Text::theirs(&job.status.to_string())));
        let pace = pace(notice)
            .map(|pace| format!(", {} on average", in_time(pace)))
            .unwrap_or_default();
        let progress = progress(job);
        put(
            "Progress",
            progress.map(|progress| Text::ours(format!("{progress}{pace}"))),
        );
        put("Expected end", expected_end(told, now).map(Text::ours));
    }
    if let Some(silence) = &notice.silence {
        put("Silent since", time(Some(silence.since)));
        let allowed = in_words(SignedDuration::from_secs(silence.allowed_s));
        put("Allowed silence", Some(Text::ours(allowed)));
        put(
            "Reminder",
            silence
                .reminder
                .map(|number| Text::ours(number.to_string())),
        );
        put(
            "Behind it",
            silence.waiting.map(|count| match count {
                0 => Text::ours("no job that started later"),
                1 => Text::ours("1 job that started later and has not begun"),
                more => Text::ours(format!("{more} jobs that started later and have not begun")),
            }),
        );
    }
    if let Some(job) = &notice.job {
        put("Started", time(job.started_at));
        put("Last heartbeat", time(job.heartbeat_at));
        put("Ended", time(job.completed_at));
        if notice.kind == Kind::Vanished {
            put("Last recorded", time(notice.job_seen_at));
        }
        put(
            "Detector",
            theirs(&job.detector).map(|detector| match &job.detector_version {
                Some(version) => detector.and(", version ").and_theirs(version, TEXT),
                None => detector,
            }),
        );
        put("Event type", theirs(&job.event_type));
        put("Input", theirs(&job.input_path));
        put("Output", theirs(&job.output_path));
    }
    if let Some(found) = &notice.found {
        let mut statuses: Vec<_> = found.by_status.iter().collect();
        statuses.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let mut counts = Text::default();
        for (place, (status, count)) in statuses.into_iter().take(20).enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            counts = counts
                .and(format!("{comma}{count} "))
                .and_theirs(status, BRIEF);
        }
        if found.by_status.is_empty() {
            counts = Text::ours("none");
        }
        put("Jobs", Some(counts));
    }
    put("Noticed", time(Some(notice.recorded_at)));
    put("Account", Some(account(&notice.source)));
    put("Console", console(&notice.source));
    put("Watch", name.map(|name| Text::theirs(&name.to_string())));
    put("Event id", Some(Text::ours(notice.id.to_string())));
    facts
}

/// Whose jobs: the account and the region.
pub(super) fn account(source: &Source) -> Text {
    Text::theirs(source.account())
        .and(", ")
        .and_theirs(source.region(), TEXT)
}

/// The console's address, where its form is known: in AWS's standard partition. None is known for a single job.
pub(super) fn console(source: &Source) -> Option<Text> {
    let region = source.region();
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let known = source.to_string().starts_with("arn:aws:") && region.chars().all(is_plain);
    known.then(|| {
        Text::ours(format!(
            "https://{region}.console.aws.amazon.com/frauddetector/home?region={region}"
        ))
    })
}

/// How long a job took that has ended, from its start to what is told.
fn took(notice: &Notice) -> Option<SignedDuration> {
    let started = notice.job.as_ref()?.started_at?;
    Some(notice.happened_at.duration_since(started)).filter(|took| took.as_secs() > 0)
}

fn lasted(notice: &Notice) -> Option<String> {
    let silence = notice.silence.as_ref()?;
    Some(in_words(SignedDuration::from_secs(silence.lasted_s)))
}

fn count(job: &Job) -> Option<String> {
    let processed = job.processed_records?;
    Some(match job.total_records {
        Some(0) | None => counted(processed, "record"),
        Some(total) => format!("{processed} of {}", counted(total, "record")),
    })
}

fn progress(job: &Job) -> Option<String> {
    let percent = match (job.processed_records, job.total_records) {
        (Some(processed), Some(total @ 1..)) => {
            format!(" ({} %)", u128::from(processed) * 100 / u128::from(total))
        }
        (Some(_) | None, Some(_) | None) => String::new(),
    };
    Some(format!("{}{percent}", count(job)?))
}

/// Records per second, from the job's start until its count was last known to grow: its end, the beginning of
/// its silence, or when it was seen.
fn pace(notice: &Notice) -> Option<f64> {
    let job = notice.job.as_ref()?;
    let until = match notice.kind {
        Kind::Completed | Kind::Failed | Kind::Canceled | Kind::Test => job.completed_at?,
        Kind::Stalled | Kind::Reminder => notice.silence.as_ref()?.since,
        Kind::Recovered | Kind::Vanished => notice.job_seen_at?,
        Kind::Began => return None,
    };
    let seconds = until.duration_since(job.started_at?).as_secs_f64();
    let records = job.processed_records.filter(|count| *count > 0)? as f64;
    (seconds >= 1.0).then_some(records / seconds)
}

fn in_time(pace: f64) -> String {
    match pace {
        10.0.. => format!("{pace:.0} records per second"),
        1.0.. => format!("{pace:.1} records per second"),
        0.01.. => format!("{pace:.2} records per second"),
        _ => format!("{:.1} records per hour", pace * 3_600.0),
    }
}

/// Only of a job that is seen to go on, and only from what it did so far.
fn expected_end(told: &Told<'_>, now: Timestamp) -> Option<String> {
    let notice = told.notice;
    let job = notice.job.as_ref()?;
    if notice.kind != Kind::Recovered || job.status != Status::InProgress || since(told).is_some() {
        return None;
    }
    let left = job.total_records?.checked_sub(job.processed_records?)?;
    let seconds = left as f64 / pace(notice)?;
    let end = notice
        .job_seen_at?
        .checked_add(SignedDuration::try_from_secs_f64(seconds).ok()?)
        .ok()?;
    (left > 0 && end > now).then(|| {
        format!(
            "about {}, if it goes on as on average so far",
            end.strftime("%Y-%m-%d %H:%M UTC")
        )
    })
}

fn counted(count: u64, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    }
}
