//! What happens in one story, as data: made from a seed or by hand, cut down by the shrinker, told in words.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use fastrand::Rng;
use fraud_job_watch::watch::{Kind, Policy};
use jiff::SignedDuration;

use super::life::Style;

/// A story: the same plan always makes the same world.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    /// What rules the latencies, and every order that nothing else rules.
    pub(crate) seed: u64,
    /// Which command plays a plan like this: simulate or days.
    pub(crate) command: &'static str,
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

pub(crate) const IDS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

pub(crate) fn policy() -> Policy {
    Policy {
        stall_after: SignedDuration::from_hours(1),
        remind_after: None,
        notify_on: Kind::CHOICES.into_iter().collect(),
    }
}

impl Plan {
    /// The plan of a seed.
    pub(crate) fn of(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let rng = &mut rng;
        // From calm to hostile: how many runs in ten meet something.
        let hostility = rng.u32(0..10);
        let is_urgent = rng.bool();
        let mut steps = Vec::new();
        let mut omits = None;
        for number in 0..rng.u32(6..30) {
            for _ in 0..rng.u32(0..4) {
                steps.push(Step::Job(IDS[rng.usize(0..IDS.len())], event(rng)));
            }
            match rng.u32(0..40) {
                0..3 => steps.push(Step::Settings(settings(rng))),
                3 => steps.push(Step::Sweep),
                _ => {}
            }
            steps.push(Step::Pass(pause(rng)));
            let is_met = rng.u32(0..10) < hostility;
            let mut run = invocation(rng, number, is_met);
            // What a listing leaves out, the next one may leave out too.
            run.view.omits = run.view.omits.or(omits.filter(|_| is_met && rng.bool()));
            omits = run.view.omits;
            steps.push(Step::Run(Box::new(run)));
        }
        Self {
            seed,
            command: "simulate",
            is_urgent,
            policy: policy(),
            steps,
        }
    }
}

fn event(rng: &mut Rng) -> Event {
    let pulse = match rng.u32(0..4) {
        0 => None,
        1 => Some(rng.u32(5..60)),
        _ => Some(rng.u32(60..3_600)),
    };
    match rng.u32(0..100) {
        0..34 => Event::Starts {
            waits: rng.u32(0..3) == 0,
            pulse,
        },
        34..50 => Event::Beats(pulse),
        50..60 => Event::FallsSilent,
        60..66 => Event::Moves,
        66..69 => Event::IsToBeCanceled,
        69..77 => Event::Ends("COMPLETE"),
        77..83 => Event::Ends("FAILED"),
        83..87 => Event::Ends("CANCELED"),
        87..88 => Event::Ends("ARCHIVED"),
        88..94 => Event::IsDeleted,
        94..97 => Event::Hides,
        _ => Event::Returns,
    }
}

fn pause(rng: &mut Rng) -> Duration {
    const MINUTE: u64 = 60_000;
    Duration::from_millis(match rng.u32(0..100) {
        // Overlaps, and twice at once.
        0..10 => 0,
        10..25 => rng.u64(1..3_000),
        25..33 => rng.u64(1_000..90_000),
        33..70 => rng.u64(MINUTE..10 * MINUTE),
        70..90 => rng.u64(20 * MINUTE..100 * MINUTE),
        90..98 => rng.u64(2 * 60 * MINUTE..12 * 60 * MINUTE),
        98 => rng.u64(24 * 60 * MINUTE..20 * 24 * 60 * MINUTE),
        _ => rng.u64(25 * 24 * 60 * MINUTE..70 * 24 * 60 * MINUTE),
    })
}

fn settings(rng: &mut Rng) -> Policy {
    let notify_on: BTreeSet<_> = Kind::CHOICES
        .into_iter()
        .filter(|_| rng.u32(0..6) > 0)
        .collect();
    Policy {
        stall_after: SignedDuration::from_mins([30, 60, 180][rng.usize(0..3)]),
        remind_after: rng
            .bool()
            .then(|| SignedDuration::from_mins([45, 120][rng.usize(0..2)])),
        notify_on,
    }
}

