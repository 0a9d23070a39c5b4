//! The real `preview`, run on files: what it prints, what it refuses, what it keeps.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};

use http_body_util::Full;
use hyper::body::Bytes;
use serde_json::{Value, json};

use crate::lab::fraud_detector::{Fault, FraudDetector, job, with};
use crate::lab::http::Server;

const DAY: [&str; 7] = [
    "events/day/01-quiet-start.json",
    "events/day/02-completed.json",
    "events/day/03-failed.json",
    "events/day/04-stalled.json",
    "events/day/05-recovered.json",
    "events/day/06-completed.json",
    "events/day/07-vanished.json",
];

const IMPORTS: [&str; 6] = [
    "events/imports/01-quiet-start.json",
    "events/imports/02-completed-with-failures.json",
    "events/imports/03-failed.json",
    "events/imports/04-stalled.json",
    "events/imports/05-completed.json",
    "events/imports/06-overdue.json",
];

fn preview() -> Command {
    command("replay")
}

fn command(name: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_preview"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).arg(name);
    for variable in [
        "STALL_AFTER",
        "REMIND_AFTER",
        "OVERDUE_AFTER",
        "EXPECT",
        "NOTIFY_ON",
        "WATCH_NAME",
        "COLUMNS",
        "DIGEST_ABOVE",
        "WATCH",
    ] {
        command.env_remove(variable);
    }
    command
}

/// What it prints if all goes well.
fn shows(command: &mut Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    assert!(status.success(), "{status}: {stderr}");
    assert_eq!(stderr, "");
    String::from_utf8(stdout).unwrap()
}

/// What it says when it refuses: then it prints nothing else.
fn refuses(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert_eq!(output.stdout, b"");
    String::from_utf8(output.stderr).unwrap()
}

fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The kinds told, listing by listing.
fn told(command: &mut Command) -> Vec<Vec<String>> {
    let kinds = |report: Value| {
        let notices = report["notices"].as_array().unwrap().clone();
        let kind = |notice: Value| notice["data"]["kind"].as_str().unwrap().to_owned();
        notices.into_iter().map(kind).collect()
    };
    lines(&shows(command.arg("--json")))
        .into_iter()
        .map(kinds)
        .collect()
}

struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// What is told with a state that is kept here.
    fn told(&self, listing: &str) -> Vec<Vec<String>> {
        told(
            preview()
                .arg(listing)
                .arg("--state")
                .arg(self.path("state.json")),
        )
    }

    /// What is said with this desk's path left out.
    fn masked(&self, text: &str) -> String {
        text.replace(self.0.path().to_str().unwrap(), "DESK")
    }
}

fn running(id: &str, heartbeat: &str) -> Value {
    json!({"jobId": id, "status": "IN_PROGRESS", "startTime": "2026-03-02T08:00:00Z",
           "lastHeartbeatTime": heartbeat})
}

#[test]
fn the_day_that_comes_with_it() {
    insta::assert_snapshot!(shows(preview().args(DAY)));
}

#[test]
fn the_day_as_json_is_one_line_a_listing() {
    let mut reports = lines(&shows(preview().args(DAY).arg("--json")));
    assert_eq!(reports.len(), DAY.len());
    let mut stalled = reports.swap_remove(3);
    stalled["answer"]["took_ms"] = json!(0);
    insta::assert_json_snapshot!(stalled);
}

#[test]
fn the_imports_that_come_with_it() {
    insta::assert_snapshot!(shows(preview().args(IMPORTS)));
}

/// Each kind is a watch of its own, whose clock is its own too.
#[test]
fn a_replay_takes_listings_of_both_kinds() {
    let desk = Desk::new();
    let files = [DAY[0], IMPORTS[0], IMPORTS[1], DAY[1], DAY[2], IMPORTS[2]];
    let kinds = [
        ["began"],
        ["began"],
        ["completed"],
        ["completed"],
        ["failed"],
        ["failed"],
    ];
    assert_eq!(told(preview().args(files)), kinds);
    for (file, kinds) in files.iter().zip(kinds) {
        assert_eq!(desk.told(file), [kinds], "{file}");
        assert_eq!(desk.told(file), [[""; 0]], "{file} again");
    }
    let state = fs::read_to_string(desk.path("state.json")).unwrap();
    let state: Value = serde_json::from_str(&state).unwrap();
    let watches = state["watches"].as_object().unwrap();
    let sources: Vec<_> = watches.keys().map(String::as_str).collect();
    assert_eq!(
        sources,
        [
            "arn:aws:frauddetector:eu-west-1:123456789012:batch-prediction",
            "arn:aws:frauddetector:eu-west-1:123456789012:batch-import",
        ]
    );
}

