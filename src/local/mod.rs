//! A world on a laptop: listing files for the service, a file or memory for the table, a clock that stands still.
//!
//! What is published is kept by [`crate::dry_run::Collected`] and shown by the [`terminal`].

pub mod bad_file;
mod documents;
pub mod report;
pub mod saved_events;
pub mod saved_listing;
pub mod state;
pub mod terminal;

use jiff::Timestamp;

use crate::ports::Clock;

/// A clock that stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FixedClock(pub Timestamp);

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        self.0
    }
}
