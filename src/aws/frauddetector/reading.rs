//! The service's answer, read in place of the SDK. What it is read into stands in [`crate::watch::listed`].
//!
//! A member of a job that is not as it should be, such as a count beyond 32 bits, costs that member; the SDK would fail
//! the page, and with it the listing. It also takes about a quarter less processor time; see tests/bench/README.md.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_frauddetector::config::http::HttpResponse;
use aws_sdk_frauddetector::config::interceptors::BeforeSerializationInterceptorContextMut;
use aws_sdk_frauddetector::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_frauddetector::error::{BoxError, SdkError};
use aws_sdk_frauddetector::operation::get_batch_prediction_jobs::builders::GetBatchPredictionJobsFluentBuilder;
use aws_sdk_frauddetector::operation::get_batch_prediction_jobs::{
    GetBatchPredictionJobs, GetBatchPredictionJobsError, GetBatchPredictionJobsOutput,
};
use aws_smithy_runtime_api::client::interceptors::context::{Error, Output};
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use aws_smithy_runtime_api::client::orchestrator::OrchestratorError;
use aws_smithy_runtime_api::client::runtime_plugin::RuntimePlugin;
use aws_smithy_runtime_api::client::ser_de::{DeserializeResponse, SharedResponseDeserializer};

use crate::ports::Page;
use crate::watch::ListedJob;
use crate::watch::listed::Object;

#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListedPage {
    batch_predictions: Option<Vec<Option<Object<ListedJob>>>>,
    next_token: Option<String>,
}

pub(super) async fn send(
    request: GetBatchPredictionJobsFluentBuilder,
) -> Result<Page, SdkError<GetBatchPredictionJobsError, HttpResponse>> {
    let reading = Reading::default();
    let customized = request.customize().interceptor(reading.clone());
    customized.send().await?;
    let mut answer = reading
        .answer
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let unread = || SdkError::construction_failure("the SDK read the answer itself");
    let answer = answer.take().ok_or_else(unread)?;
    let listed = answer.batch_predictions.unwrap_or_default();
    let jobs = listed.into_iter().flatten().map(|Object(job)| job);
    Ok(Page {
        jobs: jobs.collect(),
        next: answer.next_token,
    })
}

#[derive(Clone, Debug, Default)]
struct Reading {
    answer: Arc<Mutex<Option<ListedPage>>>,
}

#[dyn_dispatch_hint]
impl Intercept for Reading {
    fn name(&self) -> &'static str {
        "Reading"
    }

    fn modify_before_serialization(
        &self,
        _: &mut BeforeSerializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // What an interceptor puts here stands before what the operation has.
        let this = SharedResponseDeserializer::new(self.clone());
        config.interceptor_state().store_put(this);
        Ok(())
    }
}

impl DeserializeResponse for Reading {
    fn deserialize_nonstreaming_with_config(
        &self,
        response: &HttpResponse,
        config: &ConfigBag,
    ) -> Result<Output, OrchestratorError<Error>> {
        if !response.status().is_success() {
            // The SDK's to read, so that it knows what to retry.
            let operation = GetBatchPredictionJobs::new().config();
            return match operation
                .as_ref()
                .and_then(|operation| operation.load::<SharedResponseDeserializer>())
            {
                Some(sdk) => sdk.deserialize_nonstreaming_with_config(response, config),
                None => Err(OrchestratorError::other("the SDK reads no errors")),
            };
        }
        let body = response.body().bytes().unwrap_or_default();
        let answer = read(body).map_err(OrchestratorError::other)?;
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
        let unread = GetBatchPredictionJobsOutput::builder().build();
        Ok(Output::erase(unread))
    }
}

/// Reads an answer. The error repeats none of it.
fn read(body: &[u8]) -> Result<ListedPage, &'static str> {
    // As a whole, which is faster than text by text.
    let text = std::str::from_utf8(body).map_err(|_| "the answer is not UTF-8")?;
    match serde_json::from_str(text) {
        Ok(Object(answer)) => Ok(answer),
        Err(error) if error.is_data() => Err("the answer is JSON, but no listing"),
        Err(_) => Err("the answer is not JSON"),
    }
}
