//! The real process, killed and cut off at each of its calls: what [`mishaps`](crate::lab::mishaps) checks, for the
//! smallest run that records, claims, publishes and settles. `tests/run kill` plays the rest.

use crate::lab::mishaps::{Day, MISHAPS, calm, matrix, play, play_all, stuck};
use crate::lab::proxy::Mishap;

#[tokio::test]
async fn killed_or_cut_off_at_any_call_of_a_run_nothing_is_lost() {
    let mut calls = play(calm(Day::OneEnds)).await.calls;
    calls.sort();
    let expected = [
        "DeleteItem",
        "GetBatchPredictionJobs",
        "GetTopicAttributes",
        "Publish",
        "Query",
        "TransactWriteItems",
        "UpdateItem",
    ];
    assert_eq!(
        calls, expected,
        "it lists and loads, records, claims, publishes, settles"
    );
    let mut cases = matrix(Day::OneEnds, calls.len(), &MISHAPS);
    cases.extend(stuck(Day::OneEnds, calls.len(), &[Mishap::HangBefore]));
    let done = play_all(cases).await;
    let repeats: usize = done.iter().map(|done| done.repeats).sum();
    assert!(
        repeats > 0,
        "a publish whose answer is lost is repeated, or nothing was lost here"
    );
}
