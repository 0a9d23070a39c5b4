//! The state without a table.

mod file;
mod memory;

pub use file::StateFile;
pub use memory::Memory;
