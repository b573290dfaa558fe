//! How much the cache may hold, and for how long.

use std::time::Duration;

use config::section::{self, CacheMode};

/// The limits of the cache. What is marked *live* may be changed by [`crate::Cache::configure`].
#[derive(Debug, Clone, Copy, PartialEq)]
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
    /// Whether a call of the same meaning is answered. Live.
    pub semantic: bool,
    /// Whether the semantic tier gives nothing before labels have proven its promise. Live.
    pub proven_only: bool,
    /// The wrong answers per semantic hit that are allowed. Live.
    pub delta: f64,
    /// Questions of one partition held in memory; larger partitions are searched by the index.
    pub shard_questions_max: usize,
    /// Questions of all partitions held in memory.
    pub semantic_questions_max: usize,
    /// Answers waiting to be compared; more are stored without their meaning.
    pub lessons_max: usize,
    /// Which would-be hits are audited: the same seed, the same ones. Absent: a new one for each process.
    pub seed: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            enabled: true,
            ttl: Duration::from_hours(24),
            memory_bytes_max: 128 << 20,
            entry_bytes_max: 1 << 20,
            write_queue_entries_max: 1024,
            lookup_timeout: Duration::from_millis(20),
            known_keys_max: 1_000_000,
            semantic: false,
            proven_only: false,
            delta: 0.01,
            shard_questions_max: 10_000,
            semantic_questions_max: 100_000,
            lessons_max: 1024,
            seed: None,
        }
    }
}

impl From<&section::Cache> for Options {
    fn from(section: &section::Cache) -> Self {
        Self {
            enabled: section.mode != CacheMode::Off,
            ttl: section.ttl,
            memory_bytes_max: section.memory_bytes_max,
            entry_bytes_max: section.entry_bytes_max,
            write_queue_entries_max: section.write_queue_entries_max,
            lookup_timeout: section.lookup_timeout,
            known_keys_max: section.known_keys_max,
            semantic: matches!(section.mode, CacheMode::Prior | CacheMode::Proven),
            proven_only: section.mode == CacheMode::Proven,
            delta: section.delta,
            shard_questions_max: section.shard_questions_max,
            semantic_questions_max: section.semantic_questions_max,
            lessons_max: section.comparison_queue_entries_max,
            ..Self::default()
        }
    }
}