#[test]
fn a_file_that_mixes_both_kinds_is_refused() {
    let desk = Desk::new();
    let predictions = json!({"batchPredictions": []}).to_string();
    let imports = json!({"batchImports": []}).to_string();
    let both = json!({"batchImports": [], "batchPredictions": []}).to_string();
    let why = |text: &str| {
        let file = desk.put("mixed.json", text);
        refuses(preview().args([DAY[0], file.to_str().unwrap()]))
    };
    for (text, part) in [
        (
            format!("{predictions}\n{imports}"),
            "line 2: batchImports in a listing of batchPredictions; give each a file of its own",
        ),
        (
            format!("{imports}\n\n{predictions}"),
            "line 3: batchPredictions in a listing of batchImports; give each a file of its own",
        ),
        (both, "line 1: both batchPredictions and batchImports"),
        (
            json!({"batchImports": {}}).to_string(),
            "line 1: batchImports is not a list",
        ),
    ] {
        let why = why(&text);
        assert!(why.contains(part), "{part} in {why}");
    }
}

#[test]
fn settings_come_from_flags_and_before_them_from_variables() {
    let until_stalled = &DAY[..4];
    let quiet = vec!["began"];
    let day =
        |last: Vec<&'static str>| vec![quiet.clone(), vec!["completed"], vec!["failed"], last];
    assert_eq!(told(preview().args(until_stalled)), day(vec!["stalled"]));
    let slow = told(preview().args(until_stalled).env("STALL_AFTER", "2h"));
    assert_eq!(slow, day(vec![]));
    let flag = told(
        preview()
            .args(until_stalled)
            .args(["--stall-after", "1h"])
            .env("STALL_AFTER", "2h"),
    );
    assert_eq!(flag, day(vec!["stalled"]));
    let few = told(
        preview()
            .args(until_stalled)
            .args(["--notify-on", "failed"])
            .env("WATCH_NAME", ""),
    );
    assert_eq!(few, [quiet, vec![], vec!["failed"], vec![]]);
    let named = shows(preview().arg(DAY[0]).env("WATCH_NAME", "prod"));
    assert!(named.contains("Subject: [prod] Watch started"), "{named}");
}

#[test]
fn a_clock_can_be_given() {
    let desk = Desk::new();
    let page = json!({"batchPredictions": [running("slow", "2026-03-02T08:00:00Z")]});
    let file = desk.put("a@b.json", page.to_string());
    let file = file.to_str().unwrap();
    let clocks = |command: &mut Command| -> Vec<Value> {
        let reports = lines(&shows(command.arg("--json")));
        let clock = |report: &Value| json!([report["clock"], report["clock_from"]]);
        reports.iter().map(clock).collect()
    };
    let later = format!("{file}@2026-03-02T10:30:00+01:00");
    assert_eq!(
        clocks(preview().args([file, &later])),
        [
            json!(["2026-03-02T08:00:00Z", "latest_time"]),
            json!(["2026-03-02T09:30:00Z", "given"])
        ]
    );
    let later = ["--now", "2026-03-02T09:30:00Z"];
    assert_eq!(
        told(preview().args([file, file]).args(later)),
        [vec!["began"], vec!["stalled"]]
    );
}

