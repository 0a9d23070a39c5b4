//! How a plan is told.

use std::fmt;
use std::time::Duration;

use fraud_job_watch::watch::Kind;
use jiff::SignedDuration;

use super::plan::{Effect, Event, Fault, Step, Tokens, Trigger};

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
        f.write_str(&format!("{self:?}").to_lowercase())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pulse = |pulse: &Option<u32>| match pulse {
            Some(s) => format!("beats every {}", seconds(*s)),
            None => "beats once".to_owned(),
        };
        match self {
            Self::Pass(time) => write!(f, "{} pass", words(*time)),
            Self::Sweep => f.write_str("the table deletes what has expired"),
            Self::Settings(policy) => {
                let on: Vec<_> = policy.notify_on.iter().map(Kind::to_string).collect();
                write!(
                    f,
                    "the settings become STALL_AFTER={:#}, NOTIFY_ON={}, OVERDUE_AFTER={:?}, EXPECT={}",
                    policy.stall_after,
                    on.join(","),
                    policy.overdue_after,
                    super::calendar::text(&policy.expect)
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
                Event::IsFor(work) => write!(f, "job {id} is for {work:?}"),
                Event::WasThere { work, ago, took } => {
                    let (ago, took) = (seconds(*ago), seconds(*took));
                    write!(f, "job {id} completed {ago} ago, took {took}, for {work:?}")
                }
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

fn seconds(seconds: u32) -> String {
    words(Duration::from_secs(u64::from(seconds)))
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
