//! The listing: `GetBatchPredictionJobs`, 50 jobs a page, every page.
//!
//! Pages are asked for one by one here and not by the SDK's paginator, which ends without an error when the
//! same token comes twice: a cut listing would look complete.

use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_frauddetector::Client;
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
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use super::error::{explain, is_throttled};
use crate::ports::{Listing, ListingError, Page};
use crate::watch::{JobId, ListedJob};

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
        let answer = send(request)
            .await
            .map_err(|error| not_had("GetBatchPredictionJobs", &error))?;
        let (jobs, next) = answer.into_jobs();
        Ok(Page { jobs, next })
    }

    async fn ask(&self, id: &JobId) -> Result<Option<ListedJob>, ListingError> {
        let request = self.client.get_batch_prediction_jobs().job_id(id.as_str());
        match send(request).await {
            Ok(answer) => {
                let (mut jobs, _) = answer.into_jobs();
                let is_it = |job: &ListedJob| job.job_id.as_deref() == Some(id.as_str());
                let place = jobs.iter().position(is_it);
                // An answer about another job does not say that this one is gone.
                let place = place.or_else(|| (!jobs.is_empty()).then_some(0));
                Ok(place.map(|place| jobs.swap_remove(place)))
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
                Err(not_had(&doing, &error))
            }
        }
    }
}

/// An answer to `GetBatchPredictionJobs`.
#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    batch_predictions: Option<Vec<Option<Object<ListedJob>>>>,
    next_token: Option<String>,
}

impl Answer {
    /// The jobs, and the token of the next page.
    fn into_jobs(self) -> (Vec<ListedJob>, Option<String>) {
        let listed = self.batch_predictions.unwrap_or_default();
        let jobs = listed.into_iter().flatten().map(|Object(job)| job);
        (jobs.collect(), self.next_token)
    }
}

/// What is read of an object only: of an array serde would take the members in their order.
#[derive(Debug)]
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(members)).map(Object)
            }
        }

        deserializer.deserialize_map(Members(PhantomData))
    }
}

fn not_had(
    doing: &str,
    error: &SdkError<GetBatchPredictionJobsError, HttpResponse>,
) -> ListingError {
    let why = explain(doing, error);
    match is_throttled(error) {
        true => ListingError::Throttled(why),
        false => ListingError::Failed(why),
    }
}

async fn send(
    request: GetBatchPredictionJobsFluentBuilder,
) -> Result<Answer, SdkError<GetBatchPredictionJobsError, HttpResponse>> {
    let reading = Reading::default();
    let customized = request.customize().interceptor(reading.clone());
    customized.send().await?;
    let answer = reading
        .answer
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    answer.ok_or_else(|| SdkError::construction_failure("the SDK read the answer itself"))
}

/// Reads the answer to one request in place of the SDK. That takes a quarter off the processor time of an idle run, and
/// a member of a job that is not as it should be costs the member, not the page.
#[derive(Clone, Debug, Default)]
struct Reading {
    answer: Arc<Mutex<Option<Answer>>>,
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
        Ok(Output::erase(
            GetBatchPredictionJobsOutput::builder().build(),
        ))
    }
}

/// Reads an answer. The error repeats none of it.
fn read(body: &[u8]) -> Result<Answer, &'static str> {
    // As a whole, which is faster than text by text.
    let text = std::str::from_utf8(body).map_err(|_| "the answer is not UTF-8")?;
    match serde_json::from_str(text) {
        Ok(Object(answer)) => Ok(answer),
        Err(error) if error.is_data() => Err("the answer is JSON, but no listing"),
        Err(_) => Err("the answer is not JSON"),
    }
}
