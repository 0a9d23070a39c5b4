//! What must hold, judged by the truth and not by the code under test.

use std::collections::BTreeMap;
use std::fmt;

use fraud_job_watch::ports::Store as _;
use fraud_job_watch::watch::{Change, Item, JobId, Kind, Notice, NoticeId, Phase, Record, Source};
use jiff::{SignedDuration, Timestamp};

use super::plan::Fault;
use super::world::{Attempt, Ledger, Life, RunLog, Shown, World};

/// A rule that was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rule {
    /// What is recorded is published, within two runs once faults have ended.
    Lost,
    /// Then nothing is owed.
    StillOwed,
    /// And the next run writes nothing.
    NotIdle,
    /// A repeat has one of the causes that are allowed.
    RepeatedWithoutCause,
    /// A notice is recorded once.
    RecordedTwice,
    /// Only what is recorded is published.
    PublishedUnrecorded,
    /// A publish is made under a claim of its run.
    PublishedUnclaimed,
    /// And ends before that does.
    PublishedAfterItsClaim,
    /// Two claims of one notice do not overlap.
    TwoClaims,
    /// The notices of one job go out in the order in which they were recorded.
    OutOfOrder,
    /// The id is made of source, job, start, kind and episode, and of nothing else.
    WrongId,
    /// Nothing untrue is told.
    Untrue,
    /// Nor what is history.
    History,
    /// What a run records of an end it owes, if it is news and its kind is on.
    NotTold,
    /// What a successful and complete run was shown is recorded.
    NotRecorded,
    /// A listing that did not end is not complete.
    BelievedPartial,
    /// A run that met an error fails.
    FailedInSilence,
    /// A run keeps to the time it is given.
    Outlived,
    /// No surprise stops it.
    Panicked,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Violation {
    pub(crate) rule: Rule,
    pub(crate) what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.rule, self.what)
    }
}

fn broken(rule: Rule, what: impl Into<String>) -> Violation {
    Violation {
        rule,
        what: what.into(),
    }
}

/// Why a notice was published once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cause {
    PublishAnswerLost,
    SettleAnswerLost,
    RunDied,
    RunHeldUp,
    TimeSpent,
}

impl Cause {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::PublishAnswerLost => "the answer to a publish was lost",
            Self::SettleAnswerLost => "the answer to a settle was lost",
            Self::RunDied => "a run died between publish and settle",
            Self::RunHeldUp => "a run was held up past its claim",
            Self::TimeSpent => "a run's time was spent between publish and settle",
        }
    }
}

pub(crate) fn source() -> Source {
    "arn:aws:frauddetector:eu-west-1:123456789012:batch-prediction"
        .parse()
        .unwrap()
}

pub(crate) fn name(notice: &Notice) -> String {
    match &notice.job {
        Some(job) => format!("{:?} of job {}", notice.kind, job.id),
        None => format!("{:?}", notice.kind),
    }
}

/// What is gone for so long is forgotten: if it comes back, it is news again.
const KEPT: SignedDuration = SignedDuration::from_hours(60 * 24);
const NEWS: SignedDuration = SignedDuration::from_hours(30 * 24);

/// A change was made; `before` is what the table held.
pub(crate) fn on_record(
    world: &World,
    run: usize,
    change: &Change,
    before: Option<Item>,
    called: Timestamp,
) {
    if let Item::Watch(baseline) = &change.item {
        let mut ledger = world.ledger.borrow_mut();
        ledger.since.get_or_insert(baseline.since);
    }
    let mut found = Vec::new();
    {
        let ledger = world.ledger.borrow();
        let lives = world.lives.borrow();
        for notice in &change.notices {
            let kept = |before: &Notice| called.duration_since(before.recorded_at) < KEPT;
            if ledger.notice(&notice.id).is_some_and(kept) {
                found.push(broken(Rule::RecordedTwice, name(notice)));
            }
            if notice.id != id_of(notice, change) {
                found.push(broken(Rule::WrongId, name(notice)));
            }
            if let Some(why) = untrue(notice, &ledger, run, &lives, called) {
                found.push(broken(Rule::Untrue, format!("{}: {why}", name(notice))));
            }
        }
        if let Item::Job(record) = &change.item
            && record.phase == Phase::Ended
        {
            found.extend(judge_end(&ledger, run, change, record, before, called));
        }
    }
    for violation in found {
        world.violated(violation);
    }
    let mut ledger = world.ledger.borrow_mut();
    let notices = change.notices.iter().cloned();
    ledger.recorded.extend(notices.map(|notice| (run, notice)));
}

