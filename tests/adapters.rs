//! The adapters against the SDK's own test client: true bytes in and out, and a clock that jumps over waits.

use aws_config::retry::RetryConfig;
use aws_sdk_dynamodb::config::http::HttpRequest;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_smithy_http_client::test_util::{ReplayEvent, StaticReplayClient};
use aws_smithy_types::body::SdkBody;
use fraud_job_watch::aws::{FraudDetector, SnsTopic, Table, timeouts};
use fraud_job_watch::message::{Message, Outgoing, RenderContext};
use fraud_job_watch::ports::{Listing, ListingError, Ports, PublishError, Recorded, Store, Topic};
use fraud_job_watch::run::{Failure, RunInput, run};
use fraud_job_watch::watch::judge::{began, first_baseline};
use fraud_job_watch::watch::{
    Baseline, Change, Item, ListedJob, Notice, Source, SourceKind, StatusCounts,
};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::judge::Story;
use crate::lab;

fn now() -> Timestamp {
    "2026-03-02T12:00:00Z".parse().unwrap()
}

/// An exchange: whatever is asked, this is the answer.
pub(crate) fn answers(status: u16, body: &Value) -> ReplayEvent {
    answers_text(status, &body.to_string())
}

fn answers_text(status: u16, body: &str) -> ReplayEvent {
    let request = http::Request::builder()
        .uri("http://localhost/")
        .body(SdkBody::empty())
        .unwrap();
    let response = http::Response::builder()
        .status(status)
        .header("x-amzn-requestid", "REQUEST-1")
        .body(SdkBody::from(body))
        .unwrap();
    ReplayEvent::new(request, response)
}

fn page(ids: &[&str], next: Option<&str>) -> Value {
    page_of(SourceKind::BatchPredictions, ids, next)
}

fn page_of(source: SourceKind, ids: &[&str], next: Option<&str>) -> Value {
    let jobs: Vec<_> = ids
        .iter()
        .map(|id| json!({"jobId": id, "status": "COMPLETE"}))
        .collect();
    let member = match source {
        SourceKind::BatchPredictions => "batchPredictions",
        SourceKind::BatchImports => "batchImports",
    };
    match next {
        Some(next) => json!({member: jobs, "nextToken": next}),
        None => json!({member: jobs}),
    }
}

/// Each with its operation.
const SOURCES: [(SourceKind, &str); 2] = [
    (SourceKind::BatchPredictions, "GetBatchPredictionJobs"),
    (SourceKind::BatchImports, "GetBatchImportJobs"),
];

fn error(kind: &str) -> Value {
    json!({"__type": kind, "message": "as scripted"})
}

fn config(http: &StaticReplayClient) -> aws_config::SdkConfig {
    aws_config::SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .credentials_provider(aws_sdk_dynamodb::config::SharedCredentialsProvider::new(
            Credentials::for_tests(),
        ))
        .http_client(http.clone())
        .sleep_impl(aws_smithy_async::rt::sleep::SharedAsyncSleep::new(
            aws_smithy_async::rt::sleep::TokioSleep::new(),
        ))
        .retry_config(RetryConfig::standard())
        .timeout_config(timeouts())
        .build()
}

fn listing(events: Vec<ReplayEvent>) -> (FraudDetector, StaticReplayClient) {
    listing_of(SourceKind::BatchPredictions, events)
}

fn listing_of(source: SourceKind, events: Vec<ReplayEvent>) -> (FraudDetector, StaticReplayClient) {
    let http = StaticReplayClient::new(events);
    let client = aws_sdk_frauddetector::Client::new(&config(&http));
    (FraudDetector::new(client, source), http)
}

fn table(events: Vec<ReplayEvent>) -> (Table, StaticReplayClient) {
    table_of(events, &lab::source())
}

pub(crate) fn table_of(events: Vec<ReplayEvent>, source: &Source) -> (Table, StaticReplayClient) {
    let http = StaticReplayClient::new(events);
    let client = aws_sdk_dynamodb::Client::new(&config(&http));
    (Table::new(client, "state".to_owned(), source), http)
}

fn topic(events: Vec<ReplayEvent>) -> (SnsTopic, StaticReplayClient) {
    let http = StaticReplayClient::new(events);
    (
        SnsTopic::new(aws_sdk_sns::Client::new(&config(&http)), lab::topic()),
        http,
    )
}

