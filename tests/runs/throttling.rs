//! A service that refuses calls for their rate.

use super::*;

/// So many calls a second, and as many at once.
fn allows(per_second: u32) -> impl FnMut(Duration) -> bool {
    let (most, mut left, mut before) =
        (f64::from(per_second), f64::from(per_second), Duration::ZERO);
    move |at| {
        left = most.min(left + most * (at - before).as_secs_f64());
        before = at;
        let refuses = left < 0.999;
        if !refuses {
            left -= 1.0;
        }
        refuses
    }
}

#[tokio::test(start_paused = true)]
async fn where_nothing_is_refused_nothing_waits() {
    let world = World::new(Duration::ZERO);
    world.start_many(40);
    world.service.page_size.set(1);
    let outcome = world.run("first", FIVE_MINUTES).await;
    assert_eq!((outcome.answer.pages, outcome.answer.took_ms), (40, 0));
}

#[tokio::test(start_paused = true)]
async fn a_throttled_listing_goes_on_slower_until_all_is_seen() {
    // Calls a second, and how long forty pages may take.
    for (per_second, most) in [(1, 50), (2, 25), (3, 25), (5, 15)] {
        let world = World::new(Duration::ZERO);
        world.start_many(40);
        world.service.page_size.set(1);
        world.refuse(allows(per_second));
        let outcome = world.good_run("first", FIVE_MINUTES).await;
        assert_eq!(outcome.answer.pages, 40);
        assert!(outcome.answer.complete && outcome.answer.began);
        let took = world.begun.elapsed();
        assert!(took < Duration::from_secs(most), "{per_second}/s: {took:?}");
        assert_eq!(u128::from(outcome.answer.took_ms), took.as_millis());
        // It has found its pace.
        let asked = world.service.calls.borrow().len();
        assert!(asked <= 40 + 3, "{per_second}/s: {asked} calls");
    }
}

