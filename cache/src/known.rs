//! Which keys the database has, so that a first-time question does not pay for asking it.
//!
//! A key is remembered by its first 64 bits. Being wrong is harmless in both directions: a key that is
//! remembered and gone costs one look-up, and one that is there and not yet remembered costs one provider call.

use std::collections::HashSet;

use parking_lot::RwLock;

use crate::key::Hash;

/// The keys of the table, or as many of them as fit.
#[derive(Debug)]
pub(crate) struct Known {
    keys: RwLock<Keys>,
    keys_max: usize,
}

#[derive(Debug, Default)]
struct Keys {
    set: HashSet<u64>,
    /// Whether the table has no other keys, but for those of the last second.
    complete: bool,
}

impl Known {
    /// Knows nothing yet, so that every key may be there.
    pub(crate) fn new(keys_max: usize) -> Self {
        Self {
            keys: RwLock::default(),
            keys_max,
        }
    }

    /// Whether the database has to be asked.
    pub(crate) fn may_have(&self, hash: Hash) -> bool {
        let keys = self.keys.read();
        !keys.complete || keys.set.contains(&hash.short())
    }

    /// Whether every key is remembered.
    pub(crate) fn is_complete(&self) -> bool {
        self.keys.read().complete
    }

    /// How many are remembered.
    pub(crate) fn count(&self) -> usize {
        self.keys.read().set.len()
    }

    /// The most that are remembered.
    pub(crate) const fn keys_max(&self) -> usize {
        self.keys_max
    }

    /// Replaces everything by what the table has now.
    pub(crate) fn load(&self, set: HashSet<u64>) {
        let complete = set.len() <= self.keys_max;
        let set = if complete { set } else { HashSet::new() };
        *self.keys.write() = Keys { set, complete };
    }

    /// Remembers more. When they do not fit, all are forgotten: a part of them says nothing.
    pub(crate) fn extend(&self, shorts: impl IntoIterator<Item = u64>) {
        let mut keys = self.keys.write();
        if !keys.complete {
            return;
        }
        keys.set.extend(shorts);
        if keys.set.len() > self.keys_max {
            *keys = Keys::default();
        }
    }

    /// Forgets keys that the table no longer has.
    pub(crate) fn remove(&self, shorts: impl IntoIterator<Item = u64>) {
        let mut keys = self.keys.write();
        for short in shorts {
            keys.set.remove(&short);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn a_key_that_is_not_remembered_is_absent_only_once_all_are() {
        let hash = |text| testing::entry(&testing::caller(1), text, "").key.hash();
        let (stored, other) = (hash("stored"), hash("other"));
        let known = Known::new(2);
        assert!(known.may_have(other), "before it is loaded");

        known.load(HashSet::from([stored.short()]));
        assert!(known.may_have(stored));
        assert!(!known.may_have(other));

        known.extend([1, 2]);
        assert!(known.may_have(other), "when there are more than fit");
        known.load(HashSet::from([1, 2, 3]));
        assert!(
            known.may_have(other),
            "when there are more than fit at the start"
        );
    }
}
