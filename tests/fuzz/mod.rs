//! Bad input in bulk: [`inputs`] says what must hold, [`mutation`] makes inputs by chance.

pub(crate) mod inputs;
pub(crate) mod mutation;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use allocation_counter::measure;

use inputs::{Surface, check};

/// What one check may allocate at once: a run and its messages, and so much for each byte that comes in.
const ALLOCATED: u64 = 4 * 1024 * 1024;
const ALLOCATED_A_BYTE: u64 = 256;

/// Checks an input, and that it takes memory by its size.
pub(crate) fn check_bounded(surface: Surface, input: &[u8]) {
    let mut outcome = Ok(());
    // The counter is lost if a panic passes through it.
    let taken = measure(|| outcome = catch_unwind(AssertUnwindSafe(|| check(surface, input))));
    if let Err(panic) = outcome {
        resume_unwind(panic);
    }
    let taken = taken.bytes_max;
    let bound = ALLOCATED + ALLOCATED_A_BYTE * input.len() as u64;
    assert!(
        taken <= bound,
        "{taken} bytes for an input of {}",
        input.len()
    );
}
