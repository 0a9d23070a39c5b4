//! Plans of the second kind: days on which jobs queue, work, hang and end, watched at any schedule from a minute to a
//! day. Little goes wrong with the runs themselves, so that what is told can be held against what was.

use std::collections::BTreeSet;
use std::time::Duration;

use fastrand::Rng;
use fraud_job_watch::watch::{Expectations, Kind, OverdueAfter, Policy, SourceKind};
use jiff::SignedDuration;

use super::lateness::Lateness;
use super::life::{Heartbeat, Start, Style, Work};
use super::plan::{Effect, Event, Fault, Invocation, Plan, Step, Tokens, Trigger, source};

const IDS: [&str; 10] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

/// The plan of a seed.
pub(crate) fn plan(seed: u64) -> Plan {
    let mut rng = Rng::with_seed(seed ^ 0xda75);
    let schedule = Schedule::of(&mut rng);
    let is_urgent = rng.bool();
    let mut policy = policy(&mut rng, schedule.stall_after);
    let mut late = Lateness::of(seed);
    late.settle(&mut policy);
    let history = late.history(schedule.stall_after as u32 / 2);
    let mut happenings: Vec<_> = history.into_iter().map(|step| (0, step)).collect();
    let one_at_a_time = source(seed) == SourceKind::BatchPredictions;
    happenings.extend(Queue::new(&mut rng, &schedule, one_at_a_time).happenings());
    for (_, step) in &mut happenings {
        if let Step::Job(_, Event::Arrives(style)) = step {
            style.work = late.work();
        }
    }
    for (number, at) in schedule.runs.iter().enumerate() {
        let run = invocation(&mut rng, number as u32, &schedule);
        happenings.push((*at, Step::Run(Box::new(run))));
        if rng.u32(0..200) == 0 {
            let mut other = self::policy(&mut rng, schedule.stall_after);
            other.stall_after = policy.stall_after;
            late.resettle(&mut other, &policy);
            happenings.push((*at + 1, Step::Settings(other)));
        }
    }
    happenings.sort_by_key(|(at, _)| *at);
    let mut steps = Vec::new();
    let mut now = 0;
    for (at, step) in happenings {
        if at > now {
            steps.push(Step::Pass(Duration::from_secs(at - now)));
            now = at;
        }
        steps.push(step);
    }
    Plan {
        seed,
        command: "days",
        source: source(seed),
        is_urgent,
        policy,
        steps,
    }
}

/// When runs take place, in seconds from the beginning of the story.
struct Schedule {
    stall_after: u64,
    /// When the first run is: some jobs are older.
    begins: u64,
    ends: u64,
    /// Every other run is shown what was so many seconds ago.
    lag: u32,
    /// How much goes wrong: in so many of a hundred runs.
    trouble: u32,
    runs: Vec<u64>,
}

impl Schedule {
    fn of(rng: &mut Rng) -> Self {
        let interval = [1, 5, 5, 15, 60, 60, 240, 24 * 60][rng.usize(0..8)] * MINUTE;
        let stall_after = [15 * MINUTE, 30 * MINUTE, HOUR, HOUR, 3 * HOUR, 12 * HOUR];
        let stall_after = stall_after[rng.usize(0..6)].min(25 * interval);
        let count = (14 * stall_after / interval).clamp(40, 220);
        let begins = rng.u64(0..6) * stall_after / 2;
        // After so many runs there are none for a while, as over a weekend.
        let week = rng.bool().then(|| rng.u64(12..50));
        let pause = rng.u64(2..8) * stall_after.max(interval);
        let mut at = begins;
        let mut runs = Vec::new();
        for number in 0..count {
            runs.push(at + rng.u64(0..4));
            at += interval;
            if week.is_some_and(|week| number % week == week - 1) {
                at += pause;
            }
        }
        let lag = match rng.u32(0..3) {
            0 => rng.u64(5..=(stall_after / 8).clamp(6, 10 * MINUTE)) as u32,
            _ => 0,
        };
        Self {
            stall_after,
            begins,
            ends: at,
            lag,
            trouble: [0, 0, 5, 15][rng.usize(0..4)],
            runs,
        }
    }
}

fn policy(rng: &mut Rng, stall_after: u64) -> Policy {
    let all = rng.u32(0..3) > 0;
    let notify_on: BTreeSet<_> = Kind::choices()
        .filter(|kind| all || rng.u32(0..3) > 0 || *kind == Kind::Stalled && rng.bool())
        .collect();
    let remind = [stall_after / 2, 2 * stall_after, 4 * HOUR, 30 * HOUR];
    let seconds = |time: u64| SignedDuration::from_secs(time as i64);
    Policy {
        stall_after: seconds(stall_after),
        remind_after: rng.bool().then(|| seconds(remind[rng.usize(0..4)])),
        overdue_after: OverdueAfter::Off,
        expect: Expectations::default(),
        notify_on,
    }
}

