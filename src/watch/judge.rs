//! The judge: what a record and what is seen of its job make of each other.
//!
//! Three questions, each a pure function that answers with the change to record, if there is one: [`judge`] a
//! job that is seen, [`judge_silence`] one that is seen and active, after the listing, and [`judge_absence`] one
//! that should be there and is not. Facts only move forward, so that a stale view cannot tell anything twice.
//! Whatever ends a stall or a vanishing that was told is told as well, to each topic that heard of it.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::job::{End, Job, Stage, Status};
use super::life::{
    Signs, first_sign, has_lost_heartbeat, has_processed, is_ahead, sign_of_life, stall_threshold,
};
use super::notice::{Found, Incident, Kind, Notice, NoticeId, Silence, Source, thread};
use super::queue::Queue;
use super::record::{Baseline, Item, Phase, RETENTION, Record, Stall};
use super::status_counts::StatusCounts;
use super::topic::Topics;

/// A finished job without a record is history once it ended this long ago.
pub const NEWS: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Two looks are two only if they are this far apart.
const BETWEEN_LOOKS: SignedDuration = SignedDuration::from_mins(1);

/// Starts that differ by less are of the same job.
const SAME_START: SignedDuration = SignedDuration::from_mins(1);

/// For so long after a record was written, a view with an earlier start is an older view.
const OLDER_VIEWS: SignedDuration = SignedDuration::from_hours(1);

/// The longest interval between reminders, unless REMIND_AFTER is longer.
const REMIND_AT_LEAST_EVERY: SignedDuration = SignedDuration::from_hours(24);

/// What the operator asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// How long a silence makes a stall.
    pub stall_after: SignedDuration,
    /// When a stall is told of again; the intervals double from there.
    pub remind_after: Option<SignedDuration>,
    /// The kinds to tell.
    pub notify_on: BTreeSet<Kind>,
}

/// What a run judges by.
#[derive(Clone, Debug)]
pub struct RunContext<'a> {
    /// Whose jobs.
    pub source: &'a Source,
    /// What the operator asked for.
    pub policy: &'a Policy,
    /// Where notices go.
    pub topics: &'a Topics,
    /// What the watch remembers.
    pub baseline: &'a Baseline,
    /// The name of this run.
    pub run: &'a str,
}

/// What the table must hold for a change to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Nothing, or something expired.
    Absent,
    /// This revision.
    Rev(u64),
}

impl Expected {
    fn next_rev(self) -> u64 {
        match self {
            Self::Absent => 1,
            Self::Rev(rev) => rev.saturating_add(1),
        }
    }
}

/// One write: an item and what is pending because of it, all or nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// What the table must hold.
    pub expected: Expected,
    /// What it shall hold.
    pub item: Item,
    /// What is to be told of it, in this order.
    pub notices: Vec<Notice>,
}

/// The first item of a new watch.
pub fn first_baseline(now: Timestamp, run: &str) -> Change {
    let since = now
        .saturating_sub(SignedDuration::from_mins(1))
        .unwrap_or(now);
    let baseline = Baseline {
        rev: 1,
        by: run.to_owned(),
        since,
        began_at: None,
    };
    Change {
        expected: Expected::Absent,
        item: Item::Watch(baseline),
        notices: Vec::new(),
    }
}

/// The first listing was complete.
pub fn began(
    context: &RunContext<'_>,
    now: Timestamp,
    jobs: u64,
    statuses: &StatusCounts,
) -> Change {
    let expected = Expected::Rev(context.baseline.rev);
    let since = context.baseline.since;
    let notice = Notice {
        id: NoticeId::new(context.source, None, Kind::Began, &since.to_string()),
        kind: Kind::Began,
        source: context.source.clone(),
        happened_at: now,
        recorded_at: now,
        job: None,
        job_seen_at: None,
        incident: None,
        thread: None,
        topics: context
            .topics
            .closing(Kind::Began.severity(), &BTreeSet::new()),
        silence: None,
        found: Some(Found {
            jobs,
            by_status: statuses.by_status().clone(),
            notify_on: context.policy.notify_on.iter().copied().collect(),
            stall_after_s: context.policy.stall_after.as_secs(),
            since,
        }),
    };
    let baseline = Baseline {
        rev: expected.next_rev(),
        by: context.run.to_owned(),
        since,
        began_at: Some(now),
    };
    Change {
        expected,
        item: Item::Watch(baseline),
        notices: vec![notice],
    }
}

