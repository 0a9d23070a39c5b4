//! Tells when Amazon Fraud Detector batch prediction jobs complete, fail or stall.
//!
//! Three rings; imports point inwards only.
//!
//! The pure middle decides, with `now` passed in:
//! - [`watch`]: what becomes of a job and what of it is reported
//! - [`message`]: a notice in the forms that people and machines read
//!
//! One run orders all effects, through the ports that it needs:
//! - [`run`]: load, list, record, ask, detect silences, deliver, answer
//! - [`ports`]: listing, store, topic, clock
//! - [`settings`]: the variables that an operator sets
//! - [`invoke`]: a payload in, an answer or an error out
//! - [`dry_run`]: a run that neither writes nor publishes
//! - [`telemetry`]: the log and the metrics
//!
//! The outer ring gives the ports a world:
//! - [`aws`]: Fraud Detector, DynamoDB, SNS
//! - `local`: listing files, a state file, a terminal; what the feature `preview` adds

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
