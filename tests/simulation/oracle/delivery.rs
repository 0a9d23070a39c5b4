//! Delivery: what is recorded is published, under a claim, in order, and again only for a cause.

use std::collections::BTreeMap;

use fraud_job_watch::watch::{Change, Notice, NoticeId, TopicArn};
use jiff::{SignedDuration, Timestamp};

use super::super::ledger::{Attempt, Claim, Ledger, Settling};
use super::super::plan::Fault;
use super::super::world::World;
use super::{Cause, FORGOTTEN, Rule, Violation, broken, name};

/// A change was made.
pub(crate) fn on_record(world: &World, run: usize, change: &Change) {
    let mut found = Vec::new();
    {
        let ledger = world.ledger.borrow();
        for notice in &change.notices {
            let kept = |before: &Notice| world.now().duration_since(before.recorded_at) < FORGOTTEN;
            if ledger.notice(&notice.id).is_some_and(kept) {
                found.push(broken(Rule::RecordedTwice, name(notice)));
            }
        }
    }
    for violation in found {
        world.violated(violation);
    }
    let mut ledger = world.ledger.borrow_mut();
    let notices = change.notices.iter().cloned();
    ledger.recorded.extend(notices.map(|notice| (run, notice)));
}

/// A publish takes place.
pub(crate) fn on_publish(world: &World, place: usize) {
    let now = world.now();
    let mut found = Vec::new();
    {
        let mut ledger = world.ledger.borrow_mut();
        ledger.writes += 1;
        let attempt = ledger.attempts[place].clone();
        for id in &attempt.ids {
            found.extend(judge_publish(&ledger, &attempt, id, now));
        }
        ledger.attempts[place].took_place = Some(now);
    }
    for violation in found {
        world.violated(violation);
    }
}

fn judge_publish(
    ledger: &Ledger,
    attempt: &Attempt,
    id: &NoticeId,
    now: Timestamp,
) -> Vec<Violation> {
    let mut found = Vec::new();
    let log = &ledger.runs[attempt.run];
    let Some(place) = ledger
        .recorded
        .iter()
        .position(|(_, other)| other.id == *id)
    else {
        return vec![broken(Rule::PublishedUnrecorded, id.as_str())];
    };
    let notice = &ledger.recorded[place].1;
    let topic = &attempt.topic;
    if !notice.topics.contains(topic) {
        found.push(broken(Rule::WrongTopic, name(notice)));
    }
    let is_of_it = |claim: &&Claim| claim.id == *id && claim.topic == *topic;
    let of_it = || ledger.claims.iter().filter(is_of_it);
    let own = of_it()
        .filter(|claim| claim.run == attempt.run)
        .map(|claim| claim.until)
        .max();
    let others = of_it()
        .filter(|claim| claim.run != attempt.run)
        .map(|claim| claim.until)
        .max();
    let is_held_up = log.froze || matches!(attempt.fault, Some(Fault::LandsLate(_)));
    match own {
        None => found.push(broken(
            Rule::PublishedUnclaimed,
            format!("{} by run {}", name(notice), log.number),
        )),
        Some(until) if until < now && !is_held_up => {
            found.push(broken(Rule::PublishedAfterItsClaim, name(notice)))
        }
        Some(until) if until > now && others.is_some_and(|others| others > now) => {
            found.push(broken(Rule::TwoClaims, name(notice)))
        }
        Some(_) => {}
    }
    if let Some(job) = notice.job.as_ref().filter(|_| !is_held_up) {
        let unpublished = |other: &&(usize, Notice)| {
            let is_refused = |attempt: &Attempt| {
                attempt.topic == *topic
                    && attempt.ids.contains(&other.1.id)
                    && attempt.fault == Some(Fault::IsRefused)
            };
            other
                .1
                .job
                .as_ref()
                .is_some_and(|before| before.id == job.id)
                && other.1.topics.contains(topic)
                && !attempt.ids.contains(&other.1.id)
                && ledger.publications(&other.1.id, topic).next().is_none()
                && !ledger.attempts.iter().any(is_refused)
        };
        if let Some((_, before)) = ledger.recorded[..place].iter().find(unpublished) {
            let what = format!("{} before {}", name(notice), name(before));
            found.push(broken(Rule::OutOfOrder, what));
        }
    }
    found
}

/// The causes of the repeats, and what was lost or repeated without one.
pub(crate) fn at_the_end(ledger: &Ledger) -> (Vec<Violation>, BTreeMap<Cause, u64>) {
    let mut found = Vec::new();
    let mut causes: BTreeMap<Cause, u64> = BTreeMap::new();
    let mut notices: BTreeMap<(&NoticeId, &TopicArn), (usize, &Notice)> = BTreeMap::new();
    for (_, notice) in &ledger.recorded {
        for topic in &notice.topics {
            let place = notices.entry((&notice.id, topic));
            place.or_insert((0, notice)).0 += 1;
        }
    }
    for ((id, topic), (recorded, notice)) in notices {
        let times = ledger.publications(id, topic).count();
        if times == 0 {
            found.push(broken(Rule::Lost, name(notice)));
        }
        let excuses: Vec<_> = ledger
            .publications(id, topic)
            .filter_map(|attempt| excuse(ledger, attempt, id))
            .collect();
        if times > excuses.len() + recorded {
            let what = format!("{}: {times} times, for {excuses:?}", name(notice));
            found.push(broken(Rule::RepeatedWithoutCause, what));
        }
        for cause in excuses.into_iter().take(times.saturating_sub(recorded)) {
            *causes.entry(cause).or_default() += 1;
        }
    }
    (found, causes)
}

/// Why the notice may be published again after this.
fn excuse(ledger: &Ledger, attempt: &Attempt, id: &NoticeId) -> Option<Cause> {
    if let Some(Fault::LosesAnswer | Fault::HangsAfter | Fault::LandsLate(_)) = attempt.fault {
        return Some(Cause::PublishAnswerLost);
    }
    let log = &ledger.runs[attempt.run];
    let of_it = |settling: &&Settling| {
        settling.run == attempt.run && settling.id == *id && settling.topic == attempt.topic
    };
    let claimed_until = ledger
        .claims
        .iter()
        .filter(|claim| claim.run == attempt.run && claim.id == *id && claim.topic == attempt.topic)
        .map(|claim| claim.until)
        .max();
    match ledger.settlings.iter().rev().find(of_it) {
        None if log.froze => Some(Cause::RunHeldUp),
        None if log.died => Some(Cause::RunDied),
        None => match attempt.fault {
            Some(Fault::AnswersSlowly(_) | Fault::IsSlow(_)) => Some(Cause::PublishAnswerLost),
            _ if log.spent_its_time() => Some(Cause::TimeSpent),
            // A late claim leaves little time to wait for the answer to the publish.
            _ => attempt
                .took_place
                .zip(claimed_until)
                .is_some_and(|(at, until)| until.duration_since(at) < SignedDuration::from_secs(8))
                .then_some(Cause::RunHeldUp),
        },
        Some(settling) => match settling.took_place {
            Some(at) if claimed_until.is_some_and(|until| at > until) => match settling.fault {
                Some(Fault::LandsLate(_)) => Some(Cause::SettleAnswerLost),
                _ => Some(Cause::RunHeldUp),
            },
            Some(_) => None,
            None if log.froze => Some(Cause::RunHeldUp),
            None if log.died => Some(Cause::RunDied),
            None if settling.fault.is_some() => Some(Cause::SettleAnswerLost),
            None => log.spent_its_time().then_some(Cause::TimeSpent),
        },
    }
}
