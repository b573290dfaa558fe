//! The keys held in memory: what is known, what is known to be unknown, and when each was used.
//!
//! A look-up is one hash and one map access and never waits. Changes come from the database
//! ([`super::follow`]) and win over look-ups that began before them ([`Reading`]), so that a
//! revoked key cannot be put back by a reader that was slower than its revocation.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use moka::sync::Cache;
use parking_lot::Mutex;
use types::id::{ApiKey, Organization};
use types::{Caller, Id};

use super::format::KeyHash;
use crate::keys::Refusal;

/// Hashes remembered as unknown: enough for a client with a wrong key, too few to fill memory.
const UNKNOWN_KEYS_MAX: u64 = 10_000;

/// A key that may be used.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) hash: KeyHash,
    pub(crate) caller: Caller,
    pub(crate) expires_at: Option<DateTime<Utc>>,
    used: Used,
}

/// When a key was last used, and whether that still has to be written down.
#[derive(Debug, Default)]
struct Used {
    at_micros: AtomicI64,
    noted: AtomicBool,
}

/// A use that is to be written to `last_used_at`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Use {
    pub(crate) key: Id<ApiKey>,
    pub(crate) is_operator: bool,
    pub(crate) at: DateTime<Utc>,
}

/// Keys by their hash.
#[derive(Debug)]
pub(crate) struct Memory {
    known: Cache<KeyHash, Arc<Known>>,
    unknown: Cache<KeyHash, ()>,
    /// Grows with each change; whoever read the database before the change may not write here.
    epoch: Mutex<u64>,
    used: Mutex<Vec<Arc<Known>>>,
    used_max: usize,
}

/// A look-up in the database that began now; see [`Memory::learn`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading(u64);

/// What was brought to its present state while everything was read; see [`Memory::replace_all`].
#[derive(Debug, Default)]
pub(crate) struct Changed {
    pub(crate) hashes: HashSet<KeyHash>,
    pub(crate) organizations: HashSet<Id<Organization>>,
}

impl Changed {
    fn covers(&self, known: &Known) -> bool {
        self.hashes.contains(&known.hash) || self.organizations.contains(&known.caller.organization)
    }
}

/// What memory says about a key.
#[derive(Debug)]
pub(crate) enum Found {
    Known(Arc<Known>),
    Unknown,
    /// Memory cannot tell; ask the database.
    Missing,
}

impl Known {
    pub(crate) fn new(
        hash: KeyHash,
        caller: Caller,
        expires_at: Option<DateTime<Utc>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            hash,
            caller,
            expires_at,
            used: Used::default(),
        })
    }

    /// The caller, unless the key's time is over.
    pub(crate) fn caller_at(&self, now: DateTime<Utc>) -> Result<Caller, Refusal> {
        match self.expires_at {
            Some(end) if end <= now => Err(Refusal::Expired),
            _ => Ok(self.caller),
        }
    }
}

impl Memory {
    /// Empty, with room for so many known keys.
    pub(crate) fn new(keys_max: usize, unknown_ttl: Duration) -> Self {
        Self {
            known: Cache::new(u64::try_from(keys_max).unwrap_or(u64::MAX)),
            unknown: Cache::builder()
                .max_capacity(UNKNOWN_KEYS_MAX)
                .time_to_live(unknown_ttl)
                .build(),
            epoch: Mutex::new(0),
            used: Mutex::new(Vec::new()),
            used_max: keys_max,
        }
    }

    /// What is remembered about a hash.
    pub(crate) fn find(&self, hash: &KeyHash) -> Found {
        match self.known.get(hash) {
            Some(known) => Found::Known(known),
            None if self.unknown.contains_key(hash) => Found::Unknown,
            None => Found::Missing,
        }
    }

    /// Notes that a key was used now. The first use since the last [`Memory::take_used`] takes a
    /// lock for an instant; every other is one store.
    pub(crate) fn note_use(&self, known: &Arc<Known>, now: DateTime<Utc>) {
        let used = &known.used;
        used.at_micros
            .store(now.timestamp_micros(), Ordering::Relaxed);
        if used.noted.load(Ordering::Relaxed) || used.noted.swap(true, Ordering::Relaxed) {
            return;
        }
        let mut list = self.used.lock();
        if list.len() < self.used_max {
            list.push(known.clone());
        }
    }

    /// The uses since the last call, one per key.
    pub(crate) fn take_used(&self) -> Vec<Use> {
        let list = std::mem::take(&mut *self.used.lock());
        let uses = list.iter().filter_map(|known| {
            known.used.noted.store(false, Ordering::Relaxed);
            let micros = known.used.at_micros.load(Ordering::Relaxed);
            Some(Use {
                key: known.caller.api_key()?,
                is_operator: known.caller.is_operator(),
                at: DateTime::from_timestamp_micros(micros)?,
            })
        });
        uses.collect()
    }

    /// Begins a look-up in the database.
    pub(crate) fn read(&self) -> Reading {
        Reading(*self.epoch.lock())
    }

