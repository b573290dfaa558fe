//! How much the cache may hold, and for how long.

use std::time::Duration;

use config::section::{self, CacheMode};

/// The limits of the cache. What is marked *live* may be changed by [`crate::Cache::configure`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Whether answers are given again at all. Live.
    pub enabled: bool,
    /// How long an answer may be given again. Live.
    pub ttl: Duration,
    /// The memory for answers, in bytes.
    pub memory_bytes_max: u64,
    /// The largest answer that is kept, in bytes of text. Live.
    pub entry_bytes_max: usize,
    /// Answers waiting to be stored; more are not stored.
    pub write_queue_entries_max: usize,
    /// How long a look-up in the database may take; later is a miss. Live.
    pub lookup_timeout: Duration,
    /// Keys remembered of those that the table has.
    pub known_keys_max: usize,
}

impl From<&section::Cache> for Options {
    fn from(section: &section::Cache) -> Self {
        Self {
            enabled: section.mode == CacheMode::Exact,
            ttl: section.ttl,
            memory_bytes_max: section.memory_bytes_max,
            entry_bytes_max: section.entry_bytes_max,
            write_queue_entries_max: section.write_queue_entries_max,
            lookup_timeout: section.lookup_timeout,
            known_keys_max: section.known_keys_max,
        }
    }
}
