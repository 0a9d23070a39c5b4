//! Why a run failed.

use crate::ports::{StoreError, UnreadableItem};

/// At most this many stored items that could not be read are listed.
const ITEMS_LISTED: usize = 50;

/// Why a run failed. What could be done was done; what is pending stays pending, and the next run goes on from there.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Failure {
    /// The state could not be loaded, so nothing was judged.
    #[error("the state could not be read, so nothing was judged; the next run tries again: {0}")]
    StateUnreadable(String),
    /// The state was written by a newer version.
    #[error(
        "the state was written by a newer version and is left untouched; deploy that version again: {0}"
    )]
    StateTooNew(String),
    /// Stored items could not be understood.
    #[error(
        "stored items could not be read and were passed over, with their jobs; all else was done; mend or delete them: {0}"
    )]
    ItemsUnreadable(String),
    /// Stored items were written by a newer version.
    #[error(
        "stored items were written by a newer version and were passed over, with their jobs; all else was done; deploy that version again: {0}"
    )]
    ItemsTooNew(String),
    /// A page or a job could not be had.
    #[error("not all jobs could be seen; what was seen stands, and the next run lists again: {0}")]
    ListingFailed(String),
    /// The service gave a token that it had given before.
    #[error(
        "the listing repeats itself at page {0}, so it is incomplete; what was seen stands, and the next run lists again"
    )]
    ListingLooped(u64),
    /// A change could not be recorded.
    #[error("a change could not be recorded; the next run sees it again: {0}")]
    RecordFailed(String),
    /// The test notice could not be published.
    #[error("the test notice was not published; invoke it again when that is mended: {0}")]
    TestFailed(String),
    /// A notice could not be delivered.
    #[error("a notice was not delivered; it stays pending, and the next run tries again: {0}")]
    PublishFailed(String),
}

impl Failure {
    /// Its name in the answer of the Lambda.
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::StateUnreadable(_) | Self::ItemsUnreadable(_) => "StateUnreadable",
            Self::StateTooNew(_) | Self::ItemsTooNew(_) => "StateTooNew",
            Self::ListingFailed(_) => "ListingFailed",
            Self::ListingLooped(_) => "ListingLooped",
            Self::RecordFailed(_) => "RecordFailed",
            Self::PublishFailed(_) | Self::TestFailed(_) => "PublishFailed",
        }
    }

    /// What to say of stored items that were passed over: each is named, up to a bound.
    pub(super) fn unreadable(items: Vec<UnreadableItem>) -> impl Iterator<Item = Self> {
        let (mut broken, mut newer) = (Vec::new(), Vec::new());
        for item in items {
            match item.error {
                StoreError::Failed(text) => broken.push(text),
                StoreError::TooNew(text) => newer.push(text),
            }
        }
        let listed = |mut texts: Vec<String>| {
            let more = texts.len().saturating_sub(ITEMS_LISTED);
            texts.truncate(ITEMS_LISTED);
            texts.extend((more > 0).then(|| format!("and {more} more")));
            (!texts.is_empty()).then(|| texts.join("; "))
        };
        let broken = listed(broken).map(Self::ItemsUnreadable);
        let newer = listed(newer).map(Self::ItemsTooNew);
        broken.into_iter().chain(newer)
    }

    pub(super) fn load(error: StoreError) -> Self {
        match error {
            StoreError::Failed(text) => Self::StateUnreadable(text),
            StoreError::TooNew(text) => Self::StateTooNew(text),
        }
    }
}
