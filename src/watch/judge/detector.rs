//! Detectors of which a job is expected: whether one completed by the deadline, and the one that comes late.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{Change, Expected, RunContext};
use crate::watch::detector::{Completion, DetectorJobs, DetectorRecord, MissedDeadline};
use crate::watch::kind::Kind;
use crate::watch::notice::{ExpectedJob, IncidentState, Notice, NoticeId, thread_of_deadline};
use crate::watch::record::Item;

/// Judges what was seen of the jobs of a detector that EXPECT names, or of which something is missing. Only a complete
/// listing says that nothing came until it was asked for, which was at `listed_at`.
pub fn judge_detector(
    record: Option<&DetectorRecord>,
    name: &str,
    jobs: &DetectorJobs,
    listed_at: Option<Timestamp>,
    context: &RunContext<'_>,
) -> Option<Change> {
    let Some(record) = record else {
        let mut names = context.policy.expect.names();
        return names.any(|it| it == name).then(|| first(name, context));
    };
    let mut next = DetectorRecord {
        rev: record.rev.saturating_add(1),
        written_by: context.run.to_owned(),
        ..record.clone()
    };
    let arrived = arrive(&mut next, jobs, context);
    let missing = listed_at.and_then(|at| conclude(&mut next, jobs, at, context));
    let has_changed = next.concluded != record.concluded || next.missing != record.missing;
    has_changed.then(|| Change {
        expected: Expected::Rev(record.rev),
        item: Item::Detector(Box::new(next)),
        notices: arrived.into_iter().chain(missing).collect(),
    })
}

fn first(name: &str, context: &RunContext<'_>) -> Change {
    Change {
        expected: Expected::Absent,
        item: Item::Detector(Box::new(DetectorRecord {
            rev: 1,
            written_by: context.run.to_owned(),
            name: name.to_owned(),
            since: context.now,
            concluded: None,
            missing: None,
            late_arrival: None,
        })),
        notices: Vec::new(),
    }
}

/// The first that completed after that, and after what counts for an earlier deadline.
fn first_that_counts<'a>(
    record: &DetectorRecord,
    jobs: &'a DetectorJobs,
    opens_at: Timestamp,
) -> Option<&'a Completion> {
    let late_arrival = record.late_arrival.as_ref();
    let is_later = |it: &Completion| late_arrival.is_none_or(|late| it > late && !late.is_same(it));
    let mut completed = jobs.completed().rev();
    completed.find(|it| it.at > opens_at && is_later(it))
}

/// Closes what was missing, if a job has completed.
fn arrive(
    record: &mut DetectorRecord,
    jobs: &DetectorJobs,
    context: &RunContext<'_>,
) -> Option<Notice> {
    let missed = record.missing.as_ref()?;
    let arrival = first_that_counts(record, jobs, missed.opens_at)?.clone();
    let expected = ExpectedJob {
        detector: record.name.clone(),
        by: missed.at,
        local: missed.local.clone(),
        last_completed: Some(arrival.clone()),
        instead: None,
        expected_end: None,
    };
    let notice = Notice {
        incident: Some(IncidentState::Resolved),
        topics: missed.notified_topics.clone(),
        ..notice(Kind::Arrived, arrival.at, missed.at, expected, context)
    };
    let last_missed = record.concluded.unwrap_or(missed.at);
    record.late_arrival = late_for(last_missed, arrival, &record.name, context);
    record.missing = None;
    Some(notice)
}

/// What came after a deadline, and counts for that one, unless it is the job that the next deadline expects: it came in
/// that one's own time, which begins with its `from`, or if it has none, with the last quarter of the time before it.
fn late_for(
    deadline: Timestamp,
    arrival: Completion,
    name: &str,
    context: &RunContext<'_>,
) -> Option<Completion> {
    let next = context.policy.expect.next_deadline(name, arrival.at);
    let is_early = next.is_some_and(|next| match next.has_from {
        true => arrival.at > next.opens_at && next.opens_at >= deadline,
        false => {
            let left = next.at.duration_since(arrival.at);
            left.saturating_mul(4) <= next.at.duration_since(next.opens_at)
        }
    });
    (!is_early).then_some(arrival)
}

/// Judges the latest deadline, once it has passed.
fn conclude(
    record: &mut DetectorRecord,
    jobs: &DetectorJobs,
    listed_at: Timestamp,
    context: &RunContext<'_>,
) -> Option<Notice> {
    let expect = &context.policy.expect;
    let deadline = expect.last_deadline(&record.name, listed_at)?;
    if deadline.at <= record.since || Some(deadline.at) <= record.concluded {
        return None;
    }
    record.concluded = Some(deadline.at);
    if let Some(completion) = first_that_counts(record, jobs, deadline.opens_at) {
        // It came before anybody looked, but after the deadline.
        if completion.at > deadline.at {
            let late = late_for(deadline.at, completion.clone(), &record.name, context);
            record.late_arrival = late.or(record.late_arrival.take());
        }
        return None;
    }
    let own = context.topics.own(Kind::Missing.severity()).clone();
    // What is still missing since an earlier deadline is one incident with this, and closed by the same arrival.
    let missed = record.missing.get_or_insert_with(|| MissedDeadline {
        at: deadline.at,
        local: deadline.to_string(),
        opens_at: deadline.opens_at,
        notified_topics: BTreeSet::new(),
    });
    missed.notified_topics.insert(own.clone());
    let instead = jobs.instead(deadline.opens_at);
    let expected = ExpectedJob {
        detector: record.name.clone(),
        by: deadline.at,
        local: deadline.to_string(),
        last_completed: jobs.completed().next().cloned(),
        expected_end: instead.and_then(|job| jobs.expected_end(job, context.now)),
        instead: instead.cloned(),
    };
    Some(Notice {
        incident: Some(IncidentState::Open),
        topics: BTreeSet::from([own]),
        ..notice(Kind::Missing, deadline.at, missed.at, expected, context)
    })
}

/// A notice for no topic yet. `missed_at` is the deadline with which it became missing.
fn notice(
    kind: Kind,
    happened_at: Timestamp,
    missed_at: Timestamp,
    expected: ExpectedJob,
    context: &RunContext<'_>,
) -> Notice {
    let (source, name) = (context.source, &expected.detector);
    Notice {
        id: NoticeId::of_deadline(source, name, expected.by, kind),
        kind,
        source: source.clone(),
        happened_at,
        recorded_at: context.now,
        job: None,
        job_seen_at: None,
        incident: None,
        thread: Some(thread_of_deadline(source, name, missed_at)),
        topics: BTreeSet::new(),
        silence: None,
        overdue: None,
        expected: Some(expected),
        found: None,
    }
}
