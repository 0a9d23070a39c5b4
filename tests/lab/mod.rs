//! What stands in for AWS in the tests.
//!
//! Ours, since nobody else has them: [`fraud_detector`] and [`runtime_api`], with [`function`] to run
//! the real binary, [`proxy`] to let its calls go wrong, [`tls`] before them, and [`table`], which counts what is asked of it. From
//! others: [`emulators`] of SNS, SQS and DynamoDB. All are on loopback, speak
//! the true wire protocols, and end with the test process however it dies.

#![allow(
    dead_code,
    reason = "a lab has instruments that not every experiment uses"
)]

pub(crate) mod emulators;
pub(crate) mod fraud_detector;
pub(crate) mod function;
pub(crate) mod http;
pub(crate) mod mishaps;
pub(crate) mod proxy;
pub(crate) mod runtime_api;
pub(crate) mod table;
pub(crate) mod tls;

use std::time::{Duration, Instant};

/// Waits until something that a test can see has come true.
///
/// # Panics
/// If it has not within a minute.
pub(crate) async fn eventually(mut come_true: impl FnMut() -> bool) {
    let start = Instant::now();
    while !come_true() {
        assert!(start.elapsed() < Duration::from_secs(60), "still not so");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The account of tests that need no more than its name.
pub(crate) fn source() -> fraud_job_watch::watch::Source {
    let account = "arn:aws:frauddetector:eu-west-1:123456789012:batch-prediction";
    account.parse().unwrap()
}

/// The topic of tests that need no more than its name.
pub(crate) fn topic() -> fraud_job_watch::watch::TopicArn {
    let arn = "arn:aws:sns:eu-west-1:123456789012:jobs".to_owned();
    arn.try_into().unwrap()
}
