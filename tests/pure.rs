//! The tests of the judge and of whole runs, which need nothing but this crate, in a binary of their own that is
//! compiled quickly: what `tests/run mutants` runs for each fault. All of them are part of the `tests` target too.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on panics"
)]
#![recursion_limit = "256"]

#[cfg(test)]
mod backtest;
#[cfg(test)]
mod cases;
#[cfg(test)]
mod detector;
#[cfg(test)]
mod expect;
#[cfg(test)]
mod history;
#[cfg(test)]
mod job;
#[cfg(test)]
mod judge;
#[cfg(test)]
mod notice;
#[cfg(test)]
mod observed;
#[cfg(test)]
mod promise;
#[cfg(test)]
mod queue;
#[cfg(test)]
mod runs;
#[cfg(test)]
mod settings;
#[cfg(test)]
mod simulation;

#[cfg(not(test))]
fn main() {}
