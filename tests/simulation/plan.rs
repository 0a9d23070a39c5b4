//! What happens in one story, as data: made from a seed or by hand, cut down by the shrinker, told in words.

use std::time::Duration;

use fraud_job_watch::watch::{Expectations, Kind, OverdueAfter, Policy, SourceKind};
use jiff::SignedDuration;

use super::life::{Style, Work};

/// A story: the same plan always makes the same world.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    /// What rules the latencies, and every order that nothing else rules.
    pub(crate) seed: u64,
    /// Which command plays a plan like this: simulate or days.
    pub(crate) command: &'static str,
    /// What is watched.
    pub(crate) source: SourceKind,
    /// Whether errors go to a topic of their own.
    pub(crate) is_urgent: bool,
    /// What runs are told at first.
    pub(crate) policy: Policy,
    pub(crate) steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    /// Time passes. Runs under way go on.
    Pass(Duration),
    /// Something happens to a job. What cannot happen does not.
    Job(&'static str, Event),
    /// From now on, runs are told this.
    Settings(Policy),
    /// A run is triggered, whatever others are under way.
    Run(Box<Invocation>),
    /// The table deletes what has expired.
    Sweep,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// A job of this id begins its story, if none is there; it beats every so many seconds.
    Starts {
        waits: bool,
        pulse: Option<u32>,
    },
    /// A job of this id is accepted, if none is there, and is shown like this from then on.
    Arrives(Style),
    /// The job that has just started is for this.
    IsFor(Work),
    /// A job of this id completed so many seconds ago, and had taken so many.
    WasThere {
        work: Work,
        ago: u32,
        took: u32,
    },
    /// It begins to process so many records an hour, if no other runs, or though one does.
    Begins {
        rate: u32,
        pulse: Option<u32>,
        overtakes: bool,
    },
    /// It goes on.
    Works {
        rate: u32,
        pulse: Option<u32>,
    },
    /// It beats now, and then every so many seconds.
    Beats(Option<u32>),
    /// It does nothing any longer.
    FallsSilent,
    /// Its count moves, without a heartbeat.
    Moves,
    /// Somebody asked to cancel it.
    IsToBeCanceled,
    /// Its status is this, and it goes on.
    Shows(&'static str),
    Ends(&'static str),
    IsDeleted,
    /// The service shows it to nobody.
    Hides,
    Returns,
}

/// One invocation, and what befalls it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Invocation {
    /// Unlike that of any other run.
    pub(crate) number: u32,
    pub(crate) time_given: Duration,
    /// The longest time that an effect takes when nothing befalls it.
    pub(crate) latency: Duration,
    pub(crate) faults: Vec<(Trigger, Fault)>,
    pub(crate) view: View,
}

/// What a run does to the world, or asks of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Effect {
    Load,
    Page,
    Read,
    Record,
    Ask,
    Claim,
    Publish,
    Settle,
}

pub(crate) const EFFECTS: [Effect; 8] = [
    Effect::Load,
    Effect::Page,
    Effect::Read,
    Effect::Record,
    Effect::Ask,
    Effect::Claim,
    Effect::Publish,
    Effect::Settle,
];

/// Which effects of a run something befalls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trigger {
    /// This one of its kind, from 1.
    Nth(Effect, u32),
    /// All of this kind.
    Every(Effect),
}

/// What befalls an effect. Times are in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It fails, and does not take place.
    Fails,
    /// It takes place, and its answer is an error.
    LosesAnswer,
    /// The message is refused as such.
    IsRefused,
    /// The run dies before it.
    DiesBefore,
    /// It is the last thing that the run does.
    DiesAfter,
    /// It takes place late; whoever waits, waits.
    IsSlow(u64),
    /// It takes place, and its answer comes late.
    AnswersSlowly(u64),
    /// It never takes place, and no answer comes.
    Hangs,
    /// It takes place, and no answer comes.
    HangsAfter,
    /// An error comes at once, and yet it takes place later.
    LandsLate(u64),
    /// The whole run stands still before it.
    FreezesBefore(u64),
    /// The whole run stands still when it has taken place.
    FreezesAfter(u64),
}

/// How the service shows its jobs to one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) page: usize,
    pub(crate) shuffle: u64,
    /// The jobs as they were so many seconds ago.
    pub(crate) jobs_stale: u32,
    /// The table as it was so many seconds ago.
    pub(crate) table_stale: u32,
    /// A job that the listing does not show.
    pub(crate) omits: Option<&'static str>,
    /// A job that is not shown, nor found by its id.
    pub(crate) misses: Option<&'static str>,
    /// Jobs are shown as their styles say: members come and go.
    pub(crate) has_gaps: bool,
    /// After this many pages, tokens are not what they should be.
    pub(crate) tokens: Option<(u32, Tokens)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tokens {
    /// The token of the page before.
    Repeat,
    /// The first token that was given.
    Loop,
    /// No jobs, and a new token for the same place, once.
    EmptyPage,
}

impl View {
    pub(crate) const PLAIN: Self = Self {
        page: 50,
        shuffle: 0,
        jobs_stale: 0,
        table_stale: 0,
        omits: None,
        misses: None,
        has_gaps: false,
        tokens: None,
    };
}

impl Invocation {
    /// A run that nothing befalls.
    pub(crate) fn plain(number: u32) -> Self {
        Self {
            number,
            time_given: Duration::from_secs(300),
            latency: Duration::ZERO,
            faults: Vec::new(),
            view: View::PLAIN,
        }
    }

    pub(crate) fn with(self, effect: Effect, nth: u32, fault: Fault) -> Self {
        Self {
            faults: vec![(Trigger::Nth(effect, nth), fault)],
            ..self
        }
    }
}

/// What the plan of a seed is of: of each four seeds, one makes imports.
pub(crate) fn source(seed: u64) -> SourceKind {
    match seed % 4 {
        2 => SourceKind::BatchImports,
        _ => SourceKind::BatchPredictions,
    }
}

pub(crate) const IDS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

pub(crate) fn policy() -> Policy {
    Policy {
        stall_after: SignedDuration::from_hours(1),
        remind_after: None,
        overdue_after: OverdueAfter::Off,
        expect: Expectations::default(),
        notify_on: Kind::choices().collect(),
    }
}