fn id_of(notice: &Notice, change: &Change) -> NoticeId {
    let since = notice.silence.as_ref().map(|silence| silence.since);
    let since = since.map(|since| since.to_string()).unwrap_or_default();
    let episode = match notice.kind {
        Kind::Completed | Kind::Failed | Kind::Canceled | Kind::Test => String::new(),
        Kind::Stalled | Kind::Recovered => since,
        Kind::Reminder => {
            let silence = notice.silence.as_ref().unwrap();
            format!("{since}#{}", silence.reminder.unwrap())
        }
        Kind::Vanished => change.item.rev().to_string(),
        Kind::Began => notice.found.as_ref().unwrap().since.to_string(),
    };
    let job = notice.job.as_ref().map(|job| (&job.id, job.started_at));
    NoticeId::new(&source(), job, notice.kind, &episode)
}

/// Why what the notice says is not so.
fn untrue(
    notice: &Notice,
    ledger: &Ledger,
    run: usize,
    lives: &[Life],
    called: Timestamp,
) -> Option<String> {
    let log = &ledger.runs[run];
    let Some(job) = &notice.job else {
        let before = |(_, other): &(usize, Notice)| other.kind == notice.kind;
        return ledger
            .recorded
            .iter()
            .any(before)
            .then(|| "it was told before".to_owned());
    };
    let id = job.id.as_str();
    let is_it = |life: &&Life| life.id == id && Some(life.start) == job.started_at;
    let Some(life) = lives.iter().find(is_it) else {
        return Some(format!("there was no job {id} with this start"));
    };
    let shown = log
        .shown
        .get(id)
        .filter(|shown| Some(shown.start) == job.started_at);
    let earlier = |kind: Kind| {
        let since = notice.silence.as_ref().map(|silence| silence.since);
        ledger.recorded.iter().any(|(_, other)| {
            other.kind == kind
                && other.silence.as_ref().map(|silence| silence.since) == since
                && other
                    .job
                    .as_ref()
                    .is_some_and(|other| other.id == job.id && other.started_at == job.started_at)
        })
    };
    let ended = |status: &str| {
        let version = life.at(called)?;
        (version.status != status).then(|| format!("it was {}", version.status))
    };
    match notice.kind {
        Kind::Completed => ended("COMPLETE"),
        Kind::Failed => ended("FAILED"),
        Kind::Canceled => ended("CANCELED"),
        Kind::Vanished => {
            let told_at = |(_, other): &(usize, Notice)| {
                let of_it = other
                    .job
                    .as_ref()
                    .is_some_and(|other| other.id == job.id && other.started_at == job.started_at);
                (other.kind == Kind::Vanished && of_it).then_some(other.recorded_at)
            };
            let last = ledger.recorded.iter().rev().find_map(told_at);
            let was_back = |last| life.versions.iter().any(|(at, v)| *at > last && v.is_shown);
            if !log.absent.contains(id) {
                return Some("nobody said that it is gone".to_owned());
            }
            last.filter(|last| !was_back(*last))
                .map(|_| "it was told before, and has not been back".to_owned())
        }
        Kind::Stalled | Kind::Reminder | Kind::Recovered => {
            let Some(shown) = shown else {
                return Some("it was not shown".to_owned());
            };
            let silence = notice.silence.as_ref()?;
            let sign = shown.start.max(shown.heartbeat);
            // By the true time, if the run's own is ahead of it.
            let now = notice.recorded_at.min(called);
            let quiet = now.duration_since(sign);
            if shown.has_ended() {
                return Some(format!("it was {}", shown.status));
            }
            match notice.kind {
                Kind::Recovered if !earlier(Kind::Stalled) => {
                    Some("no stall of it was told".to_owned())
                }
                Kind::Recovered if earlier(Kind::Recovered) => {
                    Some("it was told before".to_owned())
                }
                Kind::Recovered => {
                    let changed = life.versions.iter().any(|(at, _)| *at > silence.since);
                    let alive = sign > silence.since || changed;
                    (!alive).then(|| "it showed no sign of life".to_owned())
                }
                Kind::Reminder if !earlier(Kind::Stalled) => {
                    Some("no stall of it was told".to_owned())
                }
                _ if sign > silence.since => Some("it had shown a later sign of life".to_owned()),
                _ if quiet <= log.policy.stall_after => Some(format!(
                    "it had shown a sign of life {quiet:#} before, within {:#}",
                    log.policy.stall_after
                )),
                Kind::Stalled => waited(id, shown, log, now),
                _ => None,
            }
        }
        Kind::Began | Kind::Test => None,
    }
}

