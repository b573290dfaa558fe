//! Write-behind: answers and hit counts reach the database in batches, after the caller has his answer.
//!
//! What is waiting may be lost with the process: the price is one more provider call.

use std::sync::Arc;
use std::time::{Duration, Instant};

use database::{Bulkhead, Database};
use metrics::counter;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::entry::Row;
use crate::fault::Fault;
use crate::hits::Hits;
use crate::known::Known;
use crate::{metric, store};

/// Entries of one statement: enough to share its cost, few enough that it holds its locks for milliseconds.
const BATCH_ROWS_MAX: usize = 512;

/// How long a batch gathers after its first entry: a transaction of a few rows costs nearly as much as one of many, and
/// nobody waits for the table, since this process has the answer in memory and others look every two seconds.
const BATCH_GATHER: Duration = Duration::from_millis(20);

/// How often hit counts are written. They are statistics; nobody waits for them.
const HITS_INTERVAL: Duration = Duration::from_secs(5);

/// How long the waiting entries may take to be written at the end. They are a convenience, and the end of a
/// process must not hang on them.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Takes entries from the queue to the table.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) database: Database,
    pub(crate) known: Arc<Known>,
    pub(crate) hits: Arc<Hits>,
    pub(crate) fault: Fault,
}

impl Writer {
    /// Runs until stopped; then writes what is waiting, if it can be written in time.
    pub(crate) async fn run(self, mut queue: mpsc::Receiver<Row>, stop: CancellationToken) {
        let too_late = async {
            stop.cancelled().await;
            tokio::time::sleep(STOP_TIMEOUT).await;
        };
        tokio::select! {
            () = self.serve(&mut queue, &stop) => {}
            () = too_late => warn!("the cache was stopped before all waiting answers were stored"),
        }
    }

    async fn serve(&self, queue: &mut mpsc::Receiver<Row>, stop: &CancellationToken) {
        let mut flush = tokio::time::interval(HITS_INTERVAL);
        flush.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut batch = Vec::with_capacity(BATCH_ROWS_MAX);
        while !queue.is_closed() || !queue.is_empty() {
            // Only the waiting is dropped here, never a batch: `recv_many` takes nothing before it returns.
            tokio::select! {
                _ = queue.recv_many(&mut batch, BATCH_ROWS_MAX) => {}
                _ = flush.tick() => self.flush_hits().await,
                () = stop.cancelled(), if !queue.is_closed() => queue.close(),
            }
            if !batch.is_empty() {
                gather(queue, &mut batch, stop).await;
                self.write(&batch).await;
                batch.clear();
            }
        }
        self.flush_hits().await;
    }

    /// Writes a batch. When the database refuses it as a whole, one bad entry must not take the others with it.
    async fn write(&self, rows: &[Row]) {
        let Err(error) = self.insert(rows).await else {
            self.written(rows);
            return;
        };
        let lonely = rows.len() <= 1;
        if lonely || error.is_transient() {
            self.failed(rows.len(), &error);
            return;
        }
        for row in rows.chunks(1) {
            match self.insert(row).await {
                Ok(()) => self.written(row),
                Err(error) => self.failed(1, &error),
            }
        }
    }

    async fn insert(&self, rows: &[Row]) -> Result<(), database::Error> {
        self.database
            .worker("cache: store", Bulkhead::Workers, |tx| {
                Box::pin(async move { store::upsert(tx.connection(), rows).await })
            })
            .await
    }

    async fn flush_hits(&self) {
        let counts = self.hits.take();
        if counts.is_empty() {
            return;
        }
        let counts = &counts;
        let added = self
            .database
            .worker("cache: add hits", Bulkhead::Workers, |tx| {
                Box::pin(async move { store::add_hits(tx.connection(), counts).await })
            })
            .await;
        if let Err(error) = added {
            self.failed(0, &error);
        }
    }

    fn written(&self, rows: &[Row]) {
        self.known
            .extend(rows.iter().map(|row| row.key.hash().short()));
        self.fault.end();
        counter!(metric::STORES, "outcome" => "stored").increment(rows.len() as u64);
    }

    fn failed(&self, rows: usize, error: &database::Error) {
        counter!(metric::STORES, "outcome" => "failed").increment(rows as u64);
        if self.fault.begin(Instant::now()) {
            let error: &dyn std::error::Error = error;
            warn!(
                error,
                "the cache cannot write to the database; answers are kept in memory only"
            );
        }
    }
}

/// Lets more come before a batch that is not full is written.
///
/// It sleeps instead of receiving: a receiver that waits is woken by every single entry, which costs the requests more
/// than the larger batch saves.
async fn gather(queue: &mut mpsc::Receiver<Row>, batch: &mut Vec<Row>, stop: &CancellationToken) {
    if batch.len() >= BATCH_ROWS_MAX {
        return;
    }
    tokio::select! {
        () = tokio::time::sleep(BATCH_GATHER) => {}
        () = stop.cancelled() => {}
    }
    while batch.len() < BATCH_ROWS_MAX {
        let Ok(row) = queue.try_recv() else {
            return;
        };
        batch.push(row);
    }
}
