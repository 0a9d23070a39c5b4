//! The table for real: on ministack, or on DynamoDB Local as a second opinion.

use aws_sdk_dynamodb::types::AttributeValue;
use fraud_job_watch::aws::Table;
use fraud_job_watch::ports::{Claimed, Recorded, Store, StoreError, UnreadableItem};
use fraud_job_watch::watch::judge::{first_baseline, judge, judge_alarm_topic};
use fraud_job_watch::watch::{Change, Item, Job, Key, ListedJob};
use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};

use crate::judge::Story;
use crate::lab::emulators::World;
use crate::lab::{source, topic};

fn now() -> Timestamp {
    "2026-03-02T12:00:00Z".parse().unwrap()
}

fn table(world: &World) -> Table {
    Table::new(world.dynamodb(), world.table().to_owned(), &source())
}

fn job(id: &str, status: &str) -> Job {
    let text = |text: &str| Some(text.to_owned());
    Job::from_listed(ListedJob {
        job_id: text(id),
        status: text(status),
        start_time: text("2026-03-02T11:00:00Z"),
        last_heartbeat_time: text("2026-03-02T11:58:00.5Z"),
        completion_time: text("2026-03-02T11:59:30Z").filter(|_| status == "COMPLETE"),
        detector_name: text("detector"),
        input_path: text("s3://B/in.csv"),
        processed_records_count: Some(7),
        ..ListedJob::default()
    })
    .unwrap()
}

/// What the run `by` makes of a job that it sees, knowing `before`.
fn change(before: Option<&Item>, job: &Job, by: &str) -> Change {
    let before = match before {
        Some(Item::Job(record)) => Some(record.as_ref()),
        Some(Item::Watch(_) | Item::Detector(_)) | None => None,
    };
    let mut story = Story::new();
    story.run = by.to_owned();
    judge(before, job, &story.context(now())).unwrap()
}

#[tokio::test]
async fn eight_writers_race_for_one_transition_and_one_wins() {
    let world = World::new().await;
    let table = table(&world);
    for round in 0..200 {
        let id = format!("job-{round}");
        // Half of the rounds race to create a record, half to end one, with a notice in the transaction.
        let ended = job(&id, "COMPLETE");
        let before = if round % 2 == 0 {
            None
        } else {
            let first = change(None, &job(&id, "IN_PROGRESS"), "first");
            assert_eq!(table.record(&first, now()).await.unwrap(), Recorded::Done);
            Some(first.item)
        };
        let writers = (0..8).map(|writer| {
            let change = change(before.as_ref(), &ended, &format!("writer-{writer}"));
            let table = table.clone();
            async move { (table.record(&change, now()).await.unwrap(), change) }
        });
        let results = join_all(writers).await;
        let winners: Vec<_> = results
            .iter()
            .filter(|(recorded, _)| *recorded == Recorded::Done)
            .collect();
        assert_eq!(winners.len(), 1, "round {round}");
        let stands = table
            .read(&Key::Job(ended.id.clone()), now())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(stands, winners[0].1.item, "round {round}");
        for (recorded, change) in &results {
            if let Recorded::Conflict(Some(item)) = recorded {
                assert!(
                    *item != change.item,
                    "round {round}: a loser knows that it lost"
                );
            }
        }
    }
    assert_eq!(
        table.load(now()).await.unwrap().outbox.len(),
        200,
        "each transition is pending once"
    );
}

/// Else it would be reported again, run after run, that somebody hears the alarms after all.
#[tokio::test]
async fn what_is_over_is_gone_from_the_watchs_item() {
    let world = World::new().await;
    let table = table(&world);
    let first = first_baseline(now(), "first");
    table.record(&first, now()).await.unwrap();
    let mut story = Story::new();
    let mut item = first.item;
    for (subscribers, is_unheard) in [(0, true), (1, false)] {
        let Item::Watch(baseline) = item else {
            unreachable!("it is the watch's")
        };
        story.baseline = baseline;
        let change =
            judge_alarm_topic(Some(&topic()), Some(subscribers), &story.context(now())).unwrap();
        assert_eq!(table.record(&change, now()).await.unwrap(), Recorded::Done);
        item = table.read(&Key::Watch, now()).await.unwrap().unwrap();
        assert_eq!(item, change.item);
        let Item::Watch(baseline) = &item else {
            unreachable!("it is the watch's")
        };
        assert_eq!(baseline.unheard.is_some(), is_unheard);
    }
}

#[tokio::test]
async fn eight_runs_race_for_one_claim_and_one_wins() {
    let world = World::new().await;
    let table = table(&world);
    let pending = change(None, &job("job", "COMPLETE"), "run");
    table.record(&pending, now()).await.unwrap();
    let pending = table.load(now()).await.unwrap().outbox.remove(0);
    let until = now() + SignedDuration::from_secs(60);
    for round in 0..25 {
        // Each round begins when the claim of the one before has ended.
        let now = now() + SignedDuration::from_mins(2 * round);
        let until = until + SignedDuration::from_mins(2 * round);
        let runs: Vec<_> = (0..8).map(|run| format!("{round}-{run}")).collect();
        let claims = join_all(
            runs.iter()
                .map(|run| table.claim(&pending, run, until, now)),
        )
        .await;
        let won: Vec<_> = (0..8)
            .filter(|run| *claims[*run].as_ref().unwrap() == Claimed::Mine)
            .collect();
        assert_eq!(won.len(), 1, "round {round}: {claims:?}");
        let again = table
            .claim(&pending, &runs[won[0]], until, now)
            .await
            .unwrap();
        assert_eq!(again, Claimed::Mine, "a claim that is mine already");
    }
    table.settle(&pending).await.unwrap();
    table.settle(&pending).await.unwrap();
    assert_eq!(
        table.claim(&pending, "late", until, now()).await.unwrap(),
        Claimed::Gone
    );
}

