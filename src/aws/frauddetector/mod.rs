//! The listings, 50 jobs a page, every page. What is of one kind of job only stands in a file of its own.
//!
//! Pages are asked for one by one here and not by the SDK's paginator, which ends without an error when the
//! same token comes twice: a cut listing would look complete.

mod imports;
mod predictions;
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

/// What is asked for: a page, or one job.
enum Question<'a> {
    /// A page of one job, which nobody reads: it makes the connection.
    Connect,
    Page(Option<&'a str>),
    Job(&'a JobId),
}

impl FraudDetector {
    /// Lists this kind of job through this client.
    pub fn new(client: Client, source: SourceKind) -> Self {
        Self { client, source }
    }

    /// Connects to the service, if it can.
    pub(super) async fn open_connection(&self) {
        let _ = self.send(Question::Connect).await;
    }

    /// The page, or that with the job; `None` if the service says that there is no such thing.
    async fn send(&self, question: Question<'_>) -> Result<Option<Page>, ListingError> {
        match self.source {
            SourceKind::BatchPredictions => {
                let sent = predictions::send(&self.client, &question).await;
                answer("GetBatchPredictionJobs", &question, sent)
            }
            SourceKind::BatchImports => {
                let sent = imports::send(&self.client, &question).await;
                answer("GetBatchImportJobs", &question, sent)
            }
        }
    }
}

impl Question<'_> {
    fn job_id(&self) -> Option<String> {
        match self {
            Self::Connect | Self::Page(_) => None,
            Self::Job(id) => Some(id.to_string()),
        }
    }

    fn max_results(&self) -> Option<i32> {
        match self {
            Self::Connect => Some(1),
            Self::Page(_) => Some(PAGE_SIZE),
            Self::Job(_) => None,
        }
    }

    fn token(&self) -> Option<String> {
        match self {
            Self::Page(token) => token.map(str::to_owned),
            Self::Connect | Self::Job(_) => None,
        }
    }
}

impl Listing for FraudDetector {
    async fn page(&self, token: Option<&str>) -> Result<Page, ListingError> {
        let page = self.send(Question::Page(token)).await?;
        let nothing = || ListingError::Failed(format!("the service knows of no {}", self.source));
        page.ok_or_else(nothing)
    }

    async fn ask(&self, id: &JobId) -> Result<Option<ListedJob>, ListingError> {
        let page = self.send(Question::Job(id)).await?;
        let jobs = page.map(|page| page.jobs).unwrap_or_default();
        let is_it = |job: &ListedJob| job.job_id.as_deref() == Some(id.as_str());
        // An answer about another job does not say that this one is gone.
        let place = jobs.iter().position(is_it).unwrap_or(0);
        Ok(jobs.into_iter().nth(place))
    }
}

fn answer<E>(
    operation: &str,
    question: &Question<'_>,
    sent: Result<Page, SdkError<E, HttpResponse>>,
) -> Result<Option<Page>, ListingError>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    SdkError<E, HttpResponse>: RequestId,
{
    let error = match sent {
        Ok(page) => return Ok(Some(page)),
        // Whether a job that is gone is an error or an empty list is documented nowhere.
        Err(error) if error.code() == Some("ResourceNotFoundException") => return Ok(None),
        Err(error) => error,
    };
    let doing = match question {
        Question::Connect | Question::Page(_) => operation.to_owned(),
        Question::Job(id) => format!("{operation} of {:?}", id.as_str()),
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
