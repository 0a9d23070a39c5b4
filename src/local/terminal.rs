//! What one run over a listing file did, for people and for programs.
//!
//! Text from a listing goes through [`one_line`], and JSON is written in ASCII, so that nothing in a file can
//! steer the terminal.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::io::IsTerminal as _;

use comfy_table::{Cell, Color, ContentArrangement, Table, presets};
use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::listing::Listing;
use super::state::Memory;
use crate::message::{Message, in_words, one_line};
use crate::run::Answer;
use crate::watch::Job;
use crate::watch::job::End;
use crate::watch::life::{first_sign, sign_of_life};

/// As many jobs that ended, and of which nothing is told, are shown.
const ENDED_ROWS: usize = 10;

/// Where a run's clock came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ClockFrom {
    /// From whoever called.
    Given,
    /// The latest time in the file.
    LatestTime,
    /// The computer's: the file has no time.
    Computer,
    /// The computer's, just before an account was listed.
    Live,
}

impl fmt::Display for ClockFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Given => "as given",
            Self::LatestTime => {
                "the latest time in the file; FILE@TIME, or --now for the last, changes it"
            }
            Self::Computer => {
                "the computer's, as the file has no time; FILE@TIME, or --now for the last, changes it"
            }
            Self::Live => "when the listing began",
        })
    }
}

/// What a run over one listing did.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The file.
    pub listing: String,
    /// What time it was.
    pub clock: Timestamp,
    /// Why that.
    pub clock_from: ClockFrom,
    /// What the run says of itself.
    pub answer: Answer,
    /// The jobs of the listing: active ones first, then those that something is told of, the newest of each first.
    pub jobs: Vec<Seen>,
    /// What would have been published.
    #[serde(rename = "notices", serialize_with = "all_events")]
    pub messages: Vec<Message>,
    /// What went wrong.
    pub failures: Vec<String>,
}

/// A job of the listing.
#[derive(Clone, Debug, Serialize)]
pub struct Seen {
    /// The job.
    #[serde(flatten)]
    pub job: Job,
    /// The last sign of life of an active job; when another ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_sign_at: Option<Timestamp>,
    /// The kinds of notices about it, from this listing.
    pub told: Vec<String>,
    #[serde(skip)]
    is_bad: bool,
}

/// Where a report is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Screen {
    /// The columns to stay within; `None` for any number.
    pub width: Option<u16>,
    /// Whether to use colour.
    pub colour: bool,
}

impl Screen {
    /// The standard output: a terminal has a width, and colour unless `NO_COLOR` is set.
    pub fn of_stdout(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let is_terminal = std::io::stdout().is_terminal();
        let columns = lookup("COLUMNS").and_then(|columns| columns.parse().ok());
        Self {
            width: columns
                .filter(|_| is_terminal)
                .or_else(|| Table::new().width())
                // A terminal that does not know its width says 0.
                .filter(|columns| *columns > 0),
            colour: is_terminal && lookup("NO_COLOR").is_none_or(|value| value.is_empty()),
        }
    }
}

/// The jobs of a listing as the run left them; of one that is listed twice, the later.
pub fn seen(listing: &Listing, memory: &Memory, now: Timestamp, messages: &[Message]) -> Vec<Seen> {
    let mut told: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for event in messages.iter().flat_map(events) {
        if let Some(id) = event.pointer("/data/job/id").and_then(Value::as_str) {
            told.entry(id).or_default().push(event);
        }
    }
    let read = |listed: &crate::watch::ListedJob| {
        Job::read(listed.clone())
            .ok()
            .map(|job| job.plausible_at(now))
    };
    let jobs: BTreeMap<_, _> = listing
        .jobs()
        .filter_map(read)
        .map(|job| (job.id.clone(), job))
        .collect();
    let mut seen: Vec<_> = jobs
        .into_values()
        .map(|job| {
            let last_sign_at = match job.end() {
                None => Some(match memory.job(&job.id) {
                    Some(record) => sign_of_life(&record, &job, now),
                    None => first_sign(&job, now),
                }),
                Some(_) => job.finished_at(),
            };
            let events = told.get(job.id.as_str()).map(Vec::as_slice);
            let data = |name: &'static str| {
                let data = events.unwrap_or_default().iter();
                data.filter_map(move |event| event.get("data")?.get(name)?.as_str())
            };
            Seen {
                last_sign_at,
                told: data("kind").map(str::to_owned).collect(),
                is_bad: matches!(job.end(), Some(End::Failed | End::Unknown))
                    || data("severity").any(|it| it == "error"),
                job,
            }
        })
        .collect();
    seen.sort_by(|a, b| {
        let rank = |seen: &Seen| {
            let when = seen.job.started_at.max(seen.last_sign_at);
            (seen.job.end().is_none(), !seen.told.is_empty(), when)
        };
        rank(b).cmp(&rank(a))
    });
    seen
}

