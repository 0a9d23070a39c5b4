//! What a job's story is and what of it is told: pure, with `now` passed in.
//!
//! [`job`] reads what the service lists, [`record`] is what is kept of it between runs, [`life`] finds the
//! latest sign of life, [`queue`] knows who waits for whom, [`mod@judge`] decides, [`observed`] is what one run has
//! seen, [`status_counts`] counts it, and [`notice`] is what it decides to
//! tell, to which [`topic`].

pub mod job;
pub mod judge;
pub mod life;
pub mod notice;
pub mod observed;
pub mod queue;
pub mod record;
pub mod status_counts;
pub mod topic;

pub use job::{Job, JobId, ListedJob, Status, Unreadable};
pub use judge::{Change, Policy};
pub use notice::{Incident, Kind, Notice, NoticeId, Severity, Source};
pub use observed::{Observation, Observed, Sighting, detect_silences};
pub use queue::Queue;
pub use record::{Baseline, Item, Key, Phase, Record, Stall};
pub use status_counts::StatusCounts;
pub use topic::{TopicArn, Topics};
