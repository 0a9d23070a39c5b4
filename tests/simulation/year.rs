//! Plans of the third kind: nightly jobs for four weeks of a year, with weekends and the days on which clocks change.
//!
//! Some nights a job takes five times as long, or is late, or fails, or none comes. The plan says so, and with that what
//! is to be told, and nothing else of these kinds: each once. Thirteen seeds make a year.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::LazyLock;
use std::time::Duration;

use fastrand::Rng;
use fraud_job_watch::watch::{Kind, OverdueAfter, Policy, SourceKind};
use jiff::{SignedDuration, Timestamp};

use super::calendar::{self, CHARGEBACKS, Due, PAYMENTS, RETURNS};
use super::life::{Style, Work};
use super::plan::{Event, Invocation, Plan, Step, policy};
use super::tally::Tally;
use super::{Ending, play};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const WEEKS: i64 = 4;
const PARTS: u64 = 13;

/// Ids enough for four weeks.
static IDS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let id = |number: usize| -> &'static str { format!("n{number}").leak() };
    (0..BEFORE + 90).map(id).collect()
});

/// So many of them are of jobs from before the first run.
const BEFORE: usize = 40;

/// A kind of notice, and what it is of.
type ToBeTold = BTreeMap<(Kind, String), u64>;

/// Four weeks, and what is to be told of them.
pub(crate) struct Part {
    pub(crate) plan: Plan,
    to_be_told: ToBeTold,
    /// How many nights went how.
    nights: BTreeMap<&'static str, u64>,
}

#[derive(Clone, Copy, PartialEq)]
enum Night {
    Ordinary,
    FiveTimes,
    Late,
    Fails,
    Missing,
}

/// How long the jobs of a detector take.
fn usual(name: &str) -> i64 {
    match name {
        PAYMENTS => 40 * MINUTE,
        _ => 30 * MINUTE,
    }
}

/// The weeks of a seed, as they are made up.
struct Weeks {
    rng: Rng,
    /// The Monday on which they begin.
    monday: Timestamp,
    happenings: Vec<(i64, Step)>,
    jobs: usize,
    to_be_told: ToBeTold,
    nights: BTreeMap<&'static str, u64>,
}

pub(crate) fn part(seed: u64) -> Part {
    let place = (seed % PARTS) as i64;
    let first: Timestamp = "2026-03-02T00:00:00Z".parse().unwrap();
    let before = WEEKS * 7 * DAY * place;
    let mut weeks = Weeks {
        rng: Rng::with_seed(seed ^ 0x9ea4),
        monday: first + SignedDuration::from_secs(before),
        happenings: Vec::new(),
        jobs: 0,
        to_be_told: BTreeMap::new(),
        nights: BTreeMap::new(),
    };
    weeks.history();
    // A Saturday evening: nothing is due, and nothing runs.
    let end = (WEEKS * 7 - 2) * DAY + 20 * HOUR + 30 * MINUTE;
    for name in [PAYMENTS, CHARGEBACKS, RETURNS] {
        weeks.make(name, end);
    }
    let every = [15, 20, 30][weeks.rng.usize(0..3)] * MINUTE;
    let is_urgent = weeks.rng.bool();
    let mut at = 0;
    while at < end {
        let mut run = Invocation::plain(weeks.happenings.len() as u32);
        run.view.page = 50;
        run.view.shuffle = weeks.rng.u64(..);
        let jitter = weeks.rng.i64(0..MINUTE);
        weeks
            .happenings
            .push((at + jitter, Step::Run(Box::new(run))));
        at += every;
    }
    weeks.happenings.sort_by_key(|(at, _)| *at);
    let seconds = |seconds: i64| Duration::from_secs(seconds as u64);
    let mut steps = vec![Step::Pass(seconds(before))];
    let mut now = 0;
    for (at, step) in weeks.happenings.into_iter().filter(|(at, _)| *at < end) {
        if at > now {
            steps.push(Step::Pass(seconds(at - now)));
            now = at;
        }
        steps.push(step);
    }
    Part {
        plan: Plan {
            source: SourceKind::BatchPredictions,
            seed,
            command: "year",
            is_urgent,
            policy: Policy {
                overdue_after: OverdueAfter::Auto,
                expect: calendar::expect(calendar::OF_A_YEAR),
                ..policy()
            },
            steps,
        },
        to_be_told: weeks.to_be_told,
        nights: weeks.nights,
    }
}

