//! The whole: the real binary at a Runtime API, our Fraud Detector, and emulators of SNS, SQS and DynamoDB.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};

use crate::lab::emulators::{Subscriber, World, python_boto3};
use crate::lab::fraud_detector::{
    Fault, FraudDetector, IMPORTS, PREDICTIONS, Rate, ago, import, job, with,
};
use crate::lab::function::Function;
use crate::lab::runtime_api::RuntimeApi;

const BINARY: &str = env!("CARGO_BIN_EXE_fraud-job-watch");
const MINUTE: Duration = Duration::from_secs(60);
const TIME: Duration = Duration::from_secs(300);

/// A watch in a world of its own.
struct Stage {
    jobs: FraudDetector,
    world: World,
    api: RuntimeApi,
}

impl Stage {
    async fn new() -> Self {
        Self::of(World::new().await)
    }

    fn of(world: World) -> Self {
        let (jobs, api) = (FraudDetector::start(), RuntimeApi::default());
        Self { jobs, world, api }
    }

    fn function(&self, more: &[(&str, &str)]) -> Function {
        let env = self.world.env().into_iter().chain([self.jobs.env()]);
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Function::start(&self.api, BINARY, env.chain(more.iter().map(owned)))
    }

    /// These jobs are listed so from now on.
    fn change(&self, ids: &[&str], members: &Value) {
        let is_one = |job: &&mut Value| ids.iter().any(|id| job["jobId"] == *id);
        self.jobs.update(|jobs| {
            for job in jobs.iter_mut().filter(is_one) {
                *job = with(job.take(), members.clone());
            }
        });
    }

    fn end(&self, ids: &[&str], status: &str) {
        let now = ago(Duration::ZERO);
        self.change(ids, &json!({"status": status, "completionTime": now}));
    }

    /// This import is listed so from now on.
    fn change_import(&self, id: &str, members: Value) {
        self.jobs.update_imports(|imports| {
            let is_it = |import: &&mut Value| import["jobId"] == id;
            let import = imports.iter_mut().find(is_it).unwrap();
            *import = with(import.take(), members);
        });
    }

    fn beat(&self, id: &str) {
        self.change(&[id], &json!({"lastHeartbeatTime": ago(Duration::ZERO)}));
    }

    async fn invoke(&self) -> Value {
        self.api.invoke(json!({}), TIME).await.unwrap()
    }

    /// What the queue got since the last time: the events, also those of digests.
    async fn told(&self) -> Vec<Value> {
        let received = self.world.received().await;
        let event = |envelope: &Value| -> Value {
            serde_json::from_str(envelope["Message"].as_str().unwrap()).unwrap()
        };
        let events = received.iter().map(event);
        events
            .flat_map(|event| match event.pointer("/data/events") {
                Some(events) => events.as_array().unwrap().clone(),
                None => vec![event],
            })
            .collect()
    }

    /// Everything in the table.
    async fn table(&self) -> Vec<BTreeMap<String, AttributeValue>> {
        let mut items = Vec::new();
        let mut start = None;
        loop {
            let scan = self
                .world
                .dynamodb()
                .scan()
                .table_name(self.world.table())
                .set_exclusive_start_key(start);
            let page = scan.send().await.unwrap();
            let found = page.items.unwrap_or_default().into_iter();
            items.extend(found.map(|item| item.into_iter().collect()));
            start = page.last_evaluated_key.filter(|key| !key.is_empty());
            if start.is_none() {
                return items;
            }
        }
    }
}

/// What each event says of whom, as "kind subject".
fn told_of(events: &[Value]) -> BTreeSet<String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let told = |event: &Value| text(&event["data"]["kind"]) + " " + &text(&event["subject"]);
    events.iter().map(told).collect()
}

fn set<const N: usize>(told: [&str; N]) -> BTreeSet<String> {
    told.map(str::to_owned).into()
}

/// Jobs that ended two days ago.
fn history(count: usize) -> Vec<Value> {
    let long_ago = ago(2 * 24 * 60 * MINUTE);
    let ended =
        json!({"startTime": long_ago, "lastHeartbeatTime": long_ago, "completionTime": long_ago});
    (0..count)
        .map(|number| with(job(&format!("old-{number}"), "COMPLETE"), ended.clone()))
        .collect()
}