#[tokio::test]
async fn what_is_written_is_read_again() {
    let world = World::new().await;
    let table = table(&world);
    let began = first_baseline(now(), "run");
    let active = change(None, &job("active", "IN_PROGRESS"), "run");
    let ended = change(None, &job("ended", "COMPLETE"), "run");
    for change in [&began, &active, &ended] {
        assert_eq!(table.record(change, now()).await.unwrap(), Recorded::Done);
        assert_eq!(
            table.read(&change.item.key(), now()).await.unwrap(),
            Some(change.item.clone())
        );
    }
    let state = table.load(now()).await.unwrap();
    assert_eq!(state.baseline.map(Item::Watch), Some(began.item));
    assert_eq!(
        state
            .records
            .into_iter()
            .map(|record| Item::Job(Box::new(record)))
            .collect::<Vec<_>>(),
        [active.item.clone(), ended.item]
    );
    assert_eq!(state.outbox[0].notice, ended.notices[0]);

    // What an ended job no longer has is removed, not left from before.
    let now_ended = change(Some(&active.item), &job("active", "COMPLETE"), "later");
    assert_eq!(
        table.record(&now_ended, now()).await.unwrap(),
        Recorded::Done
    );
    assert_eq!(
        table.read(&now_ended.item.key(), now()).await.unwrap(),
        Some(now_ended.item)
    );
}

#[tokio::test]
async fn an_expired_record_counts_as_absent_and_is_written_over() {
    let world = World::new().await;
    let table = table(&world);
    let ended = change(None, &job("job", "COMPLETE"), "run");
    table.record(&ended, now()).await.unwrap();
    let later = now() + SignedDuration::from_hours(61 * 24);
    assert_eq!(table.read(&ended.item.key(), later).await.unwrap(), None);
    assert!(table.load(later).await.unwrap().records.is_empty());
    assert!(
        matches!(
            table.record(&ended, now()).await.unwrap(),
            Recorded::Conflict(Some(_))
        ),
        "not yet expired"
    );
    assert_eq!(table.record(&ended, later).await.unwrap(), Recorded::Done);
}

#[tokio::test]
async fn attributes_of_a_later_version_survive_and_its_items_are_refused_untouched() {
    let world = World::new().await;
    let table = table(&world);
    let first = change(None, &job("job", "IN_PROGRESS"), "run");
    table.record(&first, now()).await.unwrap();
    let key = || {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let members = [
            ("watch", text(&source().to_string())),
            ("item", text("job#job")),
        ];
        Some(members.map(|(name, value)| (name.to_owned(), value)).into())
    };
    let (dynamodb, name) = (world.dynamodb(), world.table());
    let set = |attribute: &str, value: AttributeValue| {
        let update = dynamodb.update_item().table_name(name).set_key(key());
        let update = update.update_expression("SET #name = :value");
        let update = update.expression_attribute_names("#name", attribute);
        update.expression_attribute_values(":value", value).send()
    };
    set("colour", AttributeValue::Ss(vec!["blue".to_owned()]))
        .await
        .unwrap();
    let ended = change(Some(&first.item), &job("job", "COMPLETE"), "run");
    assert_eq!(table.record(&ended, now()).await.unwrap(), Recorded::Done);
    let get = || dynamodb.get_item().table_name(name).set_key(key()).send();
    let item = get().await.unwrap().item.unwrap();
    assert_eq!(item["colour"], AttributeValue::Ss(vec!["blue".to_owned()]));

    set("reads_from", AttributeValue::N("2".to_owned()))
        .await
        .unwrap();
    let before = get().await.unwrap().item.unwrap();
    let state = table.load(now()).await.unwrap();
    let [UnreadableItem { key, error }] = &state.unreadable[..] else {
        panic!("{state:?}");
    };
    assert_eq!(key.as_ref().map(Key::to_string).as_deref(), Some("job#job"));
    assert!(
        matches!(error, StoreError::TooNew(why) if why.contains("job#job")),
        "{error:?}"
    );
    assert_eq!(get().await.unwrap().item.unwrap(), before);
}

/// More than a Query gives in one page.
#[tokio::test]
async fn a_large_state_is_read_whole() {
    let world = World::new().await;
    let table = table(&world);
    let long = |number: usize| Job {
        input_path: Some("x".repeat(1_000)),
        output_path: Some("y".repeat(1_000)),
        ..job(&format!("{number:04}"), "IN_PROGRESS")
    };
    for batch in (0..700).collect::<Vec<_>>().chunks(50) {
        let changes: Vec<_> = batch
            .iter()
            .map(|number| change(None, &long(*number), "run"))
            .collect();
        for recorded in join_all(changes.iter().map(|change| table.record(change, now()))).await {
            assert_eq!(recorded.unwrap(), Recorded::Done);
        }
    }
    assert_eq!(table.load(now()).await.unwrap().records.len(), 700);
}
