//! Cases: what is listed at what time, and what is told. Each file in `cases` is one, a rule's clause with its reason.
//!
//! A case is a JSON object: `because` (a sentence), `settings` (variables), and `looks`, each with `at` (the clock),
//! `jobs` (as `GetBatchPredictionJobs` lists them) or `imports` (as `GetBatchImportJobs` does), `told` (what a run then
//! tells, as "kind job", in any order; `began`
//! is left out), and if need be `nextToken` (the listing is cut) and `settings` (from this look on).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use fraud_job_watch::dry_run::Collected;
use fraud_job_watch::local::saved_listing::SavedListing;
use fraud_job_watch::local::state::Memory;
use fraud_job_watch::message::Message;
use fraud_job_watch::ports::Ports;
use fraud_job_watch::run::{RunInput, run};
use fraud_job_watch::settings::WatchSettings;
use fraud_job_watch::watch::{Source, SourceKind, TopicArn};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    because: String,
    settings: BTreeMap<String, String>,
    looks: Vec<Look>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Look {
    at: Timestamp,
    told: Vec<String>,
    jobs: Option<Value>,
    imports: Option<Value>,
    #[serde(default)]
    next_token: Option<String>,
    #[serde(default)]
    settings: BTreeMap<String, String>,
}

/// One watch, from its first run on.
struct Watch {
    source: Source,
    topic: TopicArn,
    states: BTreeMap<SourceKind, Memory>,
    settings: BTreeMap<String, String>,
}

impl Watch {
    fn new(settings: BTreeMap<String, String>) -> Self {
        let (account, topic) = (
            "arn:aws:frauddetector:eu-west-1:123456789012:batch-prediction",
            "arn:aws:sns:eu-west-1:123456789012:fraud-jobs",
        );
        Self {
            source: account.parse().unwrap(),
            topic: topic.to_owned().try_into().unwrap(),
            states: BTreeMap::new(),
            settings,
        }
    }

    /// Runs once, and answers with what was published.
    async fn look(&mut self, number: usize, look: &Look) -> Vec<String> {
        self.settings.extend(look.settings.clone());
        let settings = WatchSettings::read(|name| self.settings.get(name).cloned()).unwrap();
        let (kind, mut listing) = match (&look.jobs, &look.imports) {
            (Some(jobs), None) => (
                SourceKind::BatchPredictions,
                json!({"batchPredictions": jobs}),
            ),
            (None, Some(imports)) => (SourceKind::BatchImports, json!({"batchImports": imports})),
            _ => panic!("look {number} lists neither jobs nor imports, or both"),
        };
        let source = self.source.with_kind(kind);
        if let Some(token) = &look.next_token {
            listing["nextToken"] = token.as_str().into();
        }
        let file = Path::new("a look");
        let ports = Ports {
            listing: SavedListing::of_bytes(file, listing.to_string().as_bytes()).unwrap(),
            store: self.states.entry(kind).or_default().clone(),
            topic: Collected::new(self.topic.clone()),
            urgent: None,
            alarms: None,
            clock: || look.at,
        };
        let input = RunInput {
            source: &source,
            settings: &settings.of_source(kind),
            run_id: &format!("look {number}"),
            time_given: None,
        };
        run(&ports, &input).await;
        let mut told: Vec<_> = ports.topic.take().iter().flat_map(told).collect();
        told.sort();
        told
    }
}

/// What a message tells, as "kind job": of one event, or of those of a digest.
fn told(message: &Message) -> Vec<String> {
    let of = |event: &Value| {
        let kind = event["data"]["kind"].as_str().unwrap();
        (kind != "began").then(|| format!("{kind} {}", event["subject"].as_str().unwrap()))
    };
    message.events().iter().filter_map(of).collect()
}

/// Plays one case up to the first look at which something else is told than should be.
async fn fault(file: &Path) -> Option<String> {
    let name = file.file_stem().unwrap().to_string_lossy();
    let case: Case = match serde_json::from_slice(&fs::read(file).unwrap()) {
        Ok(case) => case,
        Err(error) => return Some(format!("{name} is no case: {error}")),
    };
    let mut watch = Watch::new(case.settings);
    for (number, look) in (1..).zip(&case.looks) {
        let told = watch.look(number, look).await;
        let mut right = look.told.clone();
        right.sort();
        if told != right {
            return Some(format!(
                "{name}, look {number} at {}: told {told:?}, right is {right:?}\n    {}",
                look.at, case.because
            ));
        }
    }
    None
}

#[tokio::test]
async fn in_each_case_what_is_told_is_right() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let entries = fs::read_dir(folder).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    let mut faults = Vec::new();
    for file in &files {
        faults.extend(fault(file).await);
    }
    let (wrong, all) = (faults.len(), files.len());
    assert!(
        faults.is_empty(),
        "{wrong} of {all} cases do not hold:\n{}",
        faults.join("\n")
    );
}
