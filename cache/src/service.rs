//! The cache as the request path sees it: look up, store, stop.

use std::sync::Arc;
use std::time::Duration;

use database::Database;
use metrics::{Counter, counter};
use parking_lot::RwLock;
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use types::{Caller, Clock, Id, Permission, Usage};

use crate::entry::{Row, Stored};
use crate::exact::{Exact, Found};
use crate::fault::Fault;
use crate::hits::Hits;
use crate::keeper::Keeper;
use crate::known::Known;
use crate::memory::Memory;
use crate::writer::Writer;
use crate::{Control, Entry, Hit, Key, Options, metric};

/// The cache; cheap to clone.
#[derive(Debug, Clone)]
pub struct Cache {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    options: RwLock<Options>,
    clock: Arc<dyn Clock>,
    memory: Arc<Memory>,
    known: Arc<Known>,
    exact: Exact,
    hits: Arc<Hits>,
    queue: mpsc::Sender<Row>,
    stop: CancellationToken,
    stopped: CancellationToken,
}

impl Cache {
    /// Starts with empty memory and begins to load what the database has.
    ///
    /// Returns at once, whether or not the database answers. The work in the background is spawned on
    /// `tracker` and ends with `token`, or with [`Cache::stop`], when everything that is waiting is written.
    pub fn start(
        options: Options,
        database: Database,
        clock: Arc<dyn Clock>,
        tracker: &TaskTracker,
        token: &CancellationToken,
    ) -> Self {
        let memory = Arc::new(Memory::new(options.memory_bytes_max));
        let known = Arc::new(Known::new(options.known_keys_max));
        let hits = Arc::new(Hits::default());
        let (queue, waiting) = mpsc::channel(options.write_queue_entries_max.max(1));
        let (stop, stopped) = (token.child_token(), CancellationToken::new());

        let writer = Writer {
            database: database.clone(),
            known: Arc::clone(&known),
            hits: Arc::clone(&hits),
            fault: Fault::default(),
        };
        let keeper = Keeper {
            database: database.clone(),
            clock: Arc::clone(&clock),
            known: Arc::clone(&known),
            memory: Arc::clone(&memory),
            fault: Fault::default(),
        };
        tracker.spawn(write(
            writer,
            waiting,
            stop.clone(),
            stopped.clone().drop_guard(),
        ));
        tracker.spawn(keeper.run(stop.clone()));

        let shared = Shared {
            options: RwLock::new(options),
            clock,
            memory,
            known,
            exact: Exact::new(database),
            hits,
            queue,
            stop,
            stopped,
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Takes over the options that may change while the process runs; the others stay as they were.
    pub fn configure(&self, options: Options) {
        *self.shared.options.write() = options;
    }

    /// Looks the call up, in memory first.
    ///
    /// Nothing that is wrong with the cache reaches the caller: it is a miss, counted and logged. Waits for
    /// the database only when the key is known to be there or nothing is known, and then `lookup_timeout` at
    /// most. May be dropped at any time.
    pub async fn lookup(&self, key: &Key, caller: &Caller, control: Control) -> Option<Hit> {
        if !self.may_read(key, caller, control) {
            count_lookup("memory", "bypass");
            return None;
        }
        match self.find_in_memory(key, control) {
            Some(hit) => Some(hit),
            None if !self.shared.known.may_have(key.hash()) => {
                count_lookup("exact", "miss");
                None
            }
            // On the heap, so that a request which does not get here does not carry a transaction's size.
            None => Box::pin(self.find_in_database(key, control)).await,
        }
    }

    /// As [`Cache::lookup`], but never waits: what is not in memory is a miss.
    pub fn lookup_in_memory(&self, key: &Key, caller: &Caller, control: Control) -> Option<Hit> {
        if !self.may_read(key, caller, control) {
            count_lookup("memory", "bypass");
            return None;
        }
        self.find_in_memory(key, control)
    }

    /// Offers an answer; never waits. It is found from memory at once, and in the database a moment later.
    ///
    /// Kept is only a complete answer whose usage is known, and only for a caller who may write the cache.
    pub fn store(&self, entry: Entry, caller: &Caller, control: Control) {
        let options = *self.shared.options.read();
        let allowed = control.write && caller.may(Permission::CacheWrite);
        let own = caller.organization == entry.key.organization();
        if !options.enabled || !allowed || !own || !entry.key.is_reusable() {
            count_store("bypass");
            return;
        }
        match entry.admit(options.entry_bytes_max) {
            Ok(usage) => self.keep(self.row(entry, usage, caller, options.ttl)),
            Err(unfit) => count_store(unfit.as_str()),
        }
    }

    /// Stops the background work, once what is waiting is written or has taken too long. Answers that are
    /// offered later are found in memory only.
    pub async fn stop(&self) {
        self.shared.stop.cancel();
        self.shared.stopped.cancelled().await;
    }

    fn may_read(&self, key: &Key, caller: &Caller, control: Control) -> bool {
        let own = caller.organization == key.organization();
        let allowed = control.read && caller.may(Permission::CacheRead);
        own && allowed && key.is_reusable() && self.shared.options.read().enabled
    }

    fn find_in_memory(&self, key: &Key, control: Control) -> Option<Hit> {
        let stored = self.shared.memory.find(key);
        let hit = stored.and_then(|stored| self.hit(&stored, control));
        count_lookup("memory", if hit.is_some() { "hit" } else { "miss" });
        hit
    }

    async fn find_in_database(&self, key: &Key, control: Control) -> Option<Hit> {
        let shared = &self.shared;
        let timeout = shared.options.read().lookup_timeout;
        let now = shared.clock.now();
        let found = shared.exact.find(key, now, timeout).await;
        count_lookup("exact", found.outcome());
        match found {
            Found::Entry(stored) => {
                let stored = Arc::new(stored);
                shared.memory.insert(key, Arc::clone(&stored), now);
                self.hit(&stored, control)
            }
            Found::Nothing => {
                shared.known.remove([key.hash().short()]);
                None
            }
            Found::Skipped | Found::TimedOut | Found::Failed => None,
        }
    }

    fn hit(&self, stored: &Stored, control: Control) -> Option<Hit> {
        let now = self.shared.clock.now();
        let hit = stored.hit(now, control.age_max)?;
        self.shared.hits.add(hit.entry, now);
        Some(hit)
    }

    fn row(&self, entry: Entry, usage: Usage, caller: &Caller, ttl: Duration) -> Row {
        let now = self.shared.clock.now();
        let stored = Stored {
            id: Id::new(&*self.shared.clock),
            organization: entry.key.organization(),
            model: entry.key.model().into(),
            provider: entry.provider,
            answer: entry.answer,
            usage,
            created_at: now,
            expires_at: now + ttl,
        };
        Row {
            key: entry.key,
            endpoint: entry.endpoint,
            prompt_text: entry.prompt_text,
            producer: caller.api_key(),
            stored: Arc::new(stored),
        }
    }

    fn keep(&self, row: Row) {
        let stored = Arc::clone(&row.stored);
        self.shared
            .memory
            .insert(&row.key, stored, row.stored.created_at);
        if self.shared.queue.try_send(row).is_err() {
            count_store("dropped");
        }
    }
}

/// Runs the writer; dropping the guard, however this ends, tells [`Cache::stop`] that it is over.
async fn write(
    writer: Writer,
    waiting: mpsc::Receiver<Row>,
    stop: CancellationToken,
    _over: DropGuard,
) {
    writer.run(waiting, stop).await;
}

thread_local! {
    /// What every request counts; looking a metric up by its labels costs more than counting.
    static MEMORY_MISSES: Counter = lookups("memory", "miss");
    static EXACT_MISSES: Counter = lookups("exact", "miss");
}

fn lookups(tier: &'static str, outcome: &'static str) -> Counter {
    counter!(metric::LOOKUPS, "tier" => tier, "outcome" => outcome)
}

fn count_lookup(tier: &'static str, outcome: &'static str) {
    match (tier, outcome) {
        ("memory", "miss") => MEMORY_MISSES.with(|misses| misses.increment(1)),
        ("exact", "miss") => EXACT_MISSES.with(|misses| misses.increment(1)),
        _ => lookups(tier, outcome).increment(1),
    }
}

fn count_store(outcome: &'static str) {
    counter!(metric::STORES, "outcome" => outcome).increment(1);
}
