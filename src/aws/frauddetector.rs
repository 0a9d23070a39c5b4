//! The listing: `GetBatchPredictionJobs`, 50 jobs a page, every page.
//!
//! Pages are asked for one by one here and not by the SDK's paginator, which ends without an error when the
//! same token comes twice: a cut listing would look complete.

use aws_sdk_frauddetector::Client;
use aws_sdk_frauddetector::types::BatchPrediction;

use super::explain;
use crate::ports::{Listing, ListingError, Page};
use crate::watch::{JobId, Listed};

/// The most that the service gives in one page.
const PAGE: i32 = 50;

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
            .max_results(PAGE)
            .set_next_token(token.map(str::to_owned));
        let answer = request
            .send()
            .await
            .map_err(|error| ListingError(explain("GetBatchPredictionJobs", &error)))?;
        let jobs = answer
            .batch_predictions
            .unwrap_or_default()
            .into_iter()
            .map(listed)
            .collect();
        Ok(Page {
            jobs,
            next: answer.next_token,
        })
    }

    async fn ask(&self, id: &JobId) -> Result<Option<Listed>, ListingError> {
        match self
            .client
            .get_batch_prediction_jobs()
            .job_id(id.as_str())
            .send()
            .await
        {
            Ok(answer) => {
                let jobs = answer
                    .batch_predictions
                    .unwrap_or_default()
                    .into_iter()
                    .map(listed);
                Ok(jobs.into_iter().find(|job| {
                    job.job_id
                        .as_deref()
                        .is_none_or(|found| found == id.as_str())
                }))
            }
            // Whether a job that is gone is an error or an empty list is documented nowhere.
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(|e| e.is_resource_not_found_exception()) =>
            {
                Ok(None)
            }
            Err(error) => {
                let doing = format!("GetBatchPredictionJobs of {:?}", id.as_str());
                Err(ListingError(explain(&doing, &error)))
            }
        }
    }
}

fn listed(job: BatchPrediction) -> Listed {
    Listed {
        job_id: job.job_id,
        arn: job.arn,
        status: job.status.map(|status| status.as_str().to_owned()),
        failure_reason: job.failure_reason,
        start_time: job.start_time,
        completion_time: job.completion_time,
        last_heartbeat_time: job.last_heartbeat_time,
        input_path: job.input_path,
        output_path: job.output_path,
        event_type_name: job.event_type_name,
        detector_name: job.detector_name,
        detector_version: job.detector_version,
        processed_records_count: job.processed_records_count.map(i64::from),
        total_records_count: job.total_records_count.map(i64::from),
    }
}
