//! Inputs made by chance: good ones to begin with, and what is done to them. The same moves make the same input.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use fastrand::Rng;
use serde_json::{Map, Value, json};

use super::inputs::{SURFACES, Surface};

/// Good inputs, and some that are odd by what the service is known to do.
pub(crate) fn seeds(surface: Surface) -> &'static [Vec<u8>] {
    static SEEDS: LazyLock<BTreeMap<Surface, Vec<Vec<u8>>>> =
        LazyLock::new(|| SURFACES.map(|surface| (surface, made(surface))).into());
    &SEEDS[&surface]
}

fn made(surface: Surface) -> Vec<Vec<u8>> {
    let texts = |texts: &[&str]| texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    let values = |values: Vec<Value>| {
        let text = |value: Value| value.to_string().into_bytes();
        values.into_iter().map(text).collect()
    };
    match surface {
        Surface::Listing => values(listings("batchPredictions", job)),
        Surface::Imports => values(listings("batchImports", import)),
        Surface::File => {
            let mut both = listings("batchPredictions", job);
            both.extend(listings("batchImports", import));
            values(both)
        }
        Surface::Time => texts(&TIMES),
        Surface::Payload => texts(&[
            "{}",
            "null",
            r#"{"dry_run":true}"#,
            r#"{"test_notice":true}"#,
            r#"{"dry_run":true,"test_notice":true,"more":[1,{"a":"b"}]}"#,
            include_str!("../../events/scheduler.json"),
            include_str!("../../events/rule.json"),
        ]),
        Surface::Settings => texts(&[
            "arn:aws:sns:eu-west-1:123456789012:jobs\narn:aws:sns:us-east-2:123456789012:urgent\narn:aws:sns:eu-west-1:123456789012:alarms\nstate\nbatch-predictions,batch-imports\nname\n1h\n4h\n6h\na by 07:00; * by 08:00\ncompleted,failed\n7\non",
            "arn:aws:sns:eu-west-1:123456789012:jobs\n\n\nstate\n\n\n\n\n\n\n\n\n",
            "arn:aws-cn:sns:cn-north-1:123456789012:a_b-c\nnone\nnone\na.b-c_d\n batch-imports \nnone\n30d\noff\noff\nnone\nfailed, stalled\n1000\noff",
        ]),
        Surface::Expect => texts(&[
            "payments_detector from 22:00 by 07:00 MON-FRI Europe/Dublin; chargebacks_detector by 12:00 SUN; * by 09:00",
            "a from 02:15 by 02:45 FRI-MON,WED America/New_York;a by 02:15 Australia/Lord_Howe;a by 23:30 America/Nuuk;",
            "b by 00:00 SUN America/St_Johns; b from 00:00 by 00:00 Pacific/Apia; b by 10:00; b from 09:00 by 10:00 UTC",
            "cron(0 7 * * ? *); d by 24:00 15; D at 06:00 by 07:00 FUN Mars/Base more; d; by 07:00; e by 07:00;e by 07:00",
        ]),
        Surface::Stored => values(states()),
        Surface::Event => values(vec![event(), digest()]),
    }
}

const TIMES: [&str; 9] = [
    "2026-03-02T11:20:42Z",
    "2026-03-02T11:59:30.032Z",
    "2026-03-02T11:20:42",
    "2026-03-02T11:20:42+14:00",
    "2026-03-02",
    "9999-12-30T22:00:00.999999999Z",
    "-009999-01-02T01:59:59Z",
    "2026-03-02T23:59:60Z",
    "2026-03-02T12:30:00Z[Europe/Paris]",
];

const STATUSES: [&str; 7] = [
    "IN_PROGRESS_INITIALIZING",
    "IN_PROGRESS",
    "CANCEL_IN_PROGRESS",
    "CANCELED",
    "COMPLETE",
    "FAILED",
    "PAUSED",
];

fn job(number: usize) -> Value {
    let status = STATUSES[number % STATUSES.len()];
    let mut job = json!({
        "jobId": format!("job-{number}"),
        "status": status,
        "startTime": "2026-03-02T08:20:42Z",
        "lastHeartbeatTime": "2026-03-02T11:59:20Z",
        "inputPath": "s3://B/in.csv",
        "outputPath": "s3://B",
        "eventTypeName": "customer_registration",
        "detectorName": "detector",
        "detectorVersion": "1",
        "arn": format!("arn:aws:frauddetector:eu-west-1:123456789012:batch-prediction/job-{number}"),
        "processedRecordsCount": 5,
        "totalRecordsCount": 5000,
    });
    if number % STATUSES.len() > 2 {
        job["completionTime"] = json!("2026-03-02T11:59:40Z");
        job["failureReason"] = json!("The input file could not be read.");
    }
    job
}