/// Whom a job that has not begun waited for.
fn waited(id: &str, shown: &Shown, log: &RunLog, now: Timestamp) -> Option<String> {
    if !shown.has_not_begun() {
        return None;
    }
    // Each page has its own now, so what is close to the threshold is left alone.
    let close = SignedDuration::from_mins(5);
    let holds_up = |other: &Shown| {
        let sign = other.start.max(other.heartbeat);
        let alive = now.duration_since(sign) < log.policy.stall_after - close;
        !other.has_ended() && other.start <= shown.start && alive
    };
    let mut others = log.shown.iter().filter(|(other, _)| **other != id);
    let other = others.find(|(_, other)| holds_up(other))?;
    Some(format!("it waited for job {}", other.0))
}

/// An end is recorded: what must be owed with it, and what must not.
fn judge_end(
    ledger: &Ledger,
    run: usize,
    change: &Change,
    record: &Record,
    before: Option<Item>,
    called: Timestamp,
) -> Option<Violation> {
    let log = &ledger.runs[run];
    let kind = match record.job.status.as_str() {
        "COMPLETE" => Kind::Completed,
        "FAILED" => Kind::Failed,
        "CANCELED" => Kind::Canceled,
        _ => return None,
    };
    let was_known = matches!(
        before,
        Some(Item::Job(before))
            if before.phase != Phase::Ended && before.job.started_at == record.job.started_at
    );
    let finished = record.job.finished_at()?;
    let is_told = change.notices.iter().any(|notice| notice.kind == kind);
    let job = &record.job.id;
    if !was_known && is_told {
        let is_history =
            ledger.since.is_some_and(|since| finished <= since) || finished <= log.started - NEWS;
        return is_history.then(|| {
            broken(
                Rule::History,
                format!("job {job} ended at {finished}, before the watch began or 30 days ago"),
            )
        });
    }
    let is_news = was_known
        || (ledger.since.is_some_and(|since| finished > since) && finished > called - NEWS);
    let is_wanted = is_news && log.policy.notify_on.contains(&kind);
    (is_wanted && !is_told).then(|| broken(Rule::NotTold, format!("{kind:?} of job {job}")))
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
    let of_it = || ledger.claims.iter().filter(|claim| claim.id == *id);
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
                attempt.ids.contains(&other.1.id) && attempt.fault == Some(Fault::IsRefused)
            };
            other
                .1
                .job
                .as_ref()
                .is_some_and(|before| before.id == job.id)
                && !attempt.ids.contains(&other.1.id)
                && ledger.publications(&other.1.id).next().is_none()
                && !ledger.attempts.iter().any(is_refused)
        };
        if let Some((_, before)) = ledger.recorded[..place].iter().find(unpublished) {
            let what = format!("{} before {}", name(notice), name(before));
            found.push(broken(Rule::OutOfOrder, what));
        }
    }
    found
}

/// A run was ended. If it had time until then, it should have ended by itself.
pub(crate) fn on_death(world: &World, run: usize) {
    let what = {
        let ledger = world.ledger.borrow();
        let log = &ledger.runs[run];
        let given = SignedDuration::try_from(log.time_given).unwrap();
        let is_late = log
            .ended
            .is_some_and(|ended| ended.duration_since(log.started) >= given);
        (is_late && !log.froze).then(|| format!("run {}", log.number))
    };
    if let Some(what) = what {
        world.violated(broken(Rule::Outlived, what));
    }
}

/// A run has ended, by itself or not.
pub(crate) async fn on_end(world: &World, run: usize) {
    let records = world.table.load(world.now()).await.unwrap().records;
    let found = {
        let ledger = world.ledger.borrow();
        judge_run(&ledger, run, &world.lives.borrow(), &records, world)
    };
    for violation in found {
        world.violated(violation);
    }
}

