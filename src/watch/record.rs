//! What is kept between runs: the watch's baseline, and a record for each job that is active or ended lately.
//!
//! Every item has a revision that grows by one with each write, and the name of the run that wrote it, so that
//! a run can tell its own write, whose answer was lost, from another's.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::job::{Job, JobId};

/// How long the record of an ended or vanished job is kept.
pub const KEPT: SignedDuration = SignedDuration::from_hours(60 * 24);

/// What the watch itself remembers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// The revision.
    pub rev: u64,
    /// The run that wrote it.
    pub by: String,
    /// What ended before this moment is history: the first run's start, less a minute.
    pub since: Timestamp,
    /// When the first listing was complete, if one was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began_at: Option<Timestamp>,
}

/// Where a recorded job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It goes on.
    Active,
    /// It ended. That is final for this id and start.
    Ended,
    /// It was active and is gone. If it shows up again it is judged as known active.
    Vanished,
}

/// A stall that was told. It lasts until a sign of life or an end.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stall {
    /// The sign of life after which it fell silent.
    pub since: Timestamp,
    /// When it was told.
    pub told_at: Timestamp,
    /// How many reminders followed.
    #[serde(default)]
    pub reminders: u32,
    /// When the last of them was told; at first, when the stall was.
    pub reminded_at: Timestamp,
}

/// What is known of one job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The revision.
    pub rev: u64,
    /// The run that wrote it.
    pub by: String,
    /// Where the job stands.
    pub phase: Phase,
    /// The job as it was when this was written; of an ended one only what is needed to know it again.
    #[serde(flatten)]
    pub job: Job,
    /// When the job was first seen.
    pub first_seen_at: Timestamp,
    /// When this was written.
    pub recorded_at: Timestamp,
    /// When its status or count was last seen to change without a heartbeat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_at: Option<Timestamp>,
    /// The stall that was told and not yet left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stall: Option<Stall>,
    /// Twice the longest silence, in seconds, that the job recovered from: it is given at least that long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patience_s: Option<i64>,
    /// When the record may be forgotten, in seconds since 1970; until it is deleted it counts as absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<i64>,
}

impl Record {
    /// Whether the record counts as absent.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|at| at <= now.as_second())
    }
}

/// What an item is filed under.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// The watch itself.
    Watch,
    /// A job.
    Job(JobId),
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Watch => f.write_str("watch"),
            Self::Job(id) => write!(f, "job#{id}"),
        }
    }
}

/// An item with a revision.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// The watch itself.
    Watch(Baseline),
    /// A job.
    Job(Box<Record>),
}

impl Item {
    /// What it is filed under.
    pub fn key(&self) -> Key {
        match self {
            Self::Watch(_) => Key::Watch,
            Self::Job(record) => Key::Job(record.job.id.clone()),
        }
    }

    /// Its revision.
    pub fn rev(&self) -> u64 {
        match self {
            Self::Watch(baseline) => baseline.rev,
            Self::Job(record) => record.rev,
        }
    }
}
