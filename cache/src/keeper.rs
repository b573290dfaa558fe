//! Keeps the table and what is known of it: loads the keys, follows new ones, deletes expired rows.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use database::{Bulkhead, Database};
use metrics::{counter, gauge};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use types::Clock;
use uuid::Uuid;

use crate::fault::Fault;
use crate::known::Known;
use crate::memory::Memory;
use crate::semantic::Tier;
use crate::{metric, store};

/// How often new rows are looked for: what another machine stored is answered from here after that time.
const FOLLOW_INTERVAL: Duration = Duration::from_secs(2);

/// How far each look goes back behind the one before it. An entry carries the time it was made, by the clock of
/// the machine that made it, and waits for its batch; one that is later than this costs one provider call.
const OVERLAP: Duration = Duration::from_secs(4);

/// How often expired rows are deleted.
const SWEEP_INTERVAL: Duration = Duration::from_mins(1);

/// Rows of one deletion, so that it holds its locks for milliseconds.
const SWEEP_ROWS_MAX: i64 = 1000;

/// Deletions of one sweep, so that it ends before the next one.
const SWEEP_BATCHES_MAX: u32 = 100;

/// How often the keys are loaded anew when they did not fit, since rows expire and they may fit again.
const RELOAD_INTERVAL: Duration = Duration::from_mins(10);

/// The background work on the table.
#[derive(Debug)]
pub(crate) struct Keeper {
    pub(crate) database: Database,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) known: Arc<Known>,
    pub(crate) memory: Arc<Memory>,
    pub(crate) semantic: Arc<Tier>,
    pub(crate) fault: Fault,
}

/// How far the keeper has come.
#[derive(Debug, Default)]
struct Progress {
    seen_up_to: Option<DateTime<Utc>>,
    loaded_at: Option<Instant>,
    /// Purges that were obeyed; those of the overlap come again.
    purges: HashSet<Uuid>,
}

impl Keeper {
    /// Runs until stopped. May be dropped anywhere: each step is one transaction.
    pub(crate) async fn run(self, stop: CancellationToken) {
        // On the heap: three kinds of transactions make a large future.
        stop.run_until_cancelled(Box::pin(self.serve())).await;
    }

    async fn serve(&self) {
        let mut follow = tokio::time::interval(FOLLOW_INTERVAL);
        let mut sweep = tokio::time::interval(SWEEP_INTERVAL);
        follow.set_missed_tick_behavior(MissedTickBehavior::Delay);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut progress = Progress::default();
        loop {
            let step = tokio::select! {
                _ = follow.tick() => self.follow(&mut progress).await,
                _ = sweep.tick() => self.sweep().await,
            };
            self.report(step);
        }
    }

    async fn follow(&self, progress: &mut Progress) -> Result<(), database::Error> {
        self.obey_purges(progress).await?;
        let Some(seen_up_to) = progress.seen_up_to.filter(|_| self.known.is_complete()) else {
            return self.load(progress).await;
        };
        let (since, now) = (seen_up_to - OVERLAP, self.clock.now());
        let keys = self
            .database
            .worker("cache: follow", Bulkhead::Workers, |tx| {
                Box::pin(async move { store::keys_since(tx.connection(), since).await })
            })
            .await?;
        self.known.extend(keys);
        progress.seen_up_to = Some(now);
        Ok(())
    }

    /// Forgets what other gateways purged or quarantined.
    async fn obey_purges(&self, progress: &mut Progress) -> Result<(), database::Error> {
        let now = self.clock.now();
        let since = progress.seen_up_to.unwrap_or(now) - OVERLAP;
        let purges = self
            .database
            .worker("cache: follow purges", Bulkhead::Workers, |tx| {
                Box::pin(async move { store::purges_since(tx.connection(), since).await })
            })
            .await?;
        for (id, organization) in &purges {
            if !progress.purges.contains(id) {
                self.memory.forget(*organization, now);
                self.semantic.shards.forget(*organization);
            }
        }
        progress.purges = purges.into_iter().map(|(id, _)| id).collect();
        Ok(())
    }

    async fn load(&self, progress: &mut Progress) -> Result<(), database::Error> {
        let recent = |at: Instant| at.elapsed() < RELOAD_INTERVAL;
        if progress.loaded_at.is_some_and(recent) {
            return Ok(());
        }
        let (keys_max, now) = (self.known.keys_max(), self.clock.now());
        let keys = self
            .database
            .worker("cache: load keys", Bulkhead::Workers, |tx| {
                Box::pin(async move { store::all_keys(tx.connection(), keys_max, now).await })
            })
            .await?;
        self.known.load(keys);
        progress.seen_up_to = Some(now);
        progress.loaded_at = Some(Instant::now());
        Ok(())
    }

    async fn sweep(&self) -> Result<(), database::Error> {
        let now = self.clock.now();
        for _ in 0..SWEEP_BATCHES_MAX {
            let swept = self
                .database
                .worker("cache: sweep", Bulkhead::Workers, |tx| {
                    Box::pin(async move {
                        store::delete_expired(tx.connection(), SWEEP_ROWS_MAX, now).await
                    })
                })
                .await?;
            if swept.is_empty() {
                break;
            }
            counter!(metric::SWEPT).increment(swept.len() as u64);
            self.known.remove(swept);
        }
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
    fn report(&self, step: Result<(), database::Error>) {
        gauge!(metric::MEMORY_BYTES).set(self.memory.bytes() as f64);
        gauge!(metric::QUESTIONS).set(self.semantic.shards.questions() as f64);
        gauge!(metric::KNOWN_KEYS).set(self.known.count() as f64);
        let Err(error) = step else {
            self.fault.end();
            return;
        };
        if self.fault.begin(Instant::now()) {
            let error: &dyn std::error::Error = &error;
            warn!(
                error,
                "the cache cannot follow its table; entries of other machines may be missed"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use database::testing::TestDatabase;
    use types::{Caller, TestClock};

    use super::*;
    use crate::entry::Row;
    use crate::testing;

    async fn store(database: &Database, rows: &[Row]) {
        let stored = database.worker("test: store", Bulkhead::Workers, |tx| {
            Box::pin(async move { store::upsert(tx.connection(), rows).await })
        });
        stored.await.unwrap();
    }

    #[tokio::test]
    async fn keys_are_known_from_the_start_and_new_ones_with_the_next_look() {
        let test = TestDatabase::new().await;
        let caller = Caller {
            organization: test.seed_organization("ours").await.organization,
            ..testing::caller(1)
        };
        let clock = Arc::new(TestClock::at("2026-11-22T10:00:00Z"));
        let row = |question| testing::row(&testing::entry(&caller, question, "Yes."), &*clock);
        let (old, new, absent) = (row("Old?"), row("New?"), row("Absent?"));
        let hashes = [&old, &new, &absent].map(|row| row.key.hash());
        let keeper = Keeper {
            database: test.database().clone(),
            clock: clock.clone(),
            known: Arc::new(Known::new(10)),
            memory: Arc::new(Memory::new(0)),
            semantic: testing::semantic(test.database().clone()),
            fault: Fault::default(),
        };
        let known = || hashes.map(|hash| keeper.known.may_have(hash));
        let mut progress = Progress::default();

        store(test.database(), &[old]).await;
        assert_eq!(known(), [true, true, true]);
        keeper.follow(&mut progress).await.unwrap();
        assert_eq!(known(), [true, false, false]);
        store(test.database(), &[new]).await;
        clock.advance(FOLLOW_INTERVAL);
        keeper.follow(&mut progress).await.unwrap();
        assert_eq!(known(), [true, true, false]);
    }
}