/// What a message tells of: one event, or those of a digest.
fn events(message: &Message) -> &[Value] {
    match message.event.pointer("/data/events") {
        Some(Value::Array(events)) => events,
        Some(_) | None => std::slice::from_ref(&message.event),
    }
}

/// JSON for a terminal: indented, in ASCII.
pub fn ascii_json(value: &Value) -> Result<String, serde_json::Error> {
    Ok(in_ascii(&serde_json::to_string_pretty(value)?))
}

/// JSON with everything but ASCII written out, and a line break at its end.
fn in_ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if c == '\n' || c.is_ascii() && !c.is_control() {
            text.push(c);
            continue;
        }
        // Within a string, where alone such a character can stand, this is the same.
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing to a String cannot fail.
            let _ = write!(text, "\\u{unit:04x}");
        }
    }
    text.push('\n');
    text
}

impl Report {
    /// For programs: JSON on one line, in ASCII.
    pub fn json(&self) -> Result<String, serde_json::Error> {
        Ok(in_ascii(&serde_json::to_string(self)?))
    }

    /// For people: the jobs, and the notices as an inbox would get them.
    pub fn text(&self, screen: Screen) -> String {
        let mut lines = vec![
            format!("== {}", one_line(&self.listing)),
            format!("clock: {} ({})", self.clock, self.clock_from),
            self.counts(),
        ];
        if !self.jobs.is_empty() {
            lines.push(String::new());
            lines.extend(self.table(screen));
        }
        lines.push(String::new());
        let notices: usize = self
            .messages
            .iter()
            .map(|message| events(message).len())
            .sum();
        lines.push(match (notices, self.messages.len()) {
            (0, _) => "No notice would go out.".to_owned(),
            (1, _) => "1 notice would go out:".to_owned(),
            (n, messages) if n == messages => format!("{n} notices would go out:"),
            (n, 1) => format!("{n} notices would go out, in one message:"),
            (n, messages) => format!("{n} notices would go out, in {messages} messages:"),
        });
        for message in &self.messages {
            lines.push(String::new());
            if let Some(subject) = &message.subject {
                lines.push(format!("  Subject: {subject}"));
                lines.push(String::new());
            }
            let body = message.form("email").lines();
            lines.extend(body.map(|line| format!("  {line}").trim_end().to_owned()));
        }
        lines.push(String::new());
        lines.push(String::new());
        lines.join("\n")
    }

    fn counts(&self) -> String {
        let Answer {
            jobs,
            pages,
            unreadable,
            complete,
            ..
        } = self.answer;
        let many = |n: u64, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        let mut counts = format!("{} on {}", many(jobs, "job"), many(pages, "page"));
        let mut mark = ": ";
        for (status, n) in &self.answer.by_status {
            counts += &format!("{mark}{n} {}", one_line(status));
            mark = ", ";
        }
        if unreadable > 0 {
            counts += &format!("{mark}{unreadable} unreadable");
        }
        if !complete {
            counts += "; INCOMPLETE, so nothing is concluded of jobs that are not in it";
        }
        counts
    }

