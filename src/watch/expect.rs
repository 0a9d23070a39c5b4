//! What is expected by when: the variable EXPECT, and the calendar that it makes.
//!
//! An entry names a detector, a time of day by which one of its jobs is to complete, and the days and the zone of that
//! time. Each such time is a [`Deadline`]. The days are those of the `by`; a `from` that is not earlier in the day
//! belongs to the day before.
//!
//! Where clocks change, a `by` that the day has twice means the first. One that the day lacks is later by as much as
//! the clocks skip, and a `from` that it lacks is earlier by as much: 02:30, where 02:00 becomes 03:00, is 03:30 as a
//! `by` and 01:30 as a `from`, so that a window is never empty.

mod entry;
mod fault;
mod parse;

use std::fmt;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use entry::{Due, Entry};
pub use fault::ExpectFault;

/// The most bytes that EXPECT may have.
pub const MAX_BYTES: usize = 2_000;

/// What is expected by when; nothing, if EXPECT is not set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Expectations {
    entries: Vec<Entry>,
}

/// A moment by which a job of some detector is to have completed.
#[derive(Clone, Debug, PartialEq)]
pub struct Deadline {
    /// The moment.
    pub at: Timestamp,
    /// What completed after this moment, and before now, counts: the last `from` before the deadline, or without one
    /// the deadline before.
    pub opens_at: Timestamp,
    /// Whether `opens_at` is a `from`.
    pub has_from: bool,
    /// The zone that the operator gave it in.
    pub zone: TimeZone,
}

impl Expectations {
    /// Reads EXPECT, or says all that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Vec<ExpectFault>> {
        parse::entries(text).map(|entries| Self { entries })
    }

    /// Whether nothing is expected.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The detectors that are named, in the order in which they first are; `*` is any.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let is_first =
            |place: usize, name: &str| !self.entries.iter().take(place).any(|it| it.name == name);
        let names = self.entries.iter().map(|entry| entry.name.as_str());
        names
            .enumerate()
            .filter_map(move |(place, name)| is_first(place, name).then_some(name))
    }

    /// The newest deadline of this name at or before `at`.
    pub fn last_deadline(&self, name: &str, at: Timestamp) -> Option<Deadline> {
        let newest = self.due(name, at).map(|due| due.at).filter(|it| *it <= at);
        self.deadline(name, newest.max()?)
    }

    /// The first deadline of this name after `at`.
    pub fn next_deadline(&self, name: &str, at: Timestamp) -> Option<Deadline> {
        let first = self.due(name, at).map(|due| due.at).filter(|it| *it > at);
        self.deadline(name, first.min()?)
    }

    /// The deadline at this very moment: one, however many entries make it, and the earliest of their openings is its.
    fn deadline(&self, name: &str, at: Timestamp) -> Option<Deadline> {
        let before = self.due(name, at).map(|due| due.at).filter(|it| *it < at);
        let before = before.max();
        self.due(name, at)
            .filter(|due| due.at == at)
            .filter_map(|due| {
                Some(Deadline {
                    at,
                    opens_at: due.from.or(before)?,
                    has_from: due.from.is_some(),
                    zone: due.zone.clone(),
                })
            })
            .min_by_key(|deadline| deadline.opens_at)
    }

    /// All that is due of this name within a week and a day of a moment, in no order: each entry's day comes within it.
    fn due(&self, name: &str, around: Timestamp) -> impl Iterator<Item = Due<'_>> {
        let named = self.entries.iter().filter(move |entry| entry.name == name);
        named.flat_map(move |entry| {
            let today = entry.zone.to_datetime(around).date();
            let days = (-8..=8).filter_map(move |days| today.checked_add(days.days()).ok());
            days.filter_map(|day| entry.due_on(day))
        })
    }
}

/// As a person reads it where it was given: `07:00 on Mon 2 Mar 2026 (Europe/Dublin)`.
impl fmt::Display for Deadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let local = self.zone.to_datetime(self.at);
        let zone = self.zone.iana_name().unwrap_or("UTC");
        write!(f, "{} ({zone})", local.strftime("%H:%M on %a %-d %b %Y"))
    }
}
