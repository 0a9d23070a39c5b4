//! What the other tests rely on: that the lab is like the services it stands for.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::lab::emulators::{World, python_boto3, sdk_config};
use crate::lab::eventually;
use crate::lab::fraud_detector::{Fault, FraudDetector, IMPORTS, PREDICTIONS, import, job};
use crate::lab::function::Function;
use crate::lab::runtime_api::RuntimeApi;

const BINARY: &str = env!("CARGO_BIN_EXE_fraud-job-watch");

/// An operation, as boto3 calls it, and what sets what it lists.
#[derive(Clone, Copy)]
struct Operation {
    name: &'static str,
    in_boto3: &'static str,
    set: fn(&FraudDetector, Vec<Value>),
    job: fn(&str, &str) -> Value,
}

const OPERATIONS: [Operation; 2] = [
    Operation {
        name: PREDICTIONS,
        in_boto3: "get_batch_prediction_jobs",
        set: FraudDetector::set_jobs,
        job,
    },
    Operation {
        name: IMPORTS,
        in_boto3: "get_batch_import_jobs",
        set: FraudDetector::set_imports,
        job: import,
    },
];

fn boto3(detector: &FraudDetector, operation: Operation, parameters: Value) -> Value {
    let output = Command::new(python_boto3())
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lab/page.py"))
        .arg(detector.url())
        .arg(operation.in_boto3)
        .arg(parameters.to_string())
        .env_clear()
        .env("AWS_CONFIG_FILE", "/dev/null")
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The tokens that come with the first pages, each asked for by the one before it.
async fn tokens(detector: &FraudDetector, pages: usize) -> Vec<Option<String>> {
    let config = sdk_config(&detector.url());
    let client = aws_sdk_frauddetector::Client::new(&config);
    let mut tokens = Vec::new();
    while tokens.len() < pages {
        let page = client
            .get_batch_prediction_jobs()
            .set_next_token(tokens.last().cloned().flatten())
            .send()
            .await
            .unwrap();
        tokens.push(page.next_token);
    }
    tokens
}

fn jobs(count: usize) -> Vec<Value> {
    jobs_of(OPERATIONS[0], count)
}

fn jobs_of(operation: Operation, count: usize) -> Vec<Value> {
    let status = ["COMPLETE", "FAILED", "IN_PROGRESS_INITIALIZING"];
    (0..count)
        .map(|n| (operation.job)(&format!("job_{n}"), status[n % status.len()]))
        .collect()
}

/// The other list is not mixed in.
#[test]
fn boto3_pages_through_170_jobs() {
    for operation in OPERATIONS {
        let detector = FraudDetector::start();
        for other in OPERATIONS {
            (other.set)(&detector, vec![(other.job)("other", "COMPLETE")]);
        }
        let jobs = jobs_of(operation, 170);
        (operation.set)(&detector, jobs.clone());
        let pages: Vec<&[Value]> = jobs.chunks(50).collect();
        assert_eq!(
            boto3(&detector, operation, json!({})),
            json!({"pages": pages, "error": null})
        );
        let asked: Vec<_> = detector
            .requests()
            .iter()
            .map(|r| (r.operation, r.page, r.status))
            .collect();
        let page = |number| (operation.name, number, Some(200));
        assert_eq!(asked, [1, 2, 3, 4].map(page));
    }
}

#[test]
fn boto3_asks_for_one_job() {
    for operation in OPERATIONS {
        let detector = FraudDetector::start();
        let jobs = jobs_of(operation, 60);
        (operation.set)(&detector, jobs.clone());
        let one = boto3(&detector, operation, json!({"jobId": "job_58"}));
        assert_eq!(one, json!({"pages": [[jobs[58]]], "error": null}));
        detector.script(|script| script.unknown_id_is_empty = true);
        let none = boto3(&detector, operation, json!({"jobId": "gone"}));
        assert_eq!(none, json!({"pages": [[]], "error": null}));
    }
}

#[test]
fn boto3_knows_every_error() {
    for operation in OPERATIONS {
        let fault = |fault| {
            let detector = FraudDetector::start();
            detector.script(|script| script.faults.push_back(fault));
            boto3(&detector, operation, json!({}))
        };
        let refusal = |parameters| boto3(&FraudDetector::start(), operation, parameters);
        for (answer, error) in [
            (fault(Fault::Throttle), "ThrottlingException"),
            (fault(Fault::Internal), "InternalServerException"),
            (fault(Fault::AccessDenied), "AccessDeniedException"),
            (refusal(json!({"maxResults": 0})), "ValidationException"),
            (refusal(json!({"maxResults": 51})), "ValidationException"),
            (
                refusal(json!({"nextToken": "made up"})),
                "ValidationException",
            ),
            (
                refusal(json!({"jobId": "gone"})),
                "ResourceNotFoundException",
            ),
        ] {
            assert_eq!(answer, json!({"pages": [], "error": error}));
        }
    }
}

#[tokio::test]
async fn tokens_repeat_and_loop_as_scripted() {
    let detector = FraudDetector::start();
    detector.set_jobs(jobs(201));

    detector.script(|s| s.faults.extend([Fault::None, Fault::RepeatToken]));
    let repeated = tokens(&detector, 2).await;
    assert_eq!(repeated[0], repeated[1]);

    let fine = [Fault::None; 3];
    detector.script(|s| s.faults.extend(fine.into_iter().chain([Fault::LoopToken])));
    let looped = tokens(&detector, 4).await;
    assert_eq!(looped[0], looped[3]);
    assert_ne!(looped[1], looped[2]);

    detector.script(|s| s.faults.extend([Fault::None, Fault::EmptyPageWithToken]));
    let delayed = tokens(&detector, 6).await;
    assert!(delayed[..5].iter().all(Option::is_some), "{delayed:?}");
    assert_eq!(delayed[5], None);
    assert_ne!(delayed[0], delayed[1]);
}

#[tokio::test]
async fn a_page_that_is_asked_for_again_keeps_its_number() {
    let detector = FraudDetector::start();
    detector.set_jobs(jobs(101));
    detector.script(|s| s.faults.extend([Fault::None, Fault::Internal, Fault::Drop]));
    assert_eq!(tokens(&detector, 3).await[2], None);
    let asked: Vec<_> = detector
        .requests()
        .iter()
        .map(|r| (r.page, r.status))
        .collect();
    let (ok, error) = (Some(200), Some(500));
    assert_eq!(asked, [(1, ok), (2, error), (2, None), (2, ok), (3, ok)]);
}

#[tokio::test]
async fn a_world_delivers_what_its_topic_is_sent() {
    for world in [World::new().await, World::with_moto_topic().await] {
        let sent = (1..=12).map(|n| format!("message {n}"));
        for message in sent.clone() {
            world
                .sns()
                .publish()
                .topic_arn(world.topic_arn())
                .subject("a subject")
                .message(message)
                .send()
                .await
                .unwrap();
        }
        let received = world.received().await;
        assert!(received.iter().all(|m| m["Subject"] == "a subject"));
        let mut messages: Vec<_> = received.iter().map(|m| &m["Message"]).collect();
        messages.sort_by_key(|m| m.to_string().len());
        assert_eq!(
            messages,
            sent.collect::<Vec<_>>().iter().collect::<Vec<_>>()
        );
        assert!(world.received().await.is_empty());
    }
}

#[tokio::test]
async fn each_of_two_functions_takes_one_event() {
    let (world, detector, api) = (
        World::new().await,
        FraudDetector::start(),
        RuntimeApi::default(),
    );
    detector.script(|script| script.fault_when = Some(Box::new(|_| Fault::Hang)));
    let env = world.env().into_iter().chain([detector.env()]);
    let [one, other] = [(); 2].map(|()| Function::start(&api, BINARY, env.clone()));
    let killed = async {
        // Each is held up by its own invocation.
        eventually(|| detector.requests().len() == 2).await;
        one.kill();
        other.kill();
    };
    let time = Duration::from_secs(60);
    let (first, second, ()) = tokio::join!(
        api.invoke(json!({}), time),
        api.invoke(json!({}), time),
        killed
    );
    for answer in [first, second] {
        assert_eq!(answer.unwrap_err()["errorType"], "Runtime.ExitError");
    }
}

#[tokio::test]
async fn a_function_that_exits_ends_the_wait_for_it() {
    let api = RuntimeApi::default();
    let function = Function::start(&api, BINARY, [("STALL_AFTER", "soon")]);
    let time = Duration::from_secs(1);
    for _ in 0..2 {
        let error = api.invoke(json!({}), time).await.unwrap_err();
        assert_eq!(error["errorType"], "Runtime.ExitError");
        assert_eq!(error["errorMessage"], "exit status: 1");
        assert!(
            error["output"].to_string().contains("STALL_AFTER"),
            "{error}"
        );
    }
    assert_eq!(function.exited().await.code(), Some(1));
}
