//! The ports on AWS. Its names stay in here; what leaves is this crate's own.
//!
//! Every attempt is timed out, and retries are the SDK's: three attempts, standard mode. Endpoints follow the
//! SDK's own variables, such as `AWS_ENDPOINT_URL_SNS`.

#[cfg(feature = "preview")]
mod connect;
mod dynamodb;
mod early;
mod error;
mod frauddetector;
mod sns;

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, ConfigLoader, Region};
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use jiff::Timestamp;

use crate::ports::Ports;
use crate::settings::LambdaSettings;
use crate::watch::{Source, TopicArn};
use early::EarlyState;

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
    alarms: Option<SnsTopic>,
    table: String,
    early: EarlyState,
}

impl Clients {
    /// Makes the clients, with credentials and region from the environment. No call is made yet.
    pub async fn connect(settings: &LambdaSettings) -> Self {
        let config = loader().load().await;
        let topic = |arn: &TopicArn| {
            // It is published to in the region that its ARN names.
            let region = Region::new(arn.region().to_owned());
            let config = aws_sdk_sns::config::Builder::from(&config).region(region);
            SnsTopic::new(aws_sdk_sns::Client::from_conf(config.build()), arn.clone())
        };
        Self {
            frauddetector: aws_sdk_frauddetector::Client::new(&config),
            dynamodb: aws_sdk_dynamodb::Client::new(&config),
            topic: topic(&settings.topic),
            urgent: settings.urgent_topic.as_ref().map(topic),
            alarms: settings.alarm_topic.as_ref().map(topic),
            table: settings.table.clone(),
            early: EarlyState::default(),
        }
    }

    /// The ports of a run that watches `source`.
    pub fn ports(
        &self,
        source: &Source,
    ) -> Ports<FraudDetector, Table, SnsTopic, fn() -> Timestamp> {
        Ports {
            listing: FraudDetector::new(self.frauddetector.clone(), source.kind()),
            store: Table::new(self.dynamodb.clone(), self.table.clone(), source)
                .with_early(self.early.clone()),
            topic: self.topic.clone(),
            urgent: self.urgent.clone(),
            alarms: self.alarms.clone(),
            clock: Timestamp::now,
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