/// Judges a job that is seen.
pub fn judge(
    record: Option<&Record>,
    job: &Job,
    now: Timestamp,
    context: &RunContext<'_>,
) -> Option<Change> {
    if job.is_unclear() {
        return record.and_then(|record| is_there(record, context));
    }
    let Some(record) = record.filter(|record| !record.has_expired(now)) else {
        return first_sight(job, now, context);
    };
    match (incarnation(record, job, now), record.phase, job.end()) {
        (Incarnation::Older, _, _) => None,
        (Incarnation::Another, _, _) => Some(replaced(record, job, now, context)),
        (Incarnation::Same, Phase::Active | Phase::Vanished, Some(end)) => Some(ended(
            Expected::Rev(record.rev),
            record,
            job,
            end,
            now,
            context,
        )),
        (Incarnation::Same, Phase::Active, None) => still_active(record, job, now, context),
        (Incarnation::Same, Phase::Vanished, None) => back(record, job, now, context),
        (Incarnation::Same, Phase::Ended, end) => after_an_end(record, job, end, now, context),
    }
}

/// Judges the silence of an active job that was judged before in this run, when the listing has ended. `queue` is
/// what a complete listing showed; without it nothing is concluded of a job that may be waiting.
pub fn judge_silence(
    record: &Record,
    job: &Job,
    now: Timestamp,
    context: &RunContext<'_>,
    queue: Option<&Queue>,
) -> Option<Change> {
    let policy = context.policy;
    let is_same = incarnation(record, job, now) == Incarnation::Same;
    if record.phase != Phase::Active || !is_same || job.end().is_some() || job.is_unclear() {
        return None;
    }
    let since = sign_of_life(record, job, now);
    let allowed = record.stall_threshold(policy.stall_after);
    let lasted = now.duration_since(since);
    let may_wait = || {
        let has_not_begun = record.stage(job) == Some(Stage::Waits);
        has_not_begun && queue.is_none_or(|queue| queue.waits(&job.id))
    };
    if lasted <= allowed || !policy.notify_on.contains(&Kind::Stalled) || may_wait() {
        return None;
    }
    let mut next = rewrite(record, job, now, context);
    let (kind, happened_at, reminder) = match record.stall {
        Some(stall) => {
            let first = policy.remind_after?;
            let doubled = first.saturating_mul(2i32.saturating_pow(stall.reminders));
            let interval = doubled.min(REMIND_AT_LEAST_EVERY.max(first));
            if now.duration_since(stall.reminded_at) < interval {
                return None;
            }
            (Kind::Reminder, now, Some(stall.reminders.saturating_add(1)))
        }
        // Its heartbeats may be rare: only a later look can tell that its count stands still.
        None if has_processed(job) && now.duration_since(record.first_seen_at) < BETWEEN_LOOKS => {
            return None;
        }
        None => {
            next.episode = next.episode.saturating_add(1);
            let crossed = since.saturating_add(allowed).unwrap_or(now);
            (Kind::Stalled, crossed, None)
        }
    };
    next.stall = Some(Stall {
        reminders: reminder.unwrap_or(0),
        reminded_at: now,
    });
    let episode = match reminder {
        Some(number) => format!("{}#{number}", next.episode),
        None => next.episode.to_string(),
    };
    let own = context.topics.own(kind.severity()).clone();
    next.heard.insert(own.clone());
    let silence = Silence {
        since,
        lasted_s: lasted.as_secs(),
        allowed_s: allowed.as_secs(),
        waiting: queue.map(|queue| queue.behind(&job.id)),
        reminder,
    };
    let told = Notice {
        silence: Some(silence),
        incident: Some(Incident::Open),
        topics: BTreeSet::from([own]),
        ..notice(
            kind,
            &next,
            seen(record, job, now),
            &episode,
            happened_at,
            now,
            context,
        )
    };
    Some(change(record, next, vec![told]))
}