#[test]
fn a_bad_input_is_refused_with_its_place_and_what_was_expected() {
    let desk = Desk::new();
    let good = DAY[0];
    let empty = json!({"batchPredictions": []}).to_string();
    let refused = |arguments: &[&str]| desk.masked(&refuses(preview().args(arguments)));
    let file = |text: &str| {
        let file = desk.put("bad.json", text);
        refused(&[good, file.to_str().unwrap()])
    };
    let utf16: Vec<u8> = empty.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let utf16 = desk.put("utf16.json", [b"\xff\xfe".as_slice(), &utf16].concat());
    let said = [
        file(&format!("{empty}\n\nAn error occurred")),
        file(&format!("{empty}\n{{\"models\": []}}")),
        file("{\"batchPredictions\": {}}"),
        file("{\"batchPredictions\": [\n"),
        file(""),
        file(&format!("{empty}\n\n{{\n\"batchPredictions\": x}}")),
        refused(&[utf16.to_str().unwrap()]),
        refused(&[good, "no-such.json"]),
        refused(&["events/day/01-quiet-start.json@noon"]),
        refused(&[good, "--now", "noon"]),
        refused(&["--stall-after", "soon", "--notify-on", "all", good]),
    ];
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn a_listing_with_a_token_at_its_end_is_incomplete() {
    let desk = Desk::new();
    let page =
        json!({"batchPredictions": [running("a", "2026-03-02T08:00:00Z")], "nextToken": "more"});
    let cut = desk.put("cut.json", page.to_string());
    assert_eq!(told(preview().args([&cut, &cut])), [[""; 0], []]);
    assert!(shows(preview().arg(&cut)).contains("INCOMPLETE"));
}

#[test]
fn a_listing_without_jobs_belongs_to_the_watch_before_it() {
    let desk = Desk::new();
    let none = desk.put("none.json", json!({"batchPredictions": []}).to_string());
    let at = |time: &str| format!("{}@2026-03-02T{time}Z", none.to_str().unwrap());
    let (none, again) = (at("12:00:00"), at("12:05:00"));
    let expected = [vec!["began"], vec![], vec!["vanished"]];
    assert_eq!(told(preview().args([DAY[0], &none, &again])), expected);
    assert_eq!(desk.told(DAY[0]), [["began"]]);
    assert_eq!(desk.told(&none), [[""; 0]]);
    assert_eq!(desk.told(&again), [["vanished"]]);
}

#[test]
fn with_a_state_file_each_thing_is_told_once() {
    let desk = Desk::new();
    let state = desk.path("state.json");
    let kinds = [
        ["began"].as_slice(),
        &["completed"],
        &["failed"],
        &["stalled"],
        &["recovered"],
        &["completed"],
        &["vanished"],
    ];
    for (listing, kinds) in DAY.into_iter().zip(kinds) {
        assert_eq!(desk.told(listing), [kinds], "{listing}");
        let kept = fs::read(&state).unwrap();
        assert_eq!(desk.told(listing), [[""; 0]], "{listing} again");
        let left = fs::read(&state).unwrap();
        assert_eq!(left, kept, "an idle run writes nothing");
    }
}

#[test]
fn a_state_file_that_cannot_be_read_is_left_untouched() {
    let desk = Desk::new();
    let state = desk.path("state.json");
    shows(preview().arg(DAY[0]).arg("--state").arg(&state));
    let whole = fs::read_to_string(&state).unwrap();
    let refused = |text: &str| {
        fs::write(&state, text).unwrap();
        let said = refuses(preview().arg(DAY[1]).arg("--state").arg(&state));
        assert_eq!(fs::read_to_string(&state).unwrap(), text);
        desk.masked(&said)
    };
    let newer = whole.replace("\"reads_from\": 1", "\"reads_from\": 2");
    let said = [
        refused(&newer),
        refused("{\n\"reads_from\": 1,\n\"watches\": 7}"),
        refused("{\"reads_from\": 1,"),
    ];
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn what_a_killed_writer_left_loses_nothing() {
    let desk = Desk::new();
    desk.told(DAY[0]);
    desk.put("state.json.new", "{\"reads_from\": 1, \"watc");
    assert_eq!(desk.told(DAY[1]), [["completed"]]);
    assert!(!desk.path("state.json.new").exists());
}

#[test]
fn what_was_not_shown_is_shown_the_next_time() {
    let desk = Desk::new();
    let state = desk.path("state.json");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = preview();
    command.arg(DAY[0]).arg("--state").arg(&state);
    let unread = command.stdout(writer).stderr(Stdio::piped()).output();
    let unread = unread.unwrap();
    assert!(unread.status.success());
    assert_eq!(unread.stderr, b"", "a closed pipe is no fault");
    assert_eq!(desk.told(DAY[0]), [["began"]]);
}

#[test]
fn two_processes_take_turns_at_one_state_file() {
    let desk = Desk::new();
    let state = desk.path("state.json");
    let lock = File::create(desk.path("state.json.lock")).unwrap();
    lock.lock().unwrap();
    let start = || {
        let mut command = preview();
        command.arg(DAY[0]).arg("--json").arg("--state").arg(&state);
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let mut both = [start(), start()];
    for process in &mut both {
        let mut said = String::new();
        let mut stderr = BufReader::new(process.stderr.take().unwrap());
        stderr.read_line(&mut said).unwrap();
        assert!(said.contains("waiting"), "{said}");
    }
    assert!(!state.exists());
    lock.unlock().unwrap();
    let notices: usize = both
        .into_iter()
        .map(|mut process| {
            let mut shown = String::new();
            let mut stdout = process.stdout.take().unwrap();
            stdout.read_to_string(&mut shown).unwrap();
            assert!(process.wait().unwrap().success());
            lines(&shown)[0]["notices"].as_array().unwrap().len()
        })
        .sum();
    assert_eq!(notices, 1);
}

#[test]
fn nothing_in_a_file_steers_the_terminal() {
    let desk = Desk::new();
    let evil = "a\u{1b}]0;title\u{7}\u{9b}31m\u{202e}\r\nb\u{7f}";
    let mut job = running(evil, "2026-03-02T08:00:00Z");
    job["processedRecordsCount"] = json!(1);
    for member in ["failureReason", "detectorName", "inputPath", "outputPath"] {
        job[member] = json!(evil);
    }
    job["status"] = json!(format!("NEW{evil}"));
    job["arn"] = json!(format!(
        "arn:aws:frauddetector:{evil}:{evil}:batch-prediction/x"
    ));
    let mut ended = job.clone();
    ended["completionTime"] = json!("2026-03-02T08:20:00Z");
    let mut failed = ended.clone();
    failed["status"] = json!("FAILED");
    failed["jobId"] = json!(format!("failed {evil}"));
    let mut complete = ended.clone();
    complete["status"] = json!("COMPLETE");
    complete["jobId"] = json!(format!("complete {evil}"));
    let long = json!({"jobId": evil.repeat(100)});
    let first = json!({"batchPredictions": [job, long]}).to_string();
    let second = json!({"batchPredictions": [ended, failed, complete]}).to_string();
    let files = [desk.put("1.json", first), desk.put("2.json", second)];
    let steers = |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c);
    let expect = "* by 08:10";
    for (name, flags) in [
        ("replay", [].as_slice()),
        ("replay", &["--json"]),
        ("backtest", &["--expect", expect]),
        ("backtest", &["--expect", expect, "--json"]),
    ] {
        let output = command(name).args(&files).args(flags).output().unwrap();
        assert!(output.status.success());
        assert!(!output.stdout.is_empty());
        if name == "backtest" {
            let stdout = String::from_utf8_lossy(&output.stdout);
            assert_eq!(stdout.matches("complete a").count(), 2, "{stdout}");
        }
        for said in [output.stdout, output.stderr] {
            let said = String::from_utf8(said).unwrap();
            assert!(!said.contains(steers), "{said:?}");
        }
    }
}

/// Two detectors, a night each that was slow, without a job, and late: `backtest.rs` says more of them.
const MONTH: &str = "events/month/jobs.json";

const NIGHTLY: [&str; 2] = [
    "--expect",
    "payments_detector by 07:00; chargebacks_detector by 07:00",
];

#[test]
fn the_month_that_comes_with_it() {
    insta::assert_snapshot!(shows(command("backtest").arg(MONTH).args(NIGHTLY)));
    let said = format!("backtest {MONTH} --expect '{}'", NIGHTLY[1]);
    assert!(include_str!("../README.md").contains(&said), "{said}");
}

#[test]
fn a_backtest_as_json_is_one_line() {
    let text = shows(command("backtest").arg(MONTH).args(NIGHTLY).arg("--json"));
    assert!(text.is_ascii() && text.lines().count() == 1);
    let found = &lines(&text)[0];
    let month = |jobs: u64, overdue: u64| json!({"jobs": jobs, "overdue": overdue, "overdue_completed": overdue});
    assert_eq!(
        found["months"],
        json!({"2026-02": month(39, 1), "2026-03": month(16, 0)})
    );
    let missed = |detector: &str, by: &str, day: &str, id: &str, at: &str| {
        json!({"detector": detector, "by": by, "local": format!("07:00 on {day} 2026 (UTC)"),
               "arrived": {"job_id": id, "at": at}})
    };
    assert_eq!(
        found["missed"],
        json!([
            missed(
                "chargebacks_detector",
                "2026-02-17T07:00:00Z",
                "Tue 17 Feb",
                "chargebacks_2026_02_18",
                "2026-02-18T03:17:26Z"
            ),
            missed(
                "payments_detector",
                "2026-03-04T07:00:00Z",
                "Wed 4 Mar",
                "payments_2026_03_04",
                "2026-03-04T07:39:59Z"
            ),
        ])
    );
    let whole = [&found["listings"], &found["complete"], &found["deadlines"]];
    assert_eq!(whole, [&json!([MONTH]), &json!(true), &json!(56)]);
    let jobs = found["jobs"].as_array().unwrap();
    let slow = jobs.iter().find(|job| job["overdue_at"].is_string());
    let mut slow = slow.unwrap().clone();
    slow.as_object_mut().unwrap().retain(|name, _| {
        ["id", "since", "taken_s", "usual", "limit_s", "overdue_at"].contains(&name.as_str())
    });
    assert_eq!(
        slow,
        json!({
            "id": "payments_2026_02_26", "since": "2026-02-26T02:00:39Z", "taken_s": 9805,
            "usual": {"median_s": 1828, "jobs": 17, "longest_s": 1987}, "limit_s": 5484,
            "overdue_at": "2026-02-26T03:32:03Z",
        })
    );
}

#[test]
fn a_backtest_takes_several_listings_as_one_history() {
    let desk = Desk::new();
    let job = |night: u8, end: &str| {
        let day = format!("2026-02-{night:02}");
        let mut job = json!({"jobId": format!("night {night}"), "status": "IN_PROGRESS",
            "startTime": format!("{day}T02:00:00Z"), "processedRecordsCount": 1,
            "detectorName": "payments_detector", "eventTypeName": "card_payment"});
        if !end.is_empty() {
            job["status"] = json!("COMPLETE");
            job["completionTime"] = json!(format!("{day}T{end}:00Z"));
        }
        job
    };
    let listing = |name: &str, jobs: Vec<Value>| {
        desk.put(name, json!({"batchPredictions": jobs}).to_string())
    };
    let first: Vec<_> = (1..=5).map(|night| job(night, "02:30")).collect();
    let first = listing("first.json", first);
    let second = listing("second.json", vec![job(6, ""), job(5, "02:30")]);
    let third = listing("third.json", vec![job(6, "04:00")]);
    let found = |files: &[&PathBuf]| {
        let mut found = lines(&shows(command("backtest").args(files).arg("--json")));
        let jobs = found[0]["jobs"].take();
        let jobs = jobs.as_array().unwrap().clone();
        let overdue = jobs.iter().filter_map(|job| job["overdue_at"].as_str());
        let overdue: Vec<_> = overdue.map(str::to_owned).collect();
        (jobs.len(), overdue)
    };
    let slow = vec!["2026-02-06T03:30:00Z".to_owned()];
    assert_eq!(found(&[&first, &second]), (5, Vec::new()));
    assert_eq!(found(&[&first, &second, &third]), (6, slow.clone()));
    // Their times say which is the later, and not their order.
    assert_eq!(found(&[&third, &second, &first]), (6, slow));
    assert_eq!(found(&[&third]), (1, Vec::new()));
}

#[test]
fn a_backtest_says_what_it_cannot_judge() {
    let desk = Desk::new();
    let whole = fs::read_to_string(MONTH).unwrap();
    let mut cut: Value = serde_json::from_str(&whole).unwrap();
    cut["nextToken"] = json!("more");
    let cut = desk.put("cut.json", cut.to_string());
    let none = desk.put("none.json", json!({"batchPredictions": []}).to_string());
    let none = format!("{}@2026-03-02T12:00:00Z", none.to_str().unwrap());
    let backtest = |arguments: &[&str]| {
        let said = shows(command("backtest").args(arguments).args(NIGHTLY));
        let rows = |line: &&str| !line.contains("_detector ");
        let said: Vec<_> = said.lines().filter(rows).collect();
        desk.masked(&said.join("\n"))
    };
    let cut = cut.to_str().unwrap();
    let said = [
        backtest(&[cut]),
        backtest(&[cut, "--overdue-after", "2h"]),
        backtest(&[&none]),
    ];
    insta::assert_snapshot!(said.join("\n\n"));
}

/// By event type, each from its start, whatever ended meanwhile; and with no deadline: those of EXPECT are of detectors.
#[test]
fn a_backtest_of_imports() {
    let arguments = [IMPORTS[5], "--expect", "* by 07:00"];
    let said = shows(command("backtest").args(arguments));
    insta::assert_snapshot!(said);
    let json = shows(command("backtest").args(arguments).arg("--json"));
    let found = &lines(&json)[0];
    assert_eq!(found["deadlines"], Value::Null);
    let jobs = found["jobs"].as_array().unwrap();
    let of_2025 = jobs
        .iter()
        .find(|job| job["id"] == "registrations_of_2025")
        .unwrap();
    assert_eq!(
        of_2025["since"], of_2025["started_at"],
        "logins_2026_03_02 ended meanwhile"
    );
}

#[test]
fn a_backtest_of_both_kinds_is_refused() {
    let why = refuses(command("backtest").args([MONTH, IMPORTS[5]]));
    let expected =
        "error: the listings are of batch predictions and of batch imports: give those of one kind";
    assert_eq!(why.trim_end(), expected);
}

#[test]
fn a_bad_input_of_a_backtest_is_refused_as_a_whole() {
    let why = refuses(command("backtest").args([
        "no-such.json",
        "events/month/jobs.json@noon",
        "--expect",
        "payments_detector by 24:00",
        "--overdue-after",
        "soon",
    ]));
    insta::assert_snapshot!(why);
}

#[test]
fn a_table_shows_when_a_job_that_runs_should_be_done() {
    let desk = Desk::new();
    let whole = fs::read_to_string(MONTH).unwrap();
    let listing: Value = serde_json::from_str(&whole).unwrap();
    let runs = |change: &Value, at: &str| {
        let mut listing = listing.clone();
        let first = &mut listing["batchPredictions"][0];
        *first = with(first.take(), change.clone());
        let file = desk.put("month.json", listing.to_string());
        let file = format!("{}@{at}", file.to_str().unwrap());
        let text = shows(preview().arg(&file));
        let row = text
            .lines()
            .find(|line| line.starts_with("payments_2026_03_09"));
        let json = lines(&shows(preview().arg(&file).arg("--json")));
        let due = json[0]["jobs"][0]["due_at"].as_str().map(str::to_owned);
        (text.contains(" DUE "), row.unwrap().to_owned(), due)
    };
    let due_at = |change: Value, at: &str| {
        let (has_column, row, due) = runs(&change, at);
        assert_eq!(has_column, due.is_some(), "{row}");
        assert_eq!(has_column, row.contains("  about "), "{row}");
        due.map(|due| {
            let (_, row) = row.split_once("  about ").unwrap();
            let (shown, _) = row.split_once("  ").unwrap();
            (due, shown.to_owned())
        })
    };
    let expected = |due: &str, shown: &str| Some((due.to_owned(), shown.to_owned()));
    // By their median, and scaled to 41,500 records, the last twenty took 30 min 37 s.
    let at = "2026-03-09T02:12:12Z";
    assert_eq!(
        due_at(json!({}), at),
        expected("2026-03-09T02:30:49Z", "02:30 UTC")
    );
    // Accepted at 03:00, it could begin when the one before it ended, at 03:20:08.
    let early = json!({"startTime": "2026-03-08T03:00:00Z"});
    assert_eq!(
        due_at(early, at),
        expected("2026-03-08T03:50:45Z", "2026-03-08 03:50 UTC")
    );
    for other in [
        json!({"status": "IN_PROGRESS_INITIALIZING"}),
        json!({"status": "CANCEL_IN_PROGRESS"}),
        json!({"detectorName": "another"}),
    ] {
        assert_eq!(due_at(other, at), None);
    }
    let cut = with(listing.clone(), json!({"nextToken": "more"}));
    let cut = desk.put("cut.json", cut.to_string());
    assert!(!shows(preview().arg(cut)).contains(" DUE "));
}

#[test]
fn the_help_shows_an_example_and_the_defaults() {
    let help = shows(preview().arg("--help"));
    for part in [
        "Example:",
        "preview replay monday.json",
        "[default: 1h]",
        "Exit status:",
    ] {
        assert!(help.contains(part), "{part} in {help}");
    }
    let help = shows(command("backtest").arg("--help"));
    for part in ["Example:", "preview backtest jobs.json", "[default: auto]"] {
        assert!(help.contains(part), "{part} in {help}");
    }
}

/// A replay as JSON, and the last notice in it.
fn until_stalled() -> (String, Value) {
    let report = shows(preview().args(&DAY[..4]).arg("--json"));
    let stalled = lines(&report).pop().unwrap()["notices"][0].take();
    (report, stalled)
}

#[test]
fn a_notice_is_rendered_in_each_form_alike_from_a_replay_and_from_a_saved_event() {
    let desk = Desk::new();
    let (_, stalled) = until_stalled();
    let saved = desk.put("event.json", stalled.to_string());
    for (form, begins) in [
        (
            "email",
            "Subject: STALLED: refunds_2026_03_02 (payments_detector)\n\nBatch",
        ),
        ("sms", "STALLED refunds_2026_03_02: silent for 1 h 14 min, "),
        ("chat", "{\n  \""),
        ("event", "{\n  \""),
    ] {
        let render = |files: &[&str]| shows(command("render").args(["--as", form]).args(files));
        let one = render(&[saved.to_str().unwrap()]);
        assert!(one.starts_with(begins), "{form}: {one}");
        assert!(render(&DAY).contains(one.trim_end()), "{form}");
    }
    let event = shows(command("render").args(["--as", "event"]).arg(&saved));
    assert_eq!(serde_json::from_str::<Value>(&event).unwrap(), stalled);
}

#[test]
fn the_day_as_a_chat_channel_gets_it() {
    let rendered = shows(command("render").args(["--as", "chat"]).args(DAY));
    let notifications = serde_json::Deserializer::from_str(&rendered).into_iter::<Value>();
    let notifications: Vec<_> = notifications.map(Result::unwrap).collect();
    insta::assert_json_snapshot!(notifications);
}

#[test]
fn a_saved_event_is_found_in_whatever_carried_it() {
    let desk = Desk::new();
    let (report, stalled) = until_stalled();
    let render = |name: &str, text: &str| {
        let file = desk.put(name, text);
        shows(command("render").args(["--as", "sms"]).arg(file))
    };
    let line = render("event.json", &stalled.to_string());
    let from_sns = json!({"Type": "Notification", "Message": stalled.to_string()});
    for (name, carrier) in [
        ("sns.json", from_sns.clone()),
        (
            "sqs.json",
            json!({"Messages": [{"Body": from_sns.to_string()}]}),
        ),
        (
            "dry-run.json",
            json!({"jobs": 7, "would_publish": [stalled]}),
        ),
    ] {
        assert_eq!(render(name, &carrier.to_string()), line, "{name}");
    }
    let by_powershell = format!("\u{feff}{stalled}");
    assert_eq!(render("with-a-byte-order-mark.json", &by_powershell), line);
    let all = render("replay.json", &report);
    assert!(all.contains(&line) && all.lines().count() > line.lines().count());
}

#[test]
fn what_is_no_event_is_named() {
    let desk = Desk::new();
    let bad = desk.0.path().join("bad.json");
    for (text, part) in [
        (
            "\n{\"specversion\": \"1.0\",\n\"id\": 7}",
            "2: not an event of fraud-job-watch",
        ),
        ("{\"notices\": []}\n\n{\"notices\": [],}", "3: not JSON"),
        ("{\"notices\": []}\n[]", "2: JSON, but no event"),
        ("{\"Message\": \"hello\"}", "1: what it carries is not JSON"),
        ("{\"jobs\": 1}", "1: JSON, but without batchPredictions"),
    ] {
        fs::write(&bad, text).unwrap();
        let why = refuses(command("render").arg(&bad));
        assert!(
            why.contains(&format!("bad.json, line {part}")),
            "{part} in {why}"
        );
    }
    fs::write(&bad, "{\"notices\": []}").unwrap();
    let why = refuses(command("render").args([bad.to_str().unwrap(), DAY[0]]));
    assert!(why.contains("01-quiet-start.json: no event in it"), "{why}");
}

/// It runs on listings as a replay does, and says the same on the side.
#[test]
fn what_goes_on_the_side_is_said_when_listings_are_rendered() {
    let said = |command: &mut Command| {
        let output = command.args([DAY[1], DAY[0]]).output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    let of_render = said(&mut command("render"));
    assert!(of_render.contains("is of an earlier time"), "{of_render}");
    assert_eq!(of_render, said(&mut preview()));
}

/// `live` with nothing of this computer's own account.
fn live() -> Command {
    let mut command = command("live");
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("AWS_")) {
        command.env_remove(name);
    }
    command.envs([
        ("AWS_CONFIG_FILE", "/dev/null"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ]);
    command
}

/// `live` with an account of the lab.
fn live_at(detector: &FraudDetector) -> Command {
    let (name, url) = detector.env();
    live_at_url(&name, &url)
}

fn live_at_url(name: &str, url: &str) -> Command {
    let mut command = live();
    command.env(name, url);
    command.envs([
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
    ]);
    command.args(["--region", "eu-west-1"]);
    command
}

#[test]
fn live_shows_an_account_and_with_a_state_what_is_new() {
    let detector = FraudDetector::start();
    let arn =
        |id: &str| format!("arn:aws:frauddetector:eu-west-1:123456789012:batch-prediction/{id}");
    let active = |id: &str| with(job(id, "IN_PROGRESS"), json!({"arn": arn(id)}));
    detector.set_jobs(
        (0..120)
            .map(|number| active(&format!("job-{number}")))
            .collect(),
    );
    let desk = Desk::new();
    let look = || {
        let mut command = live_at(&detector);
        let state = desk.0.path().join("state.json");
        command.arg("--state").arg(state);
        command
    };
    let first = shows(&mut look());
    assert!(
        first.contains("120 jobs on 3 pages: 120 IN_PROGRESS"),
        "{first}"
    );
    detector.update(|jobs| {
        let ended = json!({"status": "FAILED", "failureReason": "no such bucket"});
        jobs[7] = with(jobs[7].take(), ended);
    });
    // One that the listing leaves out, and that is found by its id.
    let hidden = Arc::new(Mutex::new(None));
    let (hide, show) = (hidden.clone(), hidden);
    detector.script(|script| {
        script.before_page = Some(Box::new(move |page, jobs| {
            if page == 1 {
                *hide.lock().unwrap() = Some(jobs.remove(9));
            }
        }));
        script.before_ask = Some(Box::new(move |id, jobs| {
            assert_eq!(id, "job-9");
            jobs.extend(show.lock().unwrap().take());
        }));
    });
    let second = shows(&mut look());
    assert!(second.contains("(when the listing began)"), "{second}");
    assert!(second.contains("119 jobs on 3 pages"), "{second}");
    assert!(second.contains("\n1 notice would go out:\n"), "{second}");
    assert!(
        second.contains("  Subject: FAILED: job-7 (signup_detector)\n"),
        "{second}"
    );
    detector.script(|script| script.faults = [Fault::AccessDenied].into());
    let output = look().output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let why = String::from_utf8(output.stderr).unwrap();
    assert!(
        why.contains("GetBatchPredictionJobs: AccessDeniedException"),
        "{why}"
    );
}

/// An account with a job and an import, of which it denies `denied`, and what it was asked for.
fn account_of_both(denied: &'static str) -> (Server, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = asked.clone();
    let server = Server::start(move |request| {
        let target = request.headers()["x-amz-target"].to_str().unwrap();
        let operation = target.rsplit('.').next().unwrap().to_owned();
        let job = |id: &str| json!({"jobId": id, "status": "IN_PROGRESS"});
        let (status, body) = match operation.as_str() {
            denied_too if denied_too == denied => (
                400,
                json!({"__type": "AccessDeniedException", "message": format!("not authorized to perform: {denied}")}),
            ),
            "GetBatchPredictionJobs" => (200, json!({"batchPredictions": [job("a-job")]})),
            "GetBatchImportJobs" => (200, json!({"batchImports": [job("an-import"), job("two")]})),
            other => panic!("{other}"),
        };
        log.lock().unwrap().push(operation);
        let response = hyper::Response::builder()
            .status(status)
            .header("content-type", "application/x-amz-json-1.1")
            .body(Full::new(Bytes::from(body.to_string())))
            .unwrap();
        async move { Some(response) }
    });
    (server, asked)
}

#[test]
fn live_looks_at_what_is_to_be_watched() {
    let look = |watch: Option<&str>, denied| {
        let (server, asked) = account_of_both(denied);
        let url = format!("http://{}", server.address());
        let mut command = live_at_url("AWS_ENDPOINT_URL_FRAUDDETECTOR", &url);
        command.args(watch.map(|watch| format!("--watch={watch}")));
        let output = command.output().unwrap();
        let asked = asked.lock().unwrap().clone();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
            asked,
        )
    };
    let jobs = "== live, eu-west-1\n";
    let (code, said, _, asked) = look(None, "");
    assert_eq!(
        (code, asked.as_slice()),
        (Some(0), &["GetBatchPredictionJobs".to_owned()][..])
    );
    assert!(
        said.starts_with(jobs) && said.contains("\n1 job on 1 page: 1 IN_PROGRESS\n"),
        "{said}"
    );

    let (code, said, _, asked) = look(Some("batch-imports"), "");
    assert_eq!(
        (code, asked.as_slice()),
        (Some(0), &["GetBatchImportJobs".to_owned()][..])
    );
    assert!(
        said.starts_with(jobs) && said.contains("\n2 imports on 1 page: 2 IN_PROGRESS\n"),
        "{said}"
    );
    assert!(said.contains("\nIMPORT "), "{said}");
    assert!(
        said.contains("Subject: Watch started: batch imports in eu-west-1"),
        "{said}"
    );

    let (code, said, _, asked) = look(Some("batch-imports, batch-predictions"), "");
    assert_eq!(
        (code, asked.join(",")),
        (
            Some(0),
            "GetBatchPredictionJobs,GetBatchImportJobs".to_owned()
        )
    );
    let (first, second) = said
        .split_once("== live, eu-west-1, batch-imports\n")
        .unwrap();
    assert!(
        first.starts_with("== live, eu-west-1, batch-predictions\n"),
        "{first}"
    );
    assert!(
        first.contains("\n1 job on 1 page") && second.contains("2 imports on 1 page"),
        "{said}"
    );

    let (code, said, why, _) = look(
        Some("batch-predictions,batch-imports"),
        "GetBatchImportJobs",
    );
    assert_eq!((code, said.as_str()), (Some(1), ""));
    assert!(
        why.contains("GetBatchImportJobs: AccessDeniedException"),
        "{why}"
    );
}

#[test]
fn what_cannot_be_watched_is_refused_with_the_choices() {
    for watch in ["jobs", "batch-imports,batch-imports", "batch-imports,"] {
        let why = refuses(live().args(["--region=eu-west-1", "--watch", watch]));
        let part = format!(
            "--watch or WATCH is {watch:?}, but must be batch-predictions, batch-imports, or both with a comma"
        );
        assert!(why.contains(&part), "{part} in {why}");
    }
}

/// As the function does: it is as patient with a service that throttles, and knows a listing without an end.
#[test]
fn live_pages_as_a_run_does() {
    let detector = FraudDetector::start();
    let jobs = (0..120).map(|number| job(&format!("job-{number}"), "IN_PROGRESS"));
    detector.set_jobs(jobs.collect());
    let look = || live_at(&detector).output().unwrap();
    detector.script(|script| script.faults = [Fault::Throttle; 4].into());
    let output = look();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.contains("120 jobs on 3 pages"), "{shown}");
    detector.script(|script| script.faults = [Fault::None, Fault::RepeatToken].into());
    let output = look();
    assert_eq!(output.status.code(), Some(1));
    let why = String::from_utf8(output.stderr).unwrap();
    assert!(
        why.contains("nothing is shown; try again: the listing repeats itself at page 2"),
        "{why}"
    );
}

#[test]
fn live_says_what_it_lacks() {
    for (args, part) in [
        (&[][..], "no region is set"),
        (
            &["--region=eu-central-1"],
            "Fraud Detector is only in us-east-1",
        ),
        (
            &["--region=eu-west-1"],
            "no AWS credentials were found: give --profile NAME",
        ),
        (
            &["--region=eu-west-1", "--profile=nope"],
            "no AWS credentials were found for the profile \"nope\"",
        ),
    ] {
        let why = refuses(live().args(args));
        assert!(why.starts_with("error: "), "{why}");
        assert!(why.contains(part), "{part} in {why}");
    }
}