/// The answer has these members, whatever else it has.
fn assert_says(answer: &Value, members: Value) {
    assert_eq!(with(answer.clone(), members), *answer);
}

#[tokio::test]
async fn a_watch_from_its_first_run_on() {
    let stage = Stage::new().await;
    let active = [
        "completes",
        "fails",
        "stalls",
        "vanishes",
        "is-canceled",
        "goes-on",
    ];
    let mut jobs = history(164);
    jobs.extend(active.map(|id| job(id, "IN_PROGRESS")));
    stage.jobs.set_jobs(jobs);

    let function = stage.function(&[]);
    let first = stage.invoke().await;
    let right = json!({
        "jobs": 170, "pages": 4, "complete": true, "by_status": {"COMPLETE": 164, "IN_PROGRESS": 6},
        "began": true, "published": 1, "pending": 0,
    });
    assert_says(&first, right);
    let told = stage.told().await;
    assert_eq!(
        told_of(&told),
        set(["began fraud-job-watch"]),
        "the first run is quiet"
    );
    assert_eq!(
        stage.table().await.len(),
        1 + active.len(),
        "history is not written"
    );

    let before = stage.table().await;
    let second = stage.invoke().await;
    assert_says(&second, json!({"published": 0, "notices": {}}));
    assert_eq!(
        stage.told().await,
        [] as [Value; 0],
        "the second run is silent"
    );
    assert_eq!(stage.table().await, before, "and writes nothing");

    stage.end(&["completes"], "COMPLETE");
    stage.end(&["fails"], "FAILED");
    stage.end(&["is-canceled"], "CANCELED");
    stage
        .jobs
        .update(|jobs| jobs.retain(|job| job["jobId"] != "vanishes"));
    // The jobs last beat a minute before the first run: too long for this setting.
    function.kill();
    function.exited().await;
    let function = stage.function(&[
        ("STALL_AFTER", "1m"),
        (
            "NOTIFY_ON",
            "completed,failed,stalled,vanished,canceled,recovered",
        ),
        ("WATCH_NAME", "lab"),
    ]);
    stage.beat("goes-on");
    // As if this were a later look than the first.
    stage.world.back_date("stalls", "first_seen_at").await;
    let third = stage.invoke().await;
    let told = stage.told().await;
    let expected = [
        "completed completes",
        "failed fails",
        "canceled is-canceled",
        "stalled stalls",
    ];
    assert_eq!(
        told_of(&told),
        set(expected),
        "after a restart each is told"
    );
    assert_eq!(told.len(), 4, "once");
    assert_says(&third, json!({"published": 4, "pending": 0}));
    // What is missing may be back in the next look.
    stage.world.back_date("vanishes", "absent_since").await;
    stage.invoke().await;
    let told = stage.told().await;
    assert_eq!(told_of(&told), set(["vanished vanishes"]));

    let fourth = stage.invoke().await;
    assert_says(&fourth, json!({"published": 0}));
    assert_eq!(stage.told().await.len(), 0);
    stage.beat("stalls");
    stage.invoke().await;
    assert_eq!(told_of(&stage.told().await), set(["recovered stalls"]));
    let lines = function.stdout();
    let is_summary = |line: &&String| line.contains("run succeeded");
    assert_eq!(lines.iter().filter(is_summary).count(), 4, "{lines:#?}");
}

