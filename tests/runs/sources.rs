//! One invocation that watches two sources.

use fraud_job_watch::telemetry::Metrics;

use super::*;

/// What is watched of each kind. They have one topic.
pub(crate) struct Both {
    predictions: World,
    imports: World,
}

const OF_PREDICTIONS: &str = "batch-predictions";
const OF_IMPORTS: &str = "batch-imports";

impl Both {
    fn new() -> Self {
        Self::of(World::new(Duration::ZERO))
    }

    fn of(predictions: World) -> Self {
        let imports = World {
            topic: Rc::clone(&predictions.topic),
            urgent: predictions.urgent.clone(),
            alarms: predictions.alarms.clone(),
            digest_above: predictions.digest_above,
            ..World::new(predictions.latency)
        };
        Self {
            predictions,
            imports,
        }
    }

    /// A prediction that failed just now and one without an id, and the same of imports.
    pub(crate) fn two_jobs_each() -> Self {
        let both = Self::of(two_jobs());
        *both.imports.jobs.borrow_mut() = both.predictions.jobs.borrow().clone();
        both.imports
            .change("job", |job| job.job_id = Some("import".to_owned()));
        both
    }

    pub(crate) async fn invoke(
        &self,
        payload: Value,
        time_given: Option<Duration>,
    ) -> Result<Answer, Failed> {
        self.measured(payload, time_given, |_| ()).await
    }

    async fn measured(
        &self,
        payload: Value,
        time_given: Option<Duration>,
        measure: impl FnOnce(&Outcome),
    ) -> Result<Answer, Failed> {
        let imports = source().with_kind(SourceKind::BatchImports);
        let watched = [(source(), &self.predictions), (imports, &self.imports)];
        invoked(&watched, payload, time_given, measure).await
    }

    /// The type and the subject of each event that was published, in order.
    fn told(&self) -> Vec<(String, String)> {
        let published = self.predictions.topic.published.borrow();
        let events = published.iter().flat_map(Message::events);
        events.map(told).collect()
    }
}

fn told(event: &Value) -> (String, String) {
    let text = |member: &str| event[member].as_str().unwrap().to_owned();
    (text("type"), text("subject"))
}

fn types(events: &[(String, String)]) -> Vec<&str> {
    events.iter().map(|(kind, _)| kind.as_str()).collect()
}

const EACH_TOLD: [&str; 4] = [
    "fraud-job-watch.batch-prediction.failed.v1",
    "fraud-job-watch.batch-prediction.began.v1",
    "fraud-job-watch.batch-import.failed.v1",
    "fraud-job-watch.batch-import.began.v1",
];

#[tokio::test(start_paused = true)]
async fn predictions_come_first_and_each_says_what_it_did() {
    let both = Both::two_jobs_each();
    both.imports.start("another", "IN_PROGRESS");
    let answer = both.invoke(json!({}), None).await.unwrap();
    assert_eq!(types(&both.told()), EACH_TOLD);
    assert_eq!(both.told()[2].1, "import");
    assert_eq!((answer.jobs, answer.pages, answer.unreadable), (5, 2, 2));
    assert_eq!((answer.published, answer.pending), (4, 0));
    assert!(answer.complete && answer.began && !answer.dry_run);
    let counts = [("FAILED", 2), ("IN_PROGRESS", 1)].map(|(it, n)| (it.to_owned(), n));
    assert_eq!(answer.by_status, counts.into());
    let counts = [("began", 2), ("failed", 2)].map(|(it, n)| (it.to_owned(), n));
    assert_eq!(answer.notices, counts.into());
    let of = |source| {
        let answer = &answer.sources[source];
        (answer.jobs, answer.published, answer.by_status.len())
    };
    assert_eq!((of(OF_PREDICTIONS), of(OF_IMPORTS)), ((2, 2, 1), (3, 2, 2)));

    let next = both.invoke(json!({}), None).await.unwrap();
    assert_eq!((next.published, next.began), (0, false), "each once");
}

