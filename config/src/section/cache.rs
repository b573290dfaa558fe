//! `[cache]`: which answers are given again, and for how long.

use std::time::Duration;

use serde::Deserialize;

use crate::report::Report;
use crate::unit;

/// Which answers are given again, and for how long.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cache {
    /// Which answers are given again.
    pub mode: Mode,
    /// How long an answer may be given again.
    #[serde(rename = "ttl_s", deserialize_with = "unit::seconds")]
    pub ttl: Duration,
    /// The memory for answers, in bytes.
    pub memory_bytes_max: u64,
    /// The largest answer that is kept, in bytes.
    pub entry_bytes_max: usize,
    /// Answers waiting to be stored; more are not stored.
    pub write_queue_entries_max: usize,
    /// How long a look-up in the database may take; later is a miss.
    #[serde(rename = "lookup_timeout_ms", deserialize_with = "unit::milliseconds")]
    pub lookup_timeout: Duration,
    /// Fingerprints of stored answers held in memory.
    pub known_keys_max: usize,
    /// The wrong answers per semantic hit that are allowed, as a share.
    pub delta: f64,
    /// Questions of one partition held in memory.
    pub shard_questions_max: usize,
    /// Questions of all partitions held in memory.
    pub semantic_questions_max: usize,
    /// Answers waiting to be compared with others.
    pub comparison_queue_entries_max: usize,
}

/// Which answers are given again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Those to requests of the same meaning too, from the start, as far as the shipped cut lets them.
    Prior,
    /// Those to requests of the same meaning too, once audits have proven that `delta` holds.
    Proven,
    /// Those to the same request.
    Exact,
    /// None.
    Off,
}

impl Cache {
    pub(crate) fn check(&self, report: &mut Report) {
        report.positive("cache.entry_bytes_max", self.entry_bytes_max);
        report.positive(
            "cache.write_queue_entries_max",
            self.write_queue_entries_max,
        );
        report.positive("cache.known_keys_max", self.known_keys_max);
        report.positive("cache.shard_questions_max", self.shard_questions_max);
        report.positive("cache.semantic_questions_max", self.semantic_questions_max);
        report.positive(
            "cache.comparison_queue_entries_max",
            self.comparison_queue_entries_max,
        );
        if !(self.delta > 0.0 && self.delta < 1.0) {
            report.problem("cache.delta", "must be between 0 and 1, both excluded");
        }
        report.duration("cache.ttl_s", self.ttl);
        report.duration("cache.lookup_timeout_ms", self.lookup_timeout);
        if u64::try_from(self.entry_bytes_max).is_ok_and(|bytes| bytes > self.memory_bytes_max) {
            report.problem(
                "cache.entry_bytes_max",
                "is larger than memory_bytes_max, so that such an answer would never fit",
            );
        }
    }
}