fn import(number: usize) -> Value {
    let mut import = job(number);
    if let Value::Object(members) = &mut import {
        for member in ["lastHeartbeatTime", "detectorName", "detectorVersion"] {
            members.remove(member);
        }
    }
    import["arn"] = json!(format!(
        "arn:aws:frauddetector:eu-west-1:123456789012:batch-import/job-{number}"
    ));
    import["failedRecordsCount"] = json!(number % 3);
    import
}

fn listings(member: &str, job: fn(usize) -> Value) -> Vec<Value> {
    let listing = |jobs| json!({member: (0..jobs).map(job).collect::<Vec<_>>()});
    vec![
        listing(1),
        listing(4),
        listing(9),
        json!({member: [], "nextToken": "t"}),
        json!({member: [job(0)], "nextToken": "t"}),
        json!({}),
    ]
}

const SOURCE: &str = "arn:aws:frauddetector:eu-west-1:123456789012:batch-prediction";
const ID: &str = "0a4d55a8d778e5022fab701977c5d840bbc486d0bd43a7f1f0a3f0e6d0d7a0aa";

/// Items that version 1 stored, as `formats.rs` knows them.
fn stored(items: &[&Value]) -> Value {
    json!({"Items": items, "Count": items.len()})
}

fn states() -> Vec<Value> {
    let [watch, gone, waits, ended, pending, urgent, began] = [
        include_str!("../formats/1/watch.json"),
        include_str!("../formats/1/whole.json"),
        include_str!("../formats/1/active.json"),
        include_str!("../formats/1/ended.json"),
        include_str!("../formats/1/pending.json"),
        include_str!("../formats/1/pending-urgent.json"),
        include_str!("../formats/1/pending-began.json"),
    ]
    .map(|text| serde_json::from_str::<Value>(text).unwrap());
    let mut stalled = gone.clone();
    stalled["phase"] = json!({"S": "active"});
    stalled["job"]["M"]["status"] = json!({"S": "IN_PROGRESS"});
    vec![
        stored(&[&watch, &stalled, &waits, &ended, &pending, &urgent]),
        stored(&[&watch, &gone, &began]),
        stored(&[&watch, &pending]),
        stored(&[&stalled]),
        stored(&[]),
    ]
}

fn event() -> Value {
    json!({
        "specversion": "1.0", "id": ID, "source": SOURCE,
        "type": "fraud-job-watch.batch-prediction.stalled.v1", "subject": "job",
        "time": "2026-03-02T09:40:00Z", "datacontenttype": "application/json",
        "data": {
            "kind": "stalled", "severity": "error", "recorded_at": "2026-03-02T09:41:00Z",
            "account": "123456789012", "region": "eu-west-1", "watch": "prod",
            "job": {"id": "job", "status": "IN_PROGRESS", "started_at": "2026-03-02T08:00:00Z",
                "processed_records": 5, "total_records": 5000, "failure_reason": "none",
                "failure_reason_bytes": 9000, "detector": "detector", "input_path": "s3://B/in.csv"},
            "job_seen_at": "2026-03-02T09:41:00Z", "incident": "open", "thread": ID,
            "silence": {"since": "2026-03-02T08:40:00Z", "lasted_s": 3660, "allowed_s": 3600, "waiting": 2},
        },
    })
}

fn digest() -> Value {
    let mut began = event();
    began["data"] = json!({
        "kind": "began", "recorded_at": "2026-03-02T09:41:00Z",
        "found": {"jobs": 3, "by_status": {"COMPLETE": 2, "FAILED": 1}, "notify_on": ["failed"],
            "stall_after_s": 3600, "since": "2026-03-02T09:40:00Z"},
    });
    json!({"data": {"events": [event(), began, event()]}})
}

/// An input is not made longer than this: moves that double it would soon do nothing else.
const LONGEST: usize = 256 * 1024;

/// A good input after these moves.
pub(crate) fn mutated(surface: Surface, first: u64, moves: &[u64]) -> Vec<u8> {
    let seed = Rng::with_seed(first).choice(seeds(surface));
    let mut input = seed.unwrap().clone();
    for number in moves {
        let mut rng = Rng::with_seed(*number);
        let moved = match serde_json::from_slice::<Value>(&input) {
            // A move by the grammar reaches deeper than one by the byte.
            Ok(mut value) if rng.u8(..4) > 0 => {
                change(&mut value, &mut rng);
                value.to_string().into_bytes()
            }
            Ok(_) | Err(_) => bend(input.clone(), &mut rng),
        };
        if moved.len() <= LONGEST {
            input = moved;
        }
    }
    input
}