pub(crate) fn bodies(http: &StaticReplayClient) -> Vec<Value> {
    let body = |request: &HttpRequest| {
        serde_json::from_slice(request.body().bytes().unwrap_or_default()).unwrap_or_default()
    };
    http.actual_requests().map(body).collect()
}

/// The operations that were asked for.
fn targets(http: &StaticReplayClient) -> Vec<String> {
    let target = |request: &HttpRequest| request.headers().get("x-amz-target").map(str::to_owned);
    http.actual_requests().filter_map(target).collect()
}

/// A run on this listing with no state, whose writes and publishes go nowhere.
async fn watch(events: Vec<ReplayEvent>) -> (fraud_job_watch::run::Outcome, StaticReplayClient) {
    watch_of(SourceKind::BatchPredictions, events).await
}

async fn watch_of(
    source: SourceKind,
    events: Vec<ReplayEvent>,
) -> (fraud_job_watch::run::Outcome, StaticReplayClient) {
    let (listing, http) = listing_of(source, events);
    let (store, _) = table(vec![answers(200, &json!({"Items": []}))]);
    let ports = Ports {
        listing,
        store: fraud_job_watch::dry_run::ReadOnly(&store),
        topic: fraud_job_watch::dry_run::Collected::new(lab::topic()),
        urgent: None,
        alarms: None,
        clock: Timestamp::now,
    };
    let settings = fraud_job_watch::settings::WatchSettings::read(|_| None).unwrap();
    let input = RunInput {
        source: &lab::source().with_kind(source),
        settings: &settings,
        run_id: "run",
        time_given: None,
    };
    (run(&ports, &input).await, http)
}

#[tokio::test(start_paused = true)]
async fn every_page_is_asked_for_with_the_token_of_the_last() {
    for (source, operation) in SOURCES {
        let page = |ids: &[&str], next| answers(200, &page_of(source, ids, next));
        let pages = vec![
            page(&["a", "b"], Some("t1")),
            page(&[], Some("t2")),
            page(&["c"], None),
        ];
        let (outcome, http) = watch_of(source, pages).await;
        assert_eq!(
            (
                outcome.answer.jobs,
                outcome.answer.pages,
                outcome.answer.complete
            ),
            (3, 3, true)
        );
        assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
        assert_eq!(
            bodies(&http),
            [
                json!({"maxResults": 50}),
                json!({"maxResults": 50, "nextToken": "t1"}),
                json!({"maxResults": 50, "nextToken": "t2"})
            ]
        );
        let target = format!("AWSHawksNestServiceFacade.{operation}");
        assert_eq!(targets(&http), [(); 3].map(|()| target.clone()));
    }
}

#[tokio::test(start_paused = true)]
async fn throttles_and_internal_errors_are_retried() {
    for (source, _) in SOURCES {
        for (status, kind) in [
            (400, "ThrottlingException"),
            (500, "InternalServerException"),
        ] {
            let answers = vec![
                answers(status, &error(kind)),
                answers(status, &error(kind)),
                answers(200, &page_of(source, &["a"], None)),
            ];
            let (outcome, http) = watch_of(source, answers).await;
            assert_eq!(
                (outcome.answer.jobs, outcome.answer.complete),
                (1, true),
                "{source}: {kind}"
            );
            assert_eq!(http.actual_requests().count(), 3);
        }
    }
}

/// The code is in the header, as the service sends it, or in the body; of an answer from elsewhere in neither.
#[tokio::test(start_paused = true)]
async fn which_answers_refuse_a_call_for_its_rate() {
    for (status, code, is_throttled) in [
        (400, "ThrottlingException", true),
        (400, "Throttling", true),
        (400, "ThrottledException", true),
        (400, "RequestThrottledException", true),
        (400, "RequestLimitExceeded", true),
        (400, "BandwidthLimitExceeded", true),
        (429, "TooManyRequestsException", true),
        (400, "TooManyRequestsException", true),
        (503, "SlowDown", true),
        (429, "", true),
        (429, "Unheard-Of", true),
        (400, "ValidationException", false),
        (400, "AccessDeniedException", false),
        (400, "ResourceNotFoundException", false),
        (400, "LimitExceededException", false),
        (500, "InternalServerException", false),
        (503, "ServiceUnavailable", false),
        (503, "", false),
    ] {
        for (source, _) in SOURCES {
            let answers = (0..6).map(|_| answers(status, &error(code)));
            let (listing, _) = listing_of(source, answers.collect());
            let mut errors = vec![listing.page(None).await.unwrap_err()];
            if code != "ResourceNotFoundException" {
                let id = "job".to_owned().try_into().unwrap();
                errors.push(listing.ask(&id).await.unwrap_err());
            }
            for error in errors {
                let is = matches!(error, ListingError::Throttled(_));
                assert_eq!(is, is_throttled, "{source}: {status} {code}: {error:?}");
            }
        }
    }
}

