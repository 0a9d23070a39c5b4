//! The statuses of jobs, in whatever case the service spells them.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::job::{TEXT_BYTES, cut};

/// The status of a job, read whatever its case. One that is not known here is a value like any other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
#[expect(missing_docs, reason = "the statuses are the service's own")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Status {
    Initializing,
    InProgress,
    CancelInProgress,
    Canceled,
    Complete,
    Failed,
    /// Named on the page of CreateBatchImportJob, and in no enumeration.
    CreateFailed,
    /// Whatever else the service says; empty if it says nothing.
    Other(String),
}

/// How far an active job has come. It only goes forward.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// IN_PROGRESS_INITIALIZING: accepted, and not begun.
    Waiting,
    /// IN_PROGRESS.
    Running,
    /// CANCEL_IN_PROGRESS.
    Canceling,
}

/// The statuses that are known here.
const KNOWN: [Status; 7] = [
    Status::Initializing,
    Status::InProgress,
    Status::CancelInProgress,
    Status::Canceled,
    Status::Complete,
    Status::Failed,
    Status::CreateFailed,
];

impl Status {
    /// How far an active job with this status has come; `None` of any other.
    pub fn stage(&self) -> Option<Stage> {
        match self {
            Self::Initializing => Some(Stage::Waiting),
            Self::InProgress => Some(Stage::Running),
            Self::CancelInProgress => Some(Stage::Canceling),
            Self::Canceled
            | Self::Complete
            | Self::Failed
            | Self::CreateFailed
            | Self::Other(_) => None,
        }
    }

    /// Whether the service says nothing.
    pub fn is_missing(&self) -> bool {
        self.as_str().is_empty()
    }

    /// The service's own spelling.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Initializing => "IN_PROGRESS_INITIALIZING",
            Self::InProgress => "IN_PROGRESS",
            Self::CancelInProgress => "CANCEL_IN_PROGRESS",
            Self::Canceled => "CANCELED",
            Self::Complete => "COMPLETE",
            Self::Failed => "FAILED",
            Self::CreateFailed => "CREATE_FAILED",
            Self::Other(text) => text,
        }
    }

    /// How it is shown: as the service spells it, if it says anything.
    pub fn name(&self) -> &str {
        match self.as_str() {
            "" => "(none)",
            text => text,
        }
    }
}

impl From<String> for Status {
    fn from(text: String) -> Self {
        let known = KNOWN
            .into_iter()
            .find(|status| status.as_str().eq_ignore_ascii_case(&text));
        known.unwrap_or_else(|| Self::Other(cut(text, TEXT_BYTES).0))
    }
}

impl From<Status> for String {
    fn from(status: Status) -> Self {
        match status {
            Status::Other(text) => text,
            known => known.as_str().to_owned(),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