fn invocation(rng: &mut Rng, number: u32, schedule: &Schedule) -> Invocation {
    let mut run = Invocation::plain(number);
    run.view.page = rng.usize(2..8);
    run.view.shuffle = rng.u64(..);
    run.view.has_gaps = true;
    if number % 2 == 1 {
        run.view.jobs_stale = schedule.lag;
    }
    if rng.u32(0..100) >= schedule.trouble {
        return run;
    }
    let id = IDS[rng.usize(0..IDS.len())];
    match rng.u32(0..6) {
        0 => run.view.omits = Some(id),
        1 => run.view.misses = Some(id),
        2 => run.view.tokens = Some((1, Tokens::Repeat)),
        3 => return run.with(Effect::Page, rng.u32(1..3), Fault::Fails),
        4 => {
            run.view.omits = Some(id);
            run.faults.push((Trigger::Every(Effect::Ask), Fault::Fails));
        }
        _ => return run.with(Effect::Page, 1, Fault::IsSlow(rng.u64(500..5_000))),
    }
    run
}

fn style(rng: &mut Rng) -> Style {
    let gaps = match rng.u32(0..4) {
        0 => rng.u64(5..40),
        _ => 0,
    };
    let start = match rng.u32(0..8) {
        0 => Start::Missing,
        1 | 2 => Start::MoreOrLess,
        _ => Start::Exact,
    };
    let heartbeat = match rng.u32(0..10) {
        0 | 1 => Heartbeat::IsTheStart,
        2 => Heartbeat::Missing,
        3 => Heartbeat::After(rng.u32(1..60 * 30)),
        _ => Heartbeat::True,
    };
    Style {
        start,
        heartbeat,
        step: match rng.u32(0..5) {
            0 => None,
            1 => Some(1_000),
            _ => Some(1),
        },
        gaps,
        is_lower_case: rng.u32(0..10) == 0,
        // Without a status only the time tells that it has ended, and without a start it is one that can be.
        // Nor is its heartbeat the only time to go by, and ahead.
        ends_before_start: gaps == 0
            && start != Start::Missing
            && rng.u32(0..12) == 0
            && !matches!(heartbeat, Heartbeat::After(_)),
        work: Work::UNKNOWN,
    }
}

/// What is to happen, as it is made up.
struct Queue<'a> {
    rng: &'a mut Rng,
    schedule: &'a Schedule,
    /// Mostly; the service promises nothing.
    one_at_a_time: bool,
    happenings: Vec<(u64, Step)>,
    /// When each id is free again, and whether its job is still there.
    ids: Vec<(u64, bool)>,
    styles: Vec<Option<Style>>,
    waiting: Vec<(u64, usize)>,
}

impl<'a> Queue<'a> {
    fn new(rng: &'a mut Rng, schedule: &'a Schedule, one_at_a_time: bool) -> Self {
        Self {
            rng,
            schedule,
            one_at_a_time,
            happenings: Vec::new(),
            ids: vec![(0, false); IDS.len()],
            styles: vec![None; IDS.len()],
            waiting: Vec::new(),
        }
    }

    fn at(&mut self, at: u64, job: usize, event: Event) {
        self.happenings.push((at, Step::Job(IDS[job], event)));
    }

    /// A time around STALL_AFTER: from a tenth to ten times as long.
    fn while_(&mut self) -> u64 {
        let tenths = match self.rng.u32(0..4) {
            0 => 1..9,
            1 | 2 => 5..25,
            _ => 20..100,
        };
        self.rng.u64(tenths) * self.schedule.stall_after / 10
    }

    fn arrives(&mut self, at: u64) {
        let free = (0..IDS.len()).filter(|job| self.ids[*job].0 <= at);
        let free: Vec<_> = free.collect();
        let Some(job) = self.rng.choice(free) else {
            return;
        };
        if self.ids[job].1 {
            self.at(at.saturating_sub(2 * MINUTE), job, Event::IsDeleted);
        }
        // A job that does not tell its start cannot be told from another of its id.
        let mut style = style(self.rng);
        if self.styles[job].is_some_and(|before| !before.tells_start()) {
            return;
        }
        if self.styles[job].is_some() {
            (style.start, style.gaps) = (Start::Exact, 0);
        }
        self.styles[job] = Some(style);
        self.ids[job] = (u64::MAX, true);
        self.at(at, job, Event::Arrives(style));
        self.waiting.push((at, job));
    }

