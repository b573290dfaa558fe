//! `[auth]`: how many keys are held in memory, and how old they may grow.

use std::time::Duration;

use serde::Deserialize;

use crate::report::Report;
use crate::unit;

/// How many keys are held in memory, and how old they may grow.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    /// API keys held in memory.
    pub keys_in_memory_max: usize,
    /// How long an unknown key is remembered as unknown.
    #[serde(
        rename = "unknown_key_cache_ttl_ms",
        deserialize_with = "unit::milliseconds"
    )]
    pub unknown_key_cache_ttl: Duration,
    /// How often changes of keys are fetched if no notification comes.
    #[serde(
        rename = "refresh_interval_ms",
        deserialize_with = "unit::milliseconds"
    )]
    pub refresh_interval: Duration,
    /// How old known keys may grow while the database is away.
    #[serde(rename = "keys_stale_max_ms", deserialize_with = "unit::milliseconds")]
    pub keys_stale_max: Duration,
}

impl Auth {
    pub(crate) fn check(&self, report: &mut Report) {
        report.positive("auth.keys_in_memory_max", self.keys_in_memory_max);
        report.duration("auth.refresh_interval_ms", self.refresh_interval);
        if self.keys_stale_max < self.refresh_interval {
            report.problem(
                "auth.keys_stale_max_ms",
                "is shorter than refresh_interval_ms, so that keys would expire between two refreshes",
            );
        }
    }
}
