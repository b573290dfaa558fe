//! How often entries were hit, gathered in memory: a row is updated once per interval, not once per hit.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use types::Id;
use types::id::CacheEntry;

/// Entries counted between two flushes; hits of further ones are not counted. They are statistics, and an
/// update of more rows than this would hold its locks for long.
const ENTRIES_MAX: usize = 10_000;

/// Counts by entry.
#[derive(Debug, Default)]
pub(crate) struct Hits(Mutex<HashMap<Id<CacheEntry>, Count>>);

/// What happened to one entry since the last flush.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Count {
    pub(crate) hits: i32,
    pub(crate) last_at: DateTime<Utc>,
}

impl Hits {
    pub(crate) fn add(&self, entry: Id<CacheEntry>, at: DateTime<Utc>) {
        let mut counts = self.0.lock();
        if counts.len() >= ENTRIES_MAX && !counts.contains_key(&entry) {
            return;
        }
        let count = counts.entry(entry).or_insert(Count {
            hits: 0,
            last_at: at,
        });
        count.hits = count.hits.saturating_add(1);
        count.last_at = count.last_at.max(at);
    }

    /// Takes what was counted.
    pub(crate) fn take(&self) -> HashMap<Id<CacheEntry>, Count> {
        std::mem::take(&mut *self.0.lock())
    }
}