/// Judges a job that is recorded as active, is not in a complete listing, and is not found by its id either. A list
/// and a question may both miss a job for a moment, so it is gone only when a second look misses it too.
pub fn judge_absence(record: &Record, now: Timestamp, context: &RunContext<'_>) -> Option<Change> {
    if record.phase != Phase::Active {
        return None;
    }
    let written = written(record, context);
    match record.absent_since {
        None => {
            let next = Record {
                absent_since: Some(now),
                ..written
            };
            Some(change(record, next, Vec::new()))
        }
        Some(since) if now.duration_since(since) < BETWEEN_LOOKS => None,
        Some(_) => {
            let is_told =
                context.policy.notify_on.contains(&Kind::Vanished) || !record.heard.is_empty();
            let topics = context
                .topics
                .closing(Kind::Vanished.severity(), &record.heard);
            let next = Record {
                phase: Phase::Vanished,
                recorded_at: now,
                stall: None,
                absent_since: None,
                episode: record.episode.saturating_add(1),
                heard: if is_told {
                    topics.clone()
                } else {
                    BTreeSet::new()
                },
                expires: Some(forgotten(now)),
                ..written
            };
            let episode = next.episode.to_string();
            let told = is_told.then(|| Notice {
                incident: Some(Incident::Open),
                topics,
                job_seen_at: Some(record.recorded_at),
                ..notice(
                    Kind::Vanished,
                    &next,
                    record.job.clone(),
                    &episode,
                    now,
                    now,
                    context,
                )
            });
            Some(change(record, next, told.into_iter().collect()))
        }
    }
}

/// A job of which nothing is known but that it is listed: what missed it before counts no longer.
fn is_there(record: &Record, context: &RunContext<'_>) -> Option<Change> {
    record.absent_since?;
    let next = Record {
        absent_since: None,
        ..written(record, context)
    };
    Some(change(record, next, Vec::new()))
}

/// How the seen job relates to the recorded one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Incarnation {
    /// It is the recorded one, in an older view or before another took its id.
    Older,
    Same,
    /// It has the recorded one's id, and started later.
    Another,
}

/// A missing start matches any.
fn incarnation(record: &Record, job: &Job, now: Timestamp) -> Incarnation {
    let (Some(recorded), Some(seen)) = (record.job.started_at, job.started_at) else {
        return Incarnation::Same;
    };
    let later = seen.duration_since(recorded);
    let has_ended_before =
        record.phase == Phase::Ended && record.job.completed_at.is_some_and(|end| seen > end);
    if later >= SAME_START || has_ended_before {
        Incarnation::Another
    } else if later <= -SAME_START && now.duration_since(record.recorded_at) < OLDER_VIEWS {
        Incarnation::Older
    } else {
        Incarnation::Same
    }
}

/// A job that has no record.
fn first_sight(job: &Job, now: Timestamp, context: &RunContext<'_>) -> Option<Change> {
    let Some(end) = job.end() else {
        let record = new_record(Expected::Absent, job, now, context);
        return Some(Change {
            expected: Expected::Absent,
            item: Item::Job(Box::new(record)),
            notices: Vec::new(),
        });
    };
    let is_told = match job.finished_at() {
        // History, by far the most: nothing is made for it.
        Some(at) if !is_news(at, now, context) => return None,
        Some(_) => true,
        None => context.baseline.began_at.is_some(),
    };
    let record = new_record(Expected::Absent, job, now, context);
    let mut change = ended(Expected::Absent, &record, job, end, now, context);
    if !is_told {
        change.notices.clear();
    }
    Some(change)
}

fn is_news(finished_at: Timestamp, now: Timestamp, context: &RunContext<'_>) -> bool {
    finished_at > context.baseline.since && now.duration_since(finished_at) < NEWS
}