/// Predictions begin, and then imports; and what is pending, and how long it took, is that of both.
#[tokio::test(start_paused = true)]
async fn what_only_one_source_did_is_in_the_answer() {
    let both = Both::of(World {
        latency: Duration::from_millis(20),
        ..two_jobs()
    });
    both.imports.service.broken_page.set(Some(0));
    both.invoke(json!({}), None).await.unwrap_err();
    both.imports.service.broken_page.set(None);
    let began = both.invoke(json!({}), None).await.unwrap();
    assert!(began.began && !began.sources[OF_PREDICTIONS].began);

    advance(Duration::from_secs(60)).await;
    for (world, ids) in [
        (&both.predictions, &["a"][..]),
        (&both.imports, &["b", "c", "d"]),
    ] {
        for id in ids {
            world.start(id, "IN_PROGRESS");
            world.end(id, "FAILED");
        }
    }
    both.predictions.topic.mood.set(Mood::Fails);
    let mut answer = Answer::default();
    let measure = |outcome: &Outcome| answer = outcome.answer.clone();
    both.measured(json!({}), None, measure).await.unwrap_err();
    assert_eq!(answer.pending, 1 + 3);
    let took = SourceKind::ALL.map(|kind| answer.sources[kind.as_str()].took_ms);
    assert!(took.iter().all(|ms| *ms > 2), "{took:?}");
    assert_eq!(answer.took_ms, took.iter().sum::<u64>());
}

#[tokio::test(start_paused = true)]
async fn with_one_source_there_is_no_word_of_sources() {
    let alone = two_jobs().invoke(json!({}), None).await.unwrap();
    let answer = serde_json::to_value(&alone).unwrap();
    assert_eq!(answer.get("sources"), None);
    let both = Both::two_jobs_each();
    let answer = both.invoke(json!({}), None).await.unwrap();
    let answer = serde_json::to_value(&answer).unwrap();
    let sources = answer["sources"].as_object().unwrap();
    assert_eq!(sources.len(), 2);
    assert_eq!(
        sources[OF_PREDICTIONS],
        serde_json::to_value(&alone).unwrap(),
        "each says what it would say alone"
    );
}

/// Refused for good, a listing is asked for until its time is spent, or too little of it is left for another try.
#[tokio::test(start_paused = true)]
async fn each_source_has_a_fair_share_of_the_time_that_is_left() {
    for (predictions_spend_theirs, of_predictions, of_imports) in
        [(true, 95..=100, 135..=140), (false, 0..=0, 235..=240)]
    {
        let both = Both::two_jobs_each();
        both.predictions.refuse(move |_| predictions_spend_theirs);
        both.imports.refuse(|_| true);
        let answer = both.invoke(json!({}), FIVE_MINUTES).await.unwrap();
        let took = |source| answer.sources[source].took_ms / 1_000;
        let (predictions, imports) = (took(OF_PREDICTIONS), took(OF_IMPORTS));
        assert!(of_predictions.contains(&predictions), "{predictions} s");
        assert!(of_imports.contains(&imports), "{imports} s");
        let calls = |world: &World| world.service.calls.borrow().clone();
        let last = *calls(&both.predictions).last().unwrap();
        let first = calls(&both.imports)[0];
        assert!(last <= first, "one after the other: {last:?} {first:?}");
        assert!(!answer.complete, "spent time is no error");
        let complete = |source| answer.sources[source].complete;
        assert_eq!(complete(OF_PREDICTIONS), !predictions_spend_theirs);
        assert!(!complete(OF_IMPORTS));
    }
}

#[tokio::test(start_paused = true)]
async fn a_source_that_hangs_leaves_the_next_its_half() {
    let both = Both::new();
    both.imports.start("import", "IN_PROGRESS");
    both.invoke(json!({}), None).await.unwrap();
    both.predictions.topic.published.borrow_mut().clear();
    both.imports.end("import", "FAILED");
    let for_ever = Duration::from_secs(24 * 3_600);
    both.predictions.service.latency.set(for_ever);
    let answer = both.invoke(json!({}), FIVE_MINUTES).await.unwrap();
    assert_eq!(types(&both.told()), EACH_TOLD[2..3]);
    let complete = |source| answer.sources[source].complete;
    assert!(!complete(OF_PREDICTIONS) && complete(OF_IMPORTS) && !answer.complete);
}

#[tokio::test(start_paused = true)]
async fn one_that_fails_does_not_stop_the_next_and_is_named() {
    let denied = |world: &World| world.service.broken_page.set(Some(0));
    let no_table = |world: &World| world.store.loads_fail.set(true);
    type Break<'a> = &'a dyn Fn(&World);
    for (break_it, error_type, why) in [
        (&denied as Break, "ListingFailed", "access denied"),
        (&no_table, "StateUnreadable", "no such table"),
    ] {
        for (breaks, named, others_tell) in [
            (0, "batch-predictions: ", &EACH_TOLD[2..]),
            (1, "batch-imports: ", &EACH_TOLD[..2]),
        ] {
            let both = Both::two_jobs_each();
            break_it([&both.predictions, &both.imports][breaks]);
            let failed = both.invoke(json!({}), None).await.unwrap_err();
            assert_eq!(failed.error_type, error_type);
            assert!(failed.message.starts_with(named), "{failed}");
            assert!(failed.message.contains(why), "{failed}");
            assert!(!failed.message.contains("more)"), "{failed}");
            assert_eq!(types(&both.told()), others_tell, "{named}");
        }
        let both = Both::two_jobs_each();
        break_it(&both.predictions);
        break_it(&both.imports);
        let failed = both.invoke(json!({}), None).await.unwrap_err();
        assert!(failed.message.starts_with("batch-predictions: "));
        assert!(failed.message.ends_with(" (and 1 more)"), "{failed}");
    }
    let alone = two_jobs();
    denied(&alone);
    let failed = alone.invoke(json!({}), None).await.unwrap_err();
    assert!(!failed.message.contains("batch-predictions"), "{failed}");
}

