//! Listing files: what `aws frauddetector get-batch-prediction-jobs` prints, or `get-batch-import-jobs`.
//!
//! The JSON documents in one file, one after the other, are the pages of one listing. If the last of them has a
//! `nextToken`, the rest is missing: the listing is incomplete, and whoever reads on gets an error, so that
//! nothing is concluded of jobs that the file does not show. A member of a job that cannot be read counts as
//! absent, as it does when the service sends it.

use std::path::Path;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::bad_file::BadFile;
use super::documents::documents;
use crate::ports::{Listing, ListingError, Page};
use crate::watch::job::time;
use crate::watch::listed::{ListedImport, Object};
use crate::watch::{Job, JobId, ListedJob, Source, SourceKind};

const EXPECTED: &str = "expected what `aws frauddetector get-batch-prediction-jobs` prints: {\"batchPredictions\": [...]}, or get-batch-import-jobs with batchImports";

/// A listing that was read from a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SavedListing {
    kind: SourceKind,
    pages: Vec<Vec<ListedJob>>,
    is_incomplete: bool,
}

impl SavedListing {
    /// A complete listing of these pages.
    pub fn of_pages(kind: SourceKind, pages: impl IntoIterator<Item = Vec<ListedJob>>) -> Self {
        Self {
            kind,
            pages: pages.into_iter().collect(),
            is_incomplete: false,
        }
    }

    /// Reads a file.
    pub fn read(file: &Path) -> Result<Self, BadFile> {
        let bytes = std::fs::read(file)
            .map_err(|error| BadFile::new(file, None, format!("{error}; {EXPECTED}")))?;
        Self::of_bytes(file, &bytes)
    }

    /// Reads what a file holds. The error names the file.
    pub fn of_bytes(file: &Path, bytes: &[u8]) -> Result<Self, BadFile> {
        let bad = |line, what: &str| BadFile::new(file, Some(line), format!("{what}; {EXPECTED}"));
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let good = bytes.iter().take(error.valid_up_to());
            let line = 1 + good.filter(|byte| **byte == b'\n').count();
            bad(line, "not UTF-8 (older PowerShells write UTF-16)")
        })?;
        let mut listing = Self::default();
        for (line, document) in documents(text) {
            let page = document.and_then(page);
            let (kind, jobs, has_next) = page.map_err(|what| bad(line, &what))?;
            if !listing.pages.is_empty() && kind != listing.kind {
                let (member, first) = (kind.member(), listing.kind.member());
                let what = format!("{member} in a listing of {first}; give each a file of its own");
                return Err(bad(line, &what));
            }
            listing.kind = kind;
            listing.pages.push(jobs);
            listing.is_incomplete = has_next;
        }
        match listing.pages.is_empty() {
            true => Err(bad(1, "nothing in it")),
            false => Ok(listing),
        }
    }

    /// Which kind of job it lists.
    pub fn kind(&self) -> SourceKind {
        self.kind
    }

    /// Whether the file ends with a `nextToken`, so that pages are missing.
    pub fn is_incomplete(&self) -> bool {
        self.is_incomplete
    }

    /// All jobs, page after page.
    pub fn jobs(&self) -> impl Iterator<Item = &ListedJob> {
        self.pages.iter().flatten()
    }

    /// The latest of all times in it.
    pub fn latest_time(&self) -> Option<Timestamp> {
        self.jobs()
            .flat_map(|job| {
                [
                    &job.start_time,
                    &job.last_heartbeat_time,
                    &job.completion_time,
                ]
            })
            .filter_map(|text| time(text.as_deref()?))
            .max()
    }

    /// Whose jobs they are, if one of them has an ARN.
    pub fn source(&self) -> Option<Source> {
        let source = self
            .jobs()
            .find_map(|job| Source::of_arn(job.arn.as_deref()?).ok());
        source.map(|source| source.with_kind(self.kind))
    }

    fn missing(&self) -> ListingError {
        let pages = self.pages.len();
        ListingError::Failed(format!(
            "the file ends with a nextToken: what follows page {pages} is missing"
        ))
    }
}

impl Listing for SavedListing {
    async fn page(&self, token: Option<&str>) -> Result<Page, ListingError> {
        let number = match token {
            None => 0,
            Some(token) => token
                .parse()
                .map_err(|_| ListingError::Failed(format!("no page {token:?}")))?,
        };
        let jobs = match self.pages.get(number) {
            Some(jobs) => jobs.as_slice(),
            None if self.is_incomplete => return Err(self.missing()),
            None => &[],
        };
        let is_last = number + 1 >= self.pages.len();
        Ok(Page {
            jobs: jobs.to_vec(),
            next: (!is_last || self.is_incomplete).then(|| (number + 1).to_string()),
        })
    }

    async fn ask(&self, id: &JobId) -> Result<Option<ListedJob>, ListingError> {
        let is_it =
            |job: &&ListedJob| Job::from_listed((*job).clone()).is_ok_and(|job| job.id == *id);
        match self.jobs().find(is_it) {
            Some(job) => Ok(Some(job.clone())),
            None if self.is_incomplete => Err(self.missing()),
            None => Ok(None),
        }
    }
}

/// The jobs of one document, of which kind they are, and whether another should follow.
fn page(document: Value) -> Result<(SourceKind, Vec<ListedJob>, bool), String> {
    let Value::Object(mut members) = document else {
        return Err("JSON, but not an object".to_owned());
    };
    let mut listed = SourceKind::ALL
        .into_iter()
        .filter_map(|kind| Some((kind, members.remove(kind.member())?)));
    let (kind, jobs) = match (listed.next(), listed.next()) {
        (Some((kind, Value::Array(jobs))), None) => (kind, jobs),
        (Some((kind, _)), None) => return Err(format!("{} is not a list", kind.member())),
        (None, _) => return Err("JSON, but without batchPredictions or batchImports".to_owned()),
        (Some(_), Some(_)) => return Err("both batchPredictions and batchImports".to_owned()),
    };
    let job = match kind {
        SourceKind::BatchPredictions => read::<ListedJob>,
        SourceKind::BatchImports => read::<ListedImport>,
    };
    let has_next = match members.remove("nextToken") {
        None | Some(Value::Null) => false,
        Some(Value::String(token)) => !token.is_empty(),
        Some(_) => return Err("nextToken is not a string".to_owned()),
    };
    Ok((kind, jobs.into_iter().map(job).collect(), has_next))
}

fn read<J: DeserializeOwned + Into<ListedJob>>(value: Value) -> ListedJob {
    let job = Object::<J>::deserialize(value);
    job.map_or_else(|_| ListedJob::default(), |Object(job)| job.into())
}