    /// Remembers what a look-up found, unless keys have changed since it began.
    pub(crate) fn learn(&self, reading: Reading, hash: KeyHash, found: Option<&Arc<Known>>) {
        let epoch = self.epoch.lock();
        if *epoch != reading.0 {
            return;
        }
        match found {
            Some(known) => self.known.insert(hash, known.clone()),
            None => self.unknown.insert(hash, ()),
        }
    }

    /// Replaces what is known of these hashes by their present state.
    pub(crate) fn replace(&self, hashes: &[KeyHash], present: Vec<Arc<Known>>) {
        let mut epoch = self.epoch.lock();
        *epoch += 1;
        for hash in hashes {
            self.known.invalidate(hash);
            self.unknown.invalidate(hash);
        }
        self.put(present);
    }

    /// Replaces what is known of an organization by its present state.
    pub(crate) fn replace_organization(
        &self,
        organization: Id<Organization>,
        present: Vec<Arc<Known>>,
    ) {
        let mut epoch = self.epoch.lock();
        *epoch += 1;
        for (hash, known) in &self.known {
            if known.caller.organization == organization {
                self.known.invalidate(&*hash);
            }
        }
        self.put(present);
    }

    /// Replaces everything but what has changed since it was read. Takes a while when there are many keys: not for an
    /// async thread.
    ///
    /// Look-ups that begin meanwhile may remember what they find, since they read later than
    /// this did; what changed since is in the log of changes, and follows.
    pub(crate) fn replace_all(&self, mut present: Vec<Arc<Known>>, changed: &Changed) {
        *self.epoch.lock() += 1;
        present.retain(|known| !changed.covers(known));
        let kept: HashSet<_> = present.iter().map(|known| known.hash).collect();
        for (hash, known) in &self.known {
            if !kept.contains(&*hash) && !changed.covers(&known) {
                self.known.invalidate(&*hash);
            }
        }
        self.unknown.invalidate_all();
        self.put(present);
    }

    fn put(&self, present: Vec<Arc<Known>>) {
        for known in present {
            self.unknown.invalidate(&known.hash);
            self.known.insert(known.hash, known);
        }
    }
}

#[cfg(test)]
mod tests {
    use types::{Clock, Permissions, Principal, TestClock};

    use super::*;

    fn known(text: &str, clock: &TestClock) -> Arc<Known> {
        let caller = Caller {
            organization: Id::new(clock),
            principal: Principal::Key {
                id: Id::new(clock),
                user: Id::new(clock),
            },
            permissions: Permissions::NONE,
            department: None,
        };
        Known::new(KeyHash::of(text), caller, None)
    }

    fn memory() -> (Memory, TestClock) {
        let memory = Memory::new(100, Duration::from_secs(5));
        (memory, TestClock::at("2026-11-22T10:00:00Z"))
    }

    #[test]
    fn a_look_up_that_was_overtaken_by_a_revocation_is_not_remembered() {
        let (memory, clock) = memory();
        let key = known("key", &clock);

        let reading = memory.read();
        memory.replace(&[key.hash], Vec::new());
        memory.learn(reading, key.hash, Some(&key));

        assert!(matches!(memory.find(&key.hash), Found::Missing));
    }

    #[test]
    fn a_key_revoked_while_everything_was_read_is_not_put_back() {
        let (memory, clock) = memory();
        let (revoked, other, new) = (known("a", &clock), known("b", &clock), known("c", &clock));
        memory.replace_all(vec![revoked.clone(), other.clone()], &Changed::default());

        let read = vec![revoked.clone(), other.clone()];
        memory.replace(&[revoked.hash, new.hash], vec![new.clone()]);
        let changed = Changed {
            hashes: [revoked.hash, new.hash].into(),
            ..Changed::default()
        };
        memory.replace_all(read, &changed);

        assert!(matches!(memory.find(&revoked.hash), Found::Missing));
        assert!(matches!(memory.find(&other.hash), Found::Known(_)));
        assert!(matches!(memory.find(&new.hash), Found::Known(_)));
    }

    #[test]
    fn a_key_made_after_it_was_asked_for_is_known_at_once() {
        let (memory, clock) = memory();
        let key = known("key", &clock);
        memory.learn(memory.read(), key.hash, None);
        assert!(matches!(memory.find(&key.hash), Found::Unknown));

        memory.replace(&[key.hash], vec![key.clone()]);

        assert!(matches!(memory.find(&key.hash), Found::Known(_)));
    }

    #[test]
    fn many_uses_of_a_key_are_written_down_once() {
        let (memory, clock) = memory();
        let key = known("key", &clock);
        for _ in 0..3 {
            clock.advance(Duration::from_secs(1));
            memory.note_use(&key, clock.now());
        }

        let uses = memory.take_used();
        assert_eq!(uses.len(), 1);
        assert_eq!(uses[0].at, clock.now());
        assert_eq!(memory.take_used(), []);
    }
}
