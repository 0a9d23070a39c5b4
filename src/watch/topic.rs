//! Which topics a notice goes to.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::kind::Severity;
use super::source::Source;

/// The ARN of a standard SNS topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TopicArn {
    arn: String,
    source: Source,
}

/// What is no ARN of a standard topic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not the ARN of a standard topic, like arn:aws:sns:eu-west-1:123456789012:fraud-jobs"
)]
pub struct NotATopic(String);

impl TopicArn {
    /// The ARN as text.
    pub fn as_str(&self) -> &str {
        &self.arn
    }

    /// The region that it names: where to publish.
    pub fn region(&self) -> &str {
        self.source.region()
    }

    /// The jobs of the account and region that it names.
    pub fn source(&self) -> &Source {
        &self.source
    }

    fn parse(arn: &str) -> Option<Self> {
        let is_name = |text: &str| {
            (1..=256).contains(&text.len())
                && text
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        let mut parts = arn.split(':');
        let mut part = || parts.next().unwrap_or_default();
        let (scheme, partition, service, region, account, name) =
            (part(), part(), part(), part(), part(), part());
        let is_account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
        let fits =
            scheme == "arn" && partition.starts_with("aws") && service == "sns" && is_name(region);
        let source = Source::of_arn(arn).ok()?;
        (fits && is_account && is_name(name) && parts.next().is_none()).then(|| Self {
            arn: arn.to_owned(),
            source,
        })
    }
}

impl TryFrom<String> for TopicArn {
    type Error = NotATopic;

    fn try_from(arn: String) -> Result<Self, NotATopic> {
        Self::parse(&arn).ok_or_else(|| NotATopic(arn.chars().take(200).collect()))
    }
}

impl From<TopicArn> for String {
    fn from(topic: TopicArn) -> Self {
        topic.arn
    }
}

impl fmt::Display for TopicArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.arn)
    }
}

/// The topics that a watch is configured with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topics {
    /// Where notices go.
    pub main: TopicArn,
    /// Where errors go instead.
    pub urgent: Option<TopicArn>,
}

impl Topics {
    /// Where a notice of this severity goes, whoever heard of its job before.
    pub fn own(&self, severity: Severity) -> &TopicArn {
        match (severity, &self.urgent) {
            (Severity::Error, Some(urgent)) => urgent,
            (Severity::Error | Severity::Warning | Severity::Info, _) => &self.main,
        }
    }

    /// Where a notice of this severity goes if it closes what `notified` heard of: to its own topic, and to each of
    /// those that is still configured.
    pub fn closing(&self, severity: Severity, notified: &BTreeSet<TopicArn>) -> BTreeSet<TopicArn> {
        let notified = notified.iter().filter(|topic| self.has(topic));
        notified.chain([self.own(severity)]).cloned().collect()
    }

    /// Where what was recorded for `topic` is delivered now; `None` if it is to be dropped.
    ///
    /// A topic that is no longer configured gets nothing more. If no other of the notice's topics is configured
    /// either, the first of them gives way to the one that the notice would go to now, so that nothing is lost.
    pub fn route(
        &self,
        topic: &TopicArn,
        of_notice: &BTreeSet<TopicArn>,
        severity: Severity,
    ) -> Option<TopicArn> {
        if self.has(topic) {
            return Some(topic.clone());
        }
        let is_last_resort =
            !of_notice.iter().any(|other| self.has(other)) && of_notice.first() == Some(topic);
        is_last_resort.then(|| self.own(severity).clone())
    }

    fn has(&self, topic: &TopicArn) -> bool {
        self.main == *topic || self.urgent.as_ref() == Some(topic)
    }
}
