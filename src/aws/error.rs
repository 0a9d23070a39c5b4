//! What an error of the SDK says in one line, and whether it is a matter of rate.

use std::iter;

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::RequestId;
use tracing::debug;

use crate::message::one_line;

/// As many characters of AWS's own words are shown.
const LONGEST_REASON: usize = 600;

/// What went wrong: the operation and what it was for, AWS's code, and the request id. AWS's own words may repeat what
/// was sent or answered, such as what a job contains or what a request is signed with: only at debug they are logged
/// whatever they say.
pub(super) fn explain<E>(doing: &str, error: &SdkError<E, HttpResponse>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    SdkError<E, HttpResponse>: RequestId,
{
    debug!("{doing}: {}", DisplayErrorContext(error));
    let request = error.request_id().unwrap_or("none");
    let why = match (error.code(), error.message()) {
        (Some(code), Some(message)) if is_quoted(code) => format!("{code}: {message}"),
        (Some(code), Some(_) | None) => code.to_owned(),
        (None, _) => causes(error),
    };
    let why: String = one_line(&why).chars().take(LONGEST_REASON).collect();
    format!("{doing}: {why} (request id {request})")
}

/// Whether a call was refused for its rate. Services agree neither on the code nor on the status: of most it is 400.
pub(super) fn is_throttled<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    const OTHERS: [&str; 4] = [
        "BandwidthLimitExceeded",
        "RequestLimitExceeded",
        "SlowDown",
        "TooManyRequestsException",
    ];
    let is_too_many = |answer: &HttpResponse| answer.status().as_u16() == 429;
    error.raw_response().is_some_and(is_too_many)
        || error
            .code()
            .is_some_and(|code| code.contains("Throttl") || OTHERS.contains(&code))
}

/// Whether AWS's words for this code are about who may do what, or how often, and not about what was sent.
fn is_quoted(code: &str) -> bool {
    const ABOUT: [&str; 7] = [
        "AccessDenied",
        "Authorization",
        "ExpiredToken",
        "KMS",
        "NotFound",
        "Throttl",
        "UnrecognizedClient",
    ];
    ABOUT.iter().any(|word| code.contains(word))
}

/// An error and what caused it, without the answer that it may hold.
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    let causes = iter::successors(Some(error), |error| error.source());
    let mut causes: Vec<_> = causes.map(ToString::to_string).collect();
    causes.dedup();
    causes.join(": ")
}
