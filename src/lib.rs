//! Tells when Amazon Fraud Detector batch prediction jobs complete, fail or stall, and when one is late or missing.
//!
//! Three rings; imports point inwards only. The pure middle decides, with `now` passed in: [`watch`] what becomes of a
//! job and what of it is reported, [`message`] how that reads. Around it one [`run`] orders all effects, through the
//! [`ports`] that it needs. The outer ring gives these a world: [`aws`], or for a laptop `local`, which the feature
//! `preview` adds.
//!
//! A *watch* looks at the jobs of one *source*: an account in a region. What it keeps of a job is a *record*; what it
//! reports is a *notice*, which waits in the *outbox* until a run *claims*, publishes and *settles* it.

pub mod aws;
pub mod dry_run;
pub mod invoke;
#[cfg(feature = "preview")]
pub mod local;
pub mod message;
pub mod ports;
pub mod run;
pub mod settings;
pub mod telemetry;
pub mod watch;
