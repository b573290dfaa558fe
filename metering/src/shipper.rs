//! Carries the journal to the ledger in batches, and never loses or doubles a record.
//!
//! One path for what is replayed after a restart and for what is written now: the journal's files are read from the watermark
//! on, intents are joined with their settlements, and what is complete is posted in one transaction
//! ([`crate::store::ledger::post`]). Every row has an id that was fixed in the journal, and totals are taken
//! from the rows that were really inserted, so posting twice books once. The watermark only saves work.
//!
//! PostgreSQL away: the same batch is tried again, for ever and ever more slowly; nothing is read ahead, so memory stays flat
//! while the journal grows. A record that PostgreSQL refuses for what is in it is found by halving the batch, parked in the
//! file `dead-letters` beside the journal, counted and reported; it never holds up the others.

pub(crate) mod booking;
mod join;
mod meters;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};
use database::Database;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use types::Clock;
use uuid::Uuid;

use crate::failpoint;
use crate::journal::{Entry, Journal, ReadError, Reader, Record, Watermark};
use crate::price::PriceBook;
use crate::store::{leases, ledger, watermarks};
use booking::Booking;
use join::Joiner;
use meters::Meters;

/// How the journal is shipped.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// The most records of one transaction.
    pub(crate) ship_rows_max: usize,
    /// How often is looked for records.
    pub(crate) ship_interval: Duration,
}

/// The first pause after a failure; it doubles up to the longest.
const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause, which bounds how much later than PostgreSQL the books come back.
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(5);
/// How long a stop waits for PostgreSQL; what is not shipped then is shipped by the next start.
const STOP_GRACE: Duration = Duration::from_secs(20);
/// How often a node that ships nothing says that it is there, and has nothing unshipped.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// Where the shipper works.
#[derive(Debug)]
pub(crate) struct Surroundings {
    pub(crate) journal: Journal,
    pub(crate) database: Database,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) tasks: TaskTracker,
    /// What takes the cost of an event apart.
    pub(crate) prices: Arc<ArcSwap<PriceBook>>,
    /// This process, whose leases are not those of earlier ones.
    pub(crate) life: Uuid,
}

/// The running shipper, from outside.
#[derive(Debug, Clone)]
pub(crate) struct Handle {
    /// Ships what is there, then ends.
    finish: CancellationToken,
    /// Ends now.
    abandon: CancellationToken,
    ended: CancellationToken,
    wake: Arc<tokio::sync::Notify>,
    /// Nothing is left in the journal, not even an attempt without its end.
    complete: Arc<AtomicBool>,
}

struct Service {
    options: Options,
    around: Surroundings,
    handle: Handle,
    reader: Option<Reader>,
    joiner: Joiner,
    watermark: Watermark,
    reported_at: Instant,
    /// The admission of the last record that was read.
    read_until: Option<DateTime<Utc>>,
    /// All that was admitted before it is booked, as of the last whole round.
    booked_until: Option<DateTime<Utc>>,
    meters: Meters,
    /// Leases of earlier lives are still open.
    earlier_leases: bool,
}

impl Handle {
    /// Ships what is settled, then ends; whether all of the journal is shipped.
    pub(crate) async fn stop(&self) -> bool {
        self.finish.cancel();
        self.wake.notify_one();
        if timeout(STOP_GRACE, self.ended.cancelled()).await.is_err() {
            tracing::warn!("not all of the journal could be shipped; the next start does it");
            self.abandon.cancel();
            self.ended.cancelled().await;
        }
        self.complete.load(Ordering::Acquire)
    }
}

/// Starts the shipper on a task of the tracker.
pub(crate) fn start(options: Options, around: Surroundings) -> Handle {
    let handle = Handle {
        finish: CancellationToken::new(),
        abandon: CancellationToken::new(),
        ended: CancellationToken::new(),
        wake: Arc::default(),
        complete: Arc::default(),
    };
    let reader = around.journal.reader();
    let watermark = reader.watermark();
    let tasks = around.tasks.clone();
    let service = Service {
        options,
        around,
        handle: handle.clone(),
        reader: Some(reader),
        joiner: Joiner::new(watermark.read),
        watermark,
        reported_at: Instant::now(),
        read_until: None,
        booked_until: None,
        meters: Meters::default(),
        earlier_leases: true,
    };
    let ended = handle.ended.clone().drop_guard();
    tasks.spawn(async move {
        let _ended = ended;
        service.run().await;
    });
    handle
}

impl Service {
    async fn run(mut self) {
        let abandon = self.handle.abandon.clone();
        abandon.run_until_cancelled(Box::pin(self.ship_all())).await;
    }

