//! A job as it truly is at each moment, and as the service shows it: the two differ as much as the documents allow.

use std::hash::{DefaultHasher, Hash, Hasher};

use fraud_job_watch::watch::{Kind, ListedJob};
use jiff::{SignedDuration, Timestamp};

/// A job from one start to whatever comes: born again under the same id, it is another.
#[derive(Clone, Debug)]
pub(crate) struct Life {
    pub(crate) id: &'static str,
    pub(crate) start: Timestamp,
    pub(crate) style: Style,
    /// What it was from which moment on.
    pub(crate) versions: Vec<(Timestamp, Version)>,
}

/// How the service shows a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Style {
    pub(crate) start: Start,
    pub(crate) heartbeat: Heartbeat,
    /// The count is shown in steps of this many records; without it, never.
    pub(crate) step: Option<u32>,
    /// In so many of a hundred views a member is missing, each by itself.
    pub(crate) gaps: u64,
    pub(crate) is_lower_case: bool,
    /// Its completion is told to be a day before its start.
    pub(crate) ends_before_start: bool,
    pub(crate) work: Work,
}

/// What a job is for, which makes it like others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Work {
    pub(crate) detector: Option<&'static str>,
    pub(crate) event_type: Option<&'static str>,
    /// How many records its input has.
    pub(crate) total: Option<u32>,
}

impl Work {
    pub(crate) const UNKNOWN: Self = Self {
        detector: None,
        event_type: None,
        total: None,
    };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    Exact,
    /// In the first half hour it is told to be five minutes later than it was.
    LateAtFirst,
    /// In whole minutes, in seconds or with a fraction, by turns.
    MoreOrLess,
    Missing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heartbeat {
    True,
    /// It equals the start for ever.
    IsTheStart,
    Missing,
    /// It is so many minutes after the start for ever.
    After(u32),
}

impl Style {
    pub(crate) const PLAIN: Self = Self {
        start: Start::Exact,
        heartbeat: Heartbeat::True,
        step: Some(1),
        gaps: 0,
        is_lower_case: false,
        ends_before_start: false,
        work: Work::UNKNOWN,
    };

    /// Whether every view tells the start.
    pub(crate) fn tells_start(&self) -> bool {
        self.start != Start::Missing && self.gaps == 0
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Version {
    pub(crate) status: &'static str,
    pub(crate) heartbeat: Timestamp,
    pub(crate) pulse: Option<u32>,
    /// How many records were processed when this version began.
    pub(crate) count: i64,
    /// How many it processes in an hour.
    pub(crate) rate: u32,
    pub(crate) completed: Option<Timestamp>,
    pub(crate) is_shown: bool,
    pub(crate) is_deleted: bool,
}

impl Version {
    /// The latest heartbeat at `now`.
    pub(crate) fn heartbeat_at(&self, now: Timestamp) -> Timestamp {
        match self.pulse {
            Some(pulse) if self.completed.is_none() => {
                let pulse = i64::from(pulse);
                let beats = now.duration_since(self.heartbeat).as_secs().max(0) / pulse;
                self.heartbeat + SignedDuration::from_secs(beats * pulse)
            }
            Some(_) | None => self.heartbeat,
        }
    }

    /// The count at `now`, of a version that began at `from`.
    pub(crate) fn count_at(&self, from: Timestamp, now: Timestamp) -> i64 {
        let lasted = now.duration_since(from).as_secs().max(0);
        self.count + lasted * i64::from(self.rate) / 3_600
    }

    pub(crate) fn stage(&self) -> Stage {
        Stage::of(Some(self.status), self.completed.is_some())
    }
}

/// What a status says, whatever its case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    Waits,
    Runs,
    IsCanceled,
    Ended(Kind),
    /// A status that the documents don't have, without a time of an end.
    Unknown,
    Missing,
}

impl Stage {
    pub(crate) fn of(status: Option<&str>, has_end: bool) -> Self {
        match status.map(str::to_ascii_uppercase).as_deref() {
            None | Some("") => Self::Missing,
            Some("IN_PROGRESS_INITIALIZING") => Self::Waits,
            Some("IN_PROGRESS") => Self::Runs,
            Some("CANCEL_IN_PROGRESS") => Self::IsCanceled,
            Some("COMPLETE") => Self::Ended(Kind::Completed),
            Some("FAILED") => Self::Ended(Kind::Failed),
            Some("CANCELED") => Self::Ended(Kind::Canceled),
            Some(_) if has_end => Self::Ended(Kind::Ended),
            Some(_) => Self::Unknown,
        }
    }

    pub(crate) fn is_active(self) -> bool {
        !matches!(self, Self::Ended(_))
    }

    pub(crate) fn runs(self) -> bool {
        matches!(self, Self::Runs | Self::IsCanceled)
    }

