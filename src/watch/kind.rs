//! The kinds of notice, in one table. What is said of each stands in `message::words`.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How bad what a notice reports is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum Severity {
    /// Somebody should look.
    Error,
    /// Good to know.
    Info,
}

impl Severity {
    /// Its name in events and attributes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Info => "info",
        }
    }
}

/// Whether `NOTIFY_ON` decides that a kind is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Selection {
    /// It cannot be named there.
    Never,
    /// It can, and the default names it.
    ByDefault,
    /// It can, and the default does not name it.
    OnRequest,
}

/// Makes the enum and its properties of the table below, so that nothing about a kind is written twice.
macro_rules! kinds {
    ($($(#[$doc:meta])+ $kind:ident $name:tt $label:tt $severity:ident $rank:tt $selection:ident;)+) => {
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

            /// Whether `NOTIFY_ON` decides that it is reported.
            pub fn selection(self) -> Selection {
                match self { $(Self::$kind => Selection::$selection),+ }
            }
        }
    };
}

kinds! {
    // Kind     name         label             severity rank selection

    /// The first complete listing of a new watch.
    Began       "began"      "Watch started"   Info     90   Never;
    /// A job completed.
    Completed   "completed"  "Completed"       Info     80   ByDefault;
    /// A job failed.
    Failed      "failed"     "FAILED"          Error    0    ByDefault;
    /// An active job showed no sign of life for too long.
    Stalled     "stalled"    "STALLED"         Error    10   ByDefault;
    /// A job that was reported as stalled or vanished shows life again.
    Recovered   "recovered"  "Recovered"       Info     60   ByDefault;
    /// A job was canceled.
    Canceled    "canceled"   "Canceled"        Info     70   OnRequest;
    /// A job ended with a status that is not known here.
    Ended       "ended"      "UNKNOWN STATUS"  Error    40   ByDefault;
    /// A job was active and is gone; its outcome was never seen.
    Vanished    "vanished"   "VANISHED"        Error    30   ByDefault;
    /// A reported stall goes on.
    Reminder    "reminder"   "STILL STALLED"   Error    20   Never;
    /// A sample, asked for by hand.
    Test        "test"       "TEST"            Info     100  Never;
}

impl Kind {
    /// The kinds that `NOTIFY_ON` can name.
    pub fn choices() -> impl Iterator<Item = Self> {
        let all = Self::ALL.iter().copied();
        all.filter(|kind| kind.selection() != Selection::Never)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
