//! What jobs are called, and what is said of those of one kind only: a row for each kind of source.

use crate::watch::{Notice, SourceKind};

/// The words for the jobs of a source.
pub(super) struct Nouns {
    /// What leads the first sentence, before the id.
    pub(super) full: &'static str,
    /// All of them.
    pub(super) all: &'static str,
    /// One of them, once it is clear which kind is meant.
    pub(super) one: &'static str,
    /// The same with its article at the start of a sentence, and without one.
    pub(super) title: (&'static str, &'static str),
    /// What their counts are labelled.
    pub(super) title_of_all: &'static str,
    /// What a digest counts.
    pub(super) notice: &'static str,
    /// For search.
    pub(super) keyword: &'static str,
    /// What to do with what a completed one has made.
    pub(super) take: &'static str,
    /// Where to look for the cause of a failure, beyond its reason.
    pub(super) error_log: Option<&'static str>,
    /// What may have ended in part.
    pub(super) result: &'static str,
    /// Why one that goes on too long holds up others, if it does.
    pub(super) holds_up: Option<&'static str>,
    /// What OVERDUE_AFTER should be for those that take long by nature.
    pub(super) longer: &'static str,
}

const BATCH_PREDICTIONS: Nouns = Nouns {
    full: "Batch prediction job ",
    all: "batch prediction jobs",
    one: "job",
    title: ("A job", "Job"),
    title_of_all: "Jobs",
    notice: "notice",
    keyword: "batch prediction",
    take: "Fetch the output. Records that failed are marked in its STATUS column.",
    error_log: None,
    result: "output",
    holds_up: Some("Only one job runs at a time"),
    longer: "a longer duration, or to off",
};

const BATCH_IMPORTS: Nouns = Nouns {
    full: "Batch import ",
    all: "batch imports",
    one: "import",
    title: ("An import", "Import"),
    title_of_all: "Imports",
    notice: "import notice",
    keyword: "batch import",
    take: "Nothing to do: the events are stored, and ready to train with.",
    error_log: Some(
        "The output location holds an error log that says which records failed, and why.",
    ),
    result: "import",
    holds_up: None,
    longer: "off",
};

impl Nouns {
    pub(super) fn of(notice: &Notice) -> &'static Self {
        Self::of_source(notice.source.kind())
    }

    pub(super) fn of_source(source: SourceKind) -> &'static Self {
        match source {
            SourceKind::BatchPredictions => &BATCH_PREDICTIONS,
            SourceKind::BatchImports => &BATCH_IMPORTS,
        }
    }
}
