//! A world on a laptop: listing files for the service, a file or memory for the table.
//!
//! What is published is kept by [`crate::dry_run::Collected`] and shown by the [`terminal`].

pub mod backtest;
pub mod bad_file;
mod documents;
pub mod report;
pub mod saved_events;
pub mod saved_listing;
pub mod state;
pub mod terminal;
