//! The answers in memory: in front of the database, bounded by bytes, each with its own end.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use moka::Expiry;
use moka::sync::Cache;
use parking_lot::RwLock;
use types::Id;
use types::id::Organization;

use crate::Key;
use crate::entry::Stored;
use crate::key::Hash;

/// Organizations whose purges are remembered, a count.
const PURGED_MAX: usize = 10_000;

/// Normalised calls remembered; each is two hashes.
const NORMALIZED_MAX: u64 = 100_000;

/// Answers by key. The least useful ones make room when it is full.
#[derive(Debug)]
pub(crate) struct Memory {
    cache: Cache<Hash, Resident>,
    /// The key under which the answer to a normalised call is kept.
    normalized: Cache<Hash, Hash>,
    /// Since when answers are believed again, for organizations that purged something lately.
    purged: RwLock<HashMap<Id<Organization>, DateTime<Utc>>>,
    /// Whether anybody did, so that nobody pays for it otherwise.
    any_purged: AtomicBool,
}

/// An answer with the time it may stay, which `moka` measures with a clock of its own.
#[derive(Debug, Clone)]
struct Resident {
    stored: Arc<Stored>,
    lifetime: Duration,
    kept_at: DateTime<Utc>,
}

/// Frees an answer when its time is over; whether it may be given is decided at the look-up.
struct Lifetime;

impl Memory {
    pub(crate) fn new(bytes_max: u64) -> Self {
        let weigh = |_: &Hash, resident: &Resident| {
            u32::try_from(resident.stored.bytes()).unwrap_or(u32::MAX)
        };
        let cache = Cache::builder()
            .max_capacity(bytes_max)
            .weigher(weigh)
            .expire_after(Lifetime)
            .build();
        let normalized = Cache::new(NORMALIZED_MAX);
        Self {
            cache,
            normalized,
            purged: RwLock::default(),
            any_purged: AtomicBool::new(false),
        }
    }

    /// The answer of a key, which may have expired.
    pub(crate) fn find(&self, key: &Key) -> Option<Arc<Stored>> {
        self.find_by(key.hash(), key)
    }

    /// The answer of another key, for a call of the same organization and model.
    pub(crate) fn find_by(&self, hash: Hash, key: &Key) -> Option<Arc<Stored>> {
        let Resident {
            stored, kept_at, ..
        } = self.cache.get(&hash)?;
        // The key's hash covers both. They are compared all the same: an answer of another organization is
        // the one thing that must never leave here.
        let same = stored.organization == key.organization() && *stored.model == *key.model();
        (same && !self.is_purged(key.organization(), kept_at)).then_some(stored)
    }

    /// The answer to a call that differs in politeness at most.
    pub(crate) fn find_normalized(&self, normalized: Hash, key: &Key) -> Option<Arc<Stored>> {
        self.find_by(self.normalized.get(&normalized)?, key)
    }

    /// Remembers under which key the answer to a normalised call is kept.
    pub(crate) fn note_normalized(&self, normalized: Hash, hash: Hash) {
        self.normalized.insert(normalized, hash);
    }

    /// Keeps an answer until it expires.
    pub(crate) fn insert(&self, key: &Key, stored: Arc<Stored>, now: DateTime<Utc>) {
        let lifetime = (stored.expires_at - now).to_std().unwrap_or_default();
        self.cache.insert(
            key.hash(),
            Resident {
                stored,
                lifetime,
                kept_at: now,
            },
        );
    }

    /// Believes nothing that an organization has here by now; what is still in the table is read again.
    pub(crate) fn forget(&self, organization: Id<Organization>, now: DateTime<Utc>) {
        let mut purged = self.purged.write();
        if purged.len() >= PURGED_MAX {
            // The oldest are the least likely to matter; with all of memory gone, none matters.
            purged.clear();
            self.cache.invalidate_all();
        }
        purged.insert(organization, now);
        self.any_purged.store(true, Ordering::Release);
    }

    fn is_purged(&self, organization: Id<Organization>, kept_at: DateTime<Utc>) -> bool {
        self.any_purged.load(Ordering::Acquire)
            && self
                .purged
                .read()
                .get(&organization)
                .is_some_and(|at| kept_at <= *at)
    }

    /// How much is held, in bytes, as of the last housekeeping.
    pub(crate) fn bytes(&self) -> u64 {
        self.cache.weighted_size()
    }
}

impl Expiry<Hash, Resident> for Lifetime {
    fn expire_after_create(&self, _: &Hash, resident: &Resident, _: Instant) -> Option<Duration> {
        Some(resident.lifetime)
    }

    fn expire_after_update(
        &self,
        _: &Hash,
        resident: &Resident,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(resident.lifetime)
    }
}

#[cfg(test)]
mod tests {
    use types::{Clock, TestClock};

    use super::*;
    use crate::testing;

    #[test]
    fn what_does_not_fit_is_dropped_and_what_fits_is_found() {
        let caller = testing::caller(1);
        let clock = TestClock::at("2026-11-22T10:00:00Z");
        let stored = |text| {
            let entry = testing::entry(&caller, text, text);
            (entry.key.clone(), testing::stored(&entry, &clock))
        };
        let (key, small) = stored("small");
        let memory = Memory::new(2 * small.bytes() as u64);
        let large_text = "x".repeat(4 * small.bytes());
        let (large_key, large) = stored(&large_text);

        memory.insert(&key, small, clock.now());
        memory.insert(&large_key, large, clock.now());
        memory.cache.run_pending_tasks();

        assert!(memory.find(&key).is_some());
        assert!(memory.find(&large_key).is_none());
    }
}
