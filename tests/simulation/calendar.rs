//! What is expected by when: texts of EXPECT, and the deadlines that each of them makes, worked out here by hand.
//!
//! Nothing of the calendar under test is called: days are counted from a Monday, and the moments at which clocks change
//! are written down.

use std::cell::RefCell;
use std::rc::Rc;

use fraud_job_watch::watch::Expectations;
use jiff::{SignedDuration, Timestamp};

/// Where a time of day is meant.
#[derive(Clone, Copy)]
enum Zone {
    Utc,
    Dublin,
    NewYork,
}

/// One entry: a detector, minutes of the day, and the days, of which Monday is 0.
struct Entry {
    name: &'static str,
    from: Option<i64>,
    by: i64,
    days: &'static [i64],
    zone: Zone,
}

/// A moment by which a job of this detector is to have completed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Due {
    pub(crate) name: &'static str,
    pub(crate) at: Timestamp,
    /// What completed after this counts.
    pub(crate) opens: Timestamp,
    pub(crate) has_from: bool,
}

const EVERY_DAY: &[i64] = &[0, 1, 2, 3, 4, 5, 6];
const WEEKDAYS: &[i64] = &[0, 1, 2, 3, 4];
const SUNDAY_TO_THURSDAY: &[i64] = &[6, 0, 1, 2, 3];

const fn at(hour: i64, minute: i64) -> i64 {
    60 * hour + minute
}

const fn daily(name: &'static str, from: Option<i64>, by: i64) -> Entry {
    Entry {
        name,
        from,
        by,
        days: EVERY_DAY,
        zone: Zone::Utc,
    }
}

pub(crate) const PAYMENTS: &str = "payments";
pub(crate) const CHARGEBACKS: &str = "chargebacks";
pub(crate) const RETURNS: &str = "returns";

/// What [`super::year`] expects.
pub(crate) const OF_A_YEAR: &str = "payments from 22:00 by 07:00 MON-FRI Europe/Dublin; \
     chargebacks by 12:00 sun-thu America/New_York; returns from 02:30 by 06:30 America/New_York";

/// Each text with its entries.
const CALENDARS: &[(&str, &[Entry])] = &[
    ("payments by 06:00", &[daily(PAYMENTS, None, at(6, 0))]),
    (
        "payments from 22:00 by 07:00; * by 12:00; chargebacks by 12:00",
        &[
            daily(PAYMENTS, Some(at(22, 0)), at(7, 0)),
            daily("*", None, at(12, 0)),
            daily(CHARGEBACKS, None, at(12, 0)),
        ],
    ),
    (
        "payments by 01:00; payments by 04:00; payments by 07:00; payments by 10:00; payments by 13:00; \
         payments by 16:00; payments by 19:00; payments by 22:00; chargebacks from 23:00 by 02:00",
        &[
            daily(PAYMENTS, None, at(1, 0)),
            daily(PAYMENTS, None, at(4, 0)),
            daily(PAYMENTS, None, at(7, 0)),
            daily(PAYMENTS, None, at(10, 0)),
            daily(PAYMENTS, None, at(13, 0)),
            daily(PAYMENTS, None, at(16, 0)),
            daily(PAYMENTS, None, at(19, 0)),
            daily(PAYMENTS, None, at(22, 0)),
            daily(CHARGEBACKS, Some(at(23, 0)), at(2, 0)),
        ],
    ),
    (
        "payments from 01:00 by 04:00; payments from 07:00 by 10:00; payments from 13:00 by 16:00; \
         payments from 19:00 by 22:00; * by 00:30",
        &[
            daily(PAYMENTS, Some(at(1, 0)), at(4, 0)),
            daily(PAYMENTS, Some(at(7, 0)), at(10, 0)),
            daily(PAYMENTS, Some(at(13, 0)), at(16, 0)),
            daily(PAYMENTS, Some(at(19, 0)), at(22, 0)),
            daily("*", None, at(0, 30)),
        ],
    ),
    (
        "payments by 04:30 MON-FRI America/New_York; chargebacks from 20:00 by 23:30 Europe/Dublin",
        &[
            Entry {
                name: PAYMENTS,
                from: None,
                by: at(4, 30),
                days: WEEKDAYS,
                zone: Zone::NewYork,
            },
            Entry {
                name: CHARGEBACKS,
                from: Some(at(20, 0)),
                by: at(23, 30),
                days: EVERY_DAY,
                zone: Zone::Dublin,
            },
        ],
    ),
    (
        OF_A_YEAR,
        &[
            Entry {
                name: PAYMENTS,
                from: Some(at(22, 0)),
                by: at(7, 0),
                days: WEEKDAYS,
                zone: Zone::Dublin,
            },
            Entry {
                name: CHARGEBACKS,
                from: None,
                by: at(12, 0),
                days: SUNDAY_TO_THURSDAY,
                zone: Zone::NewYork,
            },
            Entry {
                name: RETURNS,
                from: Some(at(2, 30)),
                by: at(6, 30),
                days: EVERY_DAY,
                zone: Zone::NewYork,
            },
        ],
    ),
];

