//! What each format version stored, under `formats/`: it is still read, and what is written now has the form of the
//! newest. Whoever changes the form so that a test here fails must raise the version, add a folder, and read both.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use aws_smithy_http_client::test_util::StaticReplayClient;
use fraud_job_watch::aws::Table;
use fraud_job_watch::local::state::StateFile;
use fraud_job_watch::ports::{Pending, State, Store, StoreError};
use fraud_job_watch::watch::detector::{Completion, DetectorRecord, MissedDeadline};
use fraud_job_watch::watch::job::End;
use fraud_job_watch::watch::judge::Expected;
use fraud_job_watch::watch::notice::{Found, Silence, thread};
use fraud_job_watch::watch::{
    Baseline, Change, IncidentState, Item, Job, JobId, Key, Kind, ListedJob, Notice, NoticeId,
    Phase, Predecessor, Record, Stall, Status, TopicArn,
};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::adapters::{answers, bodies, table_of};
use crate::lab::{source, topic};

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn table(answer: &Value) -> (Table, StaticReplayClient) {
    table_of(vec![answers(200, answer)], &source())
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/formats/1")
        .join(name)
}

/// An item in DynamoDB's JSON.
fn golden(name: &str) -> Value {
    let text = std::fs::read_to_string(file(&format!("{name}.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn baseline() -> Baseline {
    Baseline {
        rev: 2,
        written_by: "run-2".to_owned(),
        since: at("2026-03-02T07:59:00Z"),
        began_at: Some(at("2026-03-02T08:00:04.25Z")),
        unheard: None,
    }
}

/// Every member has a value.
fn whole_job() -> Job {
    let text = |text: &str| Some(text.to_owned());
    Job {
        id: "job".to_owned().try_into().unwrap(),
        status: Status::Failed,
        started_at: Some(at("2026-03-02T08:00:00Z")),
        heartbeat_at: Some(at("2026-03-02T08:30:00.5Z")),
        completed_at: Some(at("2026-03-02T08:31:00Z")),
        processed_records: Some(4_600),
        failed_records: None,
        total_records: Some(5_000),
        failure_reason: text("no such file"),
        failure_reason_bytes: Some(9_000),
        detector: text("detector"),
        detector_version: text("1"),
        event_type: text("event_type"),
        input_path: text("s3://B/in.csv"),
        output_path: text("s3://B/out"),
        arn: text("arn:aws:frauddetector:eu-west-1:123456789012:batch-prediction/job"),
    }
}

/// No member has a value that can be without one.
fn bare_job(id: &str, status: &str) -> Job {
    let listed = ListedJob {
        job_id: Some(id.to_owned()),
        status: Some(status.to_owned()),
        ..ListedJob::default()
    };
    Job::from_listed(listed).unwrap()
}

/// Every member has a value.
fn whole() -> Record {
    Record {
        rev: 3,
        written_by: "run-3".to_owned(),
        phase: Phase::Vanished,
        job: whole_job(),
        first_seen_at: at("2026-03-02T08:00:01Z"),
        recorded_at: at("2026-03-02T10:00:00Z"),
        key: at("2026-03-02T08:00:00Z"),
        last_sign_at: at("2026-03-02T08:40:00Z"),
        skewed_heartbeat_at: Some(at("2026-03-03T08:00:00Z")),
        has_begun: true,
        recoveries: 1,
        episode: 2,
        stall: Some(Stall {
            reminders: 1,
            reminded_at: at("2026-03-02T10:41:00Z"),
        }),
        overdue: true,
        absent_since: Some(at("2026-03-02T10:50:00Z")),
        notified_topics: topics(),
        predecessor: Some(Predecessor {
            end: End::Completed,
            ended_at: at("2026-03-02T07:59:30Z"),
            detector: Some("detector".to_owned()),
        }),
        expires: Some(1_777_629_600),
    }
}

/// No member has a value that can be without one.
fn active() -> Record {
    Record {
        rev: 1,
        written_by: "run-1".to_owned(),
        phase: Phase::Active,
        job: bare_job("new", "IN_PROGRESS_INITIALIZING"),
        first_seen_at: at("2026-03-02T08:00:01Z"),
        recorded_at: at("2026-03-02T08:00:01Z"),
        key: at("2026-03-02T08:00:01Z"),
        last_sign_at: at("2026-03-02T08:00:01Z"),
        skewed_heartbeat_at: None,
        has_begun: false,
        recoveries: 0,
        episode: 0,
        stall: None,
        overdue: false,
        absent_since: None,
        notified_topics: BTreeSet::new(),
        predecessor: None,
        expires: None,
    }
}

fn ended() -> Record {
    Record {
        rev: 4,
        written_by: "run-4".to_owned(),
        phase: Phase::Ended,
        job: Job {
            started_at: Some(at("2026-03-02T08:00:00Z")),
            completed_at: Some(at("2026-03-02T09:00:00Z")),
            ..bare_job("old", "COMPLETE")
        },
        recorded_at: at("2026-03-02T09:00:30Z"),
        expires: Some(1_777_626_000),
        ..active()
    }
}

/// Two, so that what is for both is stored for each.
fn topics() -> BTreeSet<TopicArn> {
    let urgent = "arn:aws:sns:eu-west-1:123456789012:urgent".to_owned();
    BTreeSet::from([topic(), urgent.try_into().unwrap()])
}

fn urgent() -> TopicArn {
    topics().last().unwrap().clone()
}

fn reminder() -> Notice {
    let job = whole_job();
    let key = at("2026-03-02T08:00:00Z");
    Notice {
        id: NoticeId::new(&source(), Some((&job.id, key)), Kind::Reminder, "2#1"),
        incident: Some(IncidentState::Open),
        thread: Some(thread(&source(), &job.id, key)),
        topics: topics(),
        kind: Kind::Reminder,
        source: source(),
        happened_at: at("2026-03-02T10:41:00Z"),
        recorded_at: at("2026-03-02T10:41:00Z"),
        job: Some(job),
        job_seen_at: Some(at("2026-03-02T10:40:59Z")),
        silence: Some(Silence {
            since: at("2026-03-02T08:40:00Z"),
            lasted_s: 7_260,
            allowed_s: 3_600,
            waiting: Some(2),
            reminder: Some(1),
        }),
        overdue: None,
        expected: None,
        found: None,
    }
}

fn began() -> Notice {
    let since = at("2026-03-02T07:59:00Z");
    Notice {
        id: NoticeId::new(&source(), None, Kind::Began, &since.to_string()),
        kind: Kind::Began,
        source: source(),
        happened_at: at("2026-03-02T08:00:04.25Z"),
        recorded_at: at("2026-03-02T08:00:04.25Z"),
        job: None,
        job_seen_at: None,
        incident: None,
        thread: None,
        topics: BTreeSet::from([topic()]),
        silence: None,
        overdue: None,
        expected: None,
        found: Some(Found {
            jobs: 3,
            by_status: [("COMPLETE".to_owned(), 2), ("PAUSED".to_owned(), 1)].into(),
            notify_on: vec![Kind::Completed, Kind::Stalled],
            expects: vec![],
            stall_after_s: 3_600,
            since,
        }),
    }
}

fn pending_reminder() -> Pending {
    Pending {
        notice: reminder(),
        topic: topic(),
        order: (3, 0),
    }
}

/// Every member has a value.
fn missing_detector() -> DetectorRecord {
    DetectorRecord {
        rev: 5,
        written_by: "run-5".to_owned(),
        name: "payments".to_owned(),
        since: at("2026-02-27T08:00:00Z"),
        concluded: Some(at("2026-03-02T07:00:00Z")),
        missing: Some(MissedDeadline {
            at: at("2026-03-01T07:00:00Z"),
            local: "07:00 on Sun 1 Mar 2026 (UTC)".to_owned(),
            opens_at: at("2026-02-28T07:00:00Z"),
            notified_topics: topics(),
        }),
        late_arrival: Some(Completion {
            at: at("2026-02-28T08:00:00Z"),
            job_id: JobId::try_from("late".to_owned()).unwrap(),
        }),
    }
}

/// No member has a value that can be without one.
fn new_detector() -> DetectorRecord {
    DetectorRecord {
        rev: 1,
        written_by: "run-1".to_owned(),
        name: "*".to_owned(),
        since: at("2026-03-02T08:00:01Z"),
        concluded: None,
        missing: None,
        late_arrival: None,
    }
}

/// What stands in the files, by their names.
fn changes() -> Vec<(&'static str, Vec<&'static str>, Change)> {
    let change = |item, notices| Change {
        expected: Expected::Absent,
        item,
        notices,
    };
    let job = |record| Item::Job(Box::new(record));
    let detector = |record| Item::Detector(Box::new(record));
    vec![
        (
            "watch",
            vec!["pending-began"],
            change(Item::Watch(baseline()), vec![began()]),
        ),
        (
            "whole",
            vec!["pending", "pending-urgent"],
            change(job(whole()), vec![reminder()]),
        ),
        ("active", vec![], change(job(active()), vec![])),
        ("ended", vec![], change(job(ended()), vec![])),
        (
            "detector",
            vec![],
            change(detector(missing_detector()), vec![]),
        ),
        (
            "detector-new",
            vec![],
            change(detector(new_detector()), vec![]),
        ),
    ]
}

const NAMES: [&str; 9] = [
    "watch",
    "whole",
    "active",
    "ended",
    "detector",
    "detector-new",
    "pending",
    "pending-urgent",
    "pending-began",
];

/// Before any of it expires.
fn now() -> Timestamp {
    at("2026-03-02T10:41:00Z")
}

fn assert_is_all(mut state: State) {
    state.records.sort_by_key(|record| record.rev);
    state.detectors.sort_by_key(|record| record.rev);
    state
        .outbox
        .sort_by_key(|pending| (pending.order, pending.topic.clone()));
    let pending = |notice, topic, rev| Pending {
        notice,
        topic,
        order: (rev, 0),
    };
    let expected = State {
        baseline: Some(baseline()),
        records: vec![active(), whole(), ended()],
        detectors: vec![new_detector(), missing_detector()],
        outbox: vec![
            pending(began(), topic(), 2),
            pending(reminder(), topic(), 3),
            pending(reminder(), urgent(), 3),
        ],
        unreadable: vec![],
    };
    assert_eq!(state, expected);
}

#[tokio::test(start_paused = true)]
async fn what_version_1_stored_is_read() {
    let (table, _) = table(&json!({"Items": NAMES.map(golden)}));
    assert_is_all(table.load(now()).await.unwrap());
}

/// What an update sets, and what it removes.
fn taken_apart(update: &Value) -> (Value, Vec<String>) {
    let name = |place: &str| {
        let name = &update["ExpressionAttributeNames"][place];
        name.as_str().unwrap().to_owned()
    };
    let expression = update["UpdateExpression"].as_str().unwrap();
    let expression = expression.strip_prefix("SET ").unwrap();
    let (set, remove) = expression
        .split_once(" REMOVE ")
        .unwrap_or((expression, ""));
    let mut item = update["Key"].clone();
    for part in set.split(", ") {
        let (place, value) = part.split_once(" = ").unwrap();
        item[name(place)] = update["ExpressionAttributeValues"][value].clone();
    }
    let removed = remove.split(", ").filter(|place| !place.is_empty());
    (item, removed.map(name).collect())
}

/// What is sent for a change: the update, and what is put beside it.
async fn sent(change: &Change) -> (Value, Vec<String>, Vec<Value>) {
    let (table, http) = table(&json!({}));
    table.record(change, now()).await.unwrap();
    let body = bodies(&http).remove(0);
    let (update, put) = match body.get("TransactItems").and_then(Value::as_array) {
        Some(items) => {
            let put = items[1..].iter().map(|item| item["Put"]["Item"].clone());
            (&items[0]["Update"], put.collect())
        }
        None => (&body, Vec::new()),
    };
    let (item, removed) = taken_apart(update);
    (item, removed, put)
}

#[tokio::test(start_paused = true)]
async fn what_is_written_has_the_form_of_version_1() {
    for (name, pending, change) in changes() {
        let (item, _, put) = sent(&change).await;
        assert_eq!(item, golden(name), "{name}");
        let mut stored: Vec<_> = pending.into_iter().map(golden).collect();
        // The claim comes later.
        for stored in stored.iter_mut().filter_map(Value::as_object_mut) {
            stored.remove("claim_by");
            stored.remove("claim_until");
        }
        assert_eq!(put, stored, "{name}");
    }
    let (table, http) = table(&json!({}));
    let until = at("2026-03-02T10:42:40Z");
    table
        .claim(&pending_reminder(), "run-3", until, now())
        .await
        .unwrap();
    let body = bodies(&http).remove(0);
    let stored = golden("pending");
    assert_eq!(body["Key"]["item"], stored["item"]);
    assert_eq!(body["UpdateExpression"], "SET #by = :by, #until = :until");
    for (place, attribute) in [("by", "claim_by"), ("until", "claim_until")] {
        assert_eq!(
            body["ExpressionAttributeNames"][format!("#{place}")],
            attribute
        );
        let value = &body["ExpressionAttributeValues"][format!(":{place}")];
        assert_eq!(*value, stored[attribute]);
    }
}

/// Whoever adds a member that is not serialized when it is absent is stopped here: its attribute would not be removed.
/// Those of a later version are not.
#[tokio::test(start_paused = true)]
async fn an_update_removes_what_the_item_no_longer_has_and_nothing_unknown() {
    let written = |item| Change {
        expected: Expected::Rev(1),
        item,
        notices: vec![],
    };
    let bare = Item::Watch(Baseline {
        began_at: None,
        ..baseline()
    });
    let job = |record| Item::Job(Box::new(record));
    let mut known = Vec::new();
    let pairs = [
        (Item::Watch(baseline()), bare),
        (job(whole()), job(active())),
        (
            Item::Detector(Box::new(missing_detector())),
            Item::Detector(Box::new(new_detector())),
        ),
    ];
    for (full, bare) in pairs {
        let (full, _, _) = sent(&written(full)).await;
        let (bare, removed, _) = sent(&written(bare)).await;
        for attribute in full.as_object().unwrap().keys() {
            assert!(
                bare.get(attribute).is_some() || removed.contains(attribute),
                "{attribute} would outlast its value: let null be serialized"
            );
            known.push(attribute.clone());
        }
        assert!(removed.iter().all(|name| bare.get(name).is_none()));
    }
    let (_, removed, _) = sent(&written(job(active()))).await;
    assert!(removed.iter().all(|name| known.contains(name)));
}

#[tokio::test(start_paused = true)]
async fn an_item_that_needs_a_newer_reader_is_named_with_both_versions() {
    for name in NAMES {
        let mut newer = golden(name);
        newer["reads_from"] = json!({"N": "2"});
        // Nothing else of it need be as this version knows it.
        newer["rev"] = json!({"BOOL": true});
        let key = newer["item"]["S"].as_str().unwrap().to_owned();
        let (table, http) = table(&json!({"Items": [golden("watch"), newer]}));
        let why = match table.load(now()).await {
            Err(StoreError::TooNew(why)) if name == "watch" => why,
            Ok(state) if name != "watch" => only_unreadable(state, &key),
            other => panic!("{name}: {other:?}"),
        };
        let expected = format!("item {key:?} needs format 2, and this version reads 1");
        assert_eq!(why, expected);
        assert_eq!(http.actual_requests().count(), 1, "nothing is written");
    }
}

/// What is wrong with the one item that could not be understood.
fn only_unreadable(state: State, key: &str) -> String {
    let [item] = &state.unreadable[..] else {
        panic!("{key}: {state:?}");
    };
    let filed_under = item.key.as_ref().map(Key::to_string);
    let of_record = Some(key.to_owned()).filter(|key| !key.starts_with("outbox#"));
    assert_eq!(filed_under, of_record, "{key}");
    item.error.to_string()
}

/// Each item that cannot be decoded is passed over and named, and all others are read. What stands in it is not in the
/// error, which goes to the log.
#[tokio::test(start_paused = true)]
async fn an_item_that_makes_no_sense_is_named_and_all_others_are_read() {
    let text = || json!({"S": "s3://secret"});
    // A data type that the SDK does not know.
    let unknown = || json!({"T": "s3://secret"});
    for name in NAMES {
        for (attribute, value, why) in [
            ("rev", json!({"BOOL": true}), "an attribute cannot be read"),
            ("rev", text(), "an attribute cannot be read"),
            ("since", text(), "an attribute cannot be read"),
            (
                "began_at",
                json!({"M": {"s3://secret": text()}}),
                "an attribute cannot be read",
            ),
            ("notice", text(), "an attribute cannot be read"),
            ("topic", text(), "an attribute cannot be read"),
            ("by", unknown(), "its \"by\" cannot be read"),
            (
                "more",
                json!({"L": [unknown()]}),
                "its \"more\" cannot be read",
            ),
            ("phase", Value::Null, "it has no `phase`"),
            ("since", Value::Null, "it has no `since`"),
            ("order", Value::Null, "it has no `order`"),
        ] {
            let mut broken = golden(name);
            let key = broken["item"]["S"].as_str().unwrap().to_owned();
            let attributes = broken.as_object_mut().unwrap();
            // It need not be one that is known here.
            if attributes.remove(attribute).is_none() && attribute != "more" {
                continue;
            }
            if value != Value::Null {
                attributes.insert(attribute.to_owned(), value);
            }
            let others = NAMES.into_iter().filter(|other| *other != name);
            let items: Vec<_> = others.map(golden).chain([broken]).collect();
            let (table, _) = table(&json!({ "Items": items }));
            let said = match table.load(now()).await {
                Err(StoreError::Failed(why)) if name == "watch" => why,
                Ok(state) if name != "watch" => {
                    let records = state.records.len() + state.detectors.len();
                    let read = records + state.outbox.len();
                    assert_eq!(read, NAMES.len() - 2, "{name}");
                    only_unreadable(state, &key)
                }
                other => panic!("{name}: {other:?}"),
            };
            assert!(said.contains(why), "{said}");
            assert!(!said.contains("secret"), "{said}");
            let begins: String = key.chars().take(200).collect();
            assert!(said.contains(&format!("{begins:?}")), "{said}");
        }
    }
}

/// An item as large as the table takes, which is what a member of 400 KB comes to.
#[tokio::test(start_paused = true)]
async fn an_item_of_400_kb_is_read_or_named_and_holds_nothing_up() {
    let huge = "x".repeat(400 * 1024);
    for (attribute, is_read) in [("input_path", true), ("key", false)] {
        let mut item = golden("whole");
        let member = match is_read {
            true => &mut item["job"]["M"][attribute],
            false => &mut item[attribute],
        };
        *member = json!({ "S": huge });
        let (table, _) = table(&json!({"Items": [item, golden("active")]}));
        let state = table.load(now()).await.unwrap();
        assert_eq!(state.records.len(), if is_read { 2 } else { 1 });
        if !is_read {
            let said = only_unreadable(state, "job#job");
            assert!(said.len() < 400, "{said}");
        }
    }
}

/// It would be written, claimed and settled under another key, and so never be.
#[tokio::test(start_paused = true)]
async fn an_item_that_is_not_filed_under_its_own_id_is_passed_over() {
    for (name, key) in [
        ("whole", "job#other"),
        ("pending", "outbox#0"),
        ("pending-began", "outbox#"),
    ] {
        let mut elsewhere = golden(name);
        elsewhere["item"] = json!({"S": key});
        let (table, _) = table(&json!({"Items": [elsewhere]}));
        let why = only_unreadable(table.load(now()).await.unwrap(), key);
        assert!(why.contains("not filed under its own id"), "{why}");
    }
    // An id has the length of a hash, whoever wrote it: what is published of it has a bound.
    let mut long = golden("pending");
    let id = "0".repeat(300_000);
    let key = format!("outbox#{id}");
    long["item"] = json!({ "S": key });
    long["notice"]["M"]["id"] = json!({"S": id});
    let (table, _) = table(&json!({"Items": [long]}));
    let why = only_unreadable(table.load(now()).await.unwrap(), &key);
    assert!(
        why.contains("an attribute cannot be read") && why.len() < 400,
        "{why}"
    );
}

#[tokio::test]
async fn the_state_file_of_version_1_is_read_and_written_in_its_form() {
    let folder = tempfile::tempdir().unwrap();
    let written = folder.path().join("state.json");
    let mut state = StateFile::open(&written, |_| {}).unwrap();
    let memory = state.watch(&source());
    for (_, _, change) in changes() {
        memory.record(&change, now()).await.unwrap();
    }
    let until = at("2026-03-02T10:42:40Z");
    let pending = pending_reminder();
    memory.claim(&pending, "run-3", until, now()).await.unwrap();
    state.save().unwrap();
    drop(state);
    let text = std::fs::read_to_string(&written).unwrap();
    let golden = std::fs::read_to_string(file("state-file.json")).unwrap();
    assert_eq!(text, golden);

    let mut state = StateFile::open(&written, |_| {}).unwrap();
    assert_is_all(state.watch(&source()).load(now()).await.unwrap());
    drop(state);

    let newer = golden.replace("\"reads_from\": 1", "\"reads_from\": 2");
    std::fs::write(&written, &newer).unwrap();
    let refused = StateFile::open(&written, |_| {}).unwrap_err().to_string();
    for part in ["state.json", "it needs format 2, and this version reads 1"] {
        assert!(refused.contains(part), "{refused}");
    }
    assert_eq!(std::fs::read_to_string(&written).unwrap(), newer);
}

/// An id that looks like another sort of item is a job's all the same: its key says so, and the hash of its notices
/// keeps its parts apart.
#[tokio::test(start_paused = true)]
async fn an_id_made_to_collide_collides_with_nothing() {
    let ids = [
        "watch",
        "job#watch",
        "outbox#0",
        "#",
        "job",
        "job#job",
        "job\",null,\"failed\",\"",
        "job\",\"2026-03-02T08:00:00Z\",\"failed\",\"\"]",
        "job\\",
        "job\u{0}",
        "job ",
        "JOB",
        "digest",
    ];
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    let mut take = |what: String, id: &str| {
        let before = seen.insert(what.clone(), id.to_owned());
        assert_eq!(before, None, "{what} of {id:?}");
    };
    take("watch".to_owned(), "the watch");
    take(
        NoticeId::new(&source(), None, Kind::Failed, "").to_string(),
        "none",
    );
    for id in ids {
        let job = |started_at| Job {
            started_at,
            ..bare_job(id, "FAILED")
        };
        let (never, once) = (job(None), job(Some(at("2026-03-02T08:00:00Z"))));
        let record = Item::Job(Box::new(Record {
            job: once.clone(),
            ..active()
        }));
        let (item, ..) = sent(&Change {
            expected: Expected::Absent,
            item: record,
            notices: vec![],
        })
        .await;
        let key = item["item"]["S"].as_str().unwrap();
        assert!(key.starts_with("job#"));
        take(key.to_owned(), id);
        for job in [never, once] {
            let key = job.started_at.unwrap_or(Timestamp::UNIX_EPOCH);
            take(thread(&source(), &job.id, key), id);
            for kind in [Kind::Failed, Kind::Completed] {
                for episode in ["", "\"]", "failed"] {
                    let id_of_it = NoticeId::new(&source(), Some((&job.id, key)), kind, episode);
                    take(id_of_it.to_string(), id);
                }
            }
        }
    }
}
