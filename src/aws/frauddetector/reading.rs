//! The service's answer, read in place of the SDK. What it is read into stands in [`crate::watch::listed`].
//!
//! A member of a job that is not as it should be, such as a count beyond 32 bits, costs that member; the SDK would fail
//! the page, and with it the listing. It also takes about a quarter less processor time; see tests/bench/README.md.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_frauddetector::config::http::HttpResponse;
use aws_sdk_frauddetector::config::interceptors::BeforeSerializationInterceptorContextMut;
use aws_sdk_frauddetector::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_frauddetector::error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{Error, Output};
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;
use aws_smithy_runtime_api::client::orchestrator::OrchestratorError;
use aws_smithy_runtime_api::client::runtime_plugin::RuntimePlugin;
use aws_smithy_runtime_api::client::ser_de::{DeserializeResponse, SharedResponseDeserializer};
use serde::de::DeserializeOwned;

use crate::ports::Page;
use crate::watch::listed::Object;

/// What an operation answers.
pub(super) trait Answer: DeserializeOwned + Debug + Send + 'static {
    /// What the SDK is given instead.
    fn unread() -> Output;

    /// The SDK's own, which knows how it would read it.
    fn operation() -> impl RuntimePlugin;

    fn page(self) -> Page;
}

/// Reads the answer to the request that it is an interceptor of.
#[derive(Debug)]
pub(super) struct Reading<A> {
    answer: Arc<Mutex<Option<A>>>,
}

impl<A> Default for Reading<A> {
    fn default() -> Self {
        Self {
            answer: Arc::default(),
        }
    }
}

impl<A> Clone for Reading<A> {
    fn clone(&self) -> Self {
        Self {
            answer: Arc::clone(&self.answer),
        }
    }
}

impl<A: Answer> Reading<A> {
    /// What was read.
    pub(super) fn page(&self) -> Option<Page> {
        let mut answer = self.answer.lock().unwrap_or_else(PoisonError::into_inner);
        answer.take().map(Answer::page)
    }
}

#[dyn_dispatch_hint]
impl<A: Answer> Intercept for Reading<A> {
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

impl<A: Answer> DeserializeResponse for Reading<A> {
    fn deserialize_nonstreaming_with_config(
        &self,
        response: &HttpResponse,
        config: &ConfigBag,
    ) -> Result<Output, OrchestratorError<Error>> {
        if !response.status().is_success() {
            // The SDK's to read, so that it knows what to retry.
            let operation = A::operation().config();
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
        Ok(A::unread())
    }
}

/// Reads an answer. The error repeats none of it.
fn read<A: Answer>(body: &[u8]) -> Result<A, &'static str> {
    // As a whole, which is faster than text by text.
    let text = std::str::from_utf8(body).map_err(|_| "the answer is not UTF-8")?;
    match serde_json::from_str(text) {
        Ok(Object(answer)) => Ok(answer),
        Err(error) if error.is_data() => Err("the answer is JSON, but no listing"),
        Err(_) => Err("the answer is not JSON"),
    }
}