fn new_record(expected: Expected, job: &Job, now: Timestamp, context: &RunContext<'_>) -> Record {
    let ahead_at = job.heartbeat_at.filter(|at| is_ahead(*at, now));
    Record {
        rev: expected.next_rev(),
        by: context.run.to_owned(),
        phase: Phase::Active,
        job: Job {
            heartbeat_at: job.heartbeat_at.filter(|_| ahead_at.is_none()),
            completed_at: None,
            ..job.clone()
        },
        key: job.started_at.unwrap_or(now),
        first_seen_at: now,
        recorded_at: now,
        sign_at: first_sign(job, now),
        ahead_at,
        recoveries: 0,
        episode: 0,
        stall: None,
        absent_since: None,
        heard: BTreeSet::new(),
        replaced: false,
        expires: None,
    }
}

/// Another job has taken the id of the recorded one. If that was active, its outcome was never seen.
fn replaced(record: &Record, job: &Job, now: Timestamp, context: &RunContext<'_>) -> Change {
    let expected = Expected::Rev(record.rev);
    let was_active = record.phase == Phase::Active;
    let closes = !record.heard.is_empty();
    let is_told = closes || was_active && context.policy.notify_on.contains(&Kind::Vanished);
    let vanished = is_told.then(|| {
        let episode = record.episode.saturating_add(1).to_string();
        Notice {
            job_seen_at: Some(record.recorded_at),
            ..closing(
                Kind::Vanished,
                record,
                record.job.clone(),
                &episode,
                now,
                now,
                context,
            )
        }
    });
    // Those that waited for it are given their time, whatever became of it.
    let ended_at = match record.phase {
        Phase::Active => now,
        Phase::Ended => record.job.completed_at.unwrap_or(record.recorded_at),
        Phase::Vanished => record.recorded_at,
    };
    let first = Record {
        replaced: now.duration_since(ended_at) < context.policy.stall_after,
        ..new_record(expected, job, now, context)
    };
    let mut change = match job.end() {
        None => Change {
            expected,
            item: Item::Job(Box::new(first)),
            notices: Vec::new(),
        },
        Some(end) => {
            let mut change = ended(expected, &first, job, end, now, context);
            let is_history = |at| !is_news(at, now, context);
            if job.finished_at().is_some_and(is_history) {
                change.notices.clear();
            }
            change
        }
    };
    change.notices.splice(0..0, vanished);
    change
}

/// A job that ended: `record` is what was known of it.
fn ended(
    expected: Expected,
    record: &Record,
    job: &Job,
    end: End,
    now: Timestamp,
    context: &RunContext<'_>,
) -> Change {
    let kind = match end {
        End::Completed => Kind::Completed,
        End::Failed => Kind::Failed,
        End::Canceled => Kind::Canceled,
        End::Unknown => Kind::Ended,
    };
    let told = job.clone().or(&record.job);
    let closes = !record.heard.is_empty();
    // A job may go on after an end that is not known here, and end so again.
    let is_again = end == End::Unknown && record.job.completed_at.is_some();
    let is_told = closes || context.policy.notify_on.contains(&kind) && !is_again;
    let episode = match is_again {
        true => record.episode.to_string(),
        false => String::new(),
    };
    let happened_at = told.finished_at().unwrap_or(now);
    let notices = is_told
        .then(|| {
            closing(
                kind,
                record,
                told.clone(),
                &episode,
                happened_at,
                now,
                context,
            )
        })
        .into_iter()
        .collect();
    let next = Record {
        rev: expected.next_rev(),
        by: context.run.to_owned(),
        phase: Phase::Ended,
        expires: Some(forgotten(told.completed_at.unwrap_or(now))),
        job: told.to_recognise(),
        recorded_at: now,
        ahead_at: None,
        stall: None,
        absent_since: None,
        heard: BTreeSet::new(),
        ..record.clone()
    };
    Change {
        expected,
        item: Item::Job(Box::new(next)),
        notices,
    }
}