#[tokio::test(start_paused = true)]
async fn who_subscribes_is_asked_once() {
    let topic = Kept::heard_by(Some(3), "jobs");
    let both = Both::of(World {
        topic: Rc::clone(&topic),
        ..World::new(Duration::ZERO)
    });
    let mut subscribers = None;
    let measure = |outcome: &Outcome| subscribers = outcome.gauges.subscribers;
    both.measured(json!({}), None, measure).await.unwrap();
    assert_eq!(
        (subscribers, topic.asked.get()),
        (Some(Subscribers { fewest: 3, all: 3 }), 1)
    );
}

#[tokio::test(start_paused = true)]
async fn a_completed_import_is_as_bad_as_the_records_that_failed_in_it() {
    let both = Both::new();
    both.invoke(json!({}), None).await.unwrap();
    both.imports.topic.published.borrow_mut().clear();
    for (id, status, failed) in [
        ("all", "COMPLETE", Some(0)),
        ("most", "COMPLETE", Some(1)),
        ("unknown", "COMPLETE", None),
        ("none", "FAILED", Some(9)),
    ] {
        both.imports.start(id, "IN_PROGRESS");
        both.imports.end(id, status);
        both.imports
            .change(id, |job| job.failed_records_count = failed);
    }
    both.invoke(json!({}), None).await.unwrap();
    let published = both.imports.topic.published.borrow();
    let severities: BTreeMap<_, _> = published
        .iter()
        .flat_map(Message::events)
        .map(|event| {
            let data = &event["data"];
            (event["subject"].clone(), data["severity"].clone())
        })
        .map(|(subject, severity)| (subject.to_string(), severity.to_string()))
        .collect();
    let right = [
        ("all", "info"),
        ("most", "warning"),
        ("none", "error"),
        ("unknown", "info"),
    ];
    let quoted = |(id, severity)| (json!(id).to_string(), json!(severity).to_string());
    assert_eq!(severities, right.map(quoted).into());
}

