//! Keeps the keys in memory current: changes are written to a log by triggers, announced by
//! NOTIFY, and read at once, or after a second when the announcement is lost.
//!
//! The log is read from the oldest transaction that was still running at the read before
//! (`pg_snapshot_xmin`), not from the last row seen: a transaction that wrote its row earlier but
//! commits later would otherwise be missed. What was seen already is recognised by its number.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use config::section::Auth;
use database::Database;
use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::Keys;
use super::memory::{Changed, Known};
use super::store::{self, Change};

/// The channel on which the triggers announce changes.
const CHANNEL: &str = "flowpilot_keys";

/// How long to wait before listening again after the connection failed.
const LISTEN_RETRY: Duration = Duration::from_secs(1);

/// Changes read at a time, so that an import of many keys does not become one huge statement.
const CHANGES_MAX: usize = 1000;

/// How often what is older than a day leaves the log.
const PRUNE_INTERVAL: Duration = Duration::from_hours(1);

/// Wakes the follower.
#[derive(Debug, Default)]
pub(crate) struct Doorbell {
    rung: Notify,
    /// Announcements may have been lost: read everything.
    reload: AtomicBool,
}

/// Turns notifications into rings of the doorbell.
#[derive(Debug)]
pub(crate) struct Listener {
    database: Database,
    doorbell: Arc<Doorbell>,
}

/// Reads changes and applies them to memory.
#[derive(Debug)]
pub(crate) struct Follower {
    keys: Keys,
    keys_max: usize,
    refresh_interval: Duration,
    doorbell: Arc<Doorbell>,
    /// Changes of older transactions have all been seen.
    horizon: i64,
    /// The changes at or after the horizon that were applied: number and transaction.
    applied: HashMap<i64, i64>,
    failing: bool,
    tasks: TaskTracker,
    /// Everything is being read, aside: revocations do not wait for it.
    reading: Option<Reading>,
}

/// A reading of everything, under way.
#[derive(Debug)]
struct Reading {
    task: AbortOnDropHandle<Result<Everything, database::Error>>,
    /// What was applied since it began, and wins over it.
    changed: Changed,
}

/// All active keys.
#[derive(Debug)]
struct Everything {
    /// Changes of older transactions are in it.
    horizon: i64,
    known: Vec<Arc<Known>>,
}

impl Listener {
    pub(crate) fn new(database: Database, doorbell: Arc<Doorbell>) -> Self {
        Self { database, doorbell }
    }

    /// Listens until it is stopped.
    pub(crate) async fn run(self, stop: CancellationToken) {
        stop.run_until_cancelled(self.listen_always()).await;
    }

    async fn listen_always(self) {
        loop {
            if let Err(error) = self.listen().await {
                // Polling goes on meanwhile, and says so when that fails too.
                tracing::debug!(error = &error as &dyn std::error::Error, "not listening");
            }
            tokio::time::sleep(LISTEN_RETRY).await;
        }
    }

    /// Listens on one connection until it breaks.
    async fn listen(&self) -> Result<(), database::Error> {
        let mut listener = self.database.listen(&[CHANNEL]).await?;
        self.doorbell.ring_for_reload();
        while listener.try_recv().await?.is_some() {
            self.doorbell.rung.notify_one();
        }
        Ok(())
    }
}

impl Doorbell {
    fn ring_for_reload(&self) {
        self.reload.store(true, Ordering::Release);
        self.rung.notify_one();
    }
}

impl Follower {
    /// Reads all keys for the first time.
    pub(crate) async fn start(
        keys: Keys,
        options: &Auth,
        tasks: TaskTracker,
    ) -> Result<Self, database::Error> {
        let everything = read_everything(&keys.shared.database, options.keys_in_memory_max).await?;
        let mut follower = Self {
            keys,
            keys_max: options.keys_in_memory_max,
            refresh_interval: options.refresh_interval,
            doorbell: Arc::default(),
            horizon: 0,
            applied: HashMap::new(),
            failing: false,
            tasks,
            reading: None,
        };
        follower.replace(everything, Changed::default()).await;
        Ok(follower)
    }

    pub(crate) fn doorbell(&self) -> Arc<Doorbell> {
        self.doorbell.clone()
    }

