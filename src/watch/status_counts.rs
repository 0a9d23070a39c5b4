//! How many jobs have each status.

use std::collections::BTreeMap;

use super::status::Status;

/// At most this many statuses are counted apart. The service documents six, and those are always; any other is untrusted
/// text, and what is answered, stored and published of them needs a bound.
const COUNTED_APART: usize = 20;

/// How many jobs have each status, and beyond the bound, how many have any other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StatusCounts(BTreeMap<String, u64>);

impl StatusCounts {
    /// Counts a job.
    pub fn add(&mut self, status: &Status) {
        let is_known = !matches!(status, Status::Other(_));
        let has_room = is_known || self.0.len() < COUNTED_APART;
        let name = match has_room || self.0.contains_key(status.name()) {
            true => status.name(),
            false => "(others)",
        };
        match self.0.get_mut(name) {
            Some(count) => *count += 1,
            None => {
                self.0.insert(name.to_owned(), 1);
            }
        }
    }

    /// The counts, by status.
    pub fn by_status(&self) -> &BTreeMap<String, u64> {
        &self.0
    }
}