/// The source that is looked at first speaks of the alarms; one that was once the first closes what it opened.
#[tokio::test(start_paused = true)]
async fn what_imports_opened_of_the_alarms_is_closed_when_predictions_are_watched_too() {
    let alarms = |subscribers| Some(Kept::heard_by(subscribers, "alarms"));
    let mut both = Both::of(World {
        alarms: alarms(Some(0)),
        ..World::new(Duration::ZERO)
    });
    for minutes in [0, 60] {
        advance(Duration::from_secs(60 * minutes)).await;
        let imports = source().with_kind(SourceKind::BatchImports);
        let watched = [(imports, &both.imports)];
        invoked(&watched, json!({}), None, |_| ()).await.unwrap();
    }
    both.invoke(json!({}), None).await.unwrap();
    for world in [&mut both.predictions, &mut both.imports] {
        world.alarms = alarms(Some(1));
    }
    both.invoke(json!({}), None).await.unwrap();
    assert_eq!(
        types(&both.told()),
        [
            "fraud-job-watch.batch-import.began.v1",
            "fraud-job-watch.batch-import.unheard.v1",
            "fraud-job-watch.batch-prediction.began.v1",
            "fraud-job-watch.batch-import.heard.v1",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_test_notice_goes_out_once() {
    let both = Both::two_jobs_each();
    let answer = both.invoke(json!({"test_notice": true}), None).await;
    assert_eq!(answer.unwrap().published, 1);
    let told = both.told();
    assert_eq!(types(&told), ["fraud-job-watch.batch-prediction.test.v1"]);
    for world in [&both.predictions, &both.imports] {
        assert_eq!(world.stored().await, State::default());
    }
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_shows_the_events_of_both_and_none_twice() {
    let both = Both::two_jobs_each();
    let answer = both.invoke(json!({"dry_run": true}), None).await.unwrap();
    let would_publish = answer.would_publish.unwrap();
    let would_publish: Vec<_> = would_publish.iter().map(told).collect();
    assert_eq!(types(&would_publish), EACH_TOLD);
    assert_eq!(
        (answer.dry_run, answer.published, answer.pending),
        (true, 0, 4)
    );
    for answer in answer.sources.values() {
        assert_eq!(answer.would_publish, None);
        assert!(answer.dry_run);
    }
    assert_eq!(both.predictions.topic.tries.get(), 0);
    for world in [&both.predictions, &both.imports] {
        assert_eq!(world.stored().await, State::default());
    }
    let both = Both::new();
    both.invoke(json!({}), None).await.unwrap();
    let idle = both.invoke(json!({"dry_run": true}), None).await.unwrap();
    assert_eq!(idle.would_publish, Some(Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn a_digest_is_of_one_source() {
    let both = Both::of(World {
        digest_above: 1,
        ..World::new(Duration::ZERO)
    });
    for world in [&both.predictions, &both.imports] {
        world.start_many(3);
    }
    both.invoke(json!({}), None).await.unwrap();
    advance(Duration::from_secs(120)).await;
    for world in [&both.predictions, &both.imports] {
        world.end_all(|_| "COMPLETE");
    }
    both.predictions.topic.published.borrow_mut().clear();
    let answer = both.invoke(json!({}), None).await.unwrap();
    assert_eq!(answer.published, 6);
    let published = both.predictions.topic.published.borrow();
    let digests = published.iter().map(|message| &message.event);
    let digests: Vec<_> = digests
        .map(|digest| {
            let events = digest["data"]["events"].as_array().unwrap();
            let of = |event: &Value| event["source"].clone();
            assert!(events.iter().all(|event| of(event) == of(digest)));
            (digest["type"].as_str().unwrap(), events.len())
        })
        .collect();
    assert_eq!(
        digests,
        [
            ("fraud-job-watch.batch-prediction.digest.v1", 3),
            ("fraud-job-watch.batch-import.digest.v1", 3),
        ]
    );
}

/// An invocation's one line of metrics.
async fn metrics(both: &Both, time_given: Option<Duration>) -> Value {
    let mut lines = Vec::new();
    let metrics = Metrics {
        function: "watch",
        detailed: false,
        level: "INFO",
    };
    let now = both.predictions.now();
    let measure = |outcome: &Outcome| lines.push(metrics.line(outcome, now));
    let _ = both.measured(json!({}), time_given, measure).await;
    lines.remove(0)
}

#[tokio::test(start_paused = true)]
async fn the_metrics_of_an_invocation_are_those_of_the_worse_source() {
    let both = Both::new();
    both.predictions.start("slow", "IN_PROGRESS");
    both.imports.start("import", "IN_PROGRESS");
    let well = metrics(&both, None).await;
    assert_eq!(
        (&well["RunSucceeded"], &well["ListingIncomplete"]),
        (&json!(1), &json!(0))
    );
    assert_eq!(
        (&well["OldestPendingAge"], &well["OldestSignOfLife"]),
        (&json!(0), &json!(0))
    );

    // What is of imports is pending for ten minutes, and of predictions for five.
    advance(Duration::from_secs(60)).await;
    both.predictions.topic.mood.set(Mood::Fails);
    both.imports.end("import", "FAILED");
    metrics(&both, None).await;
    advance(Duration::from_secs(300)).await;
    both.predictions.start("fast", "IN_PROGRESS");
    both.predictions.end("fast", "FAILED");
    metrics(&both, None).await;
    advance(Duration::from_secs(300)).await;
    let pending = metrics(&both, None).await;
    assert_eq!(pending["RunSucceeded"], 0);
    assert_eq!(pending["OldestPendingAge"], 600);
    assert_eq!(pending["OldestSignOfLife"], 660, "of predictions");

    both.predictions.end("slow", "COMPLETE");
    both.imports.start("next", "IN_PROGRESS");
    let none = metrics(&both, None).await;
    assert_eq!(none.get("OldestSignOfLife"), None, "an import has none");

    both.predictions.topic.mood.set(Mood::Takes);
    for broken in [&both.predictions, &both.imports] {
        broken.service.broken_page.set(Some(0));
        let failed = metrics(&both, None).await;
        assert_eq!(failed["RunSucceeded"], 0);
        assert_eq!(failed.get("ListingIncomplete"), None, "it failed");
        broken.service.broken_page.set(None);
        broken.refuse(|_| true);
        let spent = metrics(&both, FIVE_MINUTES).await;
        assert_eq!(spent["RunSucceeded"], 1, "spent time is no error");
        assert_eq!(spent["ListingIncomplete"], 1);
        broken.refuse(|_| false);
    }
}
