//! Stories by chance: from calm to hostile, with all that can befall a run.

use std::collections::BTreeSet;
use std::time::Duration;

use fastrand::Rng;
use fraud_job_watch::watch::{Expectations, Kind, OverdueAfter, Policy};
use jiff::SignedDuration;

use super::lateness::Lateness;
use super::plan::{
    EFFECTS, Effect, Event, Fault, IDS, Invocation, Plan, Step, Tokens, Trigger, policy, source,
};

impl Plan {
    /// The plan of a seed.
    pub(crate) fn of(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let rng = &mut rng;
        // From calm to hostile: how many runs in ten meet something.
        let hostility = rng.u32(0..10);
        let is_urgent = rng.bool();
        let mut late = Lateness::of(seed);
        let mut policy = policy();
        late.settle(&mut policy);
        let mut steps = late.history(900);
        let mut omits = None;
        for number in 0..rng.u32(6..30) {
            for _ in 0..rng.u32(0..4) {
                let id = IDS[rng.usize(0..IDS.len())];
                let event = event(rng);
                steps.push(Step::Job(id, event));
                if let Event::Starts { .. } = event {
                    steps.push(Step::Job(id, Event::IsFor(late.work())));
                }
            }
            match rng.u32(0..40) {
                0..3 => {
                    let mut settings = settings(rng);
                    late.resettle(&mut settings, &policy);
                    steps.push(Step::Settings(settings));
                }
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
            source: source(seed),
            is_urgent,
            policy,
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
    let notify_on: BTreeSet<_> = Kind::choices().filter(|_| rng.u32(0..6) > 0).collect();
    Policy {
        stall_after: SignedDuration::from_mins([30, 60, 180][rng.usize(0..3)]),
        remind_after: rng
            .bool()
            .then(|| SignedDuration::from_mins([45, 120][rng.usize(0..2)])),
        overdue_after: OverdueAfter::Off,
        expect: Expectations::default(),
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
