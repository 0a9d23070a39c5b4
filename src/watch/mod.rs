//! What a job's story is and what of it is told: pure, with `now` passed in.
//!
//! [`job`] reads what the service lists, [`record`] is what is kept of it between runs, [`life`] finds the
//! latest sign of life, [`mod@line`] knows who waits for whom, [`mod@judge`] decides, and [`notice`] is what it decides to tell.

pub mod job;
pub mod judge;
pub mod life;
pub mod line;
pub mod notice;
pub mod record;

pub use job::{Job, JobId, Listed, Status, Unreadable};
pub use judge::{Change, Policy};
pub use line::Line;
pub use notice::{Kind, Notice, NoticeId, Severity, Source};
pub use record::{Baseline, Item, Key, Phase, Record, Stall};
