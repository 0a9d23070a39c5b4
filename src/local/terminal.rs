//! A report as a terminal shows it: the table of jobs, and the notices.
//!
//! Text from a listing goes through [`one_line`], and JSON is written in ASCII, so that nothing in a file can
//! steer the terminal.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::IsTerminal as _;

use comfy_table::{Cell, Color, ContentArrangement, Table, presets};
use jiff::Timestamp;
use serde_json::Value;

use super::report::{Report, Seen};
use crate::message::{Message, counted, in_words, noun, one_line};

/// As many jobs that ended, and of which nothing is reported, are shown.
const ENDED_ROWS: usize = 10;

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

/// JSON for a terminal: indented, in ASCII.
pub fn ascii_json(value: &Value) -> Result<String, serde_json::Error> {
    Ok(in_ascii(&serde_json::to_string_pretty(value)?))
}

/// JSON with everything but ASCII written out, and a line break at its end.
pub(super) fn in_ascii(json: &str) -> String {
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
    /// For people: the jobs, and the notices as an inbox would get them.
    pub fn text(&self, screen: Screen) -> String {
        let mut lines = vec![
            format!("== {}", one_line(&self.listing)),
            format!("clock: {} ({})", self.clock, self.clock_from.in_words()),
            self.counts(),
        ];
        if !self.jobs.is_empty() {
            lines.push(String::new());
            lines.extend(self.table(screen));
        }
        lines.push(String::new());
        let notices = self.messages.iter().flat_map(Message::events).count();
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
        lines.join("\n") + "\n\n"
    }

    fn counts(&self) -> String {
        let (answer, noun) = (&self.answer, noun(self.source));
        let (jobs, pages) = (counted(answer.jobs, noun), counted(answer.pages, "page"));
        let mut counts = format!("{jobs} on {pages}");
        let mut mark = ": ";
        for (status, n) in &answer.by_status {
            counts += &format!("{mark}{n} {}", one_line(status));
            mark = ", ";
        }
        if answer.unreadable > 0 {
            counts += &format!("{mark}{} unreadable", answer.unreadable);
        }
        if !answer.complete {
            counts +=
                &format!("; INCOMPLETE, so nothing is concluded of {noun}s that are not in it");
        }
        counts
    }

    fn table(&self, screen: Screen) -> Vec<String> {
        let shows_due = self.jobs.iter().any(|seen| seen.due_at.is_some());
        let noun = noun(self.source).to_uppercase();
        let mut header = vec![noun.as_str(), "STATUS", "PROGRESS", "LAST SIGN OF LIFE"];
        header.extend(shows_due.then_some("DUE"));
        header.push("REPORTED");
        let mut table = table(screen, &header);
        let is_old_news = |seen: &&Seen| seen.job.end().is_some() && seen.reported.is_empty();
        let ended = self.jobs.iter().filter(is_old_news).count();
        let left_out = ended.saturating_sub(ENDED_ROWS);
        // They are the last.
        for seen in self.jobs.iter().take(self.jobs.len() - left_out) {
            add_row(&mut table, self.row(seen, shows_due), seen.is_bad);
        }
        let mut lines = lines(table);
        if left_out > 0 {
            lines.push(format!("and {left_out} more, ended earlier"));
        }
        lines
    }

    fn row(&self, seen: &Seen, shows_due: bool) -> Vec<String> {
        let absent = || "-".to_owned();
        let job = &seen.job;
        let progress = match (job.processed_records, job.total_records) {
            (Some(processed), Some(total)) => format!("{processed}/{total}"),
            (Some(processed), None) => processed.to_string(),
            (None, _) => absent(),
        };
        let progress = match job.failed_records {
            Some(failed @ 1..) => format!("{progress}, {failed} failed"),
            Some(0) | None => progress,
        };
        let ended = if job.end().is_some() { "ended " } else { "" };
        let age = seen.last_sign_at.map(|at| self.clock.duration_since(at));
        let reported: BTreeSet<_> = seen.reported.iter().map(String::as_str).collect();
        let reported: Vec<_> = reported.into_iter().collect();
        let mut row = vec![
            one_line(job.id.as_str()),
            one_line(&job.status.to_string()),
            progress,
            age.map_or_else(absent, |age| match age.as_secs() {
                1.. => format!("{ended}{} ago", in_words(age)),
                0 => format!("{ended}now"),
                _ => format!("{ended}in {}", in_words(-age)),
            }),
        ];
        let due = seen
            .due_at
            .map(|due| format!("about {}", self.time_of_day(due)));
        row.extend(shows_due.then(|| due.unwrap_or_default()));
        row.push(match reported.is_empty() {
            true => absent(),
            false => reported.join(", "),
        });
        row
    }

    /// With the date if that is not the clock's.
    fn time_of_day(&self, at: Timestamp) -> String {
        let date = |at: Timestamp| at.strftime("%Y-%m-%d").to_string();
        match date(at) == date(self.clock) {
            true => at.strftime("%H:%M UTC").to_string(),
            false => to_the_minute(at),
        }
    }
}

pub(super) fn to_the_minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// A table without rows.
pub(super) fn table(screen: Screen, header: &[&str]) -> Table {
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
    table.set_header(header);
    table
}

/// Adds a row, in red if it is bad. The text must be fit to print.
pub(super) fn add_row(table: &mut Table, row: impl IntoIterator<Item = String>, is_bad: bool) {
    table.add_row(row.into_iter().map(|text| match is_bad {
        true => Cell::new(text).fg(Color::Red),
        false => Cell::new(text),
    }));
}

/// The lines of a table, its first column at the margin.
pub(super) fn lines(mut table: Table) -> Vec<String> {
    if let Some(first) = table.column_mut(0) {
        first.set_padding((0, 1));
    }
    table.trim_fmt().lines().map(str::to_owned).collect()
}
