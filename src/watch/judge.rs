//! The judge: what a record and what is seen of its job make of each other.
//!
//! Three questions, each a pure function that answers with the change to record, if there is one: [`judge`] a
//! job that is seen, [`judge_silence`] one that is seen and active, after the listing, and [`judge_absence`] one
//! that should be there and is not. Facts only move forward: an ended job stays ended, an older heartbeat or an
//! earlier start is ignored, so that a stale view cannot tell anything twice.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::job::{End, Job};
use super::life::{is_older_view, own_sign, sign_of_life, usable};
use super::line::{Line, patience};
use super::notice::{Found, Kind, Notice, NoticeId, Silence, Source};
use super::record::{Baseline, Item, KEPT, Phase, Record, Stall};

/// A finished job without a record is history once it ended this long ago.
pub const NEWS: SignedDuration = SignedDuration::from_hours(30 * 24);

/// A job that vanished is back only in a view that was asked for this much later: an older view, of a run that is
/// late or of a service that is, would have it vanish twice.
pub const LATE: SignedDuration = SignedDuration::from_mins(5);

/// As many statuses are told when a watch begins. The service documents six.
const STATUSES: usize = 20;

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
pub struct Terms<'a> {
    /// Whose jobs.
    pub source: &'a Source,
    /// What the operator asked for.
    pub policy: &'a Policy,
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

/// One write: an item and what is owed because of it, all or nothing.
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
    terms: &Terms<'_>,
    now: Timestamp,
    jobs: u64,
    by_status: &BTreeMap<String, u64>,
) -> Change {
    let expected = Expected::Rev(terms.baseline.rev);
    let since = terms.baseline.since;
    let notice = Notice {
        id: NoticeId::new(terms.source, None, Kind::Began, &since.to_string()),
        kind: Kind::Began,
        source: terms.source.clone(),
        happened_at: now,
        recorded_at: now,
        job: None,
        job_seen_at: None,
        silence: None,
        found: Some(Found {
            jobs,
            by_status: most_frequent(by_status),
            notify_on: terms.policy.notify_on.iter().copied().collect(),
            stall_after_s: terms.policy.stall_after.as_secs(),
            since,
        }),
    };
    let baseline = Baseline {
        rev: expected.next_rev(),
        by: terms.run.to_owned(),
        since,
        began_at: Some(now),
    };
    Change {
        expected,
        item: Item::Watch(baseline),
        notices: vec![notice],
    }
}

/// The counts of the most frequent statuses, and of the rest together: statuses are the service's text, and what
/// is stored and published of them has a bound.
fn most_frequent(by_status: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let mut counts: Vec<_> = by_status.iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let rest = counts.split_off(counts.len().min(STATUSES));
    let mut kept: BTreeMap<_, _> = counts
        .into_iter()
        .map(|(status, count)| (status.clone(), *count))
        .collect();
    if !rest.is_empty() {
        let count = rest.into_iter().map(|(_, count)| count).sum::<u64>();
        *kept.entry("(others)".to_owned()).or_default() += count;
    }
    kept
}

/// Judges a job that is seen.
pub fn judge(
    record: Option<&Record>,
    job: &Job,
    now: Timestamp,
    terms: &Terms<'_>,
) -> Option<Change> {
    let Some(record) = record.filter(|record| !record.has_expired(now)) else {
        return first_sight(Expected::Absent, job, now, terms);
    };
    match (age(record, job), record.phase, job.end()) {
        (Age::Earlier, Phase::Active | Phase::Ended | Phase::Vanished, _) => None,
        (Age::Later, Phase::Active | Phase::Ended | Phase::Vanished, _) => {
            first_sight(Expected::Rev(record.rev), job, now, terms)
        }
        (Age::Same, Phase::Ended, _) => None,
        (Age::Same, Phase::Active | Phase::Vanished, Some(end)) => Some(ended(
            Expected::Rev(record.rev),
            record.clone(),
            job,
            end,
            now,
            terms,
        )),
        (Age::Same, Phase::Active, None) => still_active(record, job, now, terms),
        (Age::Same, Phase::Vanished, None) if now.duration_since(record.recorded_at) <= LATE => {
            None
        }
        (Age::Same, Phase::Vanished, None) => {
            let back = Record {
                phase: Phase::Active,
                expires: None,
                ..record.clone()
            };
            let change = still_active(&back, job, now, terms);
            Some(change.unwrap_or_else(|| rewrite(&back, job, now, terms)))
        }
    }
}

