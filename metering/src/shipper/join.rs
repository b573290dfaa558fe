//! Joins intents with their settlements as the journal is read; holds only what is under way.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::booking::Booking;
use crate::journal::{Entry, Intent, Record};

/// Request and attempt.
type Key = (Uuid, u32);

#[derive(Debug)]
pub(super) struct Joiner {
    open: HashMap<Key, (u64, Box<Intent>)>,
    by_position: BTreeMap<u64, Key>,
    /// A settlement before it, without an intent, was booked in an earlier life together with the intent.
    booked_before: u64,
}

#[derive(Debug)]
pub(super) enum Joined {
    /// An intent that waits for its settlement.
    Open,
    /// Ready to be posted.
    Complete(Booking),
    /// Nothing to do: it was posted before.
    Booked,
    /// A settlement whose intent was never read.
    Orphan(Record),
}

impl Joiner {
    pub(super) fn new(booked_before: u64) -> Self {
        Self {
            open: HashMap::new(),
            by_position: BTreeMap::new(),
            booked_before,
        }
    }

    pub(super) fn add(&mut self, entry: Entry) -> Joined {
        match entry.record {
            Record::Intent(intent) => {
                let key = (intent.subject.request_id, intent.attempt);
                self.by_position.insert(entry.position, key);
                let open = (entry.position, intent);
                // Two intents of one attempt would be a bug of the caller; the watermark must not wait for the first.
                if let Some((earlier, _)) = self.open.insert(key, open) {
                    self.by_position.remove(&earlier);
                }
                Joined::Open
            }
            Record::Settle(settle) => {
                let key = (settle.request_id, settle.attempt);
                let Some((position, intent)) = self.open.remove(&key) else {
                    return if entry.position < self.booked_before {
                        Joined::Booked
                    } else {
                        Joined::Orphan(Record::Settle(settle))
                    };
                };
                self.by_position.remove(&position);
                Joined::Complete(Booking::Attempt(intent, settle))
            }
            Record::Replayed(replayed) => Joined::Complete(Booking::Hit(replayed)),
        }
    }

    /// Where the oldest intent under way stands.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.by_position.keys().next().copied()
    }

    /// When the oldest request under way was admitted.
    pub(super) fn oldest_created_at(&self) -> Option<DateTime<Utc>> {
        let key = self.by_position.values().next()?;
        let (_, intent) = self.open.get(key)?;
        Some(intent.subject.created_at())
    }
}