/// A job that is recorded as ended. That is final, unless its status is not known here.
fn after_an_end(
    record: &Record,
    job: &Job,
    end: Option<End>,
    now: Timestamp,
    context: &RunContext<'_>,
) -> Option<Change> {
    let is_final = record.job.end() != Some(End::Unknown);
    match end {
        Some(End::Completed | End::Failed | End::Canceled) if !is_final => end.map(|end| {
            let expected = Expected::Rev(record.rev);
            ended(expected, record, job, end, now, context)
        }),
        None if !is_final && now > record.recorded_at => {
            let next = Record {
                phase: Phase::Active,
                sign_at: now,
                expires: None,
                ..rewrite(record, job, now, context)
            };
            Some(change(record, next, Vec::new()))
        }
        // Without a time of its end it would be news again when its record is forgotten.
        Some(_)
            if job.finished_at().is_none()
                && record.expires < Some(forgotten(now) - NEWS.as_secs()) =>
        {
            let next = Record {
                expires: Some(forgotten(now)),
                ..written(record, context)
            };
            Some(change(record, next, Vec::new()))
        }
        Some(_) | None => None,
    }
}

/// A job that is recorded as vanished is listed again, and active.
fn back(record: &Record, job: &Job, now: Timestamp, context: &RunContext<'_>) -> Option<Change> {
    // Who asked before it was found to be gone has an older view.
    if now <= record.recorded_at {
        return None;
    }
    let next = Record {
        phase: Phase::Active,
        sign_at: now,
        heard: BTreeSet::new(),
        expires: None,
        ..rewrite(record, job, now, context)
    };
    let told = (!record.heard.is_empty()).then(|| {
        let episode = record.episode.to_string();
        closing(
            Kind::Recovered,
            record,
            seen(record, job, now),
            &episode,
            now,
            now,
            context,
        )
    });
    Some(change(record, next, told.into_iter().collect()))
}

/// A known active job that is seen active.
fn still_active(
    record: &Record,
    job: &Job,
    now: Timestamp,
    context: &RunContext<'_>,
) -> Option<Change> {
    let stall_after = context.policy.stall_after;
    let signs = Signs::new(record, job, now);
    let sign = signs.latest(now);
    let allowed = stall_threshold(stall_after, record.recoveries.saturating_add(1));
    // With an older sign it would be stalled again at once.
    let recovers = |sign: &Timestamp| now.duration_since(*sign) <= allowed;
    if let (Some(_), Some(sign)) = (record.stall, sign.filter(recovers)) {
        let silence = Silence {
            since: record.sign_at,
            lasted_s: sign.duration_since(record.sign_at).as_secs(),
            allowed_s: record.stall_threshold(stall_after).as_secs(),
            waiting: None,
            reminder: None,
        };
        let episode = record.episode.to_string();
        let seen = seen(record, job, now);
        let told = Notice {
            silence: Some(silence),
            ..closing(Kind::Recovered, record, seen, &episode, sign, now, context)
        };
        let next = Record {
            recoveries: record.recoveries.saturating_add(1),
            stall: None,
            heard: BTreeSet::new(),
            ..rewrite(record, job, now, context)
        };
        return Some(change(record, next, vec![told]));
    }
    // A job that beats costs no write. Of one that does not, a sample now and then is kept to compare with.
    let is_old = |at: Timestamp| now.duration_since(at) > stall_after / 4;
    let is_sample = sign.is_some() && is_old(record.sign_at) && signs.heartbeat.is_none_or(is_old);
    let has_changed = heartbeat(record, job, now).is_some() != record.job.heartbeat_at.is_some()
        || *last_known_status(record, job) != record.job.status
        || start(record, job) != record.job.started_at
        || ahead(record, job, now) != record.ahead_at
        || record.absent_since.is_some();
    let is_written = is_sample || has_changed;
    is_written.then(|| change(record, rewrite(record, job, now, context), Vec::new()))
}

/// The record with what is seen now, without letting a fact go back.
fn rewrite(record: &Record, job: &Job, now: Timestamp, context: &RunContext<'_>) -> Record {
    Record {
        job: Job {
            status: last_known_status(record, job).clone(),
            started_at: start(record, job),
            heartbeat_at: heartbeat(record, job, now),
            ..seen(record, job, now)
        },
        sign_at: sign_of_life(record, job, now),
        ahead_at: ahead(record, job, now),
        recorded_at: now,
        absent_since: None,
        ..written(record, context)
    }
}

