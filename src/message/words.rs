//! What there is to say about a notice, before any form writes it down for its place.

use jiff::{SignedDuration, Timestamp};

use super::text::{ago, at, in_words};
use super::{JobNow, Many, Told, WatchName};
use crate::watch::job::{JobId, Stage};
use crate::watch::{Incident, Job, Kind, Notice, Severity, Source, Status};

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
    /// An id from outside, of which both ends are shown if it is cut.
    Id {
        id: String,
        /// How many characters of it are shown.
        most: usize,
    },
}

/// Where text goes.
pub(super) trait Place {
    /// Text from outside, escaped, in at most `most` characters; and whether that is all of it.
    fn theirs(&self, text: &str, most: usize) -> (String, bool);

    /// The id of a job, escaped, in at most `most` characters; both of its ends if it is cut.
    fn id(&self, id: &str, most: usize) -> String;
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

    fn and_id(mut self, id: &JobId, most: usize) -> Self {
        self.0.push(Piece::Id {
            id: id.as_str().to_owned(),
            most,
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
                Piece::Id { id, most } => place.id(id, *most),
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

/// How a notice is called where people read it.
pub(super) fn label_of(notice: &Notice) -> &'static str {
    match lacking(notice) {
        Some(_) => "Completed in part",
        None => notice.kind.label(),
    }
}

/// The same where there is room: of a completed job that lacks records it has the counts.
pub(super) fn full_label(notice: &Notice) -> String {
    let count = lacking(notice).and(notice.job.as_ref()).and_then(count);
    let label = notice.kind.label();
    match count {
        Some(count) => format!("{label}, {count}"),
        None => label.to_owned(),
    }
}

/// How many records a completed job did not process, if there are any.
fn lacking(notice: &Notice) -> Option<u64> {
    let job = notice.job.as_ref()?;
    let lacking = job.total_records?.checked_sub(job.processed_records?)?;
    (notice.kind == Kind::Completed && lacking > 0).then_some(lacking)
}

/// From the worst to the least.
pub(super) fn rank(notice: &Notice) -> u8 {
    match notice.kind {
        Kind::Failed => 0,
        Kind::Stalled => 1,
        Kind::Reminder => 2,
        Kind::Vanished => 3,
        Kind::Ended => 4,
        Kind::Completed if lacking(notice).is_some() => 5,
        Kind::Recovered => 6,
        Kind::Canceled => 7,
        Kind::Completed => 8,
        Kind::Began => 9,
        Kind::Test => 10,
    }
}

/// `12 notices: 2 failed, 1 stalled, 9 completed`, the worst first.
pub(super) fn of_many(notices: &[&Notice]) -> String {
    let mut worst_first = notices.to_vec();
    worst_first.sort_by_key(|notice| rank(notice));
    let counted = |same: &[&Notice]| {
        let first = same.first()?;
        let name = match (first.kind, same.len()) {
            (Kind::Reminder, 1) => "reminder",
            (Kind::Reminder, _) => "reminders",
            (Kind::Ended, 1) => "unknown end",
            (Kind::Ended, _) => "unknown ends",
            (Kind::Completed, _) if lacking(first).is_some() => "completed in part",
            (kind, _) => kind.as_str(),
        };
        Some(format!("{} {name}", same.len()))
    };
    let alike = worst_first.chunk_by(|a, b| rank(a) == rank(b));
    let counts: Vec<_> = alike.filter_map(counted).collect();
    format!("{} notices: {}", notices.len(), counts.join(", "))
}

/// What to do about many notices.
pub(super) fn steps_for_many(many: &Many<'_>) -> Vec<String> {
    let has_lacking = many.notices.iter().any(|notice| lacking(notice).is_some());
    let first = match (many.severity, has_lacking) {
        (Severity::Info, false) => Some("Nothing to do, unless you wait for one of these."),
        (Severity::Info, true) => None,
        (Severity::Error, _) => Some(
            "Look first at what failed, stalled, vanished or has an unknown end: it stands first.",
        ),
    };
    let second = has_lacking.then_some("Look at what completed in part: it lacks records.");
    let steps = first.into_iter().chain(second);
    steps.map(str::to_owned).collect()
}

/// A notice in a line, where many share a message: `FAILED job (detector): what matters`.
pub(super) fn line(told: &Told<'_>, now: Timestamp) -> Text {
    let notice = told.notice;
    let mut line = Text::default();
    match &notice.job {
        Some(job) => {
            line = line.and_id(&job.id, BRIEF);
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
    let closes = closes(notice).then(|| "closes an earlier report".to_owned());
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
        Kind::Completed if lacking(notice).is_some() => {
            let only = progress.map(|progress| format!("only {progress}"));
            list([only, after, closes])
        }
        Kind::Completed | Kind::Canceled => list([after, progress, closes]),
        Kind::Ended => {
            let status = Text::ours("status ");
            let status = match job {
                Some(job) => status.and_theirs(job.status.as_str(), BRIEF),
                None => status.and("unknown"),
            };
            status.and(", ").and_all(list([after, progress, closes]))
        }
        Kind::Failed => {
            let after = list([after, progress, closes]);
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
        Kind::Recovered => {
            let silent = lasted.map(|lasted| format!("it was silent for {lasted}"));
            let recovered = silent.unwrap_or_else(|| "listed again".to_owned());
            list([Some(recovered), progress, None])
        }
        Kind::Vanished => {
            let outcome = match is_replaced(notice) {
                true => "another job has its id, outcome never seen",
                false => "outcome never seen",
            };
            let seen = notice.job_seen_at;
            let seen = seen.map(|seen| format!("last recorded {}", at(seen)));
            list([Some(outcome.to_owned()), seen, closes])
        }
        Kind::Test => Text::ours("nothing has happened to any job"),
    }
}

/// Whether another job took the id of one that vanished.
fn is_replaced(notice: &Notice) -> bool {
    notice.kind == Kind::Vanished && notice.incident != Some(Incident::Open)
}

/// Whether it ends what was told before, other than by a recovery, which says so anyway.
fn closes(notice: &Notice) -> bool {
    notice.kind != Kind::Recovered && notice.incident == Some(Incident::Resolved)
}

/// What has become of a job since a notice of it was recorded.
enum Since<'a> {
    /// It has ended.
    Ended(&'a Job),
    /// A silent one shows life, or one with an unknown end goes on.
    Alive,
    /// A vanished one is listed again.
    Back,
    /// Another job with its id has started.
    Another(Option<Timestamp>),
}

fn since<'a>(told: &Told<'a>) -> Option<Since<'a>> {
    let then = told.notice.job.as_ref()?;
    let now = match told.job_now? {
        JobNow::Same(job) => job,
        // It says that itself.
        JobNow::Another(_) if is_replaced(told.notice) => return None,
        JobNow::Another(job) => return Some(Since::Another(job.started_at)),
    };
    let has_ended = now.end().is_some();
    match told.notice.kind {
        Kind::Stalled | Kind::Reminder | Kind::Recovered | Kind::Vanished if has_ended => {
            Some(Since::Ended(now))
        }
        Kind::Stalled | Kind::Reminder => {
            // That it is being canceled is no sign of life.
            let stages = (then.status.stage(), now.status.stage());
            let moved = now.heartbeat_at > then.heartbeat_at
                || now.processed_records > then.processed_records
                || stages == (Some(Stage::Waits), Some(Stage::Runs));
            moved.then_some(Since::Alive)
        }
        Kind::Ended if now.status == then.status => None,
        Kind::Ended if has_ended => Some(Since::Ended(now)),
        Kind::Ended => Some(Since::Alive),
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
        Since::Another(started) => {
            let when = started.map(|started| format!(", {}", at(started)));
            let when = when.unwrap_or_default();
            Text::ours(format!(
                "Since then another job with the same id has started{when}."
            ))
        }
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
    let named = Text::ours("Batch prediction job ").and_id(&job.id, TEXT);
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
        Some(1) => " 1 job is waiting behind it.".to_owned(),
        Some(more) => format!(" {more} jobs are waiting behind it."),
    };
    let closes = match closes(notice) {
        true => " This closes the earlier report that it was stalled or had vanished.",
        false => "",
    };
    match notice.kind {
        Kind::Began => began(notice),
        Kind::Completed => match progress {
            Some(progress) if lacking(notice).is_some() => named.and(format!(
                " completed{after}, but only {progress} were processed.{closes}"
            )),
            Some(progress) => named.and(format!(" completed{after}: {progress}.{closes}")),
            None => named.and(format!(" completed{after}.{closes}")),
        },
        Kind::Failed => {
            let failed = named.and(format!(" failed{after}{so_far}.{closes} "));
            match &job.failure_reason {
                Some(_) => failed.and("AWS says: ").and_reason(job, REASON),
                None => failed.and("AWS gave no reason."),
            }
        }
        Kind::Canceled => named.and(format!(" was canceled{after}{so_far}.{closes}")),
        Kind::Ended => named
            .and(format!(" ended{after}{so_far}, with the status "))
            .and_theirs(job.status.as_str(), TEXT)
            .and(format!(
                ", which this version of fraud-job-watch does not know: it may mean success or failure.{closes}"
            )),
        Kind::Stalled => named.and(format!(
            " is active, but has shown no sign of life for {lasted}{silent_since}.{got_to}{behind}"
        )),
        Kind::Reminder => named.and(format!(
            " is still stalled: no sign of life for {lasted}{silent_since}.{got_to}{behind}"
        )),
        Kind::Recovered if notice.silence.is_none() => {
            named.and(format!(
                " is listed again{so_far}. This closes the earlier report that it had vanished."
            ))
        }
        Kind::Recovered => named.and(format!(
            " shows life again{so_far}. It was silent for {lasted}{silent_since}. This closes the earlier report that it was stalled."
        )),
        Kind::Vanished => {
            let gone = match is_replaced(notice) {
                true => "was active, and another job has started under its id.",
                false => "was active and is gone: two runs found it neither in the listing nor by its id.",
            };
            let seen = notice
                .job_seen_at
                .map(|seen| format!(" It was last recorded {}.", at(seen)))
                .unwrap_or_default();
            named.and(format!(" {gone} Its outcome was never seen.{seen}{closes}"))
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
    let lacking = lacking(notice).map(|lacking| {
        format!(
            "{} not processed. Compare the output with the input, and run what is missing in another job.",
            match lacking {
                1 => "1 record was".to_owned(),
                more => format!("{more} records were"),
            }
        )
    });
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
        Kind::Recovered if notice.silence.is_none() => {
            &["Nothing to do. Its silence counts from when it was listed again."]
        }
        Kind::Recovered => &[
            "Nothing to do. Each recovery doubles how long this job may be silent before it is called stalled, up to four times STALL_AFTER.",
        ],
        Kind::Canceled => &["Nothing to do, if it was meant. The output may be partial."],
        Kind::Ended => &[
            "Look in the console how the job ended, and whether its output is whole.",
            "If a status that is known follows, that is told too. A newer version of fraud-job-watch may know this one.",
        ],
        Kind::Vanished if is_replaced(notice) => &[
            "Look whether the output of the job that is gone is there. If not, start it again, under an id of its own.",
        ],
        Kind::Vanished => &[
            "If nobody deleted it on purpose, look whether its output is there. If not, start the job again.",
        ],
        Kind::Test => &["Nothing to do."],
    };
    let steps = steps.iter().map(|step| (*step).to_owned());
    lacking.into_iter().chain(steps).collect()
}

fn facts(told: &Told<'_>, name: Option<&WatchName>, now: Timestamp) -> Vec<(&'static str, Text)> {
    let notice = told.notice;
    let mut facts = Vec::new();
    let mut put = |label, value: Option<Text>| facts.extend(value.map(|value| (label, value)));
    let time = |at: Option<Timestamp>| at.map(|at| Text::ours(ago(at, now)));
    let theirs = |text: &Option<String>| text.as_deref().map(Text::theirs);
    if let Some(job) = &notice.job {
        put("Job", Some(Text::default().and_id(&job.id, TEXT)));
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
            "Waiting behind it",
            silence.waiting.map(|count| match count {
                0 => Text::ours("no job"),
                more => Text::ours(counted(more, "job")),
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
        Kind::Completed | Kind::Failed | Kind::Canceled | Kind::Ended | Kind::Test => {
            job.completed_at?
        }
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
