//! What a run says of itself, also of what it could not read.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_topic_that_does_not_say_who_subscribes_holds_a_run_up_for_five_seconds_only() {
    let world = World {
        topic: Rc::new(Kept {
            hides_subscribers: true,
            ..Kept::named("jobs")
        }),
        ..World::new(Duration::ZERO)
    };
    let begun = Instant::now();
    let gauges = gauges_of_an_invocation(&world).await;
    assert_eq!(gauges.subscribers, None);
    assert_eq!(begun.elapsed(), Duration::from_secs(5));
}

async fn gauges_of_an_invocation(world: &World) -> Gauges {
    let mut gauges = Gauges::default();
    let measure = |outcome: &Outcome| gauges = outcome.gauges;
    // It may have failed; it is measured all the same.
    let _ = world.measured(json!({}), None, measure).await;
    gauges
}

/// The sum would seem to have fallen.
#[tokio::test(start_paused = true)]
async fn subscribers_are_counted_only_if_each_topic_says() {
    let world = World {
        topic: Kept::heard_by(Some(3), "jobs"),
        alarms: Some(Rc::new(Kept::named("alarms"))),
        ..World::new(Duration::ZERO)
    };
    let gauges = gauges_of_an_invocation(&world).await;
    assert_eq!(gauges.subscribers, None);
}

#[tokio::test(start_paused = true)]
async fn a_run_says_how_things_stand() {
    let world = World {
        topic: Kept::heard_by(Some(3), "jobs"),
        urgent: Some(Kept::heard_by(Some(2), "urgent")),
        alarms: Some(Kept::heard_by(Some(1), "alarms")),
        ..World::new(Duration::ZERO)
    };
    world.start("a", "IN_PROGRESS");
    world.topic.mood.set(Mood::Fails);
    let first = gauges_of_an_invocation(&world).await;
    assert_eq!(first.subscribers, Some(Subscribers { fewest: 1, all: 6 }));
    assert_eq!(first.oldest_sign_of_life, Some(SignedDuration::ZERO));
    advance(Duration::from_secs(600)).await;
    let second = world.run("second", None).await.gauges;
    assert_eq!(
        second.oldest_sign_of_life,
        Some(SignedDuration::from_mins(10))
    );
    assert_eq!(second.oldest_pending, Some(SignedDuration::from_mins(10)));
    world.topic.mood.set(Mood::Takes);
    world.end_all(|_| "COMPLETE");
    let third = world.run("third", None).await.gauges;
    assert_eq!(third.oldest_sign_of_life, None, "none is active");
    assert_eq!(third.oldest_pending, Some(SignedDuration::ZERO));
}

fn unreadable(job: &str, error: StoreError) -> UnreadableItem {
    UnreadableItem {
        key: Some(Key::Job(job.to_owned().try_into().unwrap())),
        error,
    }
}

