//! What a run makes of what it sees, and of what it does not.

use super::*;

#[tokio::test(start_paused = true)]
async fn nobody_is_called_stalled_while_the_one_before_cannot_be_seen() {
    let world = World::new(Duration::ZERO);
    world.start("first", "IN_PROGRESS");
    advance(Duration::from_secs(1)).await;
    world.start("waits", "IN_PROGRESS_INITIALIZING");
    world.run("begins", None).await;
    advance(Duration::from_secs(2 * 3600)).await;
    world.service.hidden.set(Some("first"));
    let outcome = world.run("blind", None).await;
    assert!(matches!(outcome.failures[..], [Failure::ListingFailed(_)]));
    assert_eq!(World::kinds(&world.topic), ["began"]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_about_another_job_is_counted_and_concludes_nothing() {
    let world = World::new(Duration::ZERO);
    world.start_all(["missed", "other"]);
    world.run("begins", None).await;
    world.service.hidden.set(Some("missed"));
    world.service.answers_with_another.set(true);
    for name in ["one", "two", "three"] {
        advance(Duration::from_secs(300)).await;
        let outcome = world.good_run(name, None).await;
        assert_eq!(outcome.answer.unreadable, 1);
    }
    assert_eq!(World::kinds(&world.topic), ["began"], "nothing vanished");
}

/// The service says of each that it is not there, and yet a page was not seen.
#[tokio::test(start_paused = true)]
async fn nothing_vanishes_in_runs_whose_listing_is_incomplete() {
    let world = World::new(Duration::ZERO);
    world.service.page_size.set(1);
    world.start_all(["gone", "on_the_next_page"]);
    world.run("begins", None).await;
    world.jobs.borrow_mut().remove(0);
    world.start("last", "IN_PROGRESS");
    world.service.broken_page.set(Some(1));
    for name in ["one", "two", "three"] {
        advance(Duration::from_secs(300)).await;
        let outcome = world.run(name, None).await;
        let [Failure::ListingFailed(why)] = &outcome.failures[..] else {
            panic!("{:?}", outcome.failures)
        };
        assert!(why.starts_with("page 2: "), "{why}");
    }
    assert_eq!(World::kinds(&world.topic), ["began"]);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_the_listing_misses_is_judged_by_what_its_id_finds() {
    let world = World::new(Duration::ZERO);
    world.start_all(["other", "missed"]);
    world.run("begins", None).await;
    advance(Duration::from_secs(300)).await;
    world.end("missed", "FAILED");
    world.service.hidden.set(Some("missed"));
    world.service.finds_by_id.set(true);
    let outcome = world.run("second", None).await;
    assert_eq!(outcome.answer.unreadable, 0);
    assert_eq!(World::kinds(&world.topic), ["began", "failed"]);
}

#[tokio::test(start_paused = true)]
async fn each_job_that_cannot_be_understood_is_counted() {
    let world = World::new(Duration::ZERO);
    world.start("a", "IN_PROGRESS");
    for _ in 0..3 {
        world.jobs.borrow_mut().push(ListedJob::default());
    }
    let answer = world.run("first", None).await.answer;
    assert_eq!((answer.jobs, answer.unreadable), (4, 3));
}