#[tokio::test]
async fn one_function_watches_predictions_and_imports() {
    let stage = Stage::new().await;
    stage.jobs.set_jobs(vec![job("scores", "IN_PROGRESS")]);
    let old = json!({"startTime": ago(49 * 60 * MINUTE), "completionTime": ago(48 * 60 * MINUTE)});
    let imports = (0..60).map(|n| with(import(&format!("old-{n}"), "COMPLETE"), old.clone()));
    let mut imports: Vec<_> = imports.collect();
    imports.push(import("loads", "IN_PROGRESS"));
    // It counts nothing, for hours: it may be validating its file.
    let since = json!({"startTime": ago(300 * MINUTE)});
    imports.push(with(import("validates", "IN_PROGRESS_INITIALIZING"), since));
    stage.jobs.set_imports(imports);

    let function = stage.function(&[
        ("WATCH", "batch-imports,batch-predictions"),
        ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
    ]);
    let first = stage.invoke().await;
    assert_says(
        &first,
        json!({"jobs": 63, "pages": 3, "complete": true, "began": true, "published": 2, "pending": 0}),
    );
    assert_says(
        &first["sources"]["batch-predictions"],
        json!({"jobs": 1, "pages": 1}),
    );
    assert_says(
        &first["sources"]["batch-imports"],
        json!({"jobs": 62, "pages": 2}),
    );
    let requests = stage.jobs.requests();
    let mut asked: Vec<_> = requests.iter().map(|it| it.operation).collect();
    // One of predictions was for the connection.
    assert_eq!(asked.len(), 1 + 1 + 2);
    asked.dedup();
    assert_eq!(asked, [PREDICTIONS, IMPORTS], "predictions first");
    let partitions = async || {
        let mut partitions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for item in stage.table().await {
            let text = |name: &str| item[name].as_s().unwrap().clone();
            partitions
                .entry(text("watch"))
                .or_default()
                .insert(text("item"));
        }
        partitions
    };
    let arn = |resource| format!("arn:aws:frauddetector:us-east-1:123456789012:{resource}");
    assert_eq!(
        partitions().await,
        [
            (arn("batch-prediction"), set(["watch", "job#scores"])),
            (
                arn("batch-import"),
                set(["watch", "job#loads", "job#validates"])
            ),
        ]
        .into()
    );
    let types = |told: &[Value]| -> BTreeSet<String> {
        let types = told
            .iter()
            .map(|event| event["type"].as_str().unwrap().to_owned());
        types.collect()
    };
    assert_eq!(
        types(&stage.told().await),
        set([
            "fraud-job-watch.batch-prediction.began.v1",
            "fraud-job-watch.batch-import.began.v1"
        ])
    );
    let second = stage.invoke().await;
    assert_says(&second, json!({"published": 0, "notices": {}}));

    stage.end(&["scores"], "FAILED");
    let ended = json!({
        "status": "COMPLETE", "completionTime": ago(Duration::ZERO),
        "processedRecordsCount": 116_705, "failedRecordsCount": 1, "totalRecordsCount": 116_705,
    });
    stage.change_import("loads", ended);
    stage.invoke().await;
    let told = stage.told().await;
    assert_eq!(told_of(&told), set(["failed scores", "completed loads"]));
    let lines = function.stdout();
    for event in &told {
        let id = event["id"].as_str().unwrap();
        let is_its = |line: &&String| line.contains(r#""published""#) && line.contains(id);
        assert_eq!(lines.iter().filter(is_its).count(), 1, "{lines:#?}");
    }
    let import = told
        .iter()
        .find(|event| event["subject"] == "loads")
        .unwrap();
    assert_eq!(import["source"], arn("batch-import"));
    assert_says(&import["data"], json!({"severity": "warning"}));
    assert_says(
        &import["data"]["job"],
        json!({"failed_records": 1, "processed_records": 116_705}),
    );

    // One that the role may not list does not stop the other.
    for (denied, action, told) in [
        (
            IMPORTS,
            "frauddetector:GetBatchImportJobs",
            "failed next-scores",
        ),
        (
            PREDICTIONS,
            "frauddetector:GetBatchPredictionJobs",
            "failed next-loads",
        ),
    ] {
        let ended = json!({"completionTime": ago(Duration::ZERO)});
        let scores = with(job("next-scores", "FAILED"), ended.clone());
        let loads = with(self::import("next-loads", "FAILED"), ended);
        stage.jobs.update(|jobs| jobs.push(scores));
        stage.jobs.update_imports(|jobs| jobs.push(loads));
        stage.jobs.script(|script| {
            script.fault_when = Some(Box::new(move |request| match request.operation == denied {
                true => Fault::AccessDenied,
                false => Fault::None,
            }));
        });
        let failed = stage.api.invoke(json!({}), TIME).await.unwrap_err();
        assert_eq!(failed["errorType"], "ListingFailed");
        let message = failed["errorMessage"].as_str().unwrap();
        let source = match denied {
            IMPORTS => "batch-imports: ",
            _ => "batch-predictions: ",
        };
        assert!(
            message.starts_with(source) && message.contains(action),
            "{message}"
        );
        assert_eq!(told_of(&stage.told().await), set([told]));
    }
    let lines = function.stdout();
    let metrics = lines
        .iter()
        .filter(|line| line.contains("CloudWatchMetrics"));
    assert_eq!(metrics.count(), 5, "one line an invocation");
}

#[tokio::test]
async fn what_is_not_watched_is_not_asked_for() {
    for (watch, asked, told) in [
        ("", PREDICTIONS, "failed scores"),
        ("batch-predictions", PREDICTIONS, "failed scores"),
        ("batch-imports", IMPORTS, "failed loads"),
    ] {
        let stage = Stage::new().await;
        stage.jobs.set_jobs(vec![job("scores", "IN_PROGRESS")]);
        stage.jobs.set_imports(vec![import("loads", "IN_PROGRESS")]);
        let _function = stage.function(&[("WATCH", watch)]);
        stage.invoke().await;
        stage.told().await;
        let ended = json!({"status": "FAILED", "completionTime": ago(Duration::ZERO)});
        stage.change(&["scores"], &ended);
        stage.change_import("loads", ended);
        let answer = stage.invoke().await;
        assert_eq!(answer.get("sources"), None, "{answer}");
        assert_eq!(told_of(&stage.told().await), set([told]));
        let requests = stage.jobs.requests();
        assert!(
            requests.iter().all(|it| it.operation == asked),
            "{requests:?}"
        );
        let items = stage.table().await.into_iter();
        let partitions: BTreeSet<_> = items
            .map(|item| item["watch"].as_s().unwrap().clone())
            .collect();
        assert_eq!(partitions.len(), 1, "{partitions:?}");
    }
}

#[tokio::test]
async fn two_processes_at_once_tell_each_thing_once() {
    let stage = Stage::new().await;
    let jobs = (0..40).map(|number| job(&format!("job-{number}"), "IN_PROGRESS"));
    stage.jobs.set_jobs(jobs.collect());
    let functions = [stage.function(&[]), stage.function(&[])];
    let (one, two) = tokio::join!(stage.invoke(), stage.invoke());
    for answer in [one, two] {
        assert_says(&answer, json!({"complete": true}));
    }
    assert_eq!(told_of(&stage.told().await).len(), 1, "one of them began");
    for round in 0..4 {
        let ended: Vec<_> = (round * 10..round * 10 + 10)
            .map(|number| format!("job-{number}"))
            .collect();
        stage.end(
            &Vec::from_iter(ended.iter().map(String::as_str)),
            "COMPLETE",
        );
        let (one, two) = tokio::join!(stage.invoke(), stage.invoke());
        let recorded = |answer: &Value| answer["notices"]["completed"].as_u64().unwrap_or(0);
        assert_eq!(
            recorded(&one) + recorded(&two),
            10,
            "each change has one winner: {one} {two}"
        );
        let told = stage.told().await;
        let expected = ended.iter().map(|id| format!("completed {id}")).collect();
        assert_eq!(
            (told.len(), told_of(&told)),
            (10, expected),
            "round {round}"
        );
    }
    drop(functions);
}

#[tokio::test]
async fn five_thousand_jobs_at_20_ms_a_page_within_60_s() {
    let stage = Stage::new().await;
    stage.jobs.set_jobs(history(5_000));
    stage
        .jobs
        .script(|script| script.latency = Duration::from_millis(20));
    let _function = stage.function(&[]);
    let answer = stage.api.invoke(json!({}), MINUTE).await.unwrap();
    assert_says(
        &answer,
        json!({"jobs": 5_000, "pages": 100, "complete": true}),
    );
}

/// Without pauses the SDK's own tries see all of them three times in ten.
#[tokio::test]
async fn forty_pages_at_two_calls_a_second_are_all_seen() {
    let stage = Stage::new().await;
    stage.jobs.set_jobs(vec![job("active", "IN_PROGRESS")]);
    stage.jobs.set_history(40 * 50 - 1, 48 * 60 * MINUTE);
    stage.jobs.script(|script| script.rate = Some(Rate::new(2)));
    let _function = stage.function(&[]);
    let started = Instant::now();
    let answer = stage.invoke().await;
    let took = started.elapsed();
    assert_says(
        &answer,
        json!({"jobs": 2_000, "pages": 40, "complete": true, "began": true}),
    );
    let requests = stage.jobs.requests();
    assert!(
        requests.iter().any(|it| it.status == Some(400)),
        "it allowed all"
    );
    assert!(took < MINUTE, "{took:?}");
}

#[tokio::test]
async fn a_deadline_too_short_for_the_listing_is_no_error_and_concludes_nothing() {
    let stage = Stage::new().await;
    let mut jobs = vec![job("seen", "IN_PROGRESS")];
    jobs.extend(history(5_000));
    jobs.push(job("unseen", "IN_PROGRESS"));
    stage.jobs.set_jobs(jobs);
    let _function = stage.function(&[]);
    stage.invoke().await;
    stage.told().await;

    stage.end(&["seen", "unseen"], "COMPLETE");
    stage
        .jobs
        .script(|script| script.latency = Duration::from_millis(100));
    let cut = stage
        .api
        // A third of it is kept for asking and telling, which is ample even on a busy machine.
        .invoke(json!({}), Duration::from_secs(9))
        .await
        .unwrap();
    assert_says(&cut, json!({"complete": false, "pending": 0}));
    assert!(cut["jobs"].as_u64().unwrap() < 5_000, "{cut}");
    let told = stage.told().await;
    assert_eq!(
        told_of(&told),
        set(["completed seen", "completed unseen"]),
        "known jobs are asked for by id"
    );
}

#[tokio::test]
async fn a_failing_listing_fails_the_run_and_concludes_nothing() {
    let stage = Stage::new().await;
    let mut jobs = vec![job("first", "IN_PROGRESS")];
    jobs.extend(history(120));
    jobs.push(job("last", "IN_PROGRESS"));
    stage.jobs.set_jobs(jobs);
    let function = stage.function(&[]);
    stage.invoke().await;
    stage.told().await;

    stage.end(&["first"], "FAILED");
    stage
        .jobs
        .update(|jobs| jobs.retain(|job| job["jobId"] != "last"));
    stage.jobs.script(|script| {
        script.fault_when = Some(Box::new(|request| match request.page {
            2 => Fault::AccessDenied,
            _ => Fault::None,
        }));
    });
    // A deadline long past counts as none.
    let failed = stage
        .api
        .invoke_until(json!({}), 600_000)
        .await
        .unwrap_err();
    assert_eq!(failed["errorType"], "ListingFailed");
    let message = failed["errorMessage"].as_str().unwrap();
    assert!(
        message.contains("page 2") && message.contains("AccessDeniedException"),
        "{message}"
    );
    assert_eq!(
        told_of(&stage.told().await),
        set(["failed first"]),
        "what was seen stands; nothing vanished"
    );
    let log = function.stdout().join("\n");
    assert!(log.contains("ListingFailed"), "{log}");

    stage.jobs.script(|script| {
        script.fault_when = Some(Box::new(|request| match request.page {
            2.. => Fault::LoopToken,
            _ => Fault::None,
        }));
    });
    let failed = stage.api.invoke(json!({}), TIME).await.unwrap_err();
    assert_eq!(failed["errorType"], "ListingLooped");

    stage.jobs.script(|script| {
        script.fault_when = None;
        script.faults = [
            Fault::Throttle,
            Fault::Internal,
            Fault::EmptyPageWithToken,
            Fault::Drop,
        ]
        .into();
        script.unknown_id_is_empty = true;
    });
    let well = stage.invoke().await;
    assert_eq!(
        well["complete"], true,
        "throttles, errors and dropped connections are retried"
    );
    assert_eq!(stage.told().await, [] as [Value; 0], "missing once");
    stage.world.back_date("last", "absent_since").await;
    stage.invoke().await;
    assert_eq!(told_of(&stage.told().await), set(["vanished last"]));
}

#[tokio::test]
async fn odd_input_is_told_as_far_as_it_can_be() {
    let stage = Stage::new().await;
    let _function = stage.function(&[]);
    stage.invoke().await;
    stage.told().await;
    let now = ago(Duration::ZERO);
    let reason = format!("<!channel>\u{1b}[2J\r\n{}", "x".repeat(200_000));
    stage.jobs.set_jobs(vec![
        json!({}),
        json!({"status": "COMPLETE", "completionTime": now}),
        json!({"jobId": "only-an-id"}),
        json!({"jobId": "unknown-active", "status": "DREAMING", "startTime": "soon", "processedRecordsCount": -1}),
        json!({"jobId": "unknown-ended", "status": "ARCHIVED", "completionTime": now}),
        json!({"jobId": "x".repeat(2_000), "status": "FAILED", "completionTime": now}),
        json!({"jobId": "odd \u{1b}[31m\n id", "status": "FAILED", "completionTime": now}),
        with(job("huge", "FAILED"), json!({"failureReason": reason, "completionTime": now, "detectorVersion": "one"})),
        json!({"arn": "arn:aws:frauddetector:us-east-1:123456789012:batch-prediction/by-arn", "status": "COMPLETE", "completionTime": now}),
    ]);
    let answer = stage.invoke().await;
    assert_says(
        &answer,
        json!({"unreadable": 3, "complete": true, "pending": 0}),
    );
    let told = stage.told().await;
    let expected = [
        "failed odd \u{1b}[31m\n id",
        "failed huge",
        "completed by-arn",
        "ended unknown-ended",
    ];
    assert_eq!(told_of(&told), set(expected));
    let huge = told
        .iter()
        .find(|event| event["subject"] == "huge")
        .unwrap();
    assert_eq!(huge["data"]["job"]["failure_reason_bytes"], json!(200_016));
    let again = stage.invoke().await;
    assert_says(&again, json!({"published": 0}));
    assert_eq!(stage.told().await.len(), 0, "told once");
}

/// The loop in events/README.md, word for word, with the AWS command line and our Fraud Detector.
#[tokio::test]
async fn the_loop_that_is_documented_saves_every_page_or_nothing() {
    let detector = FraudDetector::start();
    let mut jobs = history(170);
    // What a shell's `echo` may take for a line break.
    jobs[3] = with(jobs[3].clone(), json!({"failureReason": "a\nb"}));
    detector.set_jobs(jobs);
    let readme = include_str!("../events/README.md");
    let blocks = readme
        .split("```sh\n")
        .map(|block| block.split("```").next().unwrap());
    let mut scripts = blocks.filter(|block| block.contains("get-batch-prediction-jobs"));
    let script = scripts.next().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let bin = python_boto3().parent().unwrap().display().to_string();
    let (name, url) = detector.env();
    let save = |url: &str| {
        let mut shell = std::process::Command::new("sh");
        shell
            .args(["-u", "-c", script])
            .current_dir(&folder)
            .env("PATH", format!("{bin}:{}", std::env::var("PATH").unwrap()))
            .env(&name, url)
            .envs([
                ("AWS_ACCESS_KEY_ID", "test"),
                ("AWS_SECRET_ACCESS_KEY", "test"),
                ("AWS_REGION", "us-east-1"),
                ("AWS_DEFAULT_REGION", "us-east-1"),
                ("AWS_CONFIG_FILE", "/dev/null"),
                ("AWS_MAX_ATTEMPTS", "1"),
                ("AWS_PAGER", ""),
            ]);
        shell.output().unwrap()
    };
    let saved = save(&url);
    assert!(saved.status.success(), "{saved:?}");
    let before = std::fs::read(folder.path().join("jobs.json")).unwrap();
    let failed = save("http://127.0.0.1:9");
    assert!(!failed.status.success(), "{failed:?}");
    let after = std::fs::read(folder.path().join("jobs.json")).unwrap();
    assert!(before == after, "what was saved before is left as it was");
    let shown = std::process::Command::new(env!("CARGO_BIN_EXE_preview"))
        .args(["replay", "jobs.json"])
        .current_dir(&folder)
        .output()
        .unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(
        shown.contains("170 jobs on 4 pages: 170 COMPLETE"),
        "{shown}"
    );
}

#[tokio::test]
async fn each_subscriber_gets_the_form_that_suits_it() {
    let stage = Stage::new().await;
    let by_http = Subscriber::by("http", &stage.world).await;
    let by_https = Subscriber::by("https", &stage.world).await;
    let _function = stage.function(&[]);
    stage.invoke().await;
    let message = |envelope: Value| -> Value {
        serde_json::from_str(envelope["Message"].as_str().unwrap()).unwrap()
    };
    let event = stage.told().await.remove(0);
    assert_eq!(event["type"], "fraud-job-watch.batch-prediction.began.v1");
    assert_eq!(message(by_http.next().await), event);
    let chat = message(by_https.next().await);
    assert_eq!(chat["source"], "custom");
    assert_eq!(
        chat["metadata"]["additionalContext"]["event_id"],
        event["id"]
    );
}

/// moto knows more of SNS's rules than others do, and refuses what breaks them.
#[tokio::test]
async fn every_message_passes_where_snss_rules_are_kept() {
    for digest_above in ["1000", "1"] {
        messages_pass(digest_above).await;
    }
}

async fn messages_pass(digest_above: &str) {
    let stage = Stage::of(World::with_moto_topic().await);
    let _function = stage.function(&[
        (
            "NOTIFY_ON",
            "completed,failed,stalled,recovered,canceled,vanished",
        ),
        ("DIGEST_ABOVE", digest_above),
        ("WATCH_NAME", "a name of forty characters, not any more"),
    ]);
    stage.invoke().await;
    let now = ago(Duration::ZERO);
    let ids = [
        "plain".to_owned(),
        "ü\u{1b}[31m\n<!channel>".to_owned(),
        "long-".repeat(190),
    ];
    let statuses = ["COMPLETE", "FAILED", "CANCELED", "IN_PROGRESS"];
    let mut jobs = Vec::new();
    for id in &ids {
        for status in statuses {
            let odd = json!({"detectorName": format!("detector of {id}"), "completionTime": now, "failureReason": id.repeat(100)});
            let stalled = json!({"startTime": ago(120 * MINUTE), "lastHeartbeatTime": ago(90 * MINUTE), "detectorName": "", "processedRecordsCount": 0});
            let members = if status == "IN_PROGRESS" {
                stalled
            } else {
                odd
            };
            jobs.push(with(job(&format!("{id}{status}"), status), members));
        }
    }
    stage.jobs.set_jobs(jobs);
    let answer = stage.invoke().await;
    assert_says(&answer, json!({"published": 12, "pending": 0}));
    let told = stage.told().await;
    assert!(told.len() >= 12, "in their full form: {}", told.len());
}

#[tokio::test]
async fn bad_settings_stop_the_start_and_are_all_named_in_one_line() {
    let api = RuntimeApi::default();
    let env = [
        ("TOPIC_ARN", "jobs"),
        ("STALL_AFTER", "soon"),
        ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
    ];
    let function = Function::start(&api, BINARY, env);
    assert!(!function.exited().await.success());
    let lines = function.stdout();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    let line: Value = serde_json::from_str(&lines[0]).unwrap();
    assert_says(
        &line,
        json!({"level": "ERROR", "error_type": "SettingsInvalid"}),
    );
    let message = line["message"].as_str().unwrap();
    for part in [
        "TOPIC_ARN is \"jobs\"",
        "STATE_TABLE is not set",
        "STALL_AFTER is \"soon\"",
    ] {
        assert!(message.contains(part), "{part} in {message}");
    }
}