/// Goes down to some place in the value, and does something to it.
fn change(value: &mut Value, rng: &mut Rng) {
    let goes_down = rng.u8(..8) > 0;
    match value {
        Value::Object(members) if goes_down && !members.is_empty() => {
            // In the order of their names: that of the map is a feature of some builds.
            let mut names: Vec<_> = members.keys().cloned().collect();
            names.sort();
            let name = rng.choice(names).unwrap_or_default();
            match rng.u8(..12) {
                0 => drop(members.remove(&name)),
                1 => {
                    let value = members.remove(&name).unwrap_or_default();
                    members.insert(text(rng), value);
                }
                2 => drop(members.insert(text(rng), scalar(rng))),
                _ => change(members.entry(name).or_insert(Value::Null), rng),
            }
        }
        Value::Array(items) if goes_down && !items.is_empty() => {
            let place = rng.usize(..items.len());
            match rng.u8(..8) {
                0 => drop(items.remove(place)),
                1 | 2 => {
                    let again = items[place].clone();
                    items.insert(rng.usize(..=items.len()), again);
                }
                _ => change(&mut items[place], rng),
            }
        }
        _ => {
            *value = match rng.u8(..10) {
                0 => Value::Array(vec![value.take(); rng.usize(..4)]),
                1 => Value::Object(Map::from_iter([(text(rng), value.take())])),
                2 => nested(value.take(), rng.usize(..200)),
                3 => number(rng),
                // This gets furthest.
                4..=6 => Value::from(like(value, rng)),
                _ => scalar(rng),
            }
        }
    }
}

fn one_of(texts: &[&str], rng: &mut Rng) -> String {
    texts[rng.usize(..texts.len())].to_owned()
}

/// A text of the same sort.
fn like(value: &Value, rng: &mut Rng) -> String {
    match value.as_str() {
        Some(was) if was.parse::<i128>().is_ok() => one_of(&NUMBERS, rng),
        Some(was) if was.starts_with("20") => one_of(&TIMES, rng),
        Some(was) if STATUSES.contains(&was) => one_of(&STATUSES, rng),
        Some(was) if rng.bool() => was.repeat(1 + rng.usize(..40)),
        Some(was) => format!("{was}{}", text(rng)),
        None => text(rng),
    }
}

const NUMBERS: [&str; 13] = [
    "0",
    "-1",
    "1",
    "59",
    "4294967296",
    "2147483647",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "1e308",
    "-0.0",
    "253402207200",
];

fn number(rng: &mut Rng) -> Value {
    serde_json::from_str(&one_of(&NUMBERS, rng)).unwrap_or_default()
}

fn scalar(rng: &mut Rng) -> Value {
    match rng.u8(..6) {
        0 => Value::Null,
        1 => Value::Bool(rng.bool()),
        2 => number(rng),
        _ => Value::from(text(rng)),
    }
}

const TEXTS: [&str; 20] = [
    "",
    "watch",
    "item",
    "job",
    "dry_run",
    "test_notice",
    "events",
    "data",
    "a\u{0}b",
    "line\r\nbreak\u{2028}\u{85}",
    "\u{202e}\u{feff}\u{200b}\u{1b}[2J",
    "<!channel> `code` *b* &amp; <http://x|y>",
    "\u{1f469}\u{200d}\u{1f469}\u{200d}\u{1f467} \u{e9} \u{fffd}",
    "\"],[\"",
    "outbox#0",
    "COMPLETE",
    "vanished",
    "2026-03-02T11:59:50Z",
    "1s",
    "P1Y2M",
];

fn text(rng: &mut Rng) -> String {
    let text = one_of(&TEXTS, rng);
    match rng.u8(..8) {
        0 => text.repeat(rng.usize(..700)),
        1 => std::iter::repeat_with(|| rng.char(..)).take(12).collect(),
        _ => text,
    }
}

fn nested(value: Value, depth: usize) -> Value {
    (0..depth).fold(value, |inner, level| match level % 2 {
        0 => Value::Array(vec![inner]),
        _ => Value::Object(Map::from_iter([("a".to_owned(), inner)])),
    })
}

/// Bytes that mean something to a parser.
const PIECES: [&[u8]; 12] = [
    b"\"",
    b"\\u0000",
    b"\\ud800",
    b"{",
    b"}",
    b"[",
    b",",
    b":",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\n",
    b"1e999",
];

fn bend(mut input: Vec<u8>, rng: &mut Rng) -> Vec<u8> {
    let place = rng.usize(..=input.len());
    let end = (place + rng.usize(..9)).min(input.len());
    match rng.u8(..7) {
        0 => input.truncate(place),
        1 => drop(input.drain(place..end)),
        2 => {
            let again: Vec<u8> = input.drain(place..end).collect();
            input.splice(place..place, again.repeat(rng.usize(..8)));
        }
        3 => {
            if let Some(byte) = input.get_mut(place) {
                *byte ^= 1 << rng.u8(..8);
            }
        }
        4 => {
            if let Some(byte) = input.get_mut(place) {
                *byte = rng.u8(..);
            }
        }
        5 => {
            let piece = PIECES[rng.usize(..PIECES.len())];
            input.splice(place..end, piece.to_vec());
        }
        _ => {
            input.splice(place..place, text(rng).into_bytes());
        }
    }
    input
}
