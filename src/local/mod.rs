//! A world on a laptop: listing files for the service, a file or memory for the table.

pub mod backtest;
pub mod bad_file;
mod documents;
pub mod report;
pub mod saved_events;
pub mod saved_listing;
pub mod state;
pub mod terminal;
