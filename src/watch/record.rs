//! What is kept between runs: the watch's baseline, and a record for each job that is active, or ended in the last 60
//! days. What is kept of detectors stands in [`super::detector`].
//!
//! Every item has a revision that grows by one with each write, and the name of the run that wrote it, so that
//! a run can tell its own write, whose answer was lost, from another's.
//!
//! Members without a value are serialized as well, as null, so that a store knows what to remove.

use std::collections::BTreeSet;
use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::detector::DetectorRecord;
use super::job::{End, Job, JobId};
use super::life::stall_threshold;
use super::status::Stage;
use super::topic::TopicArn;

/// How long the record of an ended or vanished job is kept.
pub const RETENTION: SignedDuration = SignedDuration::from_hours(60 * 24);

/// What the watch itself remembers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// The revision.
    pub rev: u64,
    /// The run that wrote it.
    #[serde(rename = "by")]
    pub written_by: String,
    /// What ended before this moment is history: the first run's start, less a minute.
    pub since: Timestamp,
    /// When the first listing was complete, if one was.
    pub began_at: Option<Timestamp>,
    /// That nobody hears the alarms, while that is so.
    #[serde(default)]
    pub unheard: Option<Box<Unheard>>,
}

/// Nobody has subscribed to the topic of the alarms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Unheard {
    /// That topic.
    pub topic: TopicArn,
    /// When that was first seen.
    pub since: Timestamp,
    /// The topics that were told.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub notified_topics: BTreeSet<TopicArn>,
}

/// Where a recorded job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It goes on.
    Active,
    /// It ended. That is final for this job if its status is known here.
    Ended,
    /// It was active and is gone. If it is listed again it goes on.
    Vanished,
}

/// A stall that was reported. It lasts until a sign of life or an end.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stall {
    /// How many reminders of it were reported.
    #[serde(default)]
    pub reminders: u32,
    /// When the last of them was; at first, when the stall was.
    pub reminded_at: Timestamp,
}

/// What is known of a job whose id another has taken.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Predecessor {
    /// How it ended.
    pub end: End,
    /// When it ended, or was seen to be gone.
    pub ended_at: Timestamp,
    /// Its detector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detector: Option<String>,
}

/// What is known of one job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The revision.
    pub rev: u64,
    /// The run that wrote it.
    #[serde(rename = "by")]
    pub written_by: String,
    /// Where the job stands.
    pub phase: Phase,
    /// The job as it was when it was last seen and written: its status is the last one that is known here, its count
    /// the highest. Of an ended one only what is needed to know it again.
    pub job: Job,
    /// What ids and threads are made of: its start when it was first seen, or else that moment. It never changes.
    pub key: Timestamp,
    /// When the job was first seen.
    pub first_seen_at: Timestamp,
    /// When it was last seen and written, or found to have vanished.
    pub recorded_at: Timestamp,
    /// Its last sign of life: a heartbeat's own time, or when something else was seen.
    #[serde(rename = "sign_at")]
    pub last_sign_at: Timestamp,
    /// A heartbeat that was ahead of its time when it was seen. It is no sign of life, also when its time comes.
    #[serde(rename = "ahead_at")]
    pub skewed_heartbeat_at: Option<Timestamp>,
    /// Whether it was seen to have begun. The status of one that is being canceled does not say so.
    #[serde(default, rename = "begun")]
    pub has_begun: bool,
    /// From how many stalls it has recovered.
    #[serde(default)]
    pub recoveries: u32,
    /// Counts the stalls and vanishings, and the jobs before it, under its id: the last one's number.
    #[serde(default)]
    pub episode: u32,
    /// The reported stall that is still going on.
    pub stall: Option<Stall>,
    /// Whether it was reported as overdue.
    #[serde(default)]
    pub overdue: bool,
    /// When the listing and a lookup by id first missed it, if it has not been seen since.
    pub absent_since: Option<Timestamp>,
    /// The topics that were told of a stall, a vanishing or a delay that is not yet closed, or of an end that is not known
    /// here.
    #[serde(default, rename = "heard")]
    pub notified_topics: BTreeSet<TopicArn>,
    /// The job that had its id before.
    pub predecessor: Option<Predecessor>,
    /// When the record may be forgotten, in seconds since 1970; until it is deleted it counts as absent.
    pub expires: Option<i64>,
}

impl Record {
    /// How long the job may be silent.
    pub fn stall_threshold(&self, stall_after: SignedDuration) -> SignedDuration {
        stall_threshold(stall_after, self.recoveries)
    }

    /// How far the job has come that is seen so now. It does not go back.
    pub fn stage(&self, seen: &Job) -> Option<Stage> {
        let begun = self.has_begun.then_some(Stage::Running);
        self.job.stage().max(seen.stage()).max(begun)
    }

    /// Whether the record counts as absent.
    pub fn has_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|at| at <= now.as_second())
    }
}

/// What an item is filed under.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// The watch itself.
    Watch,
    /// A job.
    Job(JobId),
    /// A detector that EXPECT names.
    Detector(String),
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Watch => f.write_str("watch"),
            Self::Job(id) => write!(f, "job#{id}"),
            Self::Detector(name) => write!(f, "detector#{name}"),
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
    /// A detector that EXPECT names.
    Detector(Box<DetectorRecord>),
}

impl Item {
    /// What it is filed under.
    pub fn key(&self) -> Key {
        match self {
            Self::Watch(_) => Key::Watch,
            Self::Job(record) => Key::Job(record.job.id.clone()),
            Self::Detector(record) => Key::Detector(record.name.clone()),
        }
    }

    /// Its revision.
    pub fn rev(&self) -> u64 {
        match self {
            Self::Watch(baseline) => baseline.rev,
            Self::Job(record) => record.rev,
            Self::Detector(record) => record.rev,
        }
    }
}
