//! Our Fraud Detector by hand: `cargo run --example fraud-detector JOBS.json [IMPORTS.json]`
//!
//! Prints its address, and lists what the files hold at that moment: JSON arrays of batch predictions and of batch
//! imports. While there is no such file, access is denied.

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

use fraud_detector::{BeforePage, Fault, FraudDetector, IMPORTS};

fn main() {
    let mut files = std::env::args().skip(1).map(PathBuf::from);
    let predictions = files
        .next()
        .expect("usage: fraud-detector JOBS.json [IMPORTS.json]");
    let imports = files.next().unwrap_or_default();
    let service = FraudDetector::start();
    service.script(|script| {
        script.before_page = Some(reads(predictions.clone()));
        script.before_import_page = Some(reads(imports.clone()));
        script.fault_when = Some(Box::new(move |request| {
            let file = match request.operation {
                IMPORTS => &imports,
                _ => &predictions,
            };
            match file.exists() {
                true => Fault::None,
                false => Fault::AccessDenied,
            }
        }));
    });
    println!("{}", service.url());
    loop {
        std::thread::park();
    }
}

fn reads(file: PathBuf) -> BeforePage {
    Box::new(move |page, jobs| {
        if page == 1 {
            let text = std::fs::read(&file).unwrap();
            *jobs = serde_json::from_slice(&text).unwrap();
        }
    })
}
