//! The listings, 50 jobs a page, every page. What is of one kind of job only is a row in `operations`.
//!
//! Pages are asked for one by one here and not by the SDK's paginator, which ends without an error when the
//! same token comes twice: a cut listing would look complete.

mod operations;
mod reading;

use aws_sdk_frauddetector::Client;
use aws_sdk_frauddetector::config::http::HttpResponse;
use aws_sdk_frauddetector::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_frauddetector::operation::RequestId;

use super::error::{explain, is_throttled};
use crate::ports::{Listing, ListingError, Page};
use crate::watch::{JobId, ListedJob, SourceKind};

/// The most that the service gives in one page.
const PAGE_SIZE: i32 = 50;

/// One of Amazon Fraud Detector's listings.
#[derive(Clone, Debug)]
pub struct FraudDetector {
    client: Client,
    source: SourceKind,
}

/// What is asked for: with an id that job, or else a page.
#[derive(Default)]
struct Question {
    job_id: Option<String>,
    max_results: Option<i32>,
    token: Option<String>,
}

impl FraudDetector {
    /// Lists this kind of job through this client.
    pub fn new(client: Client, source: SourceKind) -> Self {
        Self { client, source }
    }

    /// The same service's listing of another kind of job.
    pub fn listing(&self, source: SourceKind) -> Self {
        Self::new(self.client.clone(), source)
    }

    /// Connects to the service, if it can, by a page of one job, which nobody reads.
    pub(super) async fn open_connection(&self) {
        let question = Question {
            max_results: Some(1),
            ..Question::default()
        };
        let _ = self.send(question).await;
    }

    /// The page, or that with the job; `None` if the service says that there is no such thing.
    async fn send(&self, question: Question) -> Result<Option<Page>, ListingError> {
        match self.source {
            SourceKind::BatchPredictions => operations::predictions(&self.client, question).await,
            SourceKind::BatchImports => operations::imports(&self.client, question).await,
        }
    }
}

impl Listing for FraudDetector {
    async fn page(&self, token: Option<&str>) -> Result<Page, ListingError> {
        let question = Question {
            max_results: Some(PAGE_SIZE),
            token: token.map(str::to_owned),
            ..Question::default()
        };
        let page = self.send(question).await?;
        let nothing = || ListingError::Failed(format!("the service knows of no {}", self.source));
        page.ok_or_else(nothing)
    }

    async fn ask(&self, id: &JobId) -> Result<Option<ListedJob>, ListingError> {
        let question = Question {
            job_id: Some(id.to_string()),
            ..Question::default()
        };
        let page = self.send(question).await?;
        let jobs = page.map(|page| page.jobs).unwrap_or_default();
        let is_it = |job: &ListedJob| job.job_id.as_deref() == Some(id.as_str());
        // An answer about another job does not say that this one is gone.
        let place = jobs.iter().position(is_it).unwrap_or(0);
        Ok(jobs.into_iter().nth(place))
    }
}

fn answer<E>(
    operation: &str,
    job_id: Option<&str>,
    sent: Result<Option<Page>, SdkError<E, HttpResponse>>,
) -> Result<Option<Page>, ListingError>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    SdkError<E, HttpResponse>: RequestId,
{
    let error = match sent {
        Ok(Some(page)) => return Ok(Some(page)),
        Ok(None) => {
            let why = format!("{operation}: the SDK read the answer itself");
            return Err(ListingError::Failed(why));
        }
        // Whether a job that is gone is an error or an empty list is documented nowhere.
        Err(error) if error.code() == Some("ResourceNotFoundException") => return Ok(None),
        Err(error) => error,
    };
    let doing = match job_id {
        Some(id) => format!("{operation} of {id:?}"),
        None => operation.to_owned(),
    };
    let mut why = explain(&doing, &error);
    if error
        .code()
        .is_some_and(|code| code.contains("AccessDenied"))
    {
        why.push_str(&format!(
            "; the role has to allow frauddetector:{operation}"
        ));
    }
    Err(match is_throttled(&error) {
        true => ListingError::Throttled(why),
        false => ListingError::Failed(why),
    })
}
