//! The partitions in memory, bounded by the questions they hold together.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use types::Id;
use types::id::Organization;

use super::shard::Shard;
use crate::key::Hash;

/// How old a partition may grow before what other gateways have added to it is fetched.
pub(crate) const REFRESH_INTERVAL: Duration = Duration::from_secs(2);

/// What is compared with each other, for one embedder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Partition {
    pub(crate) organization: Id<Organization>,
    /// Everything of a call but its last text: the scope and the model are in it.
    pub(crate) fingerprint: Hash,
}

/// A partition's place; empty until it is loaded.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) shard: RwLock<Shard>,
    loaded: AtomicBool,
    /// Whether the table has questions that are not here, because they are too many.
    partial: AtomicBool,
    refreshed: Mutex<Instant>,
    used: AtomicU64,
    size: AtomicUsize,
}

/// All partitions.
#[derive(Debug)]
pub(crate) struct Shards {
    slots: Mutex<HashMap<Partition, Arc<Slot>>>,
    questions_max: usize,
    ticks: AtomicU64,
}

impl Slot {
    fn new() -> Self {
        Self {
            shard: RwLock::default(),
            loaded: AtomicBool::new(false),
            partial: AtomicBool::new(false),
            refreshed: Mutex::new(Instant::now()),
            used: AtomicU64::new(0),
            size: AtomicUsize::new(0),
        }
    }

    pub(crate) fn is_loaded(&self) -> bool {
        self.loaded.load(Ordering::Acquire)
    }

    pub(crate) fn is_partial(&self) -> bool {
        self.partial.load(Ordering::Relaxed)
    }

    pub(crate) fn set_loaded(&self, partial: bool) {
        self.partial.store(partial, Ordering::Relaxed);
        self.loaded.store(true, Ordering::Release);
    }

    pub(crate) fn note_size(&self, size: usize) {
        self.size.store(size, Ordering::Relaxed);
    }

    /// Whether it is time to look for what others have added; says so once per interval.
    pub(crate) fn is_stale(&self, now: Instant) -> bool {
        let mut refreshed = self.refreshed.lock();
        let stale = now.duration_since(*refreshed) >= REFRESH_INTERVAL;
        if stale {
            *refreshed = now;
        }
        stale
    }
}

impl Shards {
    pub(crate) fn new(questions_max: usize) -> Self {
        Self {
            slots: Mutex::default(),
            questions_max,
            ticks: AtomicU64::new(0),
        }
    }

    /// The place of a partition, made if it is not there. The least lately used ones make room.
    pub(crate) fn slot(&self, partition: Partition) -> Arc<Slot> {
        let tick = self.ticks.fetch_add(1, Ordering::Relaxed);
        let mut slots = self.slots.lock();
        if !slots.contains_key(&partition) {
            self.make_room(&mut slots);
        }
        let slot = slots
            .entry(partition)
            .or_insert_with(|| Arc::new(Slot::new()));
        slot.used.store(tick, Ordering::Relaxed);
        Arc::clone(slot)
    }

    /// Forgets what an organization has here; it is loaded again when it is needed.
    pub(crate) fn forget(&self, organization: Id<Organization>) {
        self.slots
            .lock()
            .retain(|partition, _| partition.organization != organization);
    }

    /// The questions in memory.
    pub(crate) fn questions(&self) -> usize {
        self.slots
            .lock()
            .values()
            .map(|slot| slot.size.load(Ordering::Relaxed))
            .sum()
    }

    /// An empty partition counts as one question, so that their number is bounded too.
    fn make_room(&self, slots: &mut HashMap<Partition, Arc<Slot>>) {
        let weigh = |slot: &Slot| slot.size.load(Ordering::Relaxed).max(1);
        let mut total: usize = slots.values().map(|slot| weigh(slot)).sum();
        if total < self.questions_max {
            return;
        }
        let mut by_use: Vec<_> = slots
            .iter()
            .map(|(partition, slot)| (slot.used.load(Ordering::Relaxed), *partition, weigh(slot)))
            .collect();
        by_use.sort_unstable_by_key(|(used, ..)| *used);
        // A tenth at once, so that not every new partition looks through all of them.
        let target = self.questions_max - self.questions_max / 10;
        for (_, partition, weight) in by_use {
            if total <= target {
                break;
            }
            slots.remove(&partition);
            total -= weight;
        }
    }
}
