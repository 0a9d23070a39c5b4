//! The real binary at a service that allows few calls a second.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::lab::emulators::World;
use crate::lab::fraud_detector::{FraudDetector, Rate, job};
use crate::lab::function::Function;
use crate::lab::runtime_api::RuntimeApi;

/// Without pauses the SDK's own tries see all of them three times in ten.
#[tokio::test]
async fn forty_pages_at_two_calls_a_second_are_all_seen() {
    let (jobs, world, api) = (
        FraudDetector::start(),
        World::new().await,
        RuntimeApi::start(),
    );
    jobs.set_jobs(vec![job("active", "IN_PROGRESS")]);
    jobs.set_history(40 * 50 - 1, Duration::from_secs(2 * 24 * 3600));
    jobs.script(|script| script.rate = Some(Rate::new(2)));
    let env = world.env().into_iter().chain([jobs.env()]);
    let _function = Function::start(&api, env!("CARGO_BIN_EXE_fraud-job-watch"), env);

    let started = Instant::now();
    let answer = api.invoke(json!({}), Duration::from_secs(300)).await;
    let took = started.elapsed();
    let answer = answer.unwrap();
    let refused = jobs
        .requests()
        .iter()
        .filter(|it| it.status == Some(400))
        .count();
    println!(
        "{} of 40 pages in {took:.1?}, {refused} calls refused",
        answer["pages"]
    );
    assert_eq!(
        (&answer["jobs"], &answer["pages"], &answer["complete"]),
        (&json!(2_000), &json!(40), &json!(true))
    );
    assert_eq!(answer["began"], true);
    assert!(refused > 0, "it allowed all");
    assert!(took < Duration::from_secs(60), "{took:?}");
}
