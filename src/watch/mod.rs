//! What becomes of jobs, and what of it is reported: pure, with `now` passed in.
//!
//! [`listed`] is what the service lists, [`job`] and [`status`] what is understood of it, [`record`] is what is kept of
//! it between runs, [`life`] finds the latest sign of life, [`queue`] knows who waits for whom, [`mod@judge`] decides,
//! [`observed`] is what one run has seen, [`status_counts`] counts it, and [`notice`] is what is reported, of which
//! [`kind`] and to which [`topic`]. Whose jobs they are, [`source`] says. [`expect`] knows what is expected by when, [`detector`] of whom, and [`history`] how long
//! jobs usually take. `backtest` tries both on the past, for the preview.

#[cfg(feature = "preview")]
pub mod backtest;
pub mod detector;
pub mod expect;
pub mod history;
pub mod job;
pub mod judge;
pub mod kind;
pub mod life;
pub mod listed;
pub mod notice;
pub mod observed;
pub mod queue;
pub mod record;
pub mod source;
pub mod status;
pub mod status_counts;
pub mod topic;

pub use detector::{DetectorJobs, DetectorRecord};
pub use expect::{Deadline, ExpectFault, Expectations};
pub use job::{Job, JobId, Unreadable};
pub use judge::{Change, OverdueAfter, Policy};
pub use kind::{Kind, Severity};
pub use listed::ListedJob;
pub use notice::{IncidentState, Notice, NoticeId};
pub use observed::{Observation, Observed, Sighting, judge_active_jobs};
pub use queue::Queue;
pub use record::{Baseline, Item, Key, Phase, Predecessor, Record, Stall};
pub use source::{Source, SourceKind};
pub use status::{Stage, Status};
pub use status_counts::StatusCounts;
pub use topic::{TopicArn, Topics};
