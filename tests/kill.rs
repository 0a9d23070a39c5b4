//! The real process, killed and cut off at each of its calls: what [`mishaps`](crate::lab::mishaps) checks, for the
//! smallest run that records, claims, publishes and settles, and killed in one that does so for two sources.
//! `tests/run kill` plays the rest.

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
    killed_at_any_call_of_a_run_of_two_sources_nothing_is_lost().await;
}

/// Each source in its own partition, one after the other. Not a test of its own, since a busy machine spends the time of
/// those that are played beside each other.
async fn killed_at_any_call_of_a_run_of_two_sources_nothing_is_lost() {
    let calls = play(calm(Day::OfBoth)).await.calls;
    let of = |operation: &str| calls.iter().filter(|call| *call == operation).count();
    let counts = [
        ("GetBatchPredictionJobs", 1),
        ("GetBatchImportJobs", 1),
        ("GetTopicAttributes", 1),
        ("Query", 2),
        ("TransactWriteItems", 2),
        ("UpdateItem", 2),
        ("Publish", 2),
        ("DeleteItem", 2),
    ];
    for (operation, count) in counts {
        assert_eq!(of(operation), count, "{operation}: {calls:?}");
    }
    play_all(matrix(
        Day::OfBoth,
        calls.len(),
        &[Mishap::KillBefore, Mishap::KillAfter],
    ))
    .await;
}
