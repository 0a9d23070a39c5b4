//! Whether a job takes longer than it should.

use jiff::SignedDuration;

/// When an active job is overdue: the variable OVERDUE_AFTER.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OverdueAfter {
    /// When it has taken much longer than its like.
    #[default]
    Auto,
    /// Never.
    Off,
    /// When it has taken this long.
    After(SignedDuration),
}
