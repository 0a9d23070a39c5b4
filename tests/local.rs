//! The world on a laptop, piece by piece: listing files, the state in memory, a report on a terminal.

use std::path::Path;

use fraud_job_watch::local::report::{ClockFrom, Report, seen};
use fraud_job_watch::local::saved_listing::SavedListing;
use fraud_job_watch::local::state::Memory;
use fraud_job_watch::local::terminal::Screen;
use fraud_job_watch::ports::{Listing, Recorded, Store};
use fraud_job_watch::run::Answer;
use fraud_job_watch::watch::judge::{Expected, first_baseline};
use fraud_job_watch::watch::{Change, ListedJob, SourceKind};
use jiff::Timestamp;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[tokio::test]
async fn documents_are_pages_and_a_bad_member_is_absent() {
    let text = r#"{"batchPredictions": [{"jobId": "a", "status": 7, "processedRecordsCount": "many"}], "nextToken": "t"}
        {"batchPredictions": [17, ["c"], {"jobId": "b", "lastHeartbeatTime": "2026-03-02T08:00:00"}]}"#;
    let listing = SavedListing::of_bytes(Path::new("listing.json"), text.as_bytes()).unwrap();
    let with_id = |id: &str| ListedJob {
        job_id: Some(id.to_owned()),
        ..ListedJob::default()
    };
    let b = ListedJob {
        last_heartbeat_time: Some("2026-03-02T08:00:00".to_owned()),
        ..with_id("b")
    };
    let first = listing.page(None).await.unwrap();
    assert_eq!(first.jobs, [with_id("a")]);
    let second = listing.page(first.next.as_deref()).await.unwrap();
    let none = ListedJob::default;
    assert_eq!((second.jobs, second.next), (vec![none(), none(), b], None));
    assert!(!listing.is_incomplete());
    assert_eq!(listing.latest_time(), Some(at("2026-03-02T08:00:00Z")));
}

#[tokio::test]
async fn a_write_needs_what_it_expects_and_a_loser_sees_what_stands() {
    let memory = Memory::default();
    let now = at("2026-03-02T08:00:00Z");
    let first = first_baseline(now, "one");
    assert_eq!(memory.record(&first, now).await.unwrap(), Recorded::Done);
    let stands = Recorded::Conflict(Some(first.item));
    let second = first_baseline(now, "two");
    assert_eq!(memory.record(&second, now).await.unwrap(), stands);
    let newer = Change {
        expected: Expected::Rev(7),
        ..second
    };
    assert_eq!(memory.record(&newer, now).await.unwrap(), stands);
}

#[test]
fn many_ended_jobs_are_counted_not_listed() {
    let jobs = (0..10_000).map(|i| ListedJob {
        job_id: Some(format!("job-{i:05}")),
        status: Some(if i == 7 { "IN_PROGRESS" } else { "COMPLETE" }.to_owned()),
        start_time: Some(format!("2026-03-01T{:02}:{:02}:00Z", i / 600, i / 10 % 60)),
        ..ListedJob::default()
    });
    let listing = SavedListing::of_pages(SourceKind::default(), [jobs.collect()]);
    let now = at("2026-03-02T08:00:00Z");
    let report = Report {
        source: SourceKind::default(),
        listing: "many.json".to_owned(),
        clock: now,
        clock_from: ClockFrom::Given,
        answer: Answer::default(),
        jobs: seen(&listing, &Memory::default(), now, &[]),
        messages: Vec::new(),
        failures: Vec::new(),
    };
    let text = |width, colour| report.text(Screen { width, colour });
    let wide = text(None, false);
    let rows: Vec<_> = wide.lines().filter(|it| it.starts_with("job-")).collect();
    assert_eq!(rows.len(), 11);
    assert!(rows[0].starts_with("job-00007"));
    assert!(wide.contains("and 9989 more, ended earlier"), "{wide}");
    let narrow = text(Some(60), true);
    let mut rows = narrow.lines().filter(|line| line.contains("job-"));
    assert!(rows.all(|line| line.len() <= 60), "{narrow}");
}
