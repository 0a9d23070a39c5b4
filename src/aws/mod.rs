//! The ports on AWS. Its names stay in here; what leaves is this crate's own.
//!
//! Every attempt is timed out, and retries are the SDK's: three attempts, standard mode. Endpoints follow the
//! SDK's own variables, such as `AWS_ENDPOINT_URL_SNS`.

mod dynamodb;
mod frauddetector;
#[cfg(feature = "preview")]
mod laptop;
mod sns;

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::RequestId;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use tracing::debug;

use crate::message::one_line;
use crate::ports::{Ports, SystemClock};
use crate::settings::Settings;
use crate::watch::{Source, TopicArn};

pub use dynamodb::Table;
pub use frauddetector::FraudDetector;
pub use sns::SnsTopic;

/// The clients, made once and used by every run.
#[derive(Clone, Debug)]
pub struct Clients {
    frauddetector: aws_sdk_frauddetector::Client,
    dynamodb: aws_sdk_dynamodb::Client,
    topic: SnsTopic,
    urgent: Option<SnsTopic>,
    table: String,
}

impl Clients {
    /// Makes the clients, with credentials and region from the environment. No call is made yet.
    pub async fn connect(settings: &Settings) -> Self {
        let config = loader().load().await;
        let topic = |arn: &TopicArn| SnsTopic::new(sns_client(&config, arn), arn.clone());
        Self {
            frauddetector: aws_sdk_frauddetector::Client::new(&config),
            dynamodb: aws_sdk_dynamodb::Client::new(&config),
            topic: topic(&settings.topic),
            urgent: settings.urgent_topic.as_ref().map(topic),
            table: settings.table.clone(),
        }
    }

    /// The ports of a run that watches `source`.
    pub fn ports(&self, source: &Source) -> Ports<FraudDetector, Table, SnsTopic, SystemClock> {
        Ports {
            listing: FraudDetector::new(self.frauddetector.clone()),
            store: Table::new(self.dynamodb.clone(), self.table.clone(), source),
            topic: self.topic.clone(),
            urgent: self.urgent.clone(),
            clock: SystemClock,
        }
    }
}

fn loader() -> ConfigLoader {
    // One for all clients, so that the system's roots are read once. The SDK's own choice, AWS-LC, gathers entropy
    // from the processor's jitter at the first handshake, which alone takes longer than all else of a start.
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::rustls(CryptoMode::Ring))
        .build_https();
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .timeout_config(timeouts())
        .retry_config(RetryConfig::standard())
        // It ends an answer that stalls for 5 s. An attempt as a whole ends after 5 s, the answer's body included, so
        // it would cost each request and save none.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
}

/// How long a connection and an attempt may take.
pub fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(1))
        .operation_attempt_timeout(Duration::from_secs(5))
        .build()
}

/// A topic is published to in the region that its ARN names.
fn sns_client(config: &SdkConfig, topic: &TopicArn) -> aws_sdk_sns::Client {
    let region = Region::new(topic.region().to_owned());
    aws_sdk_sns::Client::from_conf(
        aws_sdk_sns::config::Builder::from(config)
            .region(region)
            .build(),
    )
}

/// What went wrong: the operation and what it was for, AWS's code, and the request id. AWS's own words may repeat what
/// was sent or answered, such as what a job contains or what a request is signed with: only at debug they are logged
/// whatever they say.
fn explain<E>(doing: &str, error: &SdkError<E, HttpResponse>) -> String
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
    let why: String = one_line(&why).chars().take(EXPLANATION).collect();
    format!("{doing}: {why} (request id {request})")
}

/// Whether a call was refused for its rate. Services agree neither on the code nor on the status: of most it is 400.
fn is_throttled<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    const OTHERS: [&str; 4] = [
        "BandwidthLimitExceeded",
        "RequestLimitExceeded",
        "SlowDown",
        "TooManyRequestsException",
    ];
    const TOO_MANY_REQUESTS: u16 = 429;
    let status = error.raw_response().map(|it| it.status().as_u16());
    status == Some(TOO_MANY_REQUESTS)
        || error
            .code()
            .is_some_and(|code| code.contains("Throttl") || OTHERS.contains(&code))
}

/// As many characters of an explanation are shown.
const EXPLANATION: usize = 600;

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
fn causes(error: &dyn std::error::Error) -> String {
    let mut causes = vec![error.to_string()];
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if causes.last() != Some(&cause_text) {
            causes.push(cause_text);
        }
        source = cause.source();
    }
    causes.join(": ")
}