impl Weeks {
    fn seconds(&self, at: Timestamp) -> i64 {
        at.duration_since(self.monday).as_secs()
    }

    fn work(&mut self, name: &'static str) -> Work {
        Work {
            detector: Some(name),
            event_type: Some("transfer"),
            total: Some(self.rng.u32(90_000..110_000)),
        }
    }

    /// Somewhat more or less than usual.
    fn time(&mut self, name: &str) -> i64 {
        usual(name) * self.rng.i64(90..110) / 100
    }

    /// The jobs of the days before, of which the last one that was due came in time.
    fn history(&mut self) {
        let mut place = 0;
        for days in 0..12 {
            for (name, hours) in [(PAYMENTS, 0), (CHARGEBACKS, 5), (RETURNS, 10)] {
                let ago = (days * DAY + hours * HOUR + 20 * MINUTE) as u32;
                let took = self.time(name) as u32;
                let work = self.work(name);
                let event = Event::WasThere { work, ago, took };
                self.happenings.push((0, Step::Job(IDS[place], event)));
                place += 1;
            }
        }
        assert!(place <= BEFORE, "more ids are needed");
    }

    /// All nights of a detector.
    fn make(&mut self, name: &'static str, end: i64) {
        let due = calendar::deadlines(&calendar::expect(calendar::OF_A_YEAR));
        let mut missing_since: Option<Timestamp> = None;
        for due in due.iter().filter(|due| due.name == name) {
            // What was due first had come before the first run.
            if self.seconds(due.opens) < 0 || self.seconds(due.at) >= end {
                continue;
            }
            let night = match self.rng.u32(0..100) {
                0..10 => Night::FiveTimes,
                10..18 => Night::Late,
                18..21 => Night::Fails,
                21..29 => Night::Missing,
                _ => Night::Ordinary,
            };
            if matches!(night, Night::Late | Night::Fails | Night::Missing) {
                self.expects(Kind::Missing, format!("{name} by {}", due.at));
                missing_since = missing_since.or(Some(due.at));
            }
            self.night(due, night);
            let has_come = !matches!(night, Night::Fails | Night::Missing);
            if let Some(since) = missing_since.take_if(|_| has_come) {
                self.expects(Kind::Arrived, format!("{name} by {since}"));
            }
        }
    }

    fn expects(&mut self, kind: Kind, what: String) {
        *self.to_be_told.entry((kind, what)).or_default() += 1;
    }