/// Judges the silence of an active job that was judged before in this run, when the listing has ended. `line` is
/// what a complete listing showed; without it nothing is concluded of a job that may be waiting.
pub fn judge_silence(
    record: &Record,
    job: &Job,
    now: Timestamp,
    terms: &Terms<'_>,
    line: Option<&Line>,
) -> Option<Change> {
    if record.phase != Phase::Active || age(record, job) != Age::Same || job.end().is_some() {
        return None;
    }
    let since = sign_of_life(job, Some(record), now);
    let allowed = patience(record, terms.policy.stall_after);
    let lasted = now.duration_since(since);
    if lasted <= allowed {
        return None;
    }
    let (kind, stall, happened_at) = match record.stall {
        Some(stall) => {
            let interval = terms
                .policy
                .remind_after?
                .saturating_mul(2i32.saturating_pow(stall.reminders));
            if now.duration_since(stall.reminded_at) < interval {
                return None;
            }
            let reminders = stall.reminders.saturating_add(1);
            (
                Kind::Reminder,
                Stall {
                    reminders,
                    reminded_at: now,
                    ..stall
                },
                now,
            )
        }
        None => {
            let untold = !terms.policy.notify_on.contains(&Kind::Stalled);
            let may_wait = job.has_not_begun() && line.is_none_or(|line| line.waits(job));
            if untold || may_wait {
                return None;
            }
            let crossed = since.saturating_add(allowed).unwrap_or(now);
            (
                Kind::Stalled,
                Stall {
                    since,
                    told_at: now,
                    reminders: 0,
                    reminded_at: now,
                },
                crossed,
            )
        }
    };
    let mut change = rewrite(record, job, now, terms);
    let reminder = (kind == Kind::Reminder).then_some(stall.reminders);
    let episode = match reminder {
        Some(number) => format!("{}#{number}", stall.since),
        None => stall.since.to_string(),
    };
    if let Item::Job(record) = &mut change.item {
        record.stall = Some(stall);
        let silence = Silence {
            since: stall.since,
            lasted_s: now.duration_since(stall.since).as_secs(),
            allowed_s: allowed.as_secs(),
            waiting: line.map(|line| line.behind(job)),
            reminder,
        };
        let notice = notice(kind, &record.job, &episode, happened_at, now, terms);
        change.notices.push(Notice {
            silence: Some(silence),
            ..notice
        });
    }
    Some(change)
}

/// Judges a job that is recorded as active, is not in a complete listing, and is not found by its id either.
pub fn judge_absence(record: &Record, now: Timestamp, terms: &Terms<'_>) -> Option<Change> {
    match record.phase {
        Phase::Ended | Phase::Vanished => None,
        Phase::Active => {
            let expected = Expected::Rev(record.rev);
            let gone = Record {
                rev: expected.next_rev(),
                by: terms.run.to_owned(),
                phase: Phase::Vanished,
                recorded_at: now,
                expires: Some(forgotten(now)),
                ..record.clone()
            };
            // A job may come back and vanish again: the revision tells the two apart.
            let told = notice(
                Kind::Vanished,
                &record.job,
                &gone.rev.to_string(),
                now,
                now,
                terms,
            );
            let told = Notice {
                job_seen_at: Some(record.recorded_at),
                ..told
            };
            let notices = if terms.policy.notify_on.contains(&Kind::Vanished) {
                vec![told]
            } else {
                Vec::new()
            };
            Some(Change {
                expected,
                item: Item::Job(Box::new(gone)),
                notices,
            })
        }
    }
}

/// How the seen job relates to the recorded one. A missing start matches any.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Age {
    Earlier,
    Same,
    Later,
}

fn age(record: &Record, job: &Job) -> Age {
    match (record.job.started_at, job.started_at) {
        (Some(recorded), Some(seen)) if seen < recorded => Age::Earlier,
        (Some(recorded), Some(seen)) if seen > recorded => Age::Later,
        (Some(_) | None, Some(_) | None) => Age::Same,
    }
}

/// A job that has no record, or whose record is another job's.
fn first_sight(expected: Expected, job: &Job, now: Timestamp, terms: &Terms<'_>) -> Option<Change> {
    let is_news = |at| at > terms.baseline.since && now.duration_since(at) < NEWS;
    let is_told = match (job.end(), job.finished_at()) {
        // History, by far the most: nothing is made for it.
        (Some(_), Some(at)) if !is_news(at) => return None,
        (Some(_), Some(_)) => true,
        (Some(_), None) => terms.baseline.began_at.is_some(),
        (None, _) => false,
    };
    let record = Record {
        rev: expected.next_rev(),
        by: terms.run.to_owned(),
        phase: Phase::Active,
        job: job.clone(),
        first_seen_at: now,
        recorded_at: now,
        changed_at: None,
        stall: None,
        patience_s: None,
        expires: None,
    };
    let Some(end) = job.end() else {
        return Some(Change {
            expected,
            item: Item::Job(Box::new(record)),
            notices: Vec::new(),
        });
    };
    let mut change = ended(expected, record, job, end, now, terms);
    if !is_told {
        change.notices.clear();
    }
    Some(change)
}

