//! Many notices, topics that take none, and topics that are no longer there.

use super::*;

/// The run failed by this alone, and says which notice did not go where, and why.
fn assert_not_published(outcome: &Outcome, notice: &str, topic: &str) {
    let [Failure::PublishFailed(why)] = &outcome.failures[..] else {
        panic!("{:?}", outcome.failures)
    };
    for part in [notice, topic, "as scripted"] {
        assert!(why.contains(part), "{part:?} is missing in {why:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_backlog_that_takes_many_runs_repeats_nothing() {
    let world = World {
        digest_above: 1_000,
        ..World::new(Duration::from_millis(20))
    };
    world.start_many(1_000);
    world.run("first", None).await;
    advance(Duration::from_secs(120)).await;
    world.end_all(|_| "COMPLETE");
    let mut runs = 0;
    loop {
        let given = Duration::from_millis(10_000 + 7 * runs);
        let outcome = world.good_run(&format!("r{runs}"), Some(given)).await;
        assert!(outcome.answer.published > 0, "run {runs} told nothing");
        runs += 1;
        advance(Duration::from_secs(290)).await;
        if outcome.answer.pending == 0 {
            break;
        }
    }
    assert!(runs > 5, "{runs} runs");
    let told = World::told(&world.topic);
    assert_eq!(told.len(), 1_001);
    assert!(told.values().all(|times| *times == 1));
}

#[tokio::test(start_paused = true)]
async fn errors_go_to_the_urgent_topic_and_each_topic_bears_the_others_failing() {
    for urgent_fails in [false, true] {
        let (world, urgent) = World::with_urgent();
        world.start_all(["a", "b"]);
        world.run("first", None).await;
        advance(Duration::from_secs(120)).await;
        world.end_all(|i| ["COMPLETE", "FAILED"][i]);
        if urgent_fails {
            urgent.mood.set(Mood::Fails);
        }
        let outcome = world.run("second", None).await;
        assert_eq!(World::kinds(&world.topic), ["began", "completed"]);
        if urgent_fails {
            assert!(matches!(outcome.failures[..], [Failure::PublishFailed(_)]));
            urgent.mood.set(Mood::Takes);
            world.run("third", None).await;
        }
        assert_eq!(World::kinds(&urgent), ["failed"]);
    }
}

#[tokio::test(start_paused = true)]
async fn three_hundred_changes_are_few_messages_and_none_is_lost() {
    for fails in [false, true] {
        let world = World::new(Duration::from_millis(5));
        world.start_many(300);
        world.run("first", None).await;
        world.topic.published.borrow_mut().clear();
        advance(Duration::from_secs(120)).await;
        world.end_all(|i| if i % 3 == 0 { "FAILED" } else { "COMPLETE" });
        if fails {
            world.topic.mood.set(Mood::Fails);
            let outcome = world.run("fails", None).await;
            assert_eq!((outcome.answer.published, outcome.answer.pending), (0, 300));
            world.topic.mood.set(Mood::Takes);
        }
        let outcome = world.run("second", None).await;
        assert_eq!((outcome.answer.published, outcome.answer.pending), (300, 0));
        let told = World::told(&world.topic);
        assert_eq!(told.len(), 300);
        assert!(told.values().all(|times| *times == 1));
        let messages = world.topic.published.borrow().len();
        assert!(messages <= 3, "{messages} messages");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_passing_fault_kept_back_goes_out_with_the_very_next_run() {
    for letting_go_fails in [false, true] {
        let world = World::new(Duration::ZERO);
        three_active(&world).await;
        world.end_all(|_| "COMPLETE");
        world.topic.mood.set(Mood::Fails);
        world.store.letting_go_fails.set(letting_go_fails);
        let outcome = world.run("fails", None).await;
        assert_eq!(
            outcome.failures.len(),
            3,
            "one for each message: {:?}",
            outcome.failures
        );
        assert_eq!(world.topic.tries.get(), 3, "none holds up another");
        world.topic.mood.set(Mood::Takes);
        let outcome = world.good_run("next", None).await;
        if letting_go_fails {
            assert_eq!(
                outcome.answer.published, 0,
                "the claims must end by themselves"
            );
            advance(Duration::from_secs(61)).await;
            world.run("later", None).await;
        }
        assert_eq!(World::kinds(&world.topic), ["completed"; 3]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_throttles_is_left_alone_until_the_next_run_and_nothing_is_lost() {
    for digest_above in [5, 1] {
        let (mut world, urgent) = World::with_urgent();
        world.digest_above = digest_above;
        three_active(&world).await;
        world.end_all(|i| ["COMPLETE", "COMPLETE", "FAILED"][i]);
        world.topic.mood.set(Mood::Throttles);
        let outcome = world.run("throttled", None).await;
        assert_eq!(world.topic.tries.get(), 1);
        assert_eq!((outcome.answer.published, outcome.answer.pending), (1, 2));
        assert_eq!(World::kinds(&urgent), ["failed"], "the other topic goes on");
        let [Failure::PublishFailed(why)] = &outcome.failures[..] else {
            panic!("{:?}", outcome.failures)
        };
        assert!(
            why.contains("123456789012:jobs") && why.contains("\"a\""),
            "{why}"
        );
        world.topic.mood.set(Mood::Takes);
        world.good_run("next", None).await;
        assert_eq!(World::kinds(&world.topic), ["completed"; 2]);
    }
}

#[tokio::test(start_paused = true)]
async fn one_jobs_messages_that_do_not_pass_hold_up_no_others() {
    for mood in [Mood::Fails, Mood::Refuses] {
        let world = World::new(Duration::ZERO);
        three_active(&world).await;
        world.end_all(|_| "FAILED");
        world.topic.mood.set(mood);
        world.topic.only_of.set(Some("a"));
        for name in ["one", "two"] {
            let outcome = world.run(name, None).await;
            assert_eq!(outcome.answer.pending, 1);
            assert_not_published(&outcome, "failed notice of job \"a\"", "123456789012:jobs");
        }
        // Refused, it is tried in its smallest form as well.
        let tries = if mood == Mood::Refuses { 2 } else { 1 };
        assert_eq!(world.topic.tries.get(), 2 + 2 * tries);
        assert_eq!(World::told(&world.topic).len(), 2);
        world.topic.mood.set(Mood::Takes);
        world.run("three", None).await;
        let told = World::told(&world.topic);
        assert_eq!((told.len(), told.values().sum::<usize>()), (3, 3));
    }
}

#[tokio::test(start_paused = true)]
async fn a_digest_that_does_not_pass_names_some_of_its_jobs() {
    let world = World {
        digest_above: 1,
        ..World::new(Duration::ZERO)
    };
    world.start_many(7);
    world.run("first", None).await;
    world.end_all(|_| "FAILED");
    world.topic.mood.set(Mood::Fails);
    let outcome = world.run("second", None).await;
    let [Failure::PublishFailed(why)] = &outcome.failures[..] else {
        panic!("{:?}", outcome.failures)
    };
    let named = r#"of 7 notices, of job "j000", job "j001", job "j002", job "j003", job "j004" and 2 more to arn"#;
    assert!(why.contains(named), "{why}");
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_hangs_costs_the_other_nothing() {
    let (world, urgent) = World::with_urgent();
    three_active(&world).await;
    world.end_all(|i| ["COMPLETE", "FAILED", "FAILED"][i]);
    urgent.mood.set(Mood::Hangs);
    let outcome = world.run("hangs", Some(Duration::from_secs(20))).await;
    assert_eq!(World::kinds(&world.topic), ["completed"]);
    assert!(outcome.answer.pending >= 1);
    urgent.mood.set(Mood::Takes);
    advance(Duration::from_secs(61)).await;
    world.run("next", None).await;
    assert_eq!(World::told(&urgent).len(), 2);
}

fn ids(topic: &Kept, kind: &str) -> Vec<String> {
    let published = topic.published.borrow();
    let events = published.iter().flat_map(Message::events);
    let of_kind = events.filter(|event| event["data"]["kind"] == kind);
    of_kind
        .map(|event| event["id"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn how_a_stall_ends_is_told_where_the_stall_was() {
    for (ends, kind) in [("IN_PROGRESS", "recovered"), ("COMPLETE", "completed")] {
        let (world, urgent) = World::with_urgent();
        stalled(&world).await;
        assert_eq!(World::kinds(&urgent), ["stalled"]);
        world.beat("a");
        if ends == "COMPLETE" {
            world.end("a", ends);
        }
        let outcome = world.good_run("ends", None).await;
        assert_eq!(outcome.answer.pending, 0);
        assert_eq!(World::kinds(&world.topic), [kind]);
        assert_eq!(World::kinds(&urgent), ["stalled", kind]);
        assert_eq!(ids(&world.topic, kind), ids(&urgent, kind), "one id");
    }
}

#[tokio::test(start_paused = true)]
async fn each_topic_has_its_own_claim_its_own_order_and_its_own_faults() {
    let (world, urgent) = World::with_urgent();
    urgent.mood.set(Mood::Fails);
    stalled(&world).await;
    world.beat("a");
    let outcome = world.run("recovers", None).await;
    // To the one topic it goes at once; to the other it waits for the stall.
    assert_eq!(World::kinds(&world.topic), ["recovered"]);
    assert_eq!(outcome.answer.pending, 2);
    assert_not_published(
        &outcome,
        "stalled notice of job \"a\"",
        "123456789012:urgent",
    );
    urgent.mood.set(Mood::Takes);
    let outcome = world.run("mended", None).await;
    assert_eq!(outcome.answer.pending, 0);
    assert_eq!(World::kinds(&urgent), ["stalled", "recovered"]);
    assert_eq!(World::kinds(&world.topic), ["recovered"], "and once");
}

#[tokio::test(start_paused = true)]
async fn what_is_bad_goes_out_before_what_is_older() {
    let world = World::new(Duration::ZERO);
    three_active(&world).await;
    world.topic.mood.set(Mood::Fails);
    world.end("a", "COMPLETE");
    world.run("older", None).await;
    advance(Duration::from_secs(120)).await;
    world.end("c", "COMPLETE");
    world.run("later", None).await;
    advance(Duration::from_secs(120)).await;
    world.end("b", "FAILED");
    world.topic.mood.set(Mood::Takes);
    world.run("all", None).await;
    let published = world.topic.published.borrow();
    let jobs: Vec<_> = published
        .iter()
        .map(|it| it.event["subject"].clone())
        .collect();
    assert_eq!(jobs, ["b", "a", "c"]);
}

/// What the first message of this kind says to an email subscriber.
fn email(topic: &Kept, kind: &str) -> String {
    let published = topic.published.borrow();
    let is_it = |message: &&Message| message.event["data"]["kind"] == kind;
    match &published.iter().find(is_it).unwrap().body {
        Body::Plain(text) => text.clone(),
        Body::PerProtocol(forms) => {
            let form = forms.iter().find(|(protocol, _)| *protocol == "email");
            form.unwrap().1.clone()
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_goes_out_late_says_how_its_job_stands_by_then() {
    const ALIVE: &str = "The job has since shown signs of life.";
    const ANOTHER: &str = "Another job with the same id has since started";
    // Whether the stall is told late, and how the job goes on.
    for (is_late, restarts, says) in [
        (false, false, None),
        (true, false, Some(ALIVE)),
        (true, true, Some(ANOTHER)),
    ] {
        let world = World::new(Duration::ZERO);
        if is_late {
            world.topic.mood.set(Mood::Fails);
        }
        stalled(&world).await;
        advance(Duration::from_secs(120)).await;
        let now = world.time();
        world.beat("a");
        if restarts {
            world.change("a", |job| job.start_time = now);
        }
        world.topic.mood.set(Mood::Takes);
        world.run("late", None).await;
        let told = email(&world.topic, "stalled");
        let noticed = if is_late { "(2 min ago)" } else { "(now)" };
        assert!(told.contains(noticed), "{told}");
        for line in [ALIVE, ANOTHER] {
            assert_eq!(told.contains(line), says == Some(line), "{told}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_goes_out_at_once_has_nothing_to_add() {
    let world = World::new(Duration::ZERO);
    world.start("a", "IN_PROGRESS");
    world.run("first", None).await;
    world.jobs.borrow_mut().clear();
    for name in ["misses it", "misses it again"] {
        advance(Duration::from_secs(120)).await;
        world.run(name, None).await;
    }
    let told = email(&world.topic, "vanished");
    assert!(!told.contains(" has since "), "{told}");
}

#[tokio::test(start_paused = true)]
async fn what_is_for_a_topic_that_is_no_longer_configured_goes_elsewhere_or_is_dropped() {
    // To the new urgent topic, if there is one, and else to the only one.
    for new in [None, Some(Rc::new(Kept::named("new")))] {
        let (world, urgent) = World::with_urgent();
        urgent.mood.set(Mood::Fails);
        stalled(&world).await;
        world.beat("a");
        let outcome = world.run("recovers", None).await;
        assert_eq!(outcome.answer.pending, 2, "both, to the urgent topic");
        world.topic.published.borrow_mut().clear();

        let replaced = World {
            urgent: new.clone(),
            ..world.clone()
        };
        let outcome = replaced.good_run("without it", None).await;
        assert_eq!(outcome.answer.pending, 0);
        let told = World::kinds(new.as_ref().unwrap_or(&world.topic));
        assert_eq!(
            told,
            ["stalled"],
            "the recovery was told on the other topic"
        );
        let left = world.stored().await.outbox;
        assert!(left.is_empty(), "{left:?}");
        assert!(urgent.published.borrow().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_dropped_now_is_dropped_later() {
    let (world, urgent) = World::with_urgent();
    stalled(&world).await;
    world.beat("a");
    urgent.mood.set(Mood::Fails);
    world.run("recovers", None).await;
    let alone = World {
        urgent: None,
        latency: Duration::from_millis(10),
        ..world.clone()
    };
    // No time is left when it comes to that.
    let outcome = alone.run("no time", Some(Duration::from_millis(500))).await;
    assert_eq!(outcome.answer.pending, 1);
    let outcome = alone.run("time", None).await;
    assert_eq!(outcome.answer.pending, 0);
    assert_eq!(World::kinds(&world.topic), ["recovered"]);
}

#[tokio::test(start_paused = true)]
async fn in_a_digest_too_what_follows_a_notice_that_another_run_holds_waits_for_it() {
    let world = World {
        digest_above: 0,
        ..World::new(Duration::ZERO)
    };
    stalled(&world).await;
    world.topic.mood.set(Mood::Fails);
    advance(Duration::from_secs(5 * 3600)).await;
    world.run("reminds nobody", None).await;
    let [reminder] = &world.stored().await.outbox[..] else {
        panic!("one is pending")
    };
    let (now, until) = (world.now(), world.now() + SignedDuration::from_secs(60));
    let claimed = world.table.claim(reminder, "other", until, now).await;
    assert_eq!(claimed, Ok(Claimed::Mine));
    world.topic.mood.set(Mood::Takes);
    world.topic.published.borrow_mut().clear();
    world.end("a", "COMPLETE");
    let outcome = world.run("later", None).await;
    assert_eq!((outcome.answer.published, outcome.answer.pending), (0, 2));
    advance(Duration::from_secs(61)).await;
    world.run("next", None).await;
    assert_eq!(World::kinds(&world.topic), ["reminder", "completed"]);
}
