//! The figures, and the tables made of them.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::process::Command;

use serde_json::{Value, json};

use super::CHANGES;
use super::lab::table::Counts;

/// What was measured: how many jobs are listed, how long a page takes, and, with a share of a processor, that of
/// a Lambda with how much memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Case {
    pub(crate) memory: Option<u32>,
    pub(crate) latency: u64,
    pub(crate) jobs: usize,
}

#[derive(Default)]
pub(crate) struct Results {
    /// By case, contender and what was measured.
    figures: BTreeMap<(Case, &'static str, String), Vec<f64>>,
    /// By case, contender and kind of run; all runs of a kind ask the same.
    counts: BTreeMap<(Case, &'static str, &'static str), Counts>,
    pub(crate) zip_bytes: u64,
}

/// What puts the tables into tests/bench/README.md.
pub(crate) const PLACE: &str = "tests/run bench --write";
/// A run in five minutes, for a month.
const RUNS_A_MONTH: f64 = 30.0 * 24.0 * 12.0;
/// Dollars, on arm64 in us-east-1.
const GB_SECOND: f64 = 0.000_013_333_4;

const OURS: &str = "fraud-job-watch";
const OF_BOTH: &str = "fraud-job-watch of both";
const BOTO3: &str = "boto3";
const FLOOR: &str = "floor";

/// The middle of what was measured, and half the distance between its quartiles.
struct Figure {
    median: f64,
    spread: f64,
}

impl Results {
    pub(crate) fn note(&mut self, case: Case, name: &'static str, what: &str, value: f64) {
        let key = (case, name, what.to_owned());
        self.figures.entry(key).or_default().push(value);
    }

    pub(crate) fn count(
        &mut self,
        case: Case,
        name: &'static str,
        run: &'static str,
        counts: Counts,
    ) {
        self.counts.insert((case, name, run), counts);
    }

    fn figure(&self, case: Case, name: &'static str, what: &str) -> Option<Figure> {
        let mut values = self.figures.get(&(case, name, what.to_owned()))?.clone();
        values.sort_by(f64::total_cmp);
        let at = |part: f64| {
            let place = part * (values.len() - 1) as f64;
            let (low, high) = (
                values[place.floor() as usize],
                values[place.ceil() as usize],
            );
            low + (high - low) * place.fract()
        };
        Some(Figure {
            median: at(0.5),
            spread: (at(0.75) - at(0.25)) / 2.0,
        })
    }

    fn median(&self, case: Case, name: &'static str, what: &str) -> Option<f64> {
        Some(self.figure(case, name, what)?.median)
    }

    fn ratio(&self, case: Case, what: &str, over: &'static str) -> Option<f64> {
        Some(self.median(case, OURS, what)? / self.median(case, over, what)?)
    }

    fn cases(&self, shared: bool) -> Vec<Case> {
        let mut cases: Vec<Case> = self.figures.keys().map(|(case, ..)| *case).collect();
        cases.dedup();
        cases.retain(|case| case.memory.is_some() == shared);
        cases
    }

    /// Everything, for whoever computes with it.
    pub(crate) fn json(&self) -> Value {
        let mut rows = Vec::new();
        for (case, name, what) in self.figures.keys() {
            let figure = self.figure(*case, name, what).unwrap();
            rows.push(json!({
                "jobs": case.jobs, "latency_ms": case.latency, "memory_mb": case.memory,
                "contender": name, "what": what, "median": figure.median, "spread": figure.spread,
                "values": self.figures[&(*case, *name, what.clone())],
            }));
        }
        let mut counts = Vec::new();
        for ((case, name, run), count) in &self.counts {
            counts.push(json!({
                "jobs": case.jobs, "latency_ms": case.latency, "contender": name, "run": run,
                "requests": count.requests, "written_bytes": count.written_bytes,
                "write_units": count.write_units, "read_units": count.read_units,
            }));
        }
        json!({"zip_bytes": self.zip_bytes, "changes": CHANGES, "figures": rows, "counts": counts})
    }

