//! What must hold, judged by the world's truth and not by the code under test.
//!
//! [`delivery`] follows what is pending, [`runs`] what a run says of itself, and the rest what was told: [`told`] reads
//! the published events, [`facts`] holds ends and disappearances against what was, [`silences`] and [`reminders`]
//! silences, [`late`] and [`deadlines`] what took too long or never came, and [`incidents`] whether each story that was
//! opened was closed for whoever heard it.

mod deadlines;
pub(crate) mod delivery;
mod facts;
mod incidents;
mod late;
mod queues;
mod reminders;
pub(crate) mod runs;
mod silences;
mod told;

use std::collections::BTreeMap;
use std::fmt;

use fraud_job_watch::watch::{Notice, Source, TopicArn};
use jiff::SignedDuration;

use super::world::World;

const MINUTE: SignedDuration = SignedDuration::from_mins(1);
const DAY: SignedDuration = SignedDuration::from_hours(24);
/// What is gone for so long is forgotten: if it comes back, it is news again.
const FORGOTTEN: SignedDuration = SignedDuration::from_hours(60 * 24);

/// A rule that was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rule {
    /// What is recorded is published, within two runs once faults have ended.
    Lost,
    /// Then nothing is pending.
    StillPending,
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
    /// The notices of one job go out to a topic in the order in which they were recorded.
    OutOfOrder,
    /// A listing that did not end is not complete.
    BelievedPartial,
    /// A run that met an error fails.
    FailedInSilence,
    /// A run keeps to the time it is given.
    Outlived,
    /// No surprise stops it.
    Panicked,
    /// Nothing untrue is told.
    Untrue,
    /// Nor what is history.
    History,
    /// Every end and disappearance of a job that was seen active is told, and every other end that is news.
    NotTold,
    /// Nothing is told twice.
    ToldTwice,
    /// No stall is told of a job that progressed, visibly to some look, within what it was allowed, or that waited.
    FalseStall,
    /// Every true silence is told within four times STALL_AFTER and two runs.
    Untold,
    /// Nothing is told to be overdue that has not taken its limit, waits, is cancelling or stalled.
    FalseOverdue,
    /// What has taken its limit, visibly to a run, is told by that run.
    OverdueUntold,
    /// Nothing is told to be missing that came in time, or was not due.
    FalseMissing,
    /// What did not come in time is told, by the first run that can.
    MissingUntold,
    /// What closes a missing job is a job that came for it.
    FalseArrival,
    /// Who waits for a stalled job is counted in its notice.
    Miscounted,
    /// Reminders keep their intervals.
    Reminders,
    /// Only what was opened is closed.
    NothingToClose,
    /// What was opened is closed, when it is over.
    Unclosed,
    /// A notice goes to its own topic, and to those that heard what it closes.
    WrongTopic,
    /// It says what it does to the incident of its job.
    WrongIncident,
    /// All notices of a job have one thread, and no other job has it.
    WrongThread,
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

fn arn(name: &str) -> TopicArn {
    let arn = format!("arn:aws:sns:eu-west-1:123456789012:{name}");
    TopicArn::try_from(arn).unwrap()
}

pub(crate) fn topic() -> TopicArn {
    arn("jobs")
}

pub(crate) fn urgent_topic() -> TopicArn {
    arn("urgent")
}

pub(crate) fn name(notice: &Notice) -> String {
    match &notice.job {
        Some(job) => format!("{:?} of job {}", notice.kind, job.id),
        None => format!("{:?}", notice.kind),
    }
}

/// When all is over: what was wrong, and the causes of the repeats.
pub(crate) fn at_the_end(world: &World) -> (Vec<Violation>, BTreeMap<Cause, u64>) {
    let (ledger, lives) = (world.ledger.borrow(), world.lives.borrow());
    let (mut found, causes) = delivery::at_the_end(&ledger);
    let (told, unknown) = told::read(&ledger, &lives);
    found.extend(unknown);
    let case = told::Case {
        ledger: &ledger,
        lives: &lives,
        told: &told,
        is_urgent: world.is_urgent,
        are_imports: world.are_imports,
        looks: told::looks_at(&ledger, &lives),
    };
    found.extend(facts::judge(&case));
    found.extend(silences::judge(&case));
    found.extend(reminders::judge(&case));
    found.extend(incidents::judge(&case));
    let mut came_about = late::judge(&case, &mut found);
    came_about.extend(deadlines::judge(&case, &mut found));
    drop(case);
    drop(ledger);
    world.ledger.borrow_mut().came_about = came_about;
    (found, causes)
}