#[tokio::test(start_paused = true)]
async fn each_refusal_makes_the_pauses_and_the_intervals_longer_up_to_a_bound() {
    for (refusals, pauses_ms, interval_ms) in [
        (1, &[1_000][..], 250),
        (2, &[1_000, 2_000], 500),
        (3, &[1_000, 2_000, 4_000], 1_000),
        (5, &[1_000, 2_000, 4_000, 4_000, 4_000], 1_000),
    ] {
        let world = World::new(Duration::ZERO);
        world.start_all(["a", "b", "c", "d"]);
        world.service.page_size.set(1);
        let mut left = refusals;
        world.refuse(move |_| {
            left -= i32::from(left > 0) + i32::from(left == 0);
            left >= 0
        });
        let outcome = world.run("first", FIVE_MINUTES).await;
        assert!(outcome.answer.complete);
        let intervals: Vec<_> = world.intervals().iter().map(Duration::as_millis).collect();
        let (paused, paced) = intervals.split_at(pauses_ms.len());
        assert_eq!(paused, pauses_ms);
        assert_eq!(paced, [interval_ms; 3]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_listing_that_is_refused_until_its_time_is_spent_is_incomplete_and_no_failure() {
    let world = World::new(Duration::ZERO);
    world.start_all(["a", "b"]);
    world.run("first", FIVE_MINUTES).await;
    advance(Duration::from_secs(120)).await;
    // Something waits to be delivered.
    world.topic.mood.set(Mood::Fails);
    world.end("a", "FAILED");
    world.run("tells nobody", FIVE_MINUTES).await;
    world.topic.mood.set(Mood::Takes);

    for given in [10, 300] {
        world.refuse(|_| true);
        let given = Duration::from_secs(given);
        let started = Instant::now();
        let outcome = world
            .good_run(&format!("refused {given:?}"), Some(given))
            .await;
        assert!(!outcome.answer.complete);
        assert_eq!(outcome.answer.pages, 0);
        // Delivery has its time, whatever the questions by id would still wait for.
        assert!(
            started.elapsed() < given * 9 / 10,
            "{:?}",
            started.elapsed()
        );
        assert!(started.elapsed() > given / 3, "{:?}", started.elapsed());
        let calls = world.service.calls.borrow().len();
        assert!(calls < 80, "{calls} calls");
    }
    assert_eq!(World::kinds(&world.topic), ["began", "failed"]);

    world.refuse(|_| false);
    world.end("b", "COMPLETE");
    let outcome = world.run("answered", FIVE_MINUTES).await;
    assert!(outcome.answer.complete);
    assert_eq!(World::kinds(&world.topic), ["began", "failed", "completed"]);
}

#[tokio::test(start_paused = true)]
async fn a_run_whose_state_cannot_be_loaded_does_not_wait_for_a_throttled_listing() {
    let world = World::new(Duration::ZERO);
    world.store.loads_fail.set(true);
    world.refuse(|_| true);
    let outcome = world.run("first", FIVE_MINUTES).await;
    assert!(matches!(
        outcome.failures[..],
        [Failure::StateUnreadable(_)]
    ));
    assert_eq!(outcome.answer.took_ms, 0);
}

#[tokio::test(start_paused = true)]
async fn a_page_is_of_when_it_was_answered_and_not_of_when_it_was_first_refused() {
    let world = World::new(Duration::ZERO);
    world.start("a", "IN_PROGRESS");
    world.refuse(|at| at < Duration::from_secs(100));
    world.run("first", FIVE_MINUTES).await;
    let record = world
        .table
        .job(&"a".to_owned().try_into().unwrap())
        .unwrap();
    let asked_at = *world.service.calls.borrow().last().unwrap();
    assert!(asked_at > Duration::from_secs(100));
    let base: Timestamp = "2026-03-02T00:00:00Z".parse().unwrap();
    assert_eq!(
        record.first_seen_at,
        base + SignedDuration::try_from(asked_at).unwrap()
    );
}

/// Thirty active jobs that are known and no longer listed.
async fn thirty_unlisted() -> World {
    let world = World::new(Duration::ZERO);
    world.start_many(30);
    world.run("first", FIVE_MINUTES).await;
    advance(Duration::from_secs(120)).await;
    world.jobs.borrow_mut().clear();
    world
}

#[tokio::test(start_paused = true)]
async fn questions_by_id_that_are_refused_together_slow_down_together() {
    let world = thirty_unlisted().await;
    let since = world.begun.elapsed();
    world.service.latency.set(Duration::from_millis(50));
    // The page passes; the sixteen questions that come with it do not.
    let mut calls = 0;
    world.refuse(move |_| {
        calls += 1;
        (2..=17).contains(&calls)
    });
    let outcome = world.good_run("asks", FIVE_MINUTES).await;
    assert!(outcome.answer.complete);
    // One refusal: a pause of a second, and then four a second.
    let calls = world.service.calls.borrow().clone();
    assert_eq!(calls.len(), 1 + 16 + 30);
    let after = calls[17..].iter().map(|at| (*at - since).as_millis());
    let expected = (0..30).map(|n| 1_100 + 250 * n);
    assert!(after.eq(expected), "{calls:?}");
    // All were asked for: a second look makes them vanished.
    advance(Duration::from_secs(120)).await;
    world.refuse(|_| false);
    let outcome = world.run("looks again", FIVE_MINUTES).await;
    assert_eq!(outcome.answer.notices["vanished"], 30);
}

#[tokio::test(start_paused = true)]
async fn questions_by_id_that_stay_refused_leave_the_run_incomplete_and_conclude_nothing() {
    let world = thirty_unlisted().await;
    for name in ["one", "two"] {
        let mut calls = 0;
        world.refuse(move |_| {
            calls += 1;
            calls > 11
        });
        let started = Instant::now();
        let outcome = world.good_run(name, FIVE_MINUTES).await;
        assert!(!outcome.answer.complete);
        // In the middle between the end of the listing and that of the run.
        let ends = Duration::from_millis(240_000 + 59_500 / 2);
        assert!(started.elapsed() <= ends, "{:?}", started.elapsed());
        assert!(started.elapsed() + Duration::from_secs(4) >= ends);
        advance(Duration::from_secs(120)).await;
    }
    let told = World::kinds(&world.topic);
    assert!(
        told.iter().filter(|kind| *kind == "vanished").count() <= 10,
        "{told:?}"
    );
}