    fn happenings(mut self) -> Vec<(u64, Step)> {
        let mut now = self.rng.u64(0..=self.schedule.begins);
        while now < self.schedule.ends {
            for _ in 0..self.rng.u32(0..3) {
                let at = now + self.while_() / 4;
                self.arrives(at);
            }
            if self.waiting.is_empty() {
                let at = now + self.while_();
                self.arrives(at);
                if self.waiting.is_empty() {
                    return self.happenings;
                }
            }
            self.waiting.sort_unstable();
            // Mostly the first, but the service promises nothing.
            let place = match self.rng.u32(0..3) {
                0 => self.rng.usize(0..self.waiting.len()),
                _ => 0,
            };
            let (arrived, job) = self.waiting.remove(place);
            let delay = match self.rng.u32(0..5) {
                0 => 0,
                1 => self.while_(),
                _ => self.rng.u64(0..self.schedule.stall_after / 2),
            };
            let begins = now.max(arrived) + delay;
            let ended = self.runs(begins, job);
            now = match self.one_at_a_time {
                true => ended,
                false => begins + self.while_() / 4,
            };
        }
        self.happenings
    }

    fn pace(&mut self) -> (u32, Option<u32>) {
        let rate = [3, 60, 4_000, 100_000][self.rng.usize(0..4)];
        let pulse = match self.rng.u32(0..4) {
            0 => None,
            1 => Some(self.rng.u32(20..120)),
            2 => Some(self.rng.u32(1..=(self.schedule.stall_after as u32) / 2)),
            _ => Some(self.rng.u32(60..4 * self.schedule.stall_after as u32)),
        };
        (rate, pulse)
    }

    /// One job from its begin to its end: when the next may begin.
    fn runs(&mut self, begins: u64, job: usize) -> u64 {
        let (rate, pulse) = self.pace();
        let overtakes = true;
        let begin = Event::Begins {
            rate,
            pulse,
            overtakes,
        };
        self.at(begins, job, begin);
        let mut now = begins + self.while_();
        for _ in 0..self.rng.u32(0..5) {
            match self.rng.u32(0..14) {
                0..6 => {
                    self.at(now, job, Event::FallsSilent);
                    now += self.while_();
                }
                6 => {
                    let status = ["PAUSED", "IN_PROGRESS_QUEUED"][self.rng.usize(0..2)];
                    self.at(now, job, Event::Shows(status));
                    now += self.while_() / 2;
                    self.at(now, job, Event::Shows("IN_PROGRESS"));
                }
                7 => {
                    self.at(now, job, Event::IsToBeCanceled);
                    now += self.while_();
                    if self.rng.bool() {
                        return self.ended(now, job, "CANCELED");
                    }
                }
                8 => {
                    self.at(now, job, Event::Hides);
                    now += self.while_();
                    self.at(now, job, Event::Returns);
                }
                9 => {
                    self.at(now, job, Event::Ends("ARCHIVED"));
                    now += self.while_() / 2;
                    match self.rng.u32(0..3) {
                        0 => return self.ended(now, job, "COMPLETE"),
                        1 => return self.ended(now, job, "ARCHIVED"),
                        _ => {}
                    }
                }
                // It hangs for ever, and the next overtakes it, or never begins.
                10 => {
                    self.at(now, job, Event::FallsSilent);
                    return match self.rng.u32(0..3) {
                        0 => u64::MAX / 2,
                        _ => now + self.while_(),
                    };
                }
                11 => {
                    self.at(now, job, Event::IsDeleted);
                    let is_free = [now + 2 * MINUTE, now + self.while_()][self.rng.usize(0..2)];
                    self.ids[job] = (is_free.max(now + 2 * MINUTE), false);
                    return now + self.while_() / 4;
                }
                _ => {}
            }
            let (rate, pulse) = self.pace();
            self.at(now, job, Event::Works { rate, pulse });
            now += self.while_();
        }
        let end = ["COMPLETE", "COMPLETE", "FAILED"][self.rng.usize(0..3)];
        self.ended(now, job, end)
    }

    fn ended(&mut self, now: u64, job: usize, status: &'static str) -> u64 {
        self.at(now, job, Event::Ends(status));
        self.ids[job] = (now + 3 * MINUTE + self.while_(), true);
        now
    }
}