fn invocation(rng: &mut Rng, number: u32, is_met: bool) -> Invocation {
    let mut invocation = Invocation::plain(number);
    invocation.time_given = Duration::from_secs([60, 90, 300][rng.usize(0..3)]);
    invocation.latency = Duration::from_millis([0, 40, 400, 2_000][rng.usize(0..4)]);
    invocation.view.page = rng.usize(1..6);
    invocation.view.shuffle = rng.u64(0..u64::MAX);
    if !is_met {
        return invocation;
    }
    for _ in 0..rng.u32(0..5) {
        // Most of it where it hurts.
        let effect = match rng.u32(0..10) {
            0 | 1 => Effect::Record,
            2 | 3 => Effect::Claim,
            4 | 5 => Effect::Publish,
            6 | 7 => Effect::Settle,
            8 => Effect::Ask,
            _ => EFFECTS[rng.usize(0..EFFECTS.len())],
        };
        let trigger = match rng.u32(0..8) {
            0 => Trigger::Every(effect),
            1..5 => Trigger::Nth(effect, 1),
            _ => Trigger::Nth(effect, rng.u32(2..6)),
        };
        invocation.faults.push((trigger, fault(rng, effect)));
    }
    let view = &mut invocation.view;
    match rng.u32(0..12) {
        0 => view.jobs_stale = rng.u32(1..180),
        1 => view.table_stale = rng.u32(1..900),
        2 => {
            view.omits = Some(IDS[rng.usize(0..IDS.len())]);
            if rng.bool() {
                let fails = (Trigger::Every(Effect::Ask), Fault::Fails);
                invocation.faults.push(fails);
            }
        }
        3 => {
            let tokens = [Tokens::Repeat, Tokens::Loop, Tokens::EmptyPage][rng.usize(0..3)];
            view.tokens = Some((rng.u32(1..3), tokens));
        }
        _ => {}
    }
    invocation
}

fn fault(rng: &mut Rng, effect: Effect) -> Fault {
    let long = rng.u64(500..100_000);
    match rng.u32(0..13) {
        0 | 1 => Fault::Fails,
        2 | 3 => Fault::LosesAnswer,
        4 => Fault::DiesBefore,
        5 => Fault::DiesAfter,
        6 => Fault::IsSlow(long),
        7 => Fault::AnswersSlowly(long),
        8 => Fault::Hangs,
        9 => Fault::HangsAfter,
        10 => Fault::LandsLate(long),
        11 => Fault::FreezesBefore(long),
        12 if effect == Effect::Publish && rng.bool() => Fault::IsRefused,
        _ => Fault::FreezesAfter(long),
    }
}

