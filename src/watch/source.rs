//! Whose jobs a watch looks at, and of which kind. A kind is a row here, of what the judge has to know of it; it has its own
//! words in `message::nouns`, its members in [`super::listed`], and its operations in `aws::frauddetector`.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What is watched: one kind of job. Each is listed, stored and reported by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SourceKind {
    /// `GetBatchPredictionJobs`.
    #[default]
    BatchPredictions,
    /// `GetBatchImportJobs`.
    BatchImports,
}

/// What the judge has to know of a kind of job.
struct Traits {
    name: &'static str,
    resource: &'static str,
    member: &'static str,
    runs_one_at_a_time: bool,
    has_heartbeats: bool,
    has_detectors: bool,
}

const BATCH_PREDICTIONS: Traits = Traits {
    name: "batch-predictions",
    resource: "batch-prediction",
    member: "batchPredictions",
    runs_one_at_a_time: true,
    has_heartbeats: true,
    has_detectors: true,
};

const BATCH_IMPORTS: Traits = Traits {
    name: "batch-imports",
    resource: "batch-import",
    member: "batchImports",
    // How many run at once is documented nowhere.
    runs_one_at_a_time: false,
    has_heartbeats: false,
    has_detectors: false,
};

impl SourceKind {
    /// Every kind there is, in the order in which an invocation looks at them.
    pub const ALL: [Self; 2] = [Self::BatchPredictions, Self::BatchImports];

    fn traits(self) -> &'static Traits {
        match self {
            Self::BatchPredictions => &BATCH_PREDICTIONS,
            Self::BatchImports => &BATCH_IMPORTS,
        }
    }

    /// Its name in WATCH, in the log and in answers.
    pub fn as_str(self) -> &'static str {
        self.traits().name
    }

    /// What ARNs and the types of events call a job of it.
    pub fn resource(self) -> &'static str {
        self.traits().resource
    }

    /// The member of a listing that has its jobs.
    pub fn member(self) -> &'static str {
        self.traits().member
    }

    /// Reads the value of WATCH: names with commas, each at most once.
    pub fn parse_set(text: &str) -> Option<BTreeSet<Self>> {
        let mut set = BTreeSet::new();
        for name in text.split(',') {
            let named = |kind: &Self| kind.as_str() == name.trim();
            set.insert(Self::ALL.into_iter().find(named)?)
                .then_some(())?;
        }
        Some(set)
    }

    /// Whether one of its jobs runs at a time, so that the others wait.
    pub fn runs_one_at_a_time(self) -> bool {
        self.traits().runs_one_at_a_time
    }

    /// Whether its jobs have heartbeats. Without, one that has not counted a record yet shows nothing that could stop.
    pub fn has_heartbeats(self) -> bool {
        self.traits().has_heartbeats
    }

    /// Whether its jobs are of detectors, so that some can be expected of one.
    pub fn has_detectors(self) -> bool {
        self.traits().has_detectors
    }
}

impl fmt::Display for SourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The jobs that one watch looks at: those of one kind, account and region. Written as the ARN that their own begin with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Source {
    partition: String,
    region: String,
    account: String,
    #[cfg_attr(feature = "schema", schemars(skip))]
    kind: SourceKind,
}

/// An ARN that names no region or account.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not an ARN with a region and an account, like arn:aws:lambda:eu-west-1:123456789012:function:watch"
)]
pub struct NotAnArn(pub String);

impl Source {
    /// The source that an ARN stands for, or is of; of any ARN but such a one, the batch predictions of the region and account that it
    /// names.
    pub fn of_arn(arn: &str) -> Result<Self, NotAnArn> {
        let mut parts = arn.splitn(6, ':');
        let mut part = || {
            parts
                .next()
                .filter(|part| !part.is_empty() && !part.contains(char::is_control))
        };
        match (part(), part(), part(), part(), part(), part()) {
            (
                Some("arn"),
                Some(partition),
                Some(service),
                Some(region),
                Some(account),
                Some(rest),
            ) => {
                let resource = rest.split('/').next();
                let is_it = |kind: &SourceKind| {
                    service == "frauddetector" && resource == Some(kind.resource())
                };
                Ok(Self {
                    partition: partition.to_owned(),
                    region: region.to_owned(),
                    account: account.to_owned(),
                    kind: SourceKind::ALL.into_iter().find(is_it).unwrap_or_default(),
                })
            }
            _ => Err(NotAnArn(arn.chars().take(200).collect())),
        }
    }

    /// The jobs of another kind, of the same account and region.
    pub fn with_kind(&self, kind: SourceKind) -> Self {
        Self {
            kind,
            ..self.clone()
        }
    }

    /// Which kind of job.
    pub fn kind(&self) -> SourceKind {
        self.kind
    }

    /// The region.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The account.
    pub fn account(&self) -> &str {
        &self.account
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            partition,
            region,
            account,
            kind,
        } = self;
        let resource = kind.resource();
        write!(
            f,
            "arn:{partition}:frauddetector:{region}:{account}:{resource}"
        )
    }
}

impl FromStr for Source {
    type Err = NotAnArn;

    fn from_str(arn: &str) -> Result<Self, NotAnArn> {
        Self::of_arn(arn)
    }
}

impl TryFrom<String> for Source {
    type Error = NotAnArn;

    fn try_from(arn: String) -> Result<Self, NotAnArn> {
        Self::of_arn(&arn)
    }
}

impl From<Source> for String {
    fn from(source: Source) -> Self {
        source.to_string()
    }
}