#[tokio::test(start_paused = true)]
async fn a_stored_item_that_makes_no_sense_costs_its_job_and_no_other() {
    let broken = StoreError::Failed("item \"job#a\": it has no `key`".to_owned());
    let newer = StoreError::TooNew("item \"job#a\" needs format 9".to_owned());
    for (error, error_type) in [(broken, "StateUnreadable"), (newer, "StateTooNew")] {
        let world = World::new(Duration::ZERO);
        three_active(&world).await;
        let id: JobId = "a".to_owned().try_into().unwrap();
        let before = world.table.job(&id).unwrap();
        world
            .store
            .unreadable
            .replace(vec![unreadable("a", error.clone())]);

        // Silent for too long, then ended: nothing is written or told of it.
        advance(Duration::from_secs(2 * 3600)).await;
        for id in ["b", "c"] {
            world.beat(id);
        }
        let outcome = world.run("silent", None).await;
        assert_eq!(outcome.failures.len(), 1, "{:?}", outcome.failures);
        world.end_all(|_| "COMPLETE");
        let outcome = world.run("ended", None).await;
        assert_eq!(World::kinds(&world.topic), ["completed"; 2]);
        assert_eq!(world.table.job(&id), Some(before));
        assert_eq!((outcome.answer.jobs, outcome.answer.published), (3, 2));
        assert!(outcome.answer.complete, "the listing was");
        let [failure] = &outcome.failures[..] else {
            panic!("{:?}", outcome.failures)
        };
        assert_eq!(failure.error_type(), error_type);
        assert!(
            failure.to_string().contains(&error.to_string()),
            "{failure}"
        );

        // Once it is mended, its end is told.
        world.store.unreadable.replace(Vec::new());
        world.good_run("mended", None).await;
        assert_eq!(World::told(&world.topic).len(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stored_notice_that_makes_no_sense_holds_up_no_other() {
    let world = World::new(Duration::ZERO);
    three_active(&world).await;
    world.store.unreadable.replace(vec![UnreadableItem {
        key: None,
        error: StoreError::Failed("item \"outbox#1\": it has no `notice`".to_owned()),
    }]);
    world.end_all(|_| "COMPLETE");
    let outcome = world.run("passes over", None).await;
    assert_eq!(World::kinds(&world.topic), ["completed"; 3]);
    assert!(matches!(
        outcome.failures[..],
        [Failure::ItemsUnreadable(_)]
    ));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_said_beside_whatever_else_went_wrong() {
    let world = World::new(Duration::ZERO);
    three_active(&world).await;
    let items = (0..60).map(|i| {
        let item = format!("item {i}");
        let error = match i % 10 {
            0 => StoreError::TooNew(item),
            _ => StoreError::Failed(item),
        };
        unreadable("a", error)
    });
    world.store.unreadable.replace(items.collect());
    world.end_all(|_| "COMPLETE");
    // The listing fails at its last page, and a message does not pass.
    world.service.page_size.set(2);
    world.service.broken_page.set(Some(1));
    world.topic.mood.set(Mood::Fails);
    let outcome = world.run("all at once", None).await;
    let types: Vec<_> = outcome.failures.iter().map(Failure::error_type).collect();
    assert_eq!(
        types,
        [
            "ListingFailed",
            "PublishFailed",
            "StateUnreadable",
            "StateTooNew"
        ]
    );
    assert!(!outcome.answer.complete);
    let said = outcome.failures[2].to_string();
    assert!(
        said.contains("item 1; item 2;") && said.contains("; and 4 more"),
        "{said}"
    );
    assert_eq!((outcome.answer.jobs, outcome.answer.pending), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_state_and_a_listing_that_both_fail_are_both_said() {
    let world = World::new(Duration::ZERO);
    world.store.loads_fail.set(true);
    world.service.broken_page.set(Some(0));
    let outcome = world.run("first", None).await;
    let types: Vec<_> = outcome.failures.iter().map(Failure::error_type).collect();
    assert_eq!(types, ["StateUnreadable", "ListingFailed"]);
    assert_eq!(outcome.gauges.oldest_pending, None, "nobody knows");
    assert!(!outcome.answer.complete);
}

/// The watch's item has two that write it: that it began is recorded on top of what another run left there.
#[tokio::test(start_paused = true)]
async fn a_watch_begins_though_another_run_recorded_that_nobody_hears_its_alarms() {
    let world = World {
        alarms: Some(Kept::heard_by(Some(0), "alarms")),
        ..World::new(Duration::ZERO)
    };
    world.service.broken_page.set(Some(0));
    world.invoke(json!({}), None).await.unwrap_err();
    world.service.broken_page.set(None);
    let mut before = world.stored().await;
    let baseline = before.baseline.as_mut().unwrap();
    assert!(baseline.unheard.take().is_some());
    baseline.rev -= 1;
    world.store.stale.replace(Some(before));
    let answer = world.invoke(json!({}), None).await.unwrap();
    assert!(answer.began);
    let stored = world.stored().await.baseline.unwrap();
    assert!(stored.unheard.is_some() && stored.began_at.is_some());
}

/// An alarm could not say it.
#[tokio::test(start_paused = true)]
async fn that_nobody_hears_the_alarms_is_told_after_an_hour_and_again_when_somebody_does() {
    let alarms = |subscribers| Some(Kept::heard_by(subscribers, "alarms"));
    let (mut world, urgent) = World::with_urgent();
    let minute = Duration::from_secs(60);
    let mut told = Vec::new();
    for (subscribers, minutes, expected) in [
        (Some(1), 0, &[][..]),
        (Some(0), 5, &[]),
        // That it is not known changes nothing.
        (None, 5, &[]),
        (Some(0), 54, &[]),
        (Some(0), 1, &["unheard open"]),
        (Some(0), 120, &[]),
        (Some(2), 5, &["heard resolved"]),
        (Some(0), 5, &[]),
        (Some(1), 5, &[]),
        (Some(0), 61, &[]),
        (Some(0), 61, &["unheard open"]),
    ] {
        world.alarms = alarms(subscribers);
        advance(minute * minutes).await;
        world.topic.published.borrow_mut().clear();
        world.invoke(json!({}), None).await.unwrap();
        let published = world.topic.published.borrow();
        let events = published.iter().flat_map(Message::events);
        let events = events.filter(|event| event["data"]["kind"] != "began");
        let (now, threads): (Vec<_>, Vec<_>) = events
            .map(|event| {
                let data = &event["data"];
                let text = |value: &Value| value.as_str().unwrap().to_owned();
                let what = format!("{} {}", text(&data["kind"]), text(&data["incident"]));
                (what, text(&data["thread"]))
            })
            .unzip();
        assert_eq!(now, expected, "{subscribers:?} after {minutes} min");
        told.extend(threads);
    }
    assert_eq!((told[0] == told[1], told[1] == told[2]), (true, false));

    // Alarms that go elsewhere are not unheard.
    let dry = world.invoke(json!({"dry_run": true}), None).await.unwrap();
    assert_eq!(dry.would_publish, Some(Vec::new()));
    world.alarms = None;
    world.topic.published.borrow_mut().clear();
    world.invoke(json!({}), None).await.unwrap();
    assert_eq!(World::kinds(&world.topic), ["heard"]);
    let writes = world.store.writes.get();
    world.invoke(json!({}), None).await.unwrap();
    assert_eq!(world.store.writes.get(), writes);
    assert!(urgent.published.borrow().is_empty(), "it is nobody's night");
}

#[tokio::test(start_paused = true)]
async fn whoever_was_told_that_nobody_hears_the_alarms_is_told_how_it_ends_though_topics_change() {
    let mut world = World {
        alarms: Some(Kept::heard_by(Some(0), "alarms")),
        ..World::new(Duration::ZERO)
    };
    let since = world.time().unwrap();
    world.invoke(json!({}), None).await.unwrap();
    advance(Duration::from_secs(61 * 60)).await;
    world.invoke(json!({}), None).await.unwrap();
    let was_told = std::mem::replace(&mut world.topic, Kept::heard_by(None, "later"));
    let unheard = was_told.published.take().remove(1);
    assert_eq!(unheard.event["time"], since.as_str());
    world.urgent = Some(Rc::clone(&was_told));
    world.alarms = Some(Kept::heard_by(Some(1), "alarms"));
    world.invoke(json!({}), None).await.unwrap();
    for topic in [&was_told, &world.topic] {
        assert_eq!(World::kinds(topic), ["heard"]);
    }
}
