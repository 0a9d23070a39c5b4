//! The notices of a job, with the ids and topics that every one of them needs.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::RunContext;
use crate::watch::job::Job;
use crate::watch::kind::Kind;
use crate::watch::notice::{IncidentState, Notice, NoticeId, thread};
use crate::watch::record::{Phase, Record};

/// What happened to a job.
pub(super) struct Occurrence {
    pub(super) kind: Kind,
    /// Which one it is, of its kind and job.
    pub(super) which: String,
    pub(super) happened_at: Timestamp,
}

/// A notice of how a job went on, for its own topic and for each that heard what it closes.
pub(super) fn closing(
    occurrence: &Occurrence,
    record: &Record,
    job: Job,
    context: &RunContext<'_>,
) -> Notice {
    // Which end it was that is not known here closes nothing: no incident was opened by that.
    let closes = record.phase != Phase::Ended && !record.notified_topics.is_empty();
    let state = match record.overdue && occurrence.kind == Kind::Recovered {
        // It is still overdue.
        true => IncidentState::Open,
        false => IncidentState::Resolved,
    };
    let notice = notice(occurrence, record, job, context);
    let severity = notice.severity();
    Notice {
        incident: closes.then_some(state),
        topics: context.topics.closing(severity, &record.notified_topics),
        ..notice
    }
}

/// A notice for no topic yet.
pub(super) fn notice(
    occurrence: &Occurrence,
    record: &Record,
    job: Job,
    context: &RunContext<'_>,
) -> Notice {
    let Occurrence {
        kind,
        which,
        happened_at,
    } = occurrence;
    Notice {
        id: NoticeId::new(context.source, Some((&job.id, record.key)), *kind, which),
        kind: *kind,
        source: context.source.clone(),
        happened_at: *happened_at,
        recorded_at: context.now,
        thread: Some(thread(context.source, &job.id, record.key)),
        job: Some(job),
        job_seen_at: Some(context.now),
        incident: None,
        topics: BTreeSet::new(),
        silence: None,
        overdue: None,
        expected: None,
        found: None,
    }
}