    /// The tables for a reader.
    pub(crate) fn tables(&self) -> String {
        let mut text = format!("{}\n", machine());
        self.idle_runs(&mut text);
        self.processor_and_memory(&mut text);
        self.kinds_of_runs(&mut text);
        self.second_source(&mut text);
        self.shares(&mut text);
        self.marks(&mut text);
        text
    }

    fn idle_runs(&self, text: &mut String) {
        let head = ["fraud-job-watch", "boto3", "floor", "÷ floor"];
        self.table(text, "How long an idle run takes, ms", &head, |case| {
            vec![
                self.cell(case, OURS, "idle"),
                self.cell(case, BOTO3, "idle"),
                self.cell(case, FLOOR, "idle"),
                times(self.ratio(case, "idle", FLOOR)),
            ]
        });
    }

    fn processor_and_memory(&self, text: &mut String) {
        let head = [
            "processor, ms",
            "boto3's",
            "÷ boto3's",
            "peak, MiB",
            "boto3's",
        ];
        self.table(
            text,
            "Processor time of an idle run, and peak memory of all runs",
            &head,
            |case| {
                vec![
                    self.cell(case, OURS, "idle cpu"),
                    self.cell(case, BOTO3, "idle cpu"),
                    times(self.ratio(case, "idle cpu", BOTO3)),
                    self.cell(case, OURS, "peak"),
                    self.cell(case, BOTO3, "peak"),
                ]
            },
        );
    }

    /// The case that is looked at closely: 10,000 jobs at 20 ms, or else the largest of which all was measured.
    fn typical(&self) -> Option<Case> {
        let cases = self.cases(false);
        let typical = cases
            .iter()
            .find(|case| case.latency == 20 && case.jobs == 10_000);
        let all = |case: &&Case| self.median(**case, BOTO3, "changed").is_some();
        let largest = || cases.iter().filter(all).max_by_key(|case| case.jobs);
        typical.or_else(largest).copied()
    }

    fn kinds_of_runs(&self, text: &mut String) {
        let Some(case) = self.typical() else {
            return;
        };
        let _ = write!(
            text,
            "\n**{} jobs, {} ms a page**\n\n| | fraud-job-watch | boto3 |\n|---|---|---|\n",
            grouped(case.jobs),
            case.latency
        );
        let mut row = |title: &str, cell: &dyn Fn(&'static str) -> String| {
            let _ = writeln!(text, "| {title} | {} | {} |", cell(OURS), cell(BOTO3));
        };
        let figures = [
            ("start to ready, ms", "start"),
            ("first run ever, ms", "first"),
            ("idle run, ms", "idle"),
            ("run with changes, ms", "changed"),
            ("processor time of start, ms", "start cpu"),
            ("of a first run ever, ms", "first cpu"),
            ("of an idle run, ms", "idle cpu"),
            ("of start and an idle run, ms", "cold idle cpu"),
            ("of a run with changes, ms", "changed cpu"),
            ("peak memory, MiB", "peak"),
        ];
        for (title, what) in figures {
            row(title, &|name| self.cell(case, name, what));
        }
        let runs = [
            ("a first run ever", "first"),
            ("an idle run", "idle"),
            (&format!("a run with {CHANGES} changes") as &str, "changed"),
        ];
        for (title, run) in runs {
            row(&format!("requests of {title}"), &|name| {
                self.asked(case, name, run)
            });
        }
        for (title, run) in runs {
            row(&format!("bytes written by {title}"), &|name| {
                let counts = self.counts.get(&(case, name, run));
                counts.map_or("–".to_owned(), |counts| {
                    grouped(usize::try_from(counts.written_bytes).unwrap())
                })
            });
        }
    }

    /// What it costs to watch imports as well.
    fn second_source(&self, text: &mut String) {
        let Some(case) = self.typical() else {
            return;
        };
        let _ = write!(
            text,
            "\n**Batch imports as well: {} jobs and a page of 50 imports, {} ms a page**\n\n\
             | | batch predictions | both |\n|---|---|---|\n",
            grouped(case.jobs),
            case.latency
        );
        for (title, what) in [
            ("start to ready, ms", "start"),
            ("idle run, ms", "idle"),
            ("processor time of an idle run, ms", "idle cpu"),
            ("peak memory, MiB", "peak"),
        ] {
            let [one, both] = [OURS, OF_BOTH].map(|name| self.cell(case, name, what));
            let _ = writeln!(text, "| {title} | {one} | {both} |");
        }
        let [one, both] = [OURS, OF_BOTH].map(|name| self.asked(case, name, "idle"));
        let _ = writeln!(text, "| requests of an idle run | {one} | {both} |");
    }