fn judge_run(
    ledger: &Ledger,
    run: usize,
    lives: &[Life],
    records: &[Record],
    world: &World,
) -> Vec<Violation> {
    let mut found = Vec::new();
    let log = &ledger.runs[run];
    let Some(outcome) = &log.outcome else {
        return found;
    };
    let is_good = outcome.failures.is_empty() && outcome.answer.complete;
    if log.met_error && is_good {
        let what = format!("run {}", log.number);
        found.push(broken(Rule::FailedInSilence, what));
    }
    if outcome.answer.complete && !log.saw_the_end {
        let what = format!("run {}", log.number);
        found.push(broken(Rule::BelievedPartial, what));
    }
    if !is_good {
        return found;
    }
    let now = world.now();
    let mut missing = |what: String| {
        found.push(broken(
            Rule::NotRecorded,
            format!("{what}, by run {}", log.number),
        ))
    };
    for (id, shown) in &log.shown {
        let life = lives
            .iter()
            .find(|life| life.id == *id && life.start == shown.start);
        let life = life.unwrap();
        let job_id = JobId::try_from((*id).to_owned()).unwrap();
        let record = world.table.job(&job_id);
        let record = record.filter(|record| !record.has_expired(now));
        let is_newer = |record: &Record| record.job.started_at > Some(shown.start);
        let is_same = |record: &Record| record.job.started_at == Some(shown.start);
        let holds = |test: &dyn Fn(&Record) -> bool| {
            record
                .as_ref()
                .is_some_and(|record| is_newer(record) || is_same(record) && test(record))
        };
        if shown.has_ended() {
            let finished = life.now().completed.unwrap();
            let is_history =
                ledger.since.is_none_or(|since| finished <= since) || finished <= now - NEWS;
            if !is_history && !holds(&|record| record.phase == Phase::Ended) {
                missing(format!("job {id} ended {}, unrecorded", shown.status));
            }
            continue;
        }
        let is_still = life
            .versions
            .last()
            .is_some_and(|(at, _)| *at <= shown.as_of);
        // What has just been told as gone is not back at once: that view may be a late one. And who was loaded
        // a state in which it was active sees nothing new.
        let is_late = |record: &Record| {
            let since = shown.as_of.duration_since(record.recorded_at);
            record.phase == Phase::Vanished
                && (since <= SignedDuration::from_mins(5) || log.loaded.contains(*id))
        };
        if !holds(&|record| !is_still || record.phase == Phase::Active || is_late(record)) {
            missing(format!("job {id} is active, unrecorded"));
        }
        if let Some(record) = record.as_ref().filter(|record| is_same(record))
            && is_still
            && overdue(log, record, shown)
            && record.stall.is_none()
        {
            missing(format!("job {id} is stalled, unrecorded"));
        }
    }
    for record in records
        .iter()
        .filter(|record| record.phase == Phase::Active)
    {
        let id = record.job.id.as_str();
        let life = lives
            .iter()
            .find(|life| life.id == id && Some(life.start) == record.job.started_at);
        let from = log.started - SignedDuration::from_secs(i64::from(log.view.jobs_stale));
        let was_gone = life.is_some_and(|life| {
            !life.is_visible(from) && !life.versions.iter().any(|(at, _)| *at > from)
        });
        // Who loads late, or while another run records, does not know of it.
        if was_gone && log.loaded.contains(id) && !log.shown.contains_key(id) {
            missing(format!("job {id} is gone, unrecorded"));
        }
    }
    found
}

/// Whether the job has been silent for so long that no rule can excuse it: longer than any threshold, and than
/// twice its whole life when it was last recorded.
fn overdue(log: &RunLog, record: &Record, shown: &Shown) -> bool {
    let most =
        SignedDuration::from_hours(3).max(record.recorded_at.duration_since(shown.start) * 2);
    shown.status != "IN_PROGRESS_INITIALIZING"
        && log.policy.notify_on.contains(&Kind::Stalled)
        && shown
            .as_of
            .duration_since(record.recorded_at.max(shown.heartbeat))
            > most
}

/// When all is over: the causes of the repeats, and what was lost or repeated without one.
pub(crate) fn at_the_end(ledger: &Ledger) -> (Vec<Violation>, BTreeMap<Cause, u64>) {
    let mut found = Vec::new();
    let mut causes: BTreeMap<Cause, u64> = BTreeMap::new();
    let mut notices: BTreeMap<&NoticeId, (usize, &Notice)> = BTreeMap::new();
    for (_, notice) in &ledger.recorded {
        notices.entry(&notice.id).or_insert((0, notice)).0 += 1;
    }
    for (recorded, notice) in notices.into_values() {
        let times = ledger.publications(&notice.id).count();
        if times == 0 {
            found.push(broken(Rule::Lost, name(notice)));
        }
        let excuses: Vec<_> = ledger
            .publications(&notice.id)
            .filter_map(|attempt| excuse(ledger, attempt, &notice.id))
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
    let of_it =
        |settling: &&super::world::Settling| settling.run == attempt.run && settling.id == *id;
    let claimed_until = ledger
        .claims
        .iter()
        .filter(|claim| claim.run == attempt.run && claim.id == *id)
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
