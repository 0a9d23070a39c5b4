//! Our Fraud Detector by hand: `cargo run --example fraud-detector JOBS.json`
//!
//! Prints its address, and lists what the file holds at that moment: a JSON array of jobs. While there is no such
//! file, access is denied.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    dead_code,
    reason = "a lab has instruments that not every experiment uses, and one that cannot go on panics"
)]

mod fraud_detector;
mod http;

use std::path::PathBuf;

use fraud_detector::{Fault, FraudDetector};

fn main() {
    let file = std::env::args()
        .nth(1)
        .expect("usage: fraud-detector JOBS.json");
    let file = PathBuf::from(file);
    let service = FraudDetector::start();
    service.script(|script| {
        let jobs = file.clone();
        script.fault_when = Some(Box::new(move |_| match jobs.exists() {
            true => Fault::None,
            false => Fault::AccessDenied,
        }));
        script.before_page = Some(Box::new(move |page, jobs| {
            if page == 1 {
                let text = std::fs::read(&file).unwrap();
                *jobs = serde_json::from_slice(&text).unwrap();
            }
        }));
    });
    println!("{}", service.url());
    loop {
        std::thread::park();
    }
}