    /// Requests by kind, in words.
    fn asked(&self, case: Case, name: &'static str, run: &'static str) -> String {
        let Some(counts) = self.counts.get(&(case, name, run)) else {
            return "–".to_owned();
        };
        let kinds = counts.requests.iter();
        let kinds: Vec<_> = kinds.map(|(kind, n)| format!("{n} {kind}")).collect();
        kinds.join(", ")
    }

    fn shares(&self, text: &mut String) {
        let cases = self.cases(true);
        if cases.is_empty() {
            return;
        }
        text.push_str(
            "\n**With the share of a processor that Lambda gives for its memory, 20 ms a page**\n\n\
             Times in ms. Dollars a month are those of Lambda's time at a run in 5 minutes, if every start is warm, or \
             every one cold.\n\n\
             | function | jobs | memory | start to ready | first run after it | warm run | $ warm | $ cold |\n\
             |---|---|---|---|---|---|---|---|\n",
        );
        let mut cases = cases;
        cases.sort_by_key(|case| (case.jobs, case.memory));
        for name in [OURS, BOTO3] {
            for case in &cases {
                let memory = case.memory.unwrap_or_default();
                let milliseconds = |what| self.median(*case, name, what);
                let dollars = |ms: Option<f64>| {
                    ms.map_or("–".to_owned(), |ms| {
                        let gb_seconds = ms / 1e3 * f64::from(memory) / 1024.0;
                        format!("{:.3}", gb_seconds * GB_SECOND * RUNS_A_MONTH)
                    })
                };
                let cold = milliseconds("start").zip(milliseconds("cold idle"));
                let row = [
                    name.to_owned(),
                    grouped(case.jobs),
                    format!("{memory} MB"),
                    self.cell(*case, name, "start"),
                    self.cell(*case, name, "cold idle"),
                    self.cell(*case, name, "idle"),
                    dollars(milliseconds("idle")),
                    dollars(cold.map(|(start, run)| start + run)),
                ];
                let _ = writeln!(text, "| {} |", row.join(" | "));
            }
        }
    }

    fn marks(&self, text: &mut String) {
        let case = |latency, jobs| Case {
            memory: None,
            latency,
            jobs,
        };
        let ten_thousand = |latency| case(latency, 10_000);
        text.push_str("\n**Marks**\n\n| mark | measured | at most | |\n|---|---|---|---|\n");
        let mut mark = |name: &str, measured: Option<f64>, most: f64, unit: &str| {
            if let Some(measured) = measured {
                let met = if measured <= most {
                    "met"
                } else {
                    "**not met**"
                };
                let digits = match most {
                    0.0 => 0,
                    ..2.0 => 3,
                    _ => 1,
                };
                let _ = writeln!(
                    text,
                    "| {name} | {measured:.digits$}{unit} | {most:.digits$}{unit} | {met} |"
                );
            }
        };
        mark(
            "idle run ÷ floor, 10,000 jobs, 20 ms",
            self.ratio(ten_thousand(20), "idle", FLOOR),
            1.05,
            "",
        );
        for latency in [0, 20] {
            let name = |what: &str| format!("{what}, 10,000 jobs, {latency} ms");
            mark(
                &name("processor time from start through an idle run ÷ boto3's"),
                self.ratio(ten_thousand(latency), "cold idle cpu", BOTO3),
                0.1,
                "",
            );
            mark(
                &name("processor time of a warm idle run ÷ boto3's"),
                self.ratio(ten_thousand(latency), "idle cpu", BOTO3),
                1.0 / 6.0,
                "",
            );
        }
        mark(
            "start to ready ÷ boto3's",
            self.ratio(ten_thousand(0), "start", BOTO3),
            0.05,
            "",
        );
        let peak = self.median(ten_thousand(0), OURS, "peak");
        mark("peak memory, 10,000 jobs", peak, 24.0, " MiB");
        let million = self.median(case(0, 1_000_000), OURS, "peak");
        mark(
            "peak memory at 1,000,000 jobs over that at 10,000",
            million.zip(peak).map(|(million, peak)| million - peak),
            4.0,
            " MiB",
        );
        let typical = self.typical();
        let counts = |run| self.counts.get(&(typical?, OURS, run));
        let idle = counts("idle");
        mark(
            "writes of an idle run",
            idle.map(|counts| counts.writes() as f64),
            0.0,
            "",
        );
        mark(
            "Queries of an idle run for each MB of state begun",
            idle.map(|counts| {
                let megabytes = counts.read_units * 8_192.0 / f64::from(1 << 20);
                counts.of("Query") as f64 / megabytes.ceil()
            }),
            1.0,
            "",
        );
        mark(
            "writes of a run with changes, for each change",
            counts("changed").map(|counts| counts.writes() as f64 / CHANGES as f64),
            3.0,
            "",
        );
        mark(
            "growth of processor time: the exponent of jobs that fits best",
            self.exponent(),
            1.05,
            "",
        );
        mark(
            "zipped artifact",
            Some(self.zip_bytes as f64 / 1e6),
            4.0,
            " MB",
        );
    }

