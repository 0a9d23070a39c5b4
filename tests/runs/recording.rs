//! Writes that are raced, lost or doubted, and the beginning of a watch.

use super::*;

#[tokio::test(start_paused = true)]
async fn no_more_than_sixteen_writes_are_under_way_at_once() {
    let world = World::new(Duration::from_millis(20));
    world.start_many(100);
    world.store.records_take_their_time.set(true);
    world.run("first", None).await;
    assert_eq!(world.store.most_writes.get(), 16);
}

#[tokio::test(start_paused = true)]
async fn the_watch_does_not_begin_while_something_could_not_be_recorded() {
    let world = World::new(Duration::ZERO);
    world.jobs.borrow_mut().push(ListedJob {
        job_id: Some("timeless".to_owned()),
        status: Some("FAILED".to_owned()),
        ..ListedJob::default()
    });
    world.store.records_fail.set(true);
    let outcome = world.run("first", None).await;
    assert!(!outcome.answer.began);
    world.store.records_fail.set(false);
    for name in ["second", "third"] {
        world.good_run(name, None).await;
    }
    assert_eq!(World::kinds(&world.topic), ["began"], "history is not news");
}

#[tokio::test(start_paused = true)]
async fn the_watch_does_not_begin_while_pages_were_not_seen_for_lack_of_time() {
    let world = World::new(Duration::ZERO);
    world.start_all(["a", "b"]);
    world.service.page_size.set(1);
    let mut calls = 0;
    world.refuse(move |_| {
        calls += 1;
        calls > 1
    });
    let outcome = world.good_run("first", FIVE_MINUTES).await;
    assert!(!outcome.answer.complete && !outcome.answer.began);
    assert_eq!(World::kinds(&world.topic), [""; 0]);
    world.refuse(|_| false);
    assert!(world.run("second", FIVE_MINUTES).await.answer.began);
}

/// What is stored before the watch has begun, in a world where it can begin.
async fn about_to_begin(world: &World) -> State {
    world.service.broken_page.set(Some(0));
    world.run("first", None).await;
    world.service.broken_page.set(None);
    world.stored().await
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_another_run_began_meanwhile_does_not_begin_again() {
    let world = World::new(Duration::ZERO);
    let before = about_to_begin(&world).await;
    assert!(world.run("other", None).await.answer.began);
    world.store.stale.replace(Some(before));
    let outcome = world.good_run("later", None).await;
    assert!(!outcome.answer.began);
    assert_eq!(World::kinds(&world.topic), ["began"]);
}

#[tokio::test(start_paused = true)]
async fn a_beginning_that_may_not_be_recorded_is_recorded_once() {
    for fault in [Fault::NotMade, Fault::AnswerLost] {
        let world = World::new(Duration::ZERO);
        about_to_begin(&world).await;
        world.store.next_writes.replace([fault].into());
        let outcome = world.good_run("second", None).await;
        assert!(outcome.answer.began);
        assert_eq!(World::kinds(&world.topic), ["began"]);
    }
}

/// `a` is known and active; what was stored then.
async fn one_active(world: &World) -> State {
    world.start("a", "IN_PROGRESS");
    world.run("first", None).await;
    world.topic.published.borrow_mut().clear();
    world.stored().await
}

#[tokio::test(start_paused = true)]
async fn a_change_that_may_not_be_recorded_is_judged_again_and_told_at_once() {
    for fault in [Fault::NotMade, Fault::AnswerLost] {
        let world = World::new(Duration::ZERO);
        one_active(&world).await;
        world.end("a", "COMPLETE");
        world.store.next_writes.replace([fault].into());
        let outcome = world.good_run("second", None).await;
        assert_eq!(outcome.answer.notices["completed"], 1);
        assert_eq!(World::kinds(&world.topic), ["completed"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_change_that_may_twice_not_be_recorded_is_left_to_the_next_run() {
    let world = World::new(Duration::ZERO);
    one_active(&world).await;
    world.end("a", "COMPLETE");
    world.store.next_writes.replace([Fault::NotMade; 2].into());
    let outcome = world.run("second", None).await;
    let [Failure::RecordFailed(why)] = &outcome.failures[..] else {
        panic!("{:?}", outcome.failures)
    };
    assert_eq!(why, "job \"a\": no answer");
    world.run("third", None).await;
    assert_eq!(World::kinds(&world.topic), ["completed"]);
}

/// The run does not know of the stall that is to be told first.
#[tokio::test(start_paused = true)]
async fn what_is_recorded_on_top_of_another_runs_change_goes_out_after_it_with_the_next_run() {
    let world = World::new(Duration::ZERO);
    let before = one_active(&world).await;
    advance(Duration::from_secs(2 * 3600)).await;
    world.topic.mood.set(Mood::Fails);
    assert_eq!(world.run("other", None).await.answer.notices["stalled"], 1);
    world.topic.mood.set(Mood::Takes);
    world.end("a", "COMPLETE");
    world.store.stale.replace(Some(before));
    let outcome = world.good_run("later", None).await;
    assert_eq!((outcome.answer.published, outcome.answer.pending), (0, 1));
    world.run("next", None).await;
    assert_eq!(World::kinds(&world.topic), ["stalled", "completed"]);
}

#[tokio::test(start_paused = true)]
async fn what_another_run_has_recorded_already_is_not_recorded_again() {
    let world = World::new(Duration::ZERO);
    let before = one_active(&world).await;
    world.end("a", "COMPLETE");
    world.run("other", None).await;
    world.store.stale.replace(Some(before));
    let outcome = world.good_run("later", None).await;
    assert!(outcome.answer.notices.is_empty());
    assert_eq!(World::kinds(&world.topic), ["completed"]);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_listed_twice_is_judged_against_what_its_first_sight_left() {
    let world = World::new(Duration::from_millis(20));
    world.store.records_take_their_time.set(true);
    world.start("a", "IN_PROGRESS");
    advance(Duration::from_secs(60)).await;
    let again = ListedJob {
        status: Some("FAILED".to_owned()),
        completion_time: world.time(),
        ..world.jobs.borrow()[0].clone()
    };
    world.jobs.borrow_mut().push(again);
    let outcome = world.good_run("first", None).await;
    // As with another run's change, it would else be left to the next run.
    assert_eq!((outcome.answer.published, outcome.answer.pending), (2, 0));
}
