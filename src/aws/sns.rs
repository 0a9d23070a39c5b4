//! The topic: one publish for all subscribers, at most five a second.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use aws_sdk_sns::Client;
use aws_sdk_sns::config::http::HttpResponse;
use aws_sdk_sns::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sns::operation::publish::PublishError as SnsError;
use aws_sdk_sns::types::MessageAttributeValue;
use serde_json::Value;
use tokio::time::{Instant, sleep_until};
use tracing::{debug, info};

use super::error::{explain, is_throttled};
use crate::message::{Body, Message};
use crate::ports::{PublishError, Topic};
use crate::watch::TopicArn;

/// More than ten messages a second make SNS deactivate an email subscription; half of that leaves room for a
/// second run.
const PUBLISH_INTERVAL: Duration = Duration::from_millis(200);

/// An SNS topic.
#[derive(Clone, Debug)]
pub struct SnsTopic {
    client: Client,
    topic: TopicArn,
    /// When the next message may go out, whichever run it is from.
    next: Rc<Cell<Option<Instant>>>,
}

impl SnsTopic {
    /// Publishes to `topic` through this client.
    pub fn new(client: Client, topic: TopicArn) -> Self {
        Self {
            client,
            topic,
            next: Rc::default(),
        }
    }
}

impl Topic for SnsTopic {
    fn arn(&self) -> &TopicArn {
        &self.topic
    }

    async fn ready(&self) {
        // A turn is taken only when its time has come: who leaves the queue takes none.
        loop {
            let now = Instant::now();
            match self.next.get().filter(|next| *next > now) {
                Some(next) => sleep_until(next).await,
                None => return self.next.set(Some(now + PUBLISH_INTERVAL)),
            }
        }
    }

    async fn subscribers(&self) -> Option<u64> {
        let request = self
            .client
            .get_topic_attributes()
            .topic_arn(self.topic.as_str());
        // A topic of somebody else may be published to and still tell nothing of itself.
        let untold = |error| debug!("{}", explain("GetTopicAttributes", &error));
        let attributes = request.send().await.map_err(untold).ok()?.attributes?;
        attributes.get("SubscriptionsConfirmed")?.parse().ok()
    }

    async fn publish(&self, message: &Message) -> Result<(), PublishError> {
        let mut request = self.client.publish().topic_arn(self.topic.as_str());
        request = match &message.body {
            Body::Plain(text) => request.message(text),
            Body::PerProtocol(forms) => {
                let forms: Value = forms.iter().cloned().collect();
                request.message(forms.to_string()).message_structure("json")
            }
        };
        request = request.set_subject(message.subject.as_ref().map(ToString::to_string));
        for (name, value) in &message.attributes {
            let value = MessageAttributeValue::builder()
                .data_type("String")
                .string_value(value)
                .build();
            let value = value.map_err(|error| PublishError::Refused(error.to_string()))?;
            request = request.message_attributes(*name, value);
        }
        let published = request.send().await.map_err(|error| {
            let why = explain("Publish", &error);
            if is_throttled(&error) {
                PublishError::Throttled(why)
            } else if is_about_the_message(&error) {
                PublishError::Refused(why)
            } else {
                PublishError::Failed(why)
            }
        })?;
        log_events(message, &self.topic, published.message_id());
        Ok(())
    }
}

/// A line for each notice that is out. SNS's own delivery log knows it by the message id.
fn log_events(message: &Message, topic: &TopicArn, message_id: Option<&str>) {
    let topic = topic.as_str();
    for event in message.events() {
        let text = |pointer| event.pointer(pointer).and_then(Value::as_str);
        let (kind, subject, event_id) = (text("/data/kind"), text("/subject"), text("/id"));
        info!(kind, subject, event_id, topic, message_id, "published");
    }
}

/// Whether SNS will never take this message, whenever it is sent. Its codes for that are also those of a topic's ARN
/// that it does not like, such as one of another region, of which only its words tell.
fn is_about_the_message(error: &SdkError<SnsError, HttpResponse>) -> bool {
    const CODES: [&str; 5] = [
        "InvalidParameter",
        "InvalidParameterValue",
        "ParameterValueInvalid",
        "ValidationError",
        "ValidationException",
    ];
    const OF_TOPIC: [&str; 4] = [
        "parameter: TopicArn",
        "parameter: TargetArn",
        "at 'topicArn'",
        "at 'targetArn'",
    ];
    let words = error.message().unwrap_or_default();
    error.code().is_some_and(|code| CODES.contains(&code))
        && !OF_TOPIC.iter().any(|of| words.contains(of))
}