    /// The slope of log processor time over log jobs, by least squares, where the jobs outweigh the rest.
    fn exponent(&self) -> Option<f64> {
        let points: Vec<(f64, f64)> = self
            .cases(false)
            .into_iter()
            .filter(|case| case.latency == 0 && case.jobs >= 1_000)
            .filter_map(|case| {
                let cpu = self.median(case, OURS, "idle cpu")?;
                Some(((case.jobs as f64).ln(), cpu.ln()))
            })
            .collect();
        if points.len() < 2 {
            return None;
        }
        let n = points.len() as f64;
        let mean_x = points.iter().map(|(x, _)| x).sum::<f64>() / n;
        let mean_y = points.iter().map(|(_, y)| y).sum::<f64>() / n;
        let covariance: f64 = points
            .iter()
            .map(|(x, y)| (x - mean_x) * (y - mean_y))
            .sum();
        let variance: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
        Some(covariance / variance)
    }

    fn table(
        &self,
        text: &mut String,
        title: &str,
        head: &[&str],
        row: impl Fn(Case) -> Vec<String>,
    ) {
        let _ = write!(
            text,
            "\n**{title}**\n\n| jobs | a page | {} |\n|---|---|{}\n",
            head.join(" | "),
            "---|".repeat(head.len())
        );
        for case in self.cases(false) {
            let cells = row(case).join(" | ");
            let _ = writeln!(
                text,
                "| {} | {} ms | {cells} |",
                grouped(case.jobs),
                case.latency
            );
        }
    }

    fn cell(&self, case: Case, name: &'static str, what: &str) -> String {
        self.figure(case, name, what)
            .map_or("–".to_owned(), |figure| {
                let digits = match figure.median {
                    ..10.0 => 1,
                    _ => 0,
                };
                format!("{:.digits$} ±{:.digits$}", figure.median, figure.spread)
            })
    }
}

fn times(ratio: Option<f64>) -> String {
    ratio.map_or("–".to_owned(), |ratio| {
        let digits = if ratio < 2.0 { 3 } else { 1 };
        format!("{ratio:.digits$}")
    })
}

fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// What it was measured on.
fn machine() -> String {
    let read = |file: &str| std::fs::read_to_string(file).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1))
        .unwrap_or("unknown processor")
        .to_owned();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let says = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output();
        let said = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
        said.unwrap_or_default()
    };
    let kernel = read("/proc/sys/kernel/osrelease").trim().to_owned();
    let rustc = says("rustc", &["--version"]);
    let rustc = rustc.split(" (").next().unwrap_or_default().to_owned();
    let versions = "import boto3, platform; print('Python', platform.python_version() + ', boto3', boto3.__version__)";
    let python = says(super::contenders::PYTHON, &["-c", versions]);
    format!(
        "{cores} × {model}, {}, Linux {kernel}, {rustc}, {python}.",
        std::env::consts::ARCH
    )
}