    /// Follows the changes until it is stopped.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut refresh = interval(self.refresh_interval);
        refresh.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let doorbell = self.doorbell.clone();
        loop {
            let turn = async {
                let read = tokio::select! {
                    () = doorbell.rung.notified() => None,
                    _ = refresh.tick() => None,
                    read = end_of(&mut self.reading) => Some(read),
                };
                self.follow(read).await;
            };
            if stop.run_until_cancelled(Box::pin(turn)).await.is_none() {
                return;
            }
        }
    }

    /// One round; a failure is said once, and its end too.
    async fn follow(&mut self, read: Option<Result<Everything, database::Error>>) {
        let result = match read {
            Some(read) => self.take(read).await,
            None => Ok(()),
        };
        if self.reading.is_none() && self.doorbell.reload.swap(false, Ordering::AcqRel) {
            self.reload();
        }
        match result.and(self.catch_up().await) {
            Ok(()) if self.failing && self.has_read_everything() => {
                self.failing = false;
                tracing::info!("keys follow the database again");
            }
            Ok(()) => {}
            Err(error) => {
                self.doorbell.reload.store(true, Ordering::Release);
                if !self.failing {
                    self.failing = true;
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "keys cannot follow the database; known keys go on working"
                    );
                }
            }
        }
    }

    /// Whether the log of changes is all that memory may lack.
    fn has_read_everything(&self) -> bool {
        self.reading.is_none() && !self.doorbell.reload.load(Ordering::Acquire)
    }

    /// Begins to read everything anew.
    fn reload(&mut self) {
        let (database, keys_max) = (self.keys.shared.database.clone(), self.keys_max);
        let reading = async move { read_everything(&database, keys_max).await };
        self.reading = Some(Reading {
            task: AbortOnDropHandle::new(self.tasks.spawn(reading)),
            changed: Changed::default(),
        });
    }

    /// Takes what was read over into memory.
    async fn take(
        &mut self,
        read: Result<Everything, database::Error>,
    ) -> Result<(), database::Error> {
        let changed = self.reading.take().map(|reading| reading.changed);
        self.replace(read?, changed.unwrap_or_default()).await;
        Ok(())
    }

    async fn replace(&mut self, everything: Everything, changed: Changed) {
        let Everything { horizon, known } = everything;
        metrics::gauge!("flowpilot_keys_loaded")
            .set(f64::from(u32::try_from(known.len()).unwrap_or(u32::MAX)));
        let shared = self.keys.shared.clone();
        let replace =
            tokio::task::spawn_blocking(move || shared.memory.replace_all(known, &changed));
        if replace.await.is_err() {
            // The runtime is going down; should it not be, the next round reads everything again.
            self.doorbell.reload.store(true, Ordering::Release);
            return;
        }
        // What was applied meanwhile is applied once more, which changes nothing.
        self.horizon = horizon;
        self.applied.clear();
        self.keys.refreshed();
    }

    /// Applies what has changed since the last round, batch by batch.
    async fn catch_up(&mut self) -> Result<(), database::Error> {
        let database = self.keys.shared.database.clone();
        loop {
            let applied: Vec<_> = self.applied.keys().copied().collect();
            let since = self.horizon;
            let (horizon, new) = store::changes(&database, since, &applied, CHANGES_MAX).await?;
            self.apply(&new).await?;
            let numbers = new.iter().map(|change| (change.number, change.transaction));
            self.applied.extend(numbers);
            if new.len() < CHANGES_MAX {
                self.horizon = horizon;
                self.applied
                    .retain(|_, transaction| *transaction >= horizon);
                if self.has_read_everything() {
                    self.keys.refreshed();
                }
                return Ok(());
            }
        }
    }

    /// Brings memory to the present state of what has changed.
    async fn apply(&mut self, changes: &[Change]) -> Result<(), database::Error> {
        let database = &self.keys.shared.database;
        let memory = &self.keys.shared.memory;
        let hashes: Vec<_> = changes.iter().filter_map(|change| change.hash).collect();
        if !hashes.is_empty() {
            let present = store::find(database, &hashes).await?;
            memory.replace(&hashes, present);
            if let Some(reading) = &mut self.reading {
                reading.changed.hashes.extend(hashes);
            }
        }
        let organizations = changes.iter().filter(|change| change.hash.is_none());
        let organizations: HashSet<_> = organizations.map(|change| change.organization).collect();
        for organization in organizations {
            let present = store::list_of(database, organization, self.keys_max).await?;
            memory.replace_organization(organization, present);
            if let Some(reading) = &mut self.reading {
                reading.changed.organizations.insert(organization);
            }
        }
        Ok(())
    }
}

async fn read_everything(
    database: &Database,
    keys_max: usize,
) -> Result<Everything, database::Error> {
    let horizon = store::horizon(database).await?;
    let known = store::list(database, keys_max).await?;
    Ok(Everything { horizon, known })
}

/// How a reading ended; waits for ever where there is none.
async fn end_of(reading: &mut Option<Reading>) -> Result<Everything, database::Error> {
    match reading {
        Some(reading) => match (&mut reading.task).await {
            Ok(read) => read,
            // It panicked, or the runtime is going down: as good as an answer that never came.
            Err(_) => Err(database::Error::Timeout(None)),
        },
        None => std::future::pending().await,
    }
}

/// Deletes old changes until it is stopped; on a task of its own, because a revocation must not wait for it.
pub(crate) async fn prune(database: Database, stop: CancellationToken) {
    let mut prune = interval(PRUNE_INTERVAL);
    prune.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let pruning = async {
        loop {
            prune.tick().await;
            if let Err(error) = store::prune(&database).await {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "old key changes could not be deleted");
            }
        }
    };
    let _: Option<()> = stop.run_until_cancelled(Box::pin(pruning)).await;
}