    fn night(&mut self, due: &Due, night: Night) {
        let how = match night {
            Night::Ordinary => "ordinary nights",
            Night::FiveTimes => "nights five times as long",
            Night::Late => "late nights",
            Night::Fails => "nights that fail",
            Night::Missing => "missing nights",
        };
        *self.nights.entry(how).or_default() += 1;
        if night == Night::Missing {
            return;
        }
        // One runs at a time: each detector has hours of its own, also for those that come late.
        let (opens, deadline) = (self.seconds(due.opens), self.seconds(due.at));
        let day = deadline.div_euclid(DAY) * DAY;
        let begins = match (due.name, night) {
            (PAYMENTS, Night::Late) => deadline + 260 * MINUTE,
            (PAYMENTS, _) => opens + 30 * MINUTE,
            (CHARGEBACKS, Night::Late) => deadline + 40 * MINUTE,
            (CHARGEBACKS, _) => deadline - 195 * MINUTE,
            (_, Night::Late) => day + 19 * HOUR + 30 * MINUTE,
            (_, _) => opens + 5 * MINUTE,
        };
        let begins = begins + self.rng.i64(0..20 * MINUTE);
        let ordinary = self.time(due.name);
        let takes = if night == Night::FiveTimes {
            5 * ordinary
        } else {
            ordinary
        };
        let id = IDS[BEFORE + self.jobs];
        self.jobs += 1;
        let work = self.work(due.name);
        let style = Style {
            work,
            ..Style::PLAIN
        };
        let begin = Event::Begins {
            rate: (i64::from(work.total.unwrap()) * HOUR / takes) as u32,
            pulse: Some(self.rng.u32(30..600)),
            overtakes: true,
        };
        let end = if night == Night::Fails {
            "FAILED"
        } else {
            "COMPLETE"
        };
        // Some are deleted once they were seen to have ended, before the deadline comes; in time they were.
        let stays = match night == Night::Ordinary && self.rng.u32(0..8) == 0 {
            true => 70 * MINUTE,
            false => self.rng.i64(9 * DAY..15 * DAY),
        };
        for (at, event) in [
            (begins, Event::Arrives(style)),
            (begins + MINUTE, begin),
            (begins + takes, Event::Ends(end)),
            (begins + takes + stays, Event::IsDeleted),
        ] {
            self.happenings.push((at, Step::Job(id, event)));
        }
        if night == Night::FiveTimes {
            let start = self.monday + SignedDuration::from_secs(begins);
            self.expects(Kind::Overdue, format!("job {id} of {start}"));
        }
    }
}

/// What was told, how often.
fn told(ending: &Ending) -> ToBeTold {
    let mut told = ToBeTold::new();
    let ledger = ending.world.ledger.borrow();
    for (_, notice) in &ledger.recorded {
        let what = match (&notice.job, &notice.expected) {
            (Some(job), _) => format!("job {} of {}", job.id, job.started_at.unwrap()),
            (None, Some(expected)) => format!("{} by {}", expected.detector, expected.by),
            (None, None) => continue,
        };
        if matches!(notice.kind, Kind::Overdue | Kind::Missing | Kind::Arrived) {
            let topics = notice.topics.iter();
            let times = topics.map(|topic| ledger.publications(&notice.id, topic).count() as u64);
            *told.entry((notice.kind, what)).or_default() += times.sum::<u64>();
        }
    }
    told
}

/// Plays a part: what came of it, or what was told and should not have been, and the other way round. It is not cut
/// down: what a night needs is all that was before it.
fn hold(part: &Part, is_traced: bool) -> Result<Ending, String> {
    let ending = play(&part.plan, None, is_traced);
    let told = told(&ending);
    let all: BTreeSet<_> = told.keys().chain(part.to_be_told.keys()).collect();
    let mut wrong = String::new();
    for key in all {
        let times = |of: &ToBeTold| of.get(key).copied().unwrap_or(0);
        let ((kind, what), told, due) = (key, times(&told), times(&part.to_be_told));
        if told != due {
            let _ = writeln!(wrong, "{kind} of {what}: told {told} times, not {due}");
        }
    }
    for violation in &ending.violations {
        let _ = writeln!(wrong, "{violation}");
    }
    match wrong.is_empty() {
        true => Ok(ending),
        false => Err(format!(
            "{}\n{wrong}Again: tests/run year seed {}",
            ending.trace.join("\n"),
            part.plan.seed
        )),
    }
}

/// One part, told whole.
pub(crate) fn tell(seed: u64) -> Result<String, String> {
    let ending = hold(&part(seed), true)?;
    Ok(format!(
        "{}\nseed {seed} breaks no rule",
        ending.trace.join("\n")
    ))
}

/// Plays the parts of seeds until one fails.
pub(crate) fn simulate(seeds: impl IntoIterator<Item = u64>) -> Result<Tally, String> {
    let mut tally = Tally::default();
    for seed in seeds {
        let part = part(seed);
        tally.add(&hold(&part, false)?);
        for (how, count) in part.nights {
            *tally.came_about.entry(how).or_default() += count;
        }
    }
    Ok(tally)
}
