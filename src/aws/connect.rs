//! Fraud Detector as it is reached from a laptop, with whatever credentials are there.

use aws_config::Region;
use aws_sdk_dynamodb::config::ProvideCredentials as _;

use super::error::causes;
use super::{FraudDetector, loader};
use crate::watch::SourceKind;

/// Where Fraud Detector is: <https://docs.aws.amazon.com/general/latest/gr/frauddetector.html>.
const REGIONS: [&str; 6] = [
    "us-east-1",
    "us-east-2",
    "us-west-2",
    "eu-west-1",
    "ap-southeast-1",
    "ap-southeast-2",
];

impl FraudDetector {
    /// The service's listing of batch predictions, and the region that was found. The error says what to set.
    pub async fn connect(
        profile: Option<&str>,
        region: Option<&str>,
    ) -> Result<(Self, String), String> {
        let mut loader = loader();
        if let Some(profile) = profile {
            loader = loader.profile_name(profile);
        }
        if let Some(region) = region {
            loader = loader.region(Region::new(region.to_owned()));
        }
        let config = loader.load().await;
        let regions = REGIONS.join(", ");
        let Some(region) = config.region().map(ToString::to_string) else {
            return Err(format!(
                "no region is set, but must be one of {regions}: give --region eu-west-1, or set AWS_REGION"
            ));
        };
        let is_elsewhere = ["AWS_ENDPOINT_URL_FRAUDDETECTOR", "AWS_ENDPOINT_URL"]
            .iter()
            .any(|name| std::env::var_os(name).is_some_and(|url| !url.is_empty()));
        if !REGIONS.contains(&region.as_str()) && !is_elsewhere {
            return Err(format!(
                "the region is {region:?}, but Fraud Detector is only in {regions}: give one with --region"
            ));
        }
        let missing = match profile {
            Some(profile) => format!(
                "no AWS credentials were found for the profile {profile:?}: sign in with `aws sso login` or `aws configure`, or give one that `aws configure list-profiles` prints"
            ),
            None => "no AWS credentials were found: give --profile NAME, or sign in with `aws sso login` or `aws configure`".to_owned(),
        };
        let Some(provider) = config.credentials_provider() else {
            return Err(missing);
        };
        if let Err(error) = provider.provide_credentials().await {
            return Err(format!("{missing} ({})", causes(&error)));
        }
        let client = aws_sdk_frauddetector::Client::new(&config);
        Ok((Self::new(client, SourceKind::default()), region))
    }
}
