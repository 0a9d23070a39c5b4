//! One entry of EXPECT, and when it is due.

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// A detector, and by when one of its jobs is to complete.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) from: Option<Time>,
    pub(super) by: Time,
    pub(super) days: Days,
    pub(super) zone: TimeZone,
}

/// Some days of the week: a bit for each, Monday's is the lowest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Days(u8);

impl Days {
    pub(super) const EVERY: Self = Self(0b111_1111);

    /// From the one to the other, over the end of the week if need be.
    pub(super) fn range(first: Weekday, last: Weekday) -> Self {
        let count = first.until(last) as usize + 1;
        Self(
            first
                .cycle_forward()
                .take(count)
                .fold(0, |bits, day| bits | bit(day)),
        )
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn has(self, day: Weekday) -> bool {
        self.0 & bit(day) != 0
    }
}

fn bit(day: Weekday) -> u8 {
    1 << day.to_monday_zero_offset()
}

/// An entry on one of its days.
#[derive(Clone, Copy, Debug)]
pub(super) struct Due<'a> {
    pub(super) at: Timestamp,
    pub(super) from: Option<Timestamp>,
    pub(super) zone: &'a TimeZone,
}

impl Entry {
    /// When it is due on this day, if it is.
    pub(super) fn due_on(&self, day: Date) -> Option<Due<'_>> {
        if !self.days.has(day.weekday()) {
            return None;
        }
        let by = self.zone.to_ambiguous_timestamp(day.to_datetime(self.by));
        let from = match self.from {
            None => None,
            Some(from) => {
                let day = if from < self.by {
                    day
                } else {
                    day.checked_sub(1.day()).ok()?
                };
                let from = self.zone.to_ambiguous_timestamp(day.to_datetime(from));
                Some(from.earlier().ok()?)
            }
        };
        Some(Due {
            at: by.compatible().ok()?,
            from,
            zone: &self.zone,
        })
    }
}