impl Fault {
    /// What it is called in the counts.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Fails => "fails",
            Self::LosesAnswer => "loses its answer",
            Self::IsRefused => "is refused",
            Self::DiesBefore => "the run dies before it",
            Self::DiesAfter => "the run dies after it",
            Self::IsSlow(_) => "is slow",
            Self::AnswersSlowly(_) => "answers slowly",
            Self::Hangs => "hangs",
            Self::HangsAfter => "takes place and hangs",
            Self::LandsLate(_) => "fails and lands late",
            Self::FreezesBefore(_) => "the run freezes before it",
            Self::FreezesAfter(_) => "the run freezes after it",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IsSlow(ms)
            | Self::AnswersSlowly(ms)
            | Self::LandsLate(ms)
            | Self::FreezesBefore(ms)
            | Self::FreezesAfter(ms) => {
                write!(f, "{} ({})", self.name(), words(Duration::from_millis(*ms)))
            }
            _ => f.write_str(self.name()),
        }
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nth(effect, n) => write!(f, "its {effect} {n}"),
            Self::Every(effect) => write!(f, "each {effect}"),
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Load => "load",
            Self::Page => "page",
            Self::Read => "read",
            Self::Record => "record",
            Self::Ask => "ask",
            Self::Claim => "claim",
            Self::Publish => "publish",
            Self::Settle => "settle",
        })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pulse = |pulse: &Option<u32>| match pulse {
            Some(s) => format!("beats every {}", words(Duration::from_secs(u64::from(*s)))),
            None => "beats once".to_owned(),
        };
        match self {
            Self::Pass(time) => write!(f, "{} pass", words(*time)),
            Self::Sweep => f.write_str("the table deletes what has expired"),
            Self::Settings(policy) => {
                let on: Vec<_> = policy.notify_on.iter().map(Kind::to_string).collect();
                write!(
                    f,
                    "the settings become STALL_AFTER={:#}, NOTIFY_ON={}",
                    policy.stall_after,
                    on.join(",")
                )?;
                match policy.remind_after {
                    Some(after) => write!(f, ", REMIND_AFTER={after:#}"),
                    None => Ok(()),
                }
            }
            Self::Job(id, event) => match event {
                Event::Starts { waits: true, .. } => write!(f, "job {id} is accepted, and waits"),
                Event::Starts {
                    waits: false,
                    pulse: every,
                } => write!(f, "job {id} starts, and {}", pulse(every)),
                Event::Arrives(style) => write!(f, "job {id} is accepted: {style:?}"),
                Event::Begins {
                    rate,
                    pulse: every,
                    overtakes,
                } => {
                    let how = if *overtakes { ", whoever runs" } else { "" };
                    write!(
                        f,
                        "job {id} begins{how}, {rate} an hour, and {}",
                        pulse(every)
                    )
                }
                Event::Works { rate, pulse: every } => {
                    write!(f, "job {id} works on, {rate} an hour, and {}", pulse(every))
                }
                Event::Shows(status) => write!(f, "job {id} is {status}"),
                Event::Beats(every) => write!(f, "job {id} {}", pulse(every)),
                Event::FallsSilent => write!(f, "job {id} falls silent"),
                Event::Moves => write!(f, "job {id} processes a record, without a heartbeat"),
                Event::IsToBeCanceled => write!(f, "job {id} is asked to cancel"),
                Event::Ends(status) => write!(f, "job {id} ends {status}"),
                Event::IsDeleted => write!(f, "job {id} is deleted"),
                Event::Hides => write!(f, "job {id} is shown to nobody"),
                Event::Returns => write!(f, "job {id} is shown again"),
            },
            Self::Run(run) => {
                write!(f, "run {} begins", run.number)?;
                let view = run.view;
                if view.jobs_stale > 0 {
                    write!(f, "; it is shown the jobs of {} s ago", view.jobs_stale)?;
                }
                if view.table_stale > 0 {
                    write!(f, "; it loads the state of {} s ago", view.table_stale)?;
                }
                if let Some(id) = view.omits {
                    write!(f, "; its listing leaves out job {id}")?;
                }
                if let Some(id) = view.misses {
                    write!(f, "; job {id} is nowhere to be found")?;
                }
                if let Some((pages, tokens)) = view.tokens {
                    let what = match tokens {
                        Tokens::Repeat => "the token repeats",
                        Tokens::Loop => "the tokens go in a circle",
                        Tokens::EmptyPage => "an empty page comes",
                    };
                    write!(f, "; after {pages} pages {what}")?;
                }
                for (trigger, fault) in &run.faults {
                    write!(f, "; {trigger}: {fault}")?;
                }
                Ok(())
            }
        }
    }
}

fn words(time: Duration) -> String {
    let rounded = match time.as_millis() {
        0..1_000 => time,
        _ => Duration::from_secs(time.as_secs()),
    };
    match SignedDuration::try_from(rounded) {
        Ok(time) => format!("{time:#}"),
        Err(_) => format!("{time:?}"),
    }
}
