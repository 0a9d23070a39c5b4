//! All tests, in one binary: it links the AWS crates once, and starts each emulator once.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on panics"
)]
#![recursion_limit = "256"]

mod adapters;
mod backtest;
mod cases;
mod counted;
mod detector;
mod expect;
mod formats;
mod fuzz;
mod fuzzed;
mod history;
mod import_messages;
mod job;
mod judge;
mod kill;
mod lab;
mod lab_itself;
mod local;
mod messages;
mod notice;
mod observed;
mod pager;
mod preview;
mod promise;
mod queue;
mod runs;
mod secrets;
mod settings;
mod simulation;
mod store;
mod telemetry;
mod whole;
#[path = "bench/work.rs"]
mod work;