/// A job that ended: `record` is what was known of it.
fn ended(
    expected: Expected,
    record: Record,
    job: &Job,
    end: End,
    now: Timestamp,
    terms: &Terms<'_>,
) -> Change {
    let kind = match end {
        End::Completed => Some(Kind::Completed),
        End::Failed => Some(Kind::Failed),
        End::Canceled => Some(Kind::Canceled),
        End::Unknown => None,
    };
    let started_at = job.started_at.or(record.job.started_at);
    let told = Job {
        started_at,
        ..job.clone()
    };
    let happened_at = told.finished_at().unwrap_or(now);
    let notices = kind
        .filter(|kind| terms.policy.notify_on.contains(kind))
        .map(|kind| notice(kind, &told, "", happened_at, now, terms))
        .into_iter()
        .collect();
    let record = Record {
        rev: expected.next_rev(),
        by: terms.run.to_owned(),
        phase: Phase::Ended,
        expires: told.finished_at().map(forgotten),
        job: told.to_recognise(),
        recorded_at: now,
        changed_at: None,
        stall: None,
        patience_s: None,
        ..record
    };
    Change {
        expected,
        item: Item::Job(Box::new(record)),
        notices,
    }
}

/// A known active job that is seen active.
fn still_active(record: &Record, job: &Job, now: Timestamp, terms: &Terms<'_>) -> Option<Change> {
    let older_view = is_older_view(job, record, now);
    // Below this, status and count are not looked at, so that a job that beats costs no write.
    let is_quiet =
        now.duration_since(own_sign(job, Some(record), now)) > terms.policy.stall_after / 2;
    // A time that is missing or far ahead tells nothing, so it tells no change either.
    let same = |seen, recorded| usable(seen, now).is_none() || seen == recorded;
    let is_watched = same(job.started_at, record.job.started_at)
        && same(job.heartbeat_at, record.job.heartbeat_at);
    let moved = record.job.status != job.status
        || job
            .processed_records
            .is_some_and(|count| count != record.job.processed_records.unwrap_or(0));
    let changed = is_quiet && is_watched && moved;

    let sign = if changed {
        now
    } else {
        sign_of_life(job, Some(record), now)
    };
    let recovered = record.stall.filter(|stall| sign > stall.since);
    let look_closer = is_quiet && !is_watched && !older_view;
    if recovered.is_none() && !changed && !look_closer {
        return None;
    }
    let mut change = rewrite(record, job, now, terms);
    if let Item::Job(record) = &mut change.item {
        if changed {
            record.changed_at = Some(now);
        }
        if let Some(stall) = recovered {
            let lasted = sign.duration_since(stall.since);
            let allowed = patience(record, terms.policy.stall_after);
            record.stall = None;
            record.patience_s = record
                .patience_s
                .max(Some(lasted.as_secs().saturating_mul(2)));
            if terms.policy.notify_on.contains(&Kind::Recovered) {
                let silence = Silence {
                    since: stall.since,
                    lasted_s: lasted.as_secs(),
                    allowed_s: allowed.as_secs(),
                    waiting: None,
                    reminder: None,
                };
                let notice = notice(
                    Kind::Recovered,
                    &record.job,
                    &stall.since.to_string(),
                    sign,
                    now,
                    terms,
                );
                change.notices.push(Notice {
                    silence: Some(silence),
                    ..notice
                });
            }
        }
    }
    Some(change)
}

/// The record with the job as it is seen now, without letting a fact go back.
fn rewrite(record: &Record, job: &Job, now: Timestamp, terms: &Terms<'_>) -> Change {
    let expected = Expected::Rev(record.rev);
    let mut seen = if is_older_view(job, record, now) {
        record.job.clone()
    } else {
        job.clone()
    };
    seen.started_at = seen.started_at.or(record.job.started_at);
    seen.heartbeat_at = seen.heartbeat_at.or(record.job.heartbeat_at);
    let record = Record {
        rev: expected.next_rev(),
        by: terms.run.to_owned(),
        job: seen,
        recorded_at: now,
        ..record.clone()
    };
    Change {
        expected,
        item: Item::Job(Box::new(record)),
        notices: Vec::new(),
    }
}

fn notice(
    kind: Kind,
    job: &Job,
    episode: &str,
    happened_at: Timestamp,
    now: Timestamp,
    terms: &Terms<'_>,
) -> Notice {
    Notice {
        id: NoticeId::new(terms.source, Some((&job.id, job.started_at)), kind, episode),
        kind,
        source: terms.source.clone(),
        happened_at,
        recorded_at: now,
        job: Some(job.clone()),
        job_seen_at: Some(now),
        silence: None,
        found: None,
    }
}

/// When a record of something that ended at `at` may go, in seconds since 1970.
fn forgotten(at: Timestamp) -> i64 {
    at.as_second().saturating_add(KEPT.as_secs())
}
