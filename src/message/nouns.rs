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
    /// The same at the start of a sentence, and as a label.
    pub(super) title: &'static str,
    /// What their counts are labelled.
    pub(super) title_of_all: &'static str,
    /// What a digest counts.
    pub(super) notice: &'static str,
    /// For search.
    pub(super) keyword: &'static str,
    /// When one counts as stalled: what is said before and after how long that takes.
    pub(super) stalls: (&'static str, &'static str),
    /// What to do with what a completed one has made.
    pub(super) take: &'static str,
    /// Where to look for the cause of a failure, beyond its reason.
    pub(super) error_log: Option<&'static str>,
    /// What one makes.
    pub(super) result: Made,
    /// Why one that goes on too long holds up others, if it does.
    pub(super) holds_up: Option<&'static str>,
    /// What OVERDUE_AFTER should be for those that take long by nature.
    pub(super) longer: &'static str,
}

/// What a job makes, and what is said of it to whoever has to check it.
#[derive(Clone, Copy)]
pub(super) struct Made {
    pub(super) what: &'static str,
    /// That it is there.
    pub(super) exists: &'static str,
    /// That nothing of it is missing.
    pub(super) is_whole: &'static str,
    /// What to do if some of it is missing.
    pub(super) compare: &'static str,
    /// What a canceled one may leave.
    pub(super) left: &'static str,
}

const BATCH_PREDICTIONS: Nouns = Nouns {
    full: "Batch prediction job ",
    all: "batch prediction jobs",
    one: "job",
    title: "Job",
    title_of_all: "Jobs",
    notice: "notice",
    keyword: "batch prediction",
    stalls: ("A job counts as stalled after ", " without a sign of life."),
    take: "Fetch the output. Records that failed are marked in its STATUS column.",
    error_log: None,
    result: Made {
        what: "output",
        exists: "exists",
        is_whole: "is complete",
        compare: "Compare the output with the input",
        left: "The output may be partial.",
    },
    holds_up: Some("Only one job runs at a time"),
    longer: "a longer duration, or to off",
};

const BATCH_IMPORTS: Nouns = Nouns {
    full: "Batch import ",
    all: "batch imports",
    one: "import",
    title: "Import",
    title_of_all: "Imports",
    notice: "import notice",
    keyword: "batch import",
    stalls: (
        "An import counts as stalled once its record count has stood still for ",
        "; one that has not counted a record yet is never called stalled.",
    ),
    take: "Nothing to do: the events are stored and ready for training.",
    error_log: Some(
        "See the error log in the output location: it says which records failed, and why.",
    ),
    result: Made {
        what: "events",
        exists: "are stored",
        is_whole: "are all stored",
        compare: "Compare the stored events with the input",
        left: "Some of its events may be stored already.",
    },
    holds_up: None,
    longer: "off",
};

/// What one job of a source is called.
pub fn noun(source: SourceKind) -> &'static str {
    Nouns::of_source(source).one
}

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
