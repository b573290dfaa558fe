//! The cache as the request path sees it: look up, store, stop.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use database::{Bulkhead, Database};
use embedding::Embedder;
use metrics::{Counter, counter};
use parking_lot::RwLock;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use types::id::{CacheEntry, Organization};
use types::{Caller, Clock, Id, Permission, Usage};

use crate::entry::{Row, Stored};
use crate::exact::{By, Exact, Found};
use crate::fault::Fault;
use crate::hits::Hits;
use crate::keeper::Keeper;
use crate::known::Known;
use crate::memory::Memory;
use crate::semantic::{self, Fresh, Learner, Lesson, Promise, Tier as Semantic, Verdict};
use crate::store::{self, Purge, Which};
use crate::writer::Writer;
use crate::{Control, Entry, Hit, Key, Options, Question, Realised, Tier, Trace, metric};

/// What the cache works with.
#[derive(Debug, Clone)]
pub struct Resources {
    /// Where the rows are.
    pub database: Database,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Turns questions into vectors; an absent one leaves the exact tiers.
    pub embedder: Embedder,
}

/// What a look-up by meaning gave.
#[derive(Debug)]
pub enum Alike {
    /// An answer.
    Hit(Hit),
    /// None; the trace is to be handed to [`Cache::store`] with the fresh answer.
    Miss(Box<Trace>),
}

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
    database: Database,
    hits: Arc<Hits>,
    semantic: Arc<Semantic>,
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
        resources: Resources,
        tracker: &TaskTracker,
        token: &CancellationToken,
    ) -> Self {
        let Resources {
            database,
            clock,
            embedder,
        } = resources;
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
        tracker.spawn(write(
            writer,
            waiting,
            stop.clone(),
            stopped.clone().drop_guard(),
        ));

        let (lessons, waiting) = mpsc::channel(options.lessons_max.max(1));
        // An id's last bits are random, and this one is for nothing else.
        let seed = || Id::<CacheEntry>::new(&*clock).uuid().as_u64_pair().1;
        let seed = options.seed.unwrap_or_else(seed);
        let semantic = Arc::new(Semantic::new(
            database.clone(),
            embedder,
            &options,
            lessons,
            seed,
        ));
        let keeper = Keeper {
            database: database.clone(),
            clock: Arc::clone(&clock),
            known: Arc::clone(&known),
            memory: Arc::clone(&memory),
            semantic: Arc::clone(&semantic),
            fault: Fault::default(),
        };
        tracker.spawn(keeper.run(stop.clone()));
        let learner = Learner {
            tier: Arc::clone(&semantic),
            clock: Arc::clone(&clock),
            writer: queue.clone(),
            read_at: HashMap::new(),
        };
        tracker.spawn(learner.run(waiting, stop.clone()));

        let shared = Shared {
            options: RwLock::new(options),
            clock,
            memory,
            known,
            exact: Exact::new(database.clone()),
            database,
            hits,
            semantic,
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
            None => Box::pin(self.find_in_database(key, By::Key, control)).await,
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

    /// Looks up what the call itself did not find: the call without its politeness, then by meaning.
    ///
    /// To be asked after [`Cache::lookup`], and with the same promises. Waits for the embedder within its budget, and
    /// for the database within `lookup_timeout`.
    pub async fn lookup_alike(
        &self,
        question: Question,
        caller: &Caller,
        control: Control,
    ) -> Alike {
        let options = *self.shared.options.read();
        let readable = self.may_read(question.key(), caller, control) && control.semantic;
        let mut trace = Box::new(Trace::new(question));
        if !options.semantic || !readable {
            return Alike::Miss(trace);
        }
        if let Some(hit) = self.find_normalized(&trace.question, control).await {
            return Alike::Hit(hit);
        }
        match self.find_semantic(&mut trace, control, options).await {
            Some(hit) => Alike::Hit(hit),
            None => Alike::Miss(trace),
        }
    }

    async fn find_normalized(&self, question: &Question, control: Control) -> Option<Hit> {
        let (shared, key) = (&self.shared, question.key());
        let normalized = question.normalized();
        let hit = match shared.memory.find_normalized(normalized, key) {
            Some(stored) => self.hit(&stored, control),
            None if shared.known.may_have(normalized) => {
                self.find_in_database(key, By::Normalized(normalized), control)
                    .await
            }
            None => None,
        }?;
        count_lookup("normalized", "hit");
        Some(Hit {
            tier: Tier::Normalized,
            ..hit
        })
    }

    async fn find_semantic(
        &self,
        trace: &mut Trace,
        control: Control,
        options: Options,
    ) -> Option<Hit> {
        let promise = Promise {
            delta: options.delta,
            proven_only: options.proven_only,
        };
        let now = self.shared.clock.now();
        let looking = self
            .shared
            .semantic
            .look_up(trace, promise, options.lookup_timeout, now);
        let semantic::Found::Entry(verdict) = Box::pin(looking).await else {
            return None;
        };
        let hit = self
            .answer_of(&verdict, trace.question.key(), control)
            .await?;
        Some(Hit {
            tier: Tier::Semantic {
                score: verdict.score,
            },
            ..hit
        })
    }

    async fn answer_of(&self, verdict: &Verdict, key: &Key, control: Control) -> Option<Hit> {
        let stored = self.shared.memory.find_by(verdict.hash, key);
        match stored.filter(|stored| stored.id == verdict.entry) {
            Some(stored) => self.hit(&stored, control),
            None => {
                self.find_in_database(key, By::Entry(verdict.entry), control)
                    .await
            }
        }
    }

    /// Deletes entries of an organization, here at once and on other gateways within seconds; says how many they were.
    pub async fn purge(
        &self,
        organization: Id<Organization>,
        which: &Which,
    ) -> Result<u64, database::Error> {
        let purge = Purge::new(&*self.shared.clock);
        let deleted = self
            .shared
            .database
            .tenant("cache: purge", Bulkhead::Control, organization, |tx| {
                Box::pin(
                    async move { store::purge(tx.connection(), organization, which, purge).await },
                )
            })
            .await;
        self.forget(organization);
        deleted
    }

    /// Somebody says that an answer is wrong: it and all that say the same are given to nobody any more.
    ///
    /// Returns how many entries they are; none where the organization has no such entry.
    pub async fn quarantine(
        &self,
        organization: Id<Organization>,
        entry: Id<CacheEntry>,
    ) -> Result<u64, database::Error> {
        let purge = Purge::new(&*self.shared.clock);
        let quarantined = self
            .shared
            .database
            .tenant("cache: quarantine", Bulkhead::Control, organization, |tx| {
                Box::pin(async move {
                    store::quarantine(tx.connection(), organization, entry, purge).await
                })
            })
            .await;
        self.forget(organization);
        quarantined
    }

    fn forget(&self, organization: Id<Organization>) {
        let now = self.shared.clock.now();
        self.shared.memory.forget(organization, now);
        self.shared.semantic.shards.forget(organization);
    }

    /// What the audits of an organization's semantic hits say, by model, as far as this gateway saw them.
    pub fn realised(&self, organization: Id<Organization>) -> Vec<(Arc<str>, Realised)> {
        self.shared.semantic.realised(organization)
    }

    /// Waits until the answers offered so far are compared and can be found by meaning. For tools and tests.
    pub async fn settled(&self) {
        let (done, waiting) = oneshot::channel();
        let sent = self.shared.semantic.lessons.send(Lesson::Settle(done));
        if sent.await.is_ok() {
            let _ = waiting.await;
        }
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
            Ok(usage) => self.keep(entry, usage, caller, options),
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

    async fn find_in_database(&self, key: &Key, by: By, control: Control) -> Option<Hit> {
        let shared = &self.shared;
        let timeout = shared.options.read().lookup_timeout;
        let now = shared.clock.now();
        let found = shared.exact.find(key, by, now, timeout).await;
        count_lookup(by.tier(), found.outcome());
        match found {
            Found::Entry(stored) => {
                let stored = Arc::new(stored);
                // An answer that was found by another call's key is not this call's own.
                if matches!(by, By::Key) {
                    shared.memory.insert(key, Arc::clone(&stored), now);
                }
                self.hit(&stored, control)
            }
            Found::Nothing => {
                if let Some(hash) = by.hash(key) {
                    shared.known.remove([hash.short()]);
                }
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
            normalized: None,
            meaning: None,
        }
    }

    /// In memory at once; then to the learner, if there is something to learn, or else straight to the writer.
    fn keep(&self, mut entry: Entry, usage: Usage, caller: &Caller, options: Options) {
        let trace = entry.trace.take().filter(|_| options.semantic);
        let mut row = self.row(entry, usage, caller, options.ttl);
        let memory = &self.shared.memory;
        memory.insert(&row.key, Arc::clone(&row.stored), row.stored.created_at);
        let row = match trace {
            None => row,
            Some(trace) => {
                let normalized = trace.question.normalized();
                memory.note_normalized(normalized, row.key.hash());
                row.normalized = Some(normalized);
                let fresh = Fresh {
                    row,
                    trace: *trace,
                    delta: options.delta,
                };
                match self
                    .shared
                    .semantic
                    .lessons
                    .try_send(Lesson::Answer(Box::new(fresh)))
                {
                    Ok(()) => return,
                    // The learner is behind: the row is stored without its meaning.
                    Err(refused) => match refused.into_inner() {
                        Lesson::Answer(fresh) => fresh.row,
                        Lesson::Load(_) | Lesson::Settle(_) => return,
                    },
                }
            }
        };
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