/// Three tries each are the SDK's.
#[tokio::test(start_paused = true)]
async fn a_page_that_the_sdk_gives_up_for_its_rate_is_asked_for_again() {
    let throttled = || answers(400, &error("ThrottlingException"));
    let mut events = vec![answers(200, &page(&["a"], Some("t1")))];
    events.extend((0..7).map(|_| throttled()));
    events.push(answers(200, &page(&["b"], None)));
    let (outcome, http) = watch(events).await;
    assert!(outcome.failures.is_empty(), "{:?}", outcome.failures);
    assert_eq!((outcome.answer.jobs, outcome.answer.complete), (2, true));
    let asked = bodies(&http);
    assert_eq!(asked.len(), 9);
    assert!(asked[1..].iter().all(|body| body["nextToken"] == "t1"));
}

#[tokio::test(start_paused = true)]
async fn a_page_that_fails_for_good_leaves_the_listing_incomplete_and_says_why() {
    for (source, operation) in SOURCES {
        let answers = vec![
            answers(200, &page_of(source, &["a"], Some("t1"))),
            answers(400, &error("AccessDeniedException")),
        ];
        let (outcome, http) = watch_of(source, answers).await;
        assert_eq!((outcome.answer.jobs, outcome.answer.complete), (1, false));
        assert_eq!(
            http.actual_requests().count(),
            2,
            "a refusal is not asked again"
        );
        let [Failure::ListingFailed(why)] = &outcome.failures[..] else {
            panic!("{:?}", outcome.failures)
        };
        for part in [
            "page 2",
            &format!("{operation}: "),
            "AccessDeniedException",
            "as scripted",
            "REQUEST-1",
            &format!("the role has to allow frauddetector:{operation}"),
        ] {
            assert!(why.contains(part), "{part:?} is missing in {why:?}");
        }
    }
}

#[tokio::test]
async fn a_member_of_another_type_counts_as_absent() {
    let odd = json!({
        "jobId": "odd", "status": ["FAILED"], "startTime": {"seconds": 7}, "arn": null, "iamRoleArn": 7,
        "processedRecordsCount": "many", "totalRecordsCount": 9_000_000_000_000_000_000_u64, "isNew": true,
    });
    let body = json!({"batchPredictions": [null, odd], "nextToken": null});
    let (listing, _) = listing(vec![answers(200, &body)]);
    let page = listing.page(None).await.unwrap();
    let known = ListedJob {
        job_id: Some("odd".to_owned()),
        total_records_count: Some(9_000_000_000_000_000_000),
        ..ListedJob::default()
    };
    assert_eq!((page.jobs, page.next), (vec![known], None));
}

#[tokio::test]
async fn a_member_of_an_import_that_is_not_as_it_should_be_costs_that_member() {
    let megabytes = "x".repeat(3_000_000);
    let imports = json!([
        null,
        {},
        {
            "jobId": "odd", "status": {"is": "FAILED"}, "startTime": 7, "failureReason": ["secret"], "eventTypeName": true,
            "processedRecordsCount": "many", "failedRecordsCount": 2.5, "totalRecordsCount": 9_000_000_000_000_000_000_u64,
        },
        {"jobId": "huge", "failureReason": megabytes, "isNew": [{"deep": {}}], "failedRecordsCount": 3},
        // What no import has.
        {"jobId": "more", "lastHeartbeatTime": "2026-03-02T11:00:00Z", "detectorName": "d", "detectorVersion": "1"},
    ]);
    let body = json!({"batchImports": imports, "batchPredictions": [{"jobId": "other"}]});
    let (listing, _) = listing_of(SourceKind::BatchImports, vec![answers(200, &body)]);
    let page = listing.page(None).await.unwrap();
    let named = |id: &str| ListedJob {
        job_id: Some(id.to_owned()),
        ..ListedJob::default()
    };
    let odd = ListedJob {
        total_records_count: Some(9_000_000_000_000_000_000),
        ..named("odd")
    };
    let huge = ListedJob {
        failure_reason: Some(megabytes),
        failed_records_count: Some(3),
        ..named("huge")
    };
    let read = vec![ListedJob::default(), odd, huge, named("more")];
    assert_eq!((page.jobs, page.next), (read, None));
}