/// What is not known here says nothing of how far a job has come, nor does a view from before.
fn last_known_status<'a>(record: &'a Record, job: &'a Job) -> &'a Status {
    let (before, now) = (&record.job.status, &job.status);
    match now.is_missing() || now.stage() < before.stage() {
        true => before,
        false => now,
    }
}

/// The recorded start, unless it is missing or was wrong.
fn start(record: &Record, job: &Job) -> Option<Timestamp> {
    let recorded = record.job.started_at;
    let is_better = |start: &Timestamp| {
        recorded.is_none_or(|recorded| recorded.duration_since(*start) >= SAME_START)
    };
    job.started_at.filter(is_better).or(recorded)
}

/// The latest heartbeat; none once it was missing, until a new one comes.
fn heartbeat(record: &Record, job: &Job, now: Timestamp) -> Option<Timestamp> {
    match record.job.heartbeat_at {
        None => Signs::new(record, job, now).heartbeat,
        Some(_) if has_lost_heartbeat(record, job, now) => None,
        recorded => job
            .heartbeat_at
            .filter(|at| counts(record, *at, now))
            .max(recorded),
    }
}

/// Whether a heartbeat is to be compared.
fn counts(record: &Record, heartbeat: Timestamp, now: Timestamp) -> bool {
    !is_ahead(heartbeat, now) && record.ahead_at != Some(heartbeat)
}

/// The heartbeat that is never to be compared.
fn ahead(record: &Record, job: &Job, now: Timestamp) -> Option<Timestamp> {
    let seen = job.heartbeat_at.filter(|at| is_ahead(*at, now));
    seen.or(record.ahead_at)
}

/// The job as it is seen, but for what the record knows better.
fn seen(record: &Record, job: &Job, now: Timestamp) -> Job {
    let before = &record.job;
    let status = match job.status.stage() {
        None if !job.status.is_missing() => &job.status,
        Some(_) | None => last_known_status(record, job),
    };
    Job {
        status: status.clone(),
        heartbeat_at: job
            .heartbeat_at
            .filter(|at| counts(record, *at, now))
            .max(before.heartbeat_at),
        completed_at: before.completed_at,
        processed_records: job.processed_records.max(before.processed_records),
        ..job.clone().or(before)
    }
}

/// The record, to be written by this run.
fn written(record: &Record, context: &RunContext<'_>) -> Record {
    Record {
        rev: record.rev.saturating_add(1),
        by: context.run.to_owned(),
        ..record.clone()
    }
}

fn change(before: &Record, next: Record, notices: Vec<Notice>) -> Change {
    Change {
        expected: Expected::Rev(before.rev),
        item: Item::Job(Box::new(next)),
        notices,
    }
}

/// A notice of how a job went on, for its own topic and for each that heard what it closes.
fn closing(
    kind: Kind,
    record: &Record,
    job: Job,
    episode: &str,
    happened_at: Timestamp,
    now: Timestamp,
    context: &RunContext<'_>,
) -> Notice {
    let closes = !record.heard.is_empty();
    Notice {
        incident: closes.then_some(Incident::Resolved),
        topics: context.topics.closing(kind.severity(), &record.heard),
        ..notice(kind, record, job, episode, happened_at, now, context)
    }
}

fn notice(
    kind: Kind,
    record: &Record,
    job: Job,
    episode: &str,
    happened_at: Timestamp,
    now: Timestamp,
    context: &RunContext<'_>,
) -> Notice {
    Notice {
        id: NoticeId::new(context.source, Some((&job.id, record.key)), kind, episode),
        kind,
        source: context.source.clone(),
        happened_at,
        recorded_at: now,
        thread: Some(thread(context.source, &job.id, record.key)),
        job: Some(job),
        job_seen_at: Some(now),
        incident: None,
        topics: BTreeSet::new(),
        silence: None,
        found: None,
    }
}

/// When a record of something that ended at `at` may go, in seconds since 1970.
fn forgotten(at: Timestamp) -> i64 {
    at.as_second().saturating_add(RETENTION.as_secs())
}
