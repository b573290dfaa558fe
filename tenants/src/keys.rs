//! Who presents this key: answered from memory, so that the database is not on a request's path.
//!
//! All active keys are read at start (as far as memory is allowed to hold them) and kept current
//! by `follow`: a key that is revoked, rotated, edited, or whose organization is deactivated is
//! dead everywhere within two seconds. A key that is not in memory is asked for in the database,
//! by few at a time. While the database is away, known keys go on working for `[auth] keys_stale_max_ms`.
//!
//! What may be dropped at an `.await`: [`Keys::find`] has no effects but what it remembers.

mod follow;
pub mod format;
mod last_used;
mod memory;
mod store;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use config::section::Auth;
use database::Database;
use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use types::{Caller, Clock};

use format::KeyHash;
use memory::{Found, Memory};

pub use api::Refusal;

/// How many unknown keys are asked for at a time: a flood of made-up keys must leave the hot
/// pool to those who are known.
const LOOKUPS_MAX: usize = 2;

/// How long a look-up waits for its turn before it is refused as unavailable.
const LOOKUP_WAIT_MAX: Duration = Duration::from_millis(500);

/// The keys; cheap to clone.
#[derive(Debug, Clone)]
pub struct Keys {
    shared: Arc<Shared>,
}

struct Shared {
    memory: Memory,
    database: Database,
    clock: Arc<dyn Clock>,
    lookups: Semaphore,
    stale_max: Duration,
    /// When memory last agreed with the database, in microseconds since 1970.
    fresh_at_micros: AtomicI64,
}

impl Keys {
    /// Reads the active keys and keeps them current until `stop`, on tasks of the tracker.
    ///
    /// When stopped, the tasks write the last uses down and end.
    pub async fn start(
        options: &Auth,
        database: Database,
        clock: Arc<dyn Clock>,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> Result<Self, database::Error> {
        let shared = Arc::new(Shared {
            memory: Memory::new(options.keys_in_memory_max, options.unknown_key_cache_ttl),
            database,
            clock,
            lookups: Semaphore::new(LOOKUPS_MAX),
            stale_max: options.keys_stale_max,
            fresh_at_micros: AtomicI64::new(0),
        });
        let keys = Self { shared };
        let follower = follow::Follower::start(keys.clone(), options, tasks.clone()).await?;
        let listener = follow::Listener::new(keys.shared.database.clone(), follower.doorbell());
        tasks.spawn(listener.run(stop.clone()));
        tasks.spawn(follower.run(stop.clone()));
        tasks.spawn(follow::prune(keys.shared.database.clone(), stop.clone()));
        tasks.spawn(last_used::run(keys.clone(), stop));
        Ok(keys)
    }

    /// The caller behind a presented key: from memory, else from the database.
    pub async fn find(&self, presented: &str) -> Result<Caller, Refusal> {
        if let Some(answer) = self.find_in_memory(presented) {
            return answer;
        }
        // On the heap, so that a request whose key is known does not carry a transaction's size.
        Box::pin(self.find_in_database(KeyHash::of(presented))).await
    }

    /// What memory alone says, without waiting; `None` when the database must be asked
    /// ([`Keys::find`]).
    pub fn find_in_memory(&self, presented: &str) -> Option<Result<Caller, Refusal>> {
        if presented.len() > format::KEY_BYTES_MAX || format::is_mistyped(presented) {
            return Some(Err(Refusal::Unknown));
        }
        let now = self.shared.clock.now();
        match self.shared.memory.find(&KeyHash::of(presented)) {
            Found::Known(_) | Found::Unknown if self.is_stale(now) => None,
            Found::Known(known) => {
                let caller = known.caller_at(now);
                if caller.is_ok() {
                    self.shared.memory.note_use(&known, now);
                }
                Some(caller)
            }
            Found::Unknown => Some(Err(Refusal::Unknown)),
            Found::Missing => None,
        }
    }

    async fn find_in_database(&self, hash: KeyHash) -> Result<Caller, Refusal> {
        let shared = &self.shared;
        let turn = tokio::time::timeout(LOOKUP_WAIT_MAX, shared.lookups.acquire()).await;
        let Ok(Ok(_turn)) = turn else {
            count_lookup("refused");
            return Err(Refusal::Unavailable);
        };
        let reading = shared.memory.read();
        let found = store::find(&shared.database, &[hash]).await;
        let mut found = found.map_err(|error| {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a key could not be looked up"
            );
            count_lookup("failed");
            Refusal::Unavailable
        })?;
        let known = found.pop();
        count_lookup(if known.is_some() { "found" } else { "unknown" });
        shared.memory.learn(reading, hash, known.as_ref());

        let known = known.ok_or(Refusal::Unknown)?;
        let now = shared.clock.now();
        let caller = known.caller_at(now)?;
        shared.memory.note_use(&known, now);
        Ok(caller)
    }

    /// Whether the database has been silent for so long that memory is not to be trusted.
    fn is_stale(&self, now: DateTime<Utc>) -> bool {
        let fresh_at = self.shared.fresh_at_micros.load(Ordering::Relaxed);
        let age = now.timestamp_micros().saturating_sub(fresh_at);
        u128::try_from(age).unwrap_or(0) > self.shared.stale_max.as_micros()
    }

    /// Memory agrees with the database now.
    fn refreshed(&self) {
        let now = self.shared.clock.now().timestamp_micros();
        self.shared.fresh_at_micros.store(now, Ordering::Relaxed);
    }
}

/// Counts the look-ups that memory could not answer.
fn count_lookup(outcome: &'static str) {
    metrics::counter!("flowpilot_key_lookups_total", "outcome" => outcome).increment(1);
}

impl api::Authenticate for Keys {
    fn authenticate<'a>(&'a self, presented: &'a str) -> BoxFuture<'a, Result<Caller, Refusal>> {
        Box::pin(self.find(presented))
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}
