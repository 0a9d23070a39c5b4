//! Runs that expect jobs of detectors.

use super::*;

/// At midnight nothing has completed; the deadline is an hour later.
async fn expecting() -> (World, Rc<Kept>) {
    let (mut world, urgent) = World::with_urgent();
    world.expect = "payments by 01:00; refunds by 01:00";
    world.good_run("begins", None).await;
    world.topic.published.take();
    (world, urgent)
}

fn completes(world: &World, id: &str, detector: &str) {
    world.start(id, "COMPLETE");
    let now = world.time();
    world.change(id, |job| {
        job.detector_name = Some(detector.to_owned());
        job.completion_time = now;
    });
}

/// Who heard that something is missing hears that it arrived, and nobody else; who runs again writes nothing.
#[tokio::test(start_paused = true)]
async fn what_is_missing_and_arrives_is_told_to_the_urgent_topic_alone() {
    let (world, urgent) = expecting().await;
    advance(Duration::from_secs(30 * 60)).await;
    completes(&world, "refunds-1", "refunds");
    world.good_run("in time", None).await;
    advance(Duration::from_secs(35 * 60)).await;
    world.good_run("at the deadline", None).await;
    assert_eq!(World::kinds(&urgent), ["missing"]);
    let writes = world.store.writes.get();
    world.good_run("idle", None).await;
    assert_eq!(world.store.writes.get(), writes);

    advance(Duration::from_secs(60 * 60)).await;
    completes(&world, "payments-1", "payments");
    world.good_run("late", None).await;
    assert_eq!(World::kinds(&urgent), ["missing", "arrived"]);
    assert_eq!(World::kinds(&world.topic), ["completed", "completed"]);
    let published = urgent.published.borrow();
    let events: Vec<_> = published.iter().flat_map(Message::events).collect();
    for event in &events {
        assert_eq!(event["subject"], "payments");
        assert_eq!(event["data"]["expected"]["by"], "2026-03-02T01:00:00Z");
        assert_eq!(event["data"]["thread"], events[0]["data"]["thread"]);
        assert_eq!(event["data"].get("job"), None);
    }
    let states: Vec<_> = events.iter().map(|it| &it["data"]["incident"]).collect();
    assert_eq!(states, ["open", "resolved"]);
    let detector = |message: &Message| {
        let attributes = message.attributes.iter();
        let mut detectors = attributes.filter(|(name, _)| *name == "detector");
        detectors.next().map(|(_, value)| value.clone())
    };
    let detectors: Vec<_> = published.iter().filter_map(detector).collect();
    assert_eq!(detectors, ["payments", "payments"], "as EXPECT names it");
    let completed = world.topic.published.borrow();
    let detectors: Vec<_> = completed.iter().filter_map(detector).collect();
    assert_eq!(detectors, ["refunds", "payments"], "that of its job");
}

/// A page that was asked for before a deadline does not know what completed until then.
#[tokio::test(start_paused = true)]
async fn a_deadline_that_passes_while_the_listing_goes_on_is_judged_by_the_next_run() {
    let (world, urgent) = expecting().await;
    advance(Duration::from_secs(60 * 60 - 30)).await;
    for detector in ["payments", "refunds"] {
        world.start(detector, "IN_PROGRESS");
        world.change(detector, |job| {
            job.detector_name = Some(detector.to_owned())
        });
    }
    world.start("other", "IN_PROGRESS");
    world.service.page_size.set(2);
    world.service.latency.set(Duration::from_secs(20));
    let both_complete = async {
        sleep(Duration::from_secs(25)).await;
        world.end("payments", "COMPLETE");
        world.end("refunds", "COMPLETE");
    };
    tokio::join!(world.good_run("across", None), both_complete);
    world.good_run("next", None).await;
    assert_eq!(World::kinds(&urgent), [""; 0]);
    assert_eq!(World::kinds(&world.topic), ["completed", "completed"]);
}

/// Two runs at once tell each deadline once, and a write whose answer is lost is known by its echo.
#[tokio::test(start_paused = true)]
async fn a_deadline_is_judged_once_whatever_becomes_of_the_writes() {
    for faults in [vec![], vec![Fault::NotMade], vec![Fault::AnswerLost]] {
        let (mut world, urgent) = expecting().await;
        world.latency = Duration::from_millis(10);
        world.store.records_take_their_time.set(true);
        advance(Duration::from_secs(65 * 60)).await;
        world.store.next_writes.borrow_mut().extend(faults);
        let (one, other) = (world.run("one", None), world.run("other", None));
        let (one, other) = tokio::join!(one, other);
        let told = |outcome: &Outcome| outcome.answer.notices.get("missing").copied();
        assert_eq!(told(&one).unwrap_or(0) + told(&other).unwrap_or(0), 2);
        world.run("next", None).await;
        assert_eq!(World::told(&urgent).len(), 2);
        assert!(World::told(&urgent).values().all(|times| *times == 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stored_detector_that_makes_no_sense_costs_its_deadline_and_no_other() {
    let (world, urgent) = expecting().await;
    let error = StoreError::Failed("item \"detector#payments\": it has no `since`".to_owned());
    let key = Some(Key::Detector("payments".to_owned()));
    let broken = vec![UnreadableItem { key, error }];
    world.store.unreadable.replace(broken);
    advance(Duration::from_secs(65 * 60)).await;
    let outcome = world.run("passes over", None).await;
    let [failure] = &outcome.failures[..] else {
        panic!("{:?}", outcome.failures)
    };
    assert!(
        failure.to_string().contains("detector#payments"),
        "{failure}"
    );
    let subject = |topic: &Kept| topic.published.borrow()[0].event["subject"].clone();
    assert_eq!(World::kinds(&urgent), ["missing"]);
    assert_eq!(subject(&urgent), "refunds");
}

/// What is listed says what is usual, if it is all there is; a job that failed is not compared.
#[tokio::test(start_paused = true)]
async fn a_job_that_completes_is_compared_with_what_a_complete_listing_shows() {
    for (status, is_complete, compares) in [
        ("COMPLETE", true, true),
        ("COMPLETE", false, false),
        ("FAILED", true, false),
    ] {
        let world = World::new(Duration::ZERO);
        for (id, minutes) in ["a", "b", "c", "d", "e", "slow"]
            .iter()
            .zip([1, 1, 1, 1, 1, 50])
        {
            world.start(id, "IN_PROGRESS");
            if *id == "slow" {
                world.good_run("begins", None).await;
            }
            advance(Duration::from_secs(60 * minutes)).await;
            world.change(id, |job| {
                job.detector_name = Some("payments".to_owned());
                job.event_type_name = Some("card".to_owned());
            });
            world.end(id, if *id == "slow" { status } else { "COMPLETE" });
        }
        if !is_complete {
            world.service.page_size.set(6);
            world.service.broken_page.set(Some(1));
            world.start("another", "IN_PROGRESS");
        }
        world.run("ends", None).await;
        let published = world.topic.published.borrow();
        let text = published.last().unwrap().form("email");
        assert_eq!(text.contains("usually 1 min"), compares, "{status}: {text}");
    }
}
