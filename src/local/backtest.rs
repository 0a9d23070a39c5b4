//! What a backtest found, for people and for programs.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde::Serialize;

use super::terminal::{Screen, add_row, in_ascii, lines, table, to_the_minute};
use crate::message::{counted, in_words, noun, one_line};
use crate::watch::SourceKind;
use crate::watch::backtest::{Backtest, JudgedJob, Missed};
use crate::watch::detector::ANY_DETECTOR;
use crate::watch::job::End;

/// What a backtest found in listings.
#[derive(Clone, Debug, Serialize)]
pub struct BacktestReport {
    /// The files.
    pub listings: Vec<String>,
    /// Which kind of job they list.
    #[serde(skip)]
    pub source: SourceKind,
    /// What was found.
    #[serde(flatten)]
    pub found: Backtest,
    /// How many jobs that makes, by the month in which they ended, in UTC.
    pub months: BTreeMap<String, Month>,
}

/// The jobs that ran and ended in one month.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Month {
    /// All of them.
    pub jobs: u64,
    /// Those that would have been reported as overdue.
    pub overdue: u64,
    /// Those of the overdue that completed all the same.
    pub overdue_completed: u64,
}

impl BacktestReport {
    /// What was found in these files.
    pub fn new(listings: Vec<String>, source: SourceKind, found: Backtest) -> Self {
        let mut months: BTreeMap<String, Month> = BTreeMap::new();
        for JudgedJob {
            job, overdue_at, ..
        } in &found.jobs
        {
            let month = job.completed_at.map(|at| at.strftime("%Y-%m").to_string());
            let month = months.entry(month.unwrap_or_default()).or_default();
            let has_completed = job.end() == Some(End::Completed);
            month.jobs += 1;
            month.overdue += u64::from(overdue_at.is_some());
            month.overdue_completed += u64::from(overdue_at.is_some() && has_completed);
        }
        Self {
            listings,
            source,
            found,
            months,
        }
    }

    /// For programs: JSON on one line, in ASCII.
    pub fn json(&self) -> Result<String, serde_json::Error> {
        Ok(in_ascii(&serde_json::to_string(self)?))
    }

    /// For people: the jobs, the months, and the deadlines that were missed.
    pub fn text(&self, screen: Screen) -> String {
        let files = self.listings.iter().map(|file| one_line(file));
        let files: Vec<_> = files.collect();
        let mut text = vec![format!("== {}", files.join(", ")), self.span()];
        let months = self.months.iter();
        let sections = [
            self.jobs(screen),
            months.map(|month| self.month(month)).collect(),
            self.deadlines(screen),
        ];
        for section in sections.into_iter().filter(|lines| !lines.is_empty()) {
            text.push(String::new());
            text.extend(section);
        }
        text.push(String::new());
        text.join("\n")
    }

    fn span(&self) -> String {
        let Backtest {
            from,
            until,
            complete,
            jobs,
            ..
        } = &self.found;
        let incomplete = match complete {
            true => "",
            false => "; INCOMPLETE, so nothing is concluded of what is usual or missing",
        };
        let (judged, from, until) = (
            jobs.len() as u64,
            to_the_minute(*from),
            to_the_minute(*until),
        );
        let judged = counted(judged, &format!("past {}", noun(self.source)));
        format!("{judged}, from {from} to {until}{incomplete}")
    }

    fn jobs(&self, screen: Screen) -> Vec<String> {
        if self.found.jobs.is_empty() {
            return Vec::new();
        }
        let alike = match self.source.has_detectors() {
            true => "DETECTOR",
            false => "EVENT TYPE",
        };
        let mut table = table(
            screen,
            &[
                &noun(self.source).to_uppercase(),
                alike,
                "STATUS",
                "ENDED",
                "USUAL",
                "LIMIT",
                "TAKEN",
                "OVERDUE AT",
            ],
        );
        for past in &self.found.jobs {
            add_row(&mut table, self.row(past), past.overdue_at.is_some());
        }
        lines(table)
    }

    fn row(&self, past: &JudgedJob) -> [String; 8] {
        let absent = || "-".to_owned();
        let seconds = |seconds| in_words(SignedDuration::from_secs(seconds));
        let JudgedJob { job, usual, .. } = past;
        let alike = match self.source.has_detectors() {
            true => &job.detector,
            false => &job.event_type,
        };
        [
            one_line(job.id.as_str()),
            alike.as_deref().map_or_else(absent, one_line),
            one_line(&job.status.to_string()),
            job.completed_at.map_or_else(absent, to_the_minute),
            usual.map_or_else(absent, |usual| seconds(usual.median_s)),
            past.limit_s.map_or_else(absent, seconds),
            seconds(past.taken_s),
            past.overdue_at.map_or_else(absent, to_the_minute),
        ]
    }

    fn month(&self, (month, counts): (&String, &Month)) -> String {
        let Month {
            jobs,
            overdue,
            overdue_completed,
        } = counts;
        let completed = match (overdue, overdue_completed) {
            (0, _) => String::new(),
            (_, 0) => ", and did not complete".to_owned(),
            (all, completed) if all == completed => ", and completed all the same".to_owned(),
            (_, completed) => format!(", and {completed} of them completed all the same"),
        };
        let jobs = counted(*jobs, noun(self.source));
        format!("{month}: {overdue} of {jobs} would have been reported as overdue{completed}")
    }

    fn deadlines(&self, screen: Screen) -> Vec<String> {
        let Backtest {
            deadlines, missed, ..
        } = &self.found;
        let Some(all) = deadlines else {
            return Vec::new();
        };
        if missed.is_empty() {
            return vec![match all {
                0 => "No deadline could be judged.".to_owned(),
                _ => format!("Missed deadlines: none of {all}"),
            }];
        }
        let mut table = table(screen, &["DETECTOR", "DEADLINE", "ARRIVED"]);
        for missed in missed {
            add_row(&mut table, missed_row(missed), missed.arrived.is_none());
        }
        let counts = format!("Missed deadlines: {} of {all}", missed.len());
        [counts, String::new()]
            .into_iter()
            .chain(lines(table))
            .collect()
    }
}

fn missed_row(missed: &Missed) -> [String; 3] {
    let detector = match missed.detector.as_str() {
        ANY_DETECTOR => "any detector".to_owned(),
        name => one_line(name),
    };
    let arrived = missed.arrived.as_ref().map(|arrived| {
        let id = one_line(arrived.job_id.as_str());
        format!("{} ({id})", to_the_minute(arrived.at))
    });
    let arrived = arrived.unwrap_or_else(|| "-".to_owned());
    [detector, one_line(&missed.local), arrived]
}