/// A Monday: day 0.
fn monday() -> Timestamp {
    "2026-03-02T00:00:00Z".parse().unwrap()
}

/// When summer begins and ends, each in the local time of before and after, and how far winter and summer are from UTC
/// in minutes.
fn summers(zone: Zone) -> (&'static [[&'static str; 2]], i64, i64) {
    match zone {
        Zone::Utc => (&[], 0, 0),
        Zone::Dublin => (
            &[
                ["2026-03-29T01:00:00Z", "2026-10-25T02:00:00Z"],
                ["2027-03-28T01:00:00Z", "2027-10-31T02:00:00Z"],
            ],
            0,
            60,
        ),
        Zone::NewYork => (
            &[
                ["2026-03-08T02:00:00Z", "2026-11-01T02:00:00Z"],
                ["2027-03-14T02:00:00Z", "2027-11-07T02:00:00Z"],
            ],
            -300,
            -240,
        ),
    }
}

/// The moment of a local time, which is given as if it were UTC. Of two the first; one that is skipped is as much later,
/// or earlier.
fn moment(local: Timestamp, zone: Zone, is_earlier: bool) -> Timestamp {
    let (summers, winter, summer) = summers(zone);
    let skipped = SignedDuration::from_hours(i64::from(!is_earlier));
    let is_summer = summers.iter().any(|[begins, ends]| {
        let [begins, ends]: [Timestamp; 2] = [begins, ends].map(|it| it.parse().unwrap());
        local >= begins + skipped && local < ends
    });
    let offset = if is_summer { summer } else { winter };
    local - SignedDuration::from_mins(offset)
}

/// So many days are worked out, from two weeks before the world begins.
const DAYS: i64 = 900;

fn due(entries: &[Entry]) -> Vec<Due> {
    let mut all: Vec<(&'static str, Timestamp, Option<Timestamp>)> = Vec::new();
    for entry in entries {
        for day in (-14..DAYS).filter(|day: &i64| entry.days.contains(&day.rem_euclid(7))) {
            let local = |day: i64, minute: i64| {
                monday() + SignedDuration::from_hours(24 * day) + SignedDuration::from_mins(minute)
            };
            let from = entry.from.map(|from| {
                let day = if from < entry.by { day } else { day - 1 };
                moment(local(day, from), entry.zone, true)
            });
            let by = moment(local(day, entry.by), entry.zone, false);
            all.push((entry.name, by, from));
        }
    }
    all.sort_by_key(|(_, at, _)| *at);
    let mut due: Vec<Due> = Vec::new();
    for (name, at, from) in all {
        let before = due.iter().rev().find(|it| it.name == name);
        // What has nothing before it lies before the world begins.
        if let Some(opens) = from.or(before.map(|it| it.at)).or(Some(at)) {
            let has_from = from.is_some();
            due.push(Due {
                name,
                at,
                opens,
                has_from,
            });
        }
    }
    due
}

/// What EXPECT is in some plan, as often as not nothing.
pub(crate) fn by_chance(rng: &mut fastrand::Rng) -> Expectations {
    match rng.usize(0..2 * CALENDARS.len()) {
        place if place < CALENDARS.len() => expect(CALENDARS[place].0),
        _ => Expectations::default(),
    }
}

pub(crate) fn expect(text: &str) -> Expectations {
    Expectations::parse(text).unwrap()
}

/// What it was parsed from.
pub(crate) fn text(expect: &Expectations) -> &'static str {
    let is_it = |(text, _): &&(&str, &[Entry])| self::expect(text) == *expect;
    CALENDARS.iter().find(is_it).map_or("nothing", |it| it.0)
}

thread_local! {
    static KNOWN: RefCell<Vec<(Expectations, Rc<[Due]>)>> = RefCell::default();
}

/// All deadlines that it makes, in their order.
pub(crate) fn deadlines(expect: &Expectations) -> Rc<[Due]> {
    KNOWN.with_borrow_mut(|known| {
        if let Some((_, due)) = known.iter().find(|(it, _)| it == expect) {
            return Rc::clone(due);
        }
        let text = text(expect);
        let entries = CALENDARS.iter().find(|it| it.0 == text);
        let made: Rc<[Due]> = entries.map_or(Vec::new(), |(_, it)| due(it)).into();
        known.push((expect.clone(), Rc::clone(&made)));
        made
    })
}