#[tokio::test]
async fn every_member_of_an_import_is_read() {
    let import = lab::fraud_detector::import("nightly", "FAILED");
    let text = |name: &str| import[name].as_str().map(str::to_owned);
    let right = ListedJob {
        job_id: text("jobId"),
        arn: text("arn"),
        status: text("status"),
        failure_reason: text("failureReason"),
        start_time: text("startTime"),
        completion_time: text("completionTime"),
        input_path: text("inputPath"),
        output_path: text("outputPath"),
        event_type_name: text("eventTypeName"),
        processed_records_count: Some(2_500),
        failed_records_count: Some(0),
        total_records_count: Some(5_000),
        ..ListedJob::default()
    };
    let body = json!({"batchImports": [import]});
    let (listing, _) = listing_of(SourceKind::BatchImports, vec![answers(200, &body)]);
    assert_eq!(listing.page(None).await.unwrap().jobs, [right]);
}

#[tokio::test]
async fn an_answer_that_is_no_listing_is_an_error_which_repeats_none_of_it() {
    for (source, _) in SOURCES {
        let member = source.member();
        for (body, why) in [
            ("", "not JSON"),
            ("{\"LISTED\": [{\"jobId\": \"secret", "not JSON"),
            ("{\"LISTED\": \"secret\"}", "no listing"),
            ("[\"secret\"]", "no listing"),
            ("[[], \"secret\"]", "no listing"),
            ("{\"LISTED\": [[\"secret\"]]}", "no listing"),
        ] {
            let body = body.replace("LISTED", member);
            let (listing, http) = listing_of(source, vec![answers_text(200, &body)]);
            let error = listing.page(None).await.unwrap_err().to_string();
            assert!(error.contains(why), "{why:?} is missing in {error:?}");
            assert!(!error.contains("secret"), "{error:?}");
            assert_eq!(http.actual_requests().count(), 1);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_gone_is_an_error_or_an_empty_list() {
    let id = "gone".to_owned().try_into().unwrap();
    for (source, operation) in SOURCES {
        let answers_ = vec![
            answers(200, &page_of(source, &[], None)),
            answers(400, &error("ResourceNotFoundException")),
        ];
        let (listing, http) = listing_of(source, answers_);
        assert_eq!(listing.ask(&id).await.unwrap(), None);
        assert_eq!(listing.ask(&id).await.unwrap(), None);
        assert_eq!(bodies(&http), [(); 2].map(|()| json!({"jobId": "gone"})));
        let target = format!("AWSHawksNestServiceFacade.{operation}");
        assert_eq!(targets(&http), [(); 2].map(|()| target.clone()));

        let denied = vec![answers(400, &error("AccessDeniedException"))];
        let (listing, _) = listing_of(source, denied);
        let refused = listing.ask(&id).await;
        let why = refused
            .expect_err("being refused says nothing of the job")
            .to_string();
        assert!(
            why.contains(&format!("frauddetector:{operation}")),
            "{why:?}"
        );
    }
}

/// Whoever takes the answer sees that it is about another job, and that the one that was asked for may be there.
#[tokio::test(start_paused = true)]
async fn an_answer_about_another_job_does_not_say_that_this_one_is_gone() {
    let id = "mine".to_owned().try_into().unwrap();
    let (listing_, _) = listing(vec![
        answers(200, &page(&["other"], None)),
        answers(200, &page(&["other", "mine"], None)),
    ]);
    for expected in ["other", "mine"] {
        let job = listing_.ask(&id).await.unwrap().unwrap();
        assert_eq!(job.job_id.as_deref(), Some(expected));
    }
}

fn began_change() -> Change {
    let Item::Watch(baseline) = first_baseline(now(), "mine").item else {
        panic!("not the watch")
    };
    let mut story = Story::new();
    (story.baseline, story.run) = (baseline, "mine".to_owned());
    began(&story.context(now()), 0, &StatusCounts::default())
}

fn canceled(code: &str, old: Option<Value>) -> Value {
    let first = match old {
        Some(old) => json!({"Code": code, "Item": old}),
        None => json!({"Code": code}),
    };
    json!({
        "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
        "message": "Transaction cancelled",
        "CancellationReasons": [first, {"Code": "None"}],
    })
}

fn stored_baseline(rev: u64, by: &str) -> Value {
    json!({
        "watch": {"S": lab::source().to_string()}, "item": {"S": "watch"}, "reads_from": {"N": "1"},
        "rev": {"N": rev.to_string()}, "by": {"S": by}, "since": {"S": "2026-03-02T11:59:00Z"},
        "began_at": {"S": "2026-03-02T12:00:00Z"},
    })
}

#[tokio::test(start_paused = true)]
async fn a_transaction_lost_to_another_run_is_told_from_ones_own_echo() {
    let change = began_change();
    for (by, is_echo) in [("other", false), ("mine", true)] {
        let (store, _) = table(vec![answers(
            400,
            &canceled("ConditionalCheckFailed", Some(stored_baseline(2, by))),
        )]);
        let Recorded::Conflict(Some(standing)) = store.record(&change, now()).await.unwrap() else {
            panic!("not lost")
        };
        assert_eq!(standing == change.item, is_echo, "written by {by}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_transaction_that_met_another_looks_what_that_one_left() {
    let (store, http) = table(vec![
        answers(400, &canceled("TransactionConflict", None)),
        answers(200, &json!({"Item": stored_baseline(2, "other")})),
    ]);
    let Recorded::Conflict(Some(Item::Watch(Baseline { written_by, .. }))) =
        store.record(&began_change(), now()).await.unwrap()
    else {
        panic!("not lost")
    };
    assert_eq!(written_by, "other");
    assert_eq!(bodies(&http)[1]["ConsistentRead"], json!(true));
}

#[tokio::test(start_paused = true)]
async fn a_transaction_holds_the_item_and_each_notice_and_asks_for_the_old_item() {
    let (store, http) = table(vec![answers(200, &json!({}))]);
    assert_eq!(
        store.record(&began_change(), now()).await.unwrap(),
        Recorded::Done
    );
    let sent = &bodies(&http)[0];
    let update = &sent["TransactItems"][0]["Update"];
    assert_eq!(update["Key"]["item"], json!({"S": "watch"}));
    assert_eq!(update["ReturnValuesOnConditionCheckFailure"], "ALL_OLD");
    let key = sent["TransactItems"][1]["Put"]["Item"]["item"]["S"]
        .as_str()
        .unwrap();
    assert!(key.starts_with("outbox#"), "{key}");
    assert!(sent["ClientRequestToken"].is_string());
}

fn began_message() -> Message {
    let notice: &Notice = &began_change().notices[0];
    let outgoing = Outgoing {
        notice,
        job_now: None,
        compared: None,
    };
    let context = RenderContext {
        name: None,
        now: Timestamp::now(),
    };
    Message::of(&outgoing, &context)
}

fn sns_error(status: u16, code: &str, message: &str) -> ReplayEvent {
    answers_text(
        status,
        &format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error>\
             <RequestId>REQUEST-1</RequestId></ErrorResponse>"
        ),
    )
}

#[derive(Debug, PartialEq)]
enum Is {
    Refused,
    Throttled,
    ToBeTriedAgain,
}

/// SNS's words are as people reported them.
const SNS_SAYS: [(Is, &[&str]); 3] = [
    (
        Is::Refused,
        &[
            "400 InvalidParameter Invalid parameter: Message too long",
            "400 InvalidParameter Invalid parameter: Subject",
            "400 InvalidParameter Invalid parameter: Message Structure - No default entry in JSON message body",
            "400 InvalidParameterValue The message attribute 'kind' must contain non-empty message attribute value",
            "400 ParameterValueInvalid The message attribute 'kind' must contain non-empty message attribute value",
            "400 ValidationException 1 validation error detected: Value at 'message' failed to satisfy constraint",
            "400 ValidationError 1 validation error detected: Value at 'message' failed to satisfy constraint",
        ],
    ),
    (
        Is::ToBeTriedAgain,
        &[
            "400 InvalidParameter Invalid parameter: TopicArn",
            "400 InvalidParameter Invalid parameter: TargetArn",
            "400 InvalidParameter Invalid parameter: TopicArn Reason: An ARN must have at least 6 elements",
            "400 InvalidParameter Invalid parameter: TopicArn or TargetArn Reason: no value for required parameter",
            "400 ValidationException 1 validation error detected: Value at 'topicArn' failed to satisfy constraint",
            "404 NotFound Topic does not exist",
            "403 AuthorizationError User is not authorized",
            "400 EndpointDisabled Endpoint is disabled",
            "400 PlatformApplicationDisabled as scripted",
            "403 InvalidSecurity as scripted",
            "403 InvalidClientTokenId The security token is invalid",
            "403 ExpiredToken as scripted",
            "403 SignatureDoesNotMatch as scripted",
            "400 KMSAccessDenied as scripted",
            "400 KMSDisabled as scripted",
            "400 KMSInvalidState as scripted",
            "400 KMSNotFound as scripted",
            "403 KMSOptInRequired as scripted",
            "500 InternalError as scripted",
            "500 InternalFailure as scripted",
            "503 ServiceUnavailable as scripted",
            "400 Unheard-Of as scripted",
        ],
    ),
    (
        Is::Throttled,
        &[
            "400 Throttling Rate exceeded",
            "400 ThrottlingException Rate exceeded",
            "429 Throttled Rate exceeded",
            "400 KMSThrottling as scripted",
            "503 SlowDown as scripted",
        ],
    ),
];

#[tokio::test(start_paused = true)]
async fn only_what_is_wrong_with_the_message_itself_is_refused() {
    for (is, answer) in SNS_SAYS
        .iter()
        .flat_map(|(is, answers)| answers.iter().map(move |it| (is, it)))
    {
        let mut parts = answer.splitn(3, ' ');
        let [status, code, message] = [(); 3].map(|()| parts.next().unwrap());
        let answers = (0..3).map(|_| sns_error(status.parse().unwrap(), code, message));
        let (sns, _) = topic(answers.collect());
        let error = sns.publish(&began_message()).await.unwrap_err();
        let found = match &error {
            PublishError::Refused(_) => Is::Refused,
            PublishError::Throttled(_) => Is::Throttled,
            PublishError::Failed(_) => Is::ToBeTriedAgain,
        };
        assert_eq!(found, *is, "{answer}");
        for part in [code, "Publish", "REQUEST-1"] {
            assert!(error.to_string().contains(part), "no {part:?} in {error}");
        }
    }
    // Nothing listens there.
    let (sns, _) = topic(vec![]);
    let error = sns.publish(&began_message()).await.unwrap_err();
    assert!(matches!(error, PublishError::Failed(_)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn at_most_five_messages_a_second_go_out() {
    let (sns, _) = topic(vec![]);
    let start = tokio::time::Instant::now();
    for _ in 0..11 {
        sns.ready().await;
    }
    assert_eq!(start.elapsed().as_millis(), 2_000);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_wait_for_a_turn_takes_none() {
    let (sns, _) = topic(vec![]);
    sns.ready().await;
    for _ in 0..5_000 {
        let spent = tokio::time::timeout_at(tokio::time::Instant::now(), sns.ready()).await;
        assert!(spent.is_err());
    }
    let start = tokio::time::Instant::now();
    sns.ready().await;
    assert_eq!(start.elapsed().as_millis(), 200);
}

#[tokio::test(start_paused = true)]
async fn the_topic_tells_how_many_have_confirmed_or_nothing() {
    let attributes = |entries: &str| {
        format!(
            "<GetTopicAttributesResponse><GetTopicAttributesResult><Attributes>{entries}</Attributes></GetTopicAttributesResult></GetTopicAttributesResponse>"
        )
    };
    let confirmed = attributes("<entry><key>SubscriptionsConfirmed</key><value>3</value></entry>");
    let denied = "<ErrorResponse><Error><Type>Sender</Type><Code>AuthorizationError</Code><Message>not authorized</Message></Error></ErrorResponse>";
    for (status, answer, subscribers) in [
        (200, confirmed.as_str(), Some(3)),
        (200, &attributes(""), None),
        (403, denied, None),
    ] {
        let (sns, _) = topic(vec![answers_text(status, answer)]);
        assert_eq!(sns.subscribers().await, subscribers);
    }
}
