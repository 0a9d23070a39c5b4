//! The judge: what a record and what is seen of its job make of each other.
//!
//! Each question is a pure function that answers with the change to record, if there is one: [`judge`] a job that is
//! seen; when the listing has ended, [`judge_silence`] and [`judge_overdue`] one that is active, [`judge_absence`] one that
//! should be there and is not, and [`judge_detector`] a detector of which a job is expected. Facts only move forward, so
//! that a stale view cannot report anything twice. Whatever ends what was reported to be wrong is reported as well, to
//! each topic that heard of it.

mod absence;
mod active;
mod baseline;
mod detector;
mod end;
mod merge;
mod notices;
mod overdue;
mod silence;

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::expect::Expectations;
use super::job::{End, Job};
use super::kind::Kind;
use super::notice::Notice;
use super::record::{Baseline, Item, Phase, Record};
use super::source::{Source, SourceKind};
use super::topic::Topics;
pub use absence::judge_absence;
pub use baseline::{began, first_baseline, judge_alarm_topic};
pub use detector::judge_detector;
pub use overdue::{OverdueAfter, judge_overdue, overdue_limit};
pub use silence::judge_silence;

/// A finished job without a record is history if it ended before the watch began, or longer ago than this.
const HISTORY_AFTER: SignedDuration = SignedDuration::from_hours(30 * 24);

/// Two looks are two only if they are this far apart.
const MIN_TIME_BETWEEN_LOOKS: SignedDuration = SignedDuration::from_mins(1);

/// Starts that differ by less are of the same job.
pub(super) const SAME_START: SignedDuration = SignedDuration::from_mins(1);

/// For so long after a record was written, a view with an earlier start is an older view.
const OLDER_VIEWS_LAST: SignedDuration = SignedDuration::from_hours(1);

/// What the operator asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// How long a silence makes a stall.
    pub stall_after: SignedDuration,
    /// When a stall is reported again; the intervals double from there.
    pub remind_after: Option<SignedDuration>,
    /// The kinds to tell.
    pub notify_on: BTreeSet<Kind>,
    /// When a job takes too long.
    pub overdue_after: OverdueAfter,
    /// What is expected by when.
    pub expect: Expectations,
}

impl Policy {
    /// What of it concerns a source. EXPECT and a duration by hand are about batch predictions; whatever else is watched
    /// is overdue by what is usual for it.
    pub fn of_source(&self, source: SourceKind) -> Self {
        if source.has_detectors() {
            return self.clone();
        }
        Self {
            overdue_after: match self.overdue_after {
                OverdueAfter::Auto | OverdueAfter::After(_) => OverdueAfter::Auto,
                OverdueAfter::Off => OverdueAfter::Off,
            },
            expect: Expectations::default(),
            ..self.clone()
        }
    }

    /// The kinds of `NOTIFY_ON` that may come.
    pub fn reported(&self) -> impl Iterator<Item = Kind> {
        let is_off =
            |kind: &Kind| *kind == Kind::Overdue && self.overdue_after == OverdueAfter::Off;
        self.notify_on
            .iter()
            .copied()
            .filter(move |kind| !is_off(kind))
    }
}

/// What a run judges by.
#[derive(Clone, Copy, Debug)]
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
    /// When what is judged was observed.
    pub now: Timestamp,
}

impl RunContext<'_> {
    /// The same, for what was observed at another time.
    pub fn at(&self, now: Timestamp) -> Self {
        Self { now, ..*self }
    }

    /// The same, if the watch remembers this.
    pub fn knowing<'b>(&'b self, baseline: &'b Baseline) -> RunContext<'b> {
        RunContext { baseline, ..*self }
    }
}

/// What the table must hold for a change to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Nothing, or something expired.
    Absent,
    /// This revision.
    Rev(u64),
}

/// One write: an item and what is pending because of it, all or nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// What the table must hold.
    pub expected: Expected,
    /// What it shall hold.
    pub item: Item,
    /// What is to be reported of it, in this order.
    pub notices: Vec<Notice>,
}

/// Whether what ended then is history, and not news.
pub(super) fn is_history(finished_at: Timestamp, context: &RunContext<'_>) -> bool {
    finished_at <= context.baseline.since
        || context.now.duration_since(finished_at) >= HISTORY_AFTER
}

/// Judges a job that is seen.
pub fn judge(record: Option<&Record>, job: &Job, context: &RunContext<'_>) -> Option<Change> {
    if job.is_unclear() {
        return record.and_then(|record| absence::clear_absence(record, context));
    }
    let now = context.now;
    let Some(record) = record.filter(|record| !record.has_expired(now)) else {
        return active::first_sight(job, context);
    };
    match (incarnation(record, job, now), record.phase, job.end()) {
        (Incarnation::Older, _, _) => None,
        (Incarnation::Another, _, _) => Some(end::replaced(record, job, context)),
        (Incarnation::Same, Phase::Active | Phase::Vanished, Some(end)) => {
            Some(end::ended(record, job, end, true, context))
        }
        (Incarnation::Same, Phase::Active, None) => active::still_active(record, job, context),
        (Incarnation::Same, Phase::Vanished, None) => absence::back(record, job, context),
        (Incarnation::Same, Phase::Ended, end) => end::after_an_end(record, job, end, context),
    }
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

/// A missing start matches any, but no job starts after its end.
fn incarnation(record: &Record, job: &Job, now: Timestamp) -> Incarnation {
    let Some(seen) = job.started_at else {
        return Incarnation::Same;
    };
    let later = seen.duration_since(record.job.started_at.unwrap_or(seen));
    // An end may be given in whole seconds, and the start with a fraction.
    let is_after = |end: Timestamp| seen.as_second() > end.as_second();
    let has_ended_before =
        record.phase == Phase::Ended && record.job.completed_at.is_some_and(is_after);
    if later >= SAME_START || has_ended_before {
        Incarnation::Another
    } else if later <= -SAME_START && now.duration_since(record.recorded_at) < OLDER_VIEWS_LAST {
        Incarnation::Older
    } else {
        Incarnation::Same
    }
}

/// Whether a job that is seen active goes on, whatever is recorded: it may have been impossible to record it.
pub(super) fn goes_on(record: &Record, job: &Job, now: Timestamp) -> bool {
    match (record.phase, incarnation(record, job, now)) {
        (Phase::Active, _) | (_, Incarnation::Another) => true,
        (Phase::Vanished, Incarnation::Same) => true,
        (Phase::Ended, Incarnation::Same) => record.job.end() == Some(End::Unknown),
        (Phase::Vanished | Phase::Ended, Incarnation::Older) => false,
    }
}
