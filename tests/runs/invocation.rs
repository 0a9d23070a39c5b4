//! One invocation: dry run, test notice, odd payloads.

use fraud_job_watch::run::time_given;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_dry_run_judges_and_answers_and_neither_writes_nor_publishes() {
    let world = two_jobs();
    for payload in [
        json!({"dry_run": true}),
        json!({"dry_run": true, "test_notice": true}),
    ] {
        let answer = world.invoke(payload, None).await.unwrap();
        assert_eq!(world.stored().await, State::default());
        assert_eq!(world.topic.tries.get(), 0, "nothing is published");
        let would = answer.would_publish.unwrap();
        let would: Vec<_> = would.iter().map(|event| &event["data"]["kind"]).collect();
        assert_eq!(would, ["failed", "began"]);
        assert_eq!((answer.dry_run, answer.published), (true, 0));
        assert_eq!((answer.pending, answer.unreadable), (2, 1));
    }
    let answer = world.invoke(json!({}), None).await.unwrap();
    assert_eq!((answer.published, answer.pending), (2, 0));
    assert_eq!(World::kinds(&world.topic), ["failed", "began"]);
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_shows_what_is_already_pending() {
    let world = two_jobs();
    world.topic.mood.set(Mood::Hangs);
    let stuck = world.invoke(json!({}), Some(Duration::from_secs(1))).await;
    let stuck = stuck.expect("spent time is no error");
    assert_eq!((stuck.published, stuck.pending), (0, 2));
    let dry = world.invoke(json!({"dry_run": true}), None).await.unwrap();
    assert_eq!(dry.would_publish.unwrap().len(), 2);
    assert!(dry.notices.is_empty(), "nothing of it is new");
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_shows_what_is_for_two_topics_once_and_counts_it_for_each() {
    let (world, urgent) = World::with_urgent();
    stalled(&world).await;
    world.beat("a");
    for topic in [&world.topic, &urgent] {
        topic.mood.set(Mood::Fails);
    }
    let real = world.run("fails", None).await.answer;
    let dry = world.invoke(json!({"dry_run": true}), None).await.unwrap();
    assert_eq!((real.pending, dry.pending), (2, 2));
    let would_publish = dry.would_publish.unwrap();
    assert_eq!(would_publish.len(), 1, "{would_publish:?}");
    assert_eq!(would_publish[0]["data"]["kind"], "recovered");
}

#[tokio::test(start_paused = true)]
async fn a_test_notice_is_marked_and_nothing_else_is_done() {
    let world = two_jobs();
    let answer = world.invoke(json!({"test_notice": true}), None).await;
    let answer = answer.unwrap();
    assert_eq!((answer.published, answer.jobs), (1, 0));
    assert_eq!(world.stored().await, State::default());
    let sent = world.topic.published.borrow();
    let [sent] = &sent[..] else {
        panic!("{sent:?}")
    };
    let subject = sent.subject.as_ref().unwrap().as_str();
    assert!(subject.starts_with("TEST"), "{subject}");
    assert_eq!(
        sent.event["type"],
        "fraud-job-watch.batch-prediction.test.v1"
    );
}

#[tokio::test(start_paused = true)]
async fn a_test_notice_that_hangs_ends_in_time() {
    let world = two_jobs();
    world.topic.mood.set(Mood::Hangs);
    let given = Some(Duration::from_secs(10));
    let failed = world.invoke(json!({"test_notice": true}), given).await;
    assert_eq!(failed.unwrap_err().error_type, "PublishFailed");
}

#[tokio::test(start_paused = true)]
async fn any_payload_is_a_run() {
    for payload in [
        json!(null),
        json!("x"),
        json!([1]),
        json!({"dry_run": "true"}),
        json!({"detail": "{}", "source": "aws.scheduler"}),
    ] {
        let answer = two_jobs().invoke(payload.clone(), None).await.unwrap();
        assert_eq!((answer.dry_run, answer.published), (false, 2), "{payload}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_refused_goes_out_in_its_smallest_form() {
    let world = two_jobs();
    world.topic.mood.set(Mood::RefusesForms);
    let answer = world.good_run("refused", None).await.answer;
    assert_eq!((answer.published, answer.pending), (2, 0));
    let sent = world.topic.published.borrow();
    let text = sent[0].form("default");
    let begins = "FAILED: job at 2026-03-02T00:00:00Z (event ";
    assert!(text.starts_with(begins), "{text}");
}

#[test]
fn a_deadline_that_was_past_from_the_start_counts_as_none() {
    let now: Timestamp = "2026-03-02T12:00:00Z".parse().unwrap();
    let ms = u64::try_from(now.as_millisecond()).unwrap();
    let in_300_s = Some(Duration::from_secs(300));
    for (deadline, given) in [(600_000, None), (ms, None), (ms + 300_000, in_300_s)] {
        assert_eq!(time_given(deadline, now), given);
    }
}
