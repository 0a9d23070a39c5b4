//! The coverage-guided form of the checks: `tests/run fuzz coverage`. It is built only with `--cfg fuzzing`, which
//! cargo-fuzz sets and which brings in what it needs; without that it is a program that says so.

#![cfg_attr(fuzzing, no_main)]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on panics"
)]
#![recursion_limit = "256"]

#[cfg(fuzzing)]
mod inputs;

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    use inputs::{SURFACES, check};

    // The first byte says where it comes in.
    if let Some((place, input)) = input.split_first() {
        check(SURFACES[usize::from(*place) % SURFACES.len()], input);
    }
});

#[cfg(not(fuzzing))]
fn main() {
    eprintln!("this is for `tests/run fuzz coverage`");
}