    fn table(&self, screen: Screen) -> Vec<String> {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        match screen.width {
            Some(width) => table
                .set_content_arrangement(ContentArrangement::Dynamic)
                .set_width(width),
            None => table.set_content_arrangement(ContentArrangement::Disabled),
        };
        if screen.colour {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        table.set_header(["JOB", "STATUS", "PROGRESS", "LAST SIGN OF LIFE", "TOLD"]);
        let (mut ended, mut left_out) = (0, 0);
        for seen in &self.jobs {
            if seen.job.end().is_some() && seen.told.is_empty() {
                ended += 1;
                if ended > ENDED_ROWS {
                    left_out += 1;
                    continue;
                }
            }
            let cells = self.row(seen).into_iter().map(|text| {
                let cell = Cell::new(text);
                if seen.is_bad {
                    cell.fg(Color::Red)
                } else {
                    cell
                }
            });
            table.add_row(cells);
        }
        if let Some(first) = table.column_mut(0) {
            first.set_padding((0, 1));
        }
        let mut lines: Vec<_> = table.trim_fmt().lines().map(str::to_owned).collect();
        if left_out > 0 {
            lines.push(format!("and {left_out} more, ended earlier"));
        }
        lines
    }

    fn row(&self, seen: &Seen) -> [String; 5] {
        let absent = || "-".to_owned();
        let Seen {
            job,
            last_sign_at,
            told,
            ..
        } = seen;
        let progress = match (job.processed_records, job.total_records) {
            (Some(processed), Some(total)) => format!("{processed}/{total}"),
            (Some(processed), None) => processed.to_string(),
            (None, _) => absent(),
        };
        let ended = if job.end().is_some() { "ended " } else { "" };
        let age = last_sign_at.map(|at| self.clock.duration_since(at));
        let told: BTreeSet<_> = told.iter().map(String::as_str).collect();
        let told: Vec<_> = told.into_iter().collect();
        [
            one_line(job.id.as_str()),
            one_line(&job.status.to_string()),
            progress,
            age.map_or_else(absent, |age| match age.as_secs() {
                1.. => format!("{ended}{} ago", in_words(age)),
                0 => format!("{ended}now"),
                _ => format!("{ended}in {}", in_words(-age)),
            }),
            if told.is_empty() {
                absent()
            } else {
                told.join(", ")
            },
        ]
    }
}

fn all_events<S: Serializer>(messages: &[Message], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(messages.iter().flat_map(events))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::ListedJob;

    #[test]
    fn many_ended_jobs_are_counted_not_listed() {
        let jobs = (0..10_000).map(|i| ListedJob {
            job_id: Some(format!("job-{i:05}")),
            status: Some(if i == 7 { "IN_PROGRESS" } else { "COMPLETE" }.to_owned()),
            start_time: Some(format!("2026-03-01T{:02}:{:02}:00Z", i / 600, i / 10 % 60)),
            ..ListedJob::default()
        });
        let listing = Listing::of_pages([jobs.collect()]);
        let now = "2026-03-02T08:00:00Z".parse().unwrap_or_default();
        let report = Report {
            listing: "many.json".to_owned(),
            clock: now,
            clock_from: ClockFrom::Given,
            answer: Answer::default(),
            jobs: seen(&listing, &Memory::default(), now, &[]),
            messages: Vec::new(),
            failures: Vec::new(),
        };
        let text = report.text(Screen {
            width: None,
            colour: false,
        });
        let rows: Vec<_> = text
            .lines()
            .filter(|line| line.starts_with("job-"))
            .collect();
        assert_eq!(rows.len(), ENDED_ROWS + 1);
        assert!(rows.iter().take(1).all(|row| row.starts_with("job-00007")));
        assert!(
            text.contains("and 9989 more, ended earlier"),
            "what is left out is counted"
        );
        let narrow = report.text(Screen {
            width: Some(60),
            colour: true,
        });
        assert!(
            narrow
                .lines()
                .filter(|line| line.contains("job-"))
                .all(|line| line.len() <= 60)
        );
    }
}