    /// Whether it says how far the job has come.
    pub(crate) fn is_known(self) -> bool {
        matches!(self, Self::Waits | Self::Runs | Self::IsCanceled)
    }
}

impl Life {
    pub(crate) fn at(&self, moment: Timestamp) -> Option<&Version> {
        let before = self.versions.iter().rev().find(|(at, _)| *at <= moment);
        before.map(|(_, version)| version)
    }

    pub(crate) fn now(&self) -> &Version {
        &self.versions.last().unwrap().1
    }

    pub(crate) fn is_visible(&self, moment: Timestamp) -> bool {
        self.at(moment)
            .is_some_and(|version| version.is_shown && !version.is_deleted)
    }

    /// When it last truly came on, by `moment`: it began, beat, or processed records.
    pub(crate) fn progressed_by(&self, moment: Timestamp) -> Timestamp {
        let mut last = self.start;
        let mut before: Option<(Timestamp, &Version)> = None;
        for (place, (from, version)) in self.versions.iter().enumerate() {
            if *from > moment {
                break;
            }
            let until = self.versions.get(place + 1).map_or(moment, |(at, _)| *at);
            let until = until.min(moment);
            last = last.max(version.heartbeat_at(until).min(moment));
            if version.rate > 0 {
                last = last.max(until);
            }
            if let Some((began, before)) = before {
                let rises = version.count > before.count_at(began, *from);
                let begins = before.stage() == Stage::Waits && version.stage() == Stage::Runs;
                if rises || begins {
                    last = last.max(*from);
                }
            }
            before = Some((*from, version));
        }
        last
    }

    /// As the service shows it in a view of this seed.
    pub(crate) fn view(
        &self,
        moment: Timestamp,
        seed: Option<u64>,
        is_import: bool,
    ) -> Option<ListedJob> {
        let (from, version) = self.versions.iter().rev().find(|(at, _)| *at <= moment)?;
        if !version.is_shown || version.is_deleted {
            return None;
        }
        let chance = |member: u64| {
            let mut hasher = DefaultHasher::new();
            (seed, self.id, self.start, member).hash(&mut hasher);
            hasher.finish() % 100
        };
        let is_there = |member: u64| seed.is_none() || chance(member) >= self.style.gaps;
        let text = |at: Timestamp| Some(at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
        let whole_minute = |at: Timestamp| at - SignedDuration::from_secs(at.as_second() % 60);
        let start = match (self.style.start, seed.map_or(1, |_| chance(9) % 3)) {
            (Start::Missing, _) => None,
            (Start::LateAtFirst, _)
                if moment.duration_since(self.start) < SignedDuration::from_mins(30) =>
            {
                text(self.start + SignedDuration::from_mins(5))
            }
            (Start::MoreOrLess, 0) => text(whole_minute(self.start)),
            (Start::MoreOrLess, 2) => {
                Some(self.start.strftime("%Y-%m-%dT%H:%M:%S.417Z").to_string())
            }
            (Start::Exact | Start::MoreOrLess | Start::LateAtFirst, _) => text(self.start),
        };
        let heartbeat = match self.style.heartbeat {
            Heartbeat::True => text(version.heartbeat_at(moment)),
            Heartbeat::IsTheStart => text(self.start),
            Heartbeat::Missing => None,
            Heartbeat::After(minutes) => {
                text(self.start + SignedDuration::from_mins(i64::from(minutes)))
            }
        };
        let status = match self.style.is_lower_case {
            true => version.status.to_ascii_lowercase(),
            false => version.status.to_owned(),
        };
        let day_before = self.start - SignedDuration::from_hours(24);
        // Of a status that nobody knows only the time tells that it is an end.
        let is_known = version.stage() != Stage::Ended(Kind::Ended);
        let completed =
            version
                .completed
                .map(|end| match self.style.ends_before_start && is_known {
                    true => day_before,
                    false => end,
                });
        let step = self.style.step.map(i64::from);
        let count = step.map(|step| version.count_at(*from, moment) / step * step);
        Some(ListedJob {
            job_id: Some(self.id.to_owned()),
            status: Some(status).filter(|_| is_there(0)),
            start_time: start.filter(|_| is_there(1)),
            last_heartbeat_time: heartbeat.filter(|_| is_there(2)),
            completion_time: completed.and_then(text),
            processed_records_count: count.filter(|_| is_there(3)),
            // Some of those of an import; nobody tells of them before it has completed.
            failed_records_count: count.filter(|_| is_import).map(|count| count % 3),
            total_records_count: self.style.work.total.map(i64::from).filter(|_| is_there(4)),
            detector_name: self.style.work.detector.map(str::to_owned),
            event_type_name: self.style.work.event_type.map(str::to_owned),
            ..ListedJob::default()
        })
    }
}
