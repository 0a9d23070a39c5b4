//! The kinds of notice, in one table: name, label, severity, and which is worse in a digest. What is said of each stands in
//! `message::words`, and how to add one in tests/README.md.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How bad what a notice reports is; the worst comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Severity {
    /// Somebody should look.
    Error,
    /// Somebody should know: it may become worse.
    Warning,
    /// Good to know.
    Info,
}

impl Severity {
    /// Its name in events and attributes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
        }
    }
}

/// Makes the enum and its properties of the table below, in which all properties of a kind stand in one row. Only which
/// ones `NOTIFY_ON` can name is said once more, in the rule and the default of that setting.
macro_rules! kinds {
    ($($(#[$doc:meta])+ $kind:ident $name:tt $label:tt $severity:ident $rank:tt $is_choice:tt;)+) => {
        /// What a notice reports.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
        pub enum Kind {
            $($(#[$doc])+ #[serde(rename = $name)] $kind,)+
        }

        impl Kind {
            /// Every kind there is.
            pub const ALL: &[Self] = &[$(Self::$kind),+];

            /// Its name in events, attributes and settings.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$kind => $name),+ }
            }

            /// What people read, at the start of a subject.
            pub fn label(self) -> &'static str {
                match self { $(Self::$kind => $label),+ }
            }

            /// How bad it is.
            pub fn severity(self) -> Severity {
                match self { $(Self::$kind => Severity::$severity),+ }
            }

            /// Its place in a digest: the worst has the lowest.
            pub fn rank(self) -> u8 {
                match self { $(Self::$kind => $rank),+ }
            }

            /// Whether `NOTIFY_ON` can name it.
            pub fn is_choice(self) -> bool {
                match self { $(Self::$kind => $is_choice),+ }
            }
        }
    };
}

kinds! {
    // Kind     name         label             severity rank is_choice

    /// The first complete listing of a new watch.
    Began       "began"      "Watch started"   Info     90   false;
    /// A job completed.
    Completed   "completed"  "Completed"       Info     80   true;
    /// A job failed.
    Failed      "failed"     "FAILED"          Error    0    true;
    /// An active job showed no sign of life for too long.
    Stalled     "stalled"    "STALLED"         Error    10   true;
    // NOTIFY_ON may name it, but it is reported in any case: it closes what was reported.
    /// A job that was reported as stalled or vanished shows life again.
    Recovered   "recovered"  "Recovered"       Info     60   true;
    /// A job was canceled.
    Canceled    "canceled"   "Canceled"        Info     70   true;
    /// A job ended with a status that is not known here.
    Ended       "ended"      "UNKNOWN STATUS"  Error    40   true;
    /// A job was active and is gone; its outcome was never seen.
    Vanished    "vanished"   "VANISHED"        Error    30   true;
    /// An active job has taken much longer than others like it.
    Overdue     "overdue"    "OVERDUE"         Warning  45   true;
    /// A reported stall goes on.
    Reminder    "reminder"   "STILL STALLED"   Error    20   false;
    /// No job of an expected detector had completed by its deadline.
    Missing     "missing"    "MISSING"         Error    5    false;
    /// What was missing has completed.
    Arrived     "arrived"    "Arrived"         Info     65   false;
    /// Nobody has subscribed to the topic of the alarms, so none would be heard.
    Unheard     "unheard"    "ALARMS UNHEARD"  Warning  47   false;
    /// Somebody has subscribed to it after all.
    Heard       "heard"      "Alarms heard"    Info     66   false;
    /// A sample, asked for by hand.
    Test        "test"       "TEST"            Info     100  false;
}

impl Kind {
    /// The kinds that `NOTIFY_ON` can name.
    pub fn choices() -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied().filter(|kind| kind.is_choice())
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