    async fn ship_all(&mut self) {
        let mut ticks = interval(self.options.ship_interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut pause = RETRY_PAUSE;
        loop {
            let finishing = self.handle.finish.is_cancelled();
            let written = self.around.journal.written();
            match self.round().await {
                Ok(0) if finishing => {
                    let complete = self.joiner.oldest().is_none();
                    if complete {
                        self.report_complete().await;
                    }
                    self.handle.complete.store(complete, Ordering::Release);
                    return;
                }
                Ok(read) => {
                    pause = RETRY_PAUSE;
                    // One reading is a megabyte at most. What came during the round waits for the tick, so that batches stay large.
                    let is_behind = read > 0 && self.position() < written;
                    if !is_behind && !finishing {
                        tokio::select! {
                            _ = ticks.tick() => {}
                            () = self.handle.wake.notified() => {}
                        }
                    }
                }
                // Too many open files, say: nothing was read, and the journal is what it was.
                Err(error @ ReadError::Io(_)) => {
                    self.meters.failed();
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "the journal could not be read; it is tried again"
                    );
                    sleep(pause).await;
                    pause = (pause * 2).min(RETRY_PAUSE_MAX);
                }
                Err(error) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "the journal cannot be read on; nothing more is booked until a restart repairs it"
                    );
                    self.around.journal.refuse_as_unreadable();
                    self.handle.finish.cancelled().await;
                    return;
                }
            }
        }
    }

    /// Reads a piece of the journal and posts all of it that is complete. How many records were read.
    async fn round(&mut self) -> Result<usize, ReadError> {
        let began_at = self.around.clock.now();
        let written = self.around.journal.written();
        let entries = self.read().await?;
        let read = entries.len();
        let mut admissions = entries
            .iter()
            .filter_map(|entry| entry.record.admitted_at());
        self.read_until = admissions.next_back().or(self.read_until);
        let mut ready = Vec::new();
        let mut orphans = Vec::new();
        for entry in entries {
            match self.joiner.add(entry) {
                join::Joined::Open | join::Joined::Booked => {}
                join::Joined::Complete(booking) => ready.push(booking),
                join::Joined::Orphan(record) => orphans.push(record),
            }
        }
        for orphan in orphans {
            tracing::error!(
                "the journal holds a settlement without its intent; it is parked and NOT BILLED"
            );
            self.park(&[orphan]).await;
        }

        let reached = self.reached();
        let booked_until = self.booked_until_after(written, began_at);
        self.measure(&ready);
        let mut batches = ready.chunks(self.options.ship_rows_max).peekable();
        while let Some(batch) = batches.next() {
            // Only when the last batch is booked is everything before the new watermark.
            let mark = if batches.peek().is_none() {
                reached
            } else {
                self.watermark
            };
            self.post(batch, mark).await;
        }
        self.booked_until = booked_until.or(self.booked_until);
        self.remember(reached).await;
        self.measure(&[]);
        self.close_earlier_leases().await;
        Ok(read)
    }

    /// Reading is a copy from the page cache, but up to a megabyte of it: not on the runtime's threads.
    async fn read(&mut self) -> Result<Vec<Entry>, ReadError> {
        let Some(mut reader) = self.reader.take() else {
            return Err(ReadError::Ended);
        };
        let reading = self.around.tasks.spawn_blocking(move || {
            let entries = reader.read();
            (reader, entries)
        });
        let (reader, entries) = reading.await.map_err(|_| ReadError::Ended)?;
        self.reader = Some(reader);
        entries
    }

    /// The watermark once everything read so far is booked.
    fn reached(&self) -> Watermark {
        let position = self.position();
        self.watermark.advanced(position, self.joiner.oldest())
    }

    /// Everything before it was read in this life.
    fn position(&self) -> u64 {
        self.reader.as_ref().map_or(0, Reader::position)
    }

    /// Posts a batch, whatever it takes; parks what can never be posted.
    async fn post(&mut self, batch: &[Booking], mark: Watermark) {
        let mut parts = vec![batch];
        while let Some(part) = parts.pop() {
            // Before the last part is booked, not everything before the new watermark is.
            let mark = if parts.is_empty() {
                mark
            } else {
                self.watermark
            };
            let posted = self.post_or_fault(part, mark).await;
            match (posted, part) {
                (Ok(()), _) => {}
                (Err(error), [booking]) => {
                    tracing::error!(
                        request_id = %booking.request_id(),
                        error = &error as &dyn std::error::Error,
                        "a record is refused by the database; it is parked and NOT BILLED"
                    );
                    self.park(&booking.records()).await;
                }
                (Err(_), part) => {
                    let (first, second) = part.split_at(part.len() / 2);
                    parts.extend([second, first]);
                }
            }
        }
    }

    /// Tries until it is posted, or refused for what is in it.
    async fn post_or_fault(
        &mut self,
        part: &[Booking],
        mark: Watermark,
    ) -> Result<(), database::Error> {
        let mut pause = RETRY_PAUSE;
        loop {
            let begun = Instant::now();
            let report = self.report(mark);
            let prices = self.around.prices.load_full();
            match ledger::post(&self.around.database, part, &prices, &report).await {
                Ok(inserted) => {
                    failpoint::pass("shipper.posted");
                    self.reported_at = Instant::now();
                    self.meters.shipped(inserted, begun.elapsed());
                    return Ok(());
                }
                Err(error) if ledger::is_fault_of_a_row(&error) => return Err(error),
                Err(error) => {
                    self.meters.failed();
                    self.measure(part);
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        records = part.len(),
                        "the journal could not be shipped; it is tried again"
                    );
                    sleep(pause).await;
                    pause = (pause * 2).min(RETRY_PAUSE_MAX);
                }
            }
        }
    }

    fn report(&self, mark: Watermark) -> watermarks::Report {
        watermarks::Report {
            node: self.around.journal.node(),
            watermark: mark,
            oldest_unsettled_at: self.joiner.oldest_created_at(),
            shipped_at: self.around.clock.now(),
            booked_until: self.booked_until,
            is_complete: false,
        }
    }

    /// Up to which admission everything is booked once this round is: up to the oldest request under way, and, while there is
    /// more to read than was read, up to what was read last.
    fn booked_until_after(&self, written: u64, began_at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let is_behind = self.position() < written;
        let read = if is_behind {
            self.read_until
        } else {
            Some(began_at)
        };
        let unsettled = self.joiner.oldest_created_at();
        read.map(|read| unsettled.map_or(read, |unsettled| unsettled.min(read)))
    }

    /// Says that the node holds nothing back, so that no month waits for one that does not come back.
    async fn report_complete(&mut self) {
        let report = watermarks::Report {
            is_complete: true,
            ..self.report(self.watermark)
        };
        if let Err(error) = watermarks::put(&self.around.database, &report).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the database does not know that all of the journal is shipped; months wait for the next start to close"
            );
        }
    }

    /// Keeps records that cannot be booked; tries until they are kept.
    async fn park(&self, records: &[Record]) {
        self.meters.parked();
        loop {
            let (journal, records) = (self.around.journal.clone(), records.to_vec());
            let parking = self
                .around
                .tasks
                .spawn_blocking(move || journal.park(&records));
            match parking.await {
                Ok(Ok(())) => return,
                Ok(Err(error)) => tracing::error!(%error, "a record could not be parked"),
                Err(error) => tracing::error!(%error, "a record could not be parked"),
            }
            sleep(RETRY_PAUSE_MAX).await;
        }
    }

    /// Moves the watermark, in the file and, when nothing was posted for long, in the database.
    async fn remember(&mut self, reached: Watermark) {
        if reached != self.watermark {
            let journal = self.around.journal.clone();
            let setting = self
                .around
                .tasks
                .spawn_blocking(move || journal.set_watermark(reached));
            match setting.await {
                Ok(Ok(())) => {
                    failpoint::pass("shipper.marked");
                    self.watermark = reached;
                }
                // It only saves work; the next round tries again.
                Ok(Err(error)) => {
                    tracing::warn!(%error, "the journal's watermark could not be kept");
                }
                Err(error) => tracing::warn!(%error, "the journal's watermark could not be kept"),
            }
        }
        if self.reported_at.elapsed() >= HEARTBEAT {
            self.reported_at = Instant::now();
            let report = self.report(reached);
            // Where the database is away there is nothing to say.
            let _ = watermarks::put(&self.around.database, &report).await;
        }
    }

    /// Once everything of earlier lives is booked, what they had reserved is free again.
    async fn close_earlier_leases(&mut self) {
        // Not the watermark's word: where its file was lost, it says that everything was read before anything is.
        if !self.earlier_leases || self.position() < self.around.journal.recovered() {
            return;
        }
        let node = self.around.journal.node();
        match leases::close_earlier(&self.around.database, node, self.around.life).await {
            Ok(released) => {
                self.earlier_leases = false;
                if released > 0 {
                    tracing::info!(
                        released,
                        "leases of an earlier life of this node were closed"
                    );
                }
            }
            Err(error) => tracing::debug!(
                error = &error as &dyn std::error::Error,
                "leases of an earlier life could not be closed yet"
            ),
        }
    }

    /// Tells how much is not booked yet, and how old it is.
    fn measure(&self, ready: &[Booking]) {
        let written = self.around.journal.written();
        let oldest = ready.iter().map(Booking::created_at).min();
        let age = oldest.map(|oldest| self.around.clock.now().signed_duration_since(oldest));
        self.meters.unshipped(
            written.saturating_sub(self.watermark.read),
            ready.len(),
            age.and_then(|age| age.to_std().ok()).unwrap_or_default(),
        );
    }
}
