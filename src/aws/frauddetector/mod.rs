//! The listing: `GetBatchPredictionJobs`, 50 jobs a page, every page.
//!
//! Pages are asked for one by one here and not by the SDK's paginator, which ends without an error when the
//! same token comes twice: a cut listing would look complete.

mod reading;

use aws_sdk_frauddetector::Client;
use aws_sdk_frauddetector::config::http::HttpResponse;
use aws_sdk_frauddetector::error::SdkError;
use aws_sdk_frauddetector::operation::get_batch_prediction_jobs::GetBatchPredictionJobsError;

use super::error::{explain, is_throttled};
use crate::ports::{Listing, ListingError, Page};
use crate::watch::{JobId, ListedJob};
use reading::send;

/// The most that the service gives in one page.
const PAGE_SIZE: i32 = 50;

/// Amazon Fraud Detector.
#[derive(Clone, Debug)]
pub struct FraudDetector {
    client: Client,
}

impl FraudDetector {
    /// Lists through this client.
    pub fn new(client: Client) -> Self {
        Self { client }
    }
}

impl Listing for FraudDetector {
    async fn page(&self, token: Option<&str>) -> Result<Page, ListingError> {
        let request = self
            .client
            .get_batch_prediction_jobs()
            .max_results(PAGE_SIZE)
            .set_next_token(token.map(str::to_owned));
        let page = send(request).await;
        page.map_err(|error| listing_error("GetBatchPredictionJobs", &error))
    }

    async fn ask(&self, id: &JobId) -> Result<Option<ListedJob>, ListingError> {
        let request = self.client.get_batch_prediction_jobs().job_id(id.as_str());
        let is_not_found = GetBatchPredictionJobsError::is_resource_not_found_exception;
        match send(request).await {
            Ok(Page { jobs, .. }) => {
                let is_it = |job: &ListedJob| job.job_id.as_deref() == Some(id.as_str());
                // An answer about another job does not say that this one is gone.
                let place = jobs.iter().position(is_it).unwrap_or(0);
                Ok(jobs.into_iter().nth(place))
            }
            // Whether a job that is gone is an error or an empty list is documented nowhere.
            Err(error) if error.as_service_error().is_some_and(is_not_found) => Ok(None),
            Err(error) => {
                let doing = format!("GetBatchPredictionJobs of {:?}", id.as_str());
                Err(listing_error(&doing, &error))
            }
        }
    }
}

fn listing_error(
    doing: &str,
    error: &SdkError<GetBatchPredictionJobsError, HttpResponse>,
) -> ListingError {
    let why = explain(doing, error);
    match is_throttled(error) {
        true => ListingError::Throttled(why),
        false => ListingError::Failed(why),
    }
}
