//! The durable journal: what was intended and how it was settled, on disk before anyone is told.
//!
//! # What is promised
//! An INTENT is *written* before the provider is called: it survives `kill -9` of this process. A SETTLE is *durable*, fsynced,
//! before the last byte of the answer goes out. `durability = "strict"` fsyncs the INTENT too, `"written"` fsyncs neither.
//! A hit is journaled without waiting, and written at once unless somebody else is writing. A failed write or sync is fatal for the journal: it takes nothing more until
//! a restart has read back what the disk really holds.
//!
//! # A full disk
//! Every segment has its room kept before it is used, and more than it may fill: when there is none for the next one, new
//! obligations are refused ([`Error::Full`]), while what has begun is settled in the room that is left. Hits are served on;
//! their records wait in memory, and beyond `log::HELD_BYTES_MAX` they are counted instead. It goes on by itself when there is room.
//!
//! # What a crash leaves
//! An INTENT without a SETTLE means that the provider may have charged. Opening the journal settles it as
//! [`types::Outcome::Unknown`] with [`types::UsageSource::Unknown`] **at the estimate of its input and no output**, priced at the INTENT's price.
//! The input was certainly sent; how much of the output cap was used nobody knows, and billing a customer the whole cap
//! for an answer that never arrived would be wrong far more often than it is right. The flag puts the booking on the
//! reconciliation list, where the provider's bill decides.
//!
//! # Cancellation
//! [`Journal::intend`] may be dropped while it waits: the record is settled as cancelled, unused, since no provider was called yet.
//! A [`Pending`] that is dropped without [`Pending::settle`] is settled as unknown, as after a crash. Both happen without waiting.

mod files;
mod frame;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod log;
mod meters;
mod pending;
mod reader;
mod record;
mod recovery;
mod room;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Mutex;
use thiserror::Error;
use types::id::Node;
use types::{Clock, Id, Usage, Usd};

pub use files::OpenError;
pub use pending::{Durable, Pending};

pub(crate) use files::Watermark;
pub(crate) use reader::{Entry, ReadError, Reader};
pub(crate) use record::{Intent, Record, Replayed, STANDARD, Settle, Subject, Tokens};

use crate::quota::CallPermit;
use crate::{price, record as form};
use log::{Admission, Await, Log};

/// How the journal is kept.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its folder; one process at a time.
    pub folder: PathBuf,
    /// When a record counts as safe.
    pub durability: Durability,
    /// The size at which a file is closed, in bytes.
    pub segment_bytes_max: u64,
    /// The size at which new obligations are refused, in bytes.
    pub journal_bytes_max: u64,
}

/// When a record counts as safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// INTENT written, SETTLE fsynced.
    Fsync,
    /// Both fsynced.
    Strict,
    /// Both written: survives a crash of the process, not of the machine.
    Written,
}

/// Why the journal takes no record. All of them mean: no billable call can be made now (503).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Error {
    /// Writing, syncing or reading back failed; only a restart helps, because what the disk holds is unknown until it is read again.
    #[error("the journal failed and takes no more records until a restart")]
    Failed,
    /// The disk is full, or the byte budget is used up because PostgreSQL has not taken the records for long. It passes.
    #[error("the journal is full")]
    Full,
    /// It was stopped.
    #[error("the journal is closed")]
    Closed,
    /// One record is larger than any honest one.
    #[error("the record is too large")]
    TooLarge,
}

/// The journal, open; cheap to clone.
#[derive(Debug, Clone)]
pub struct Journal {
    open: Arc<Open>,
}

/// What the clones share; dropping the last closes the journal.
#[derive(Debug)]
struct Open {
    log: Arc<Log>,
    node: Id<Node>,
    durability: Durability,
    clock: Arc<dyn Clock>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Where reading begins.
    watermark: Watermark,
    /// After what earlier lives left, and the settlements that recovery added.
    recovered: u64,
}

#[derive(Debug, Clone, Copy)]
struct Limits {
    segment_bytes_max: u64,
    journal_bytes_max: u64,
}

impl Limits {
    /// What is kept for a segment: all it may fill, and a quarter more for what is owed when there is none for the next.
    const fn room_bytes(self) -> u64 {
        self.segment_bytes_max + self.segment_bytes_max / 4
    }
}

thread_local! {
    /// Records are encoded here, outside the lock and without an allocation each.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A scratch buffer that grew larger is not kept.
const SCRATCH_BYTES_KEPT: usize = 256 * 1024;

impl Journal {
    /// Opens the journal in its folder, repairs what a crash left, and settles what was left open.
    ///
    /// Reads all of the journal that is not shipped yet: call it from a thread that may block.
    pub fn open(options: &Options, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        recovery::open(options, clock)
    }

    /// Journals that a provider is about to be called; returns when that is written. Call the provider only then.
    ///
    /// What is held is spent by the settlement, and given back if this fails.
    pub async fn intend(&self, intent: form::Intent, held: form::Held) -> Result<Pending, Error> {
        let open = pending::Open::of(&intent);
        let unknown_cost = open.cost_of_estimate();
        let record = Record::from(Intent::new(intent, &held, unknown_cost));
        let until = match self.open.durability {
            Durability::Strict => Await::Durable,
            Durability::Fsync | Durability::Written => Await::Written,
        };
        let reached = self.append(&record, Admission::Refusable, until)?;
        let mut pending = Pending::new(self.clone(), open, held);
        pending.written(reached).await?;
        Ok(pending)
    }

    /// Journals a hit, without waiting for anything. The call is spent. A full journal does not refuse it.
    pub fn replayed(&self, replay: form::Replay, call: Option<CallPermit>) -> Result<(), Error> {
        let record = Record::from(Replayed::new(replay, call.as_ref()));
        self.append(&record, Admission::Free, Await::Nothing)?;
        if let Some(call) = call {
            call.post();
        }
        Ok(())
    }

    /// Why no new record would be taken now, if none would; for readiness.
    pub fn refusal(&self) -> Option<Error> {
        self.open.log.refusal()
    }

    /// Takes no new obligations, because what is written can no longer be read; what is under way is settled.
    pub(crate) fn refuse_as_unreadable(&self) {
        self.open.log.refuse_as_unreadable();
    }

    /// Which node this is: the same for the life of the folder.
    pub fn node(&self) -> Id<Node> {
        self.open.node
    }

    /// Takes no new obligations, waits until everything is on disk and the threads have ended. Blocks.
    pub fn close(&self) {
        self.open.log.close();
        for thread in std::mem::take(&mut *self.open.threads.lock()) {
            // A panic is the only error; it has been reported by the thread itself.
            let _ = thread.join();
        }
    }

    fn append(
        &self,
        record: &Record,
        admission: Admission,
        until: Await,
    ) -> Result<Option<log::Reached>, Error> {
        SCRATCH.with_borrow_mut(|scratch| {
            scratch.clear();
            encode(record, scratch)?;
            let reached = self.open.log.append(scratch, admission, until);
            scratch.shrink_to(SCRATCH_BYTES_KEPT);
            reached
        })
    }

    /// A reader of everything that is not shipped yet, and of everything to come.
    pub(crate) fn reader(&self) -> Reader {
        Reader::new(Arc::clone(&self.open.log), self.open.watermark)
    }

    /// The position after everything written.
    pub(crate) fn written(&self) -> u64 {
        self.open.log.written()
    }

    /// The position after what earlier lives of this node left.
    pub(crate) fn recovered(&self) -> u64 {
        self.open.recovered
    }

    /// Remembers how far the journal is shipped, and removes the files that are no longer needed. Blocks.
    pub(crate) fn set_watermark(&self, watermark: Watermark) -> Result<(), std::io::Error> {
        self.open.log.folder.set_watermark(watermark)?;
        self.open.log.release(watermark.settled)
    }

    /// Keeps records that cannot be booked, for a person to look at. Blocks.
    pub(crate) fn park(&self, records: &[Record]) -> Result<(), std::io::Error> {
        let mut frames = Vec::new();
        for record in records {
            encode(record, &mut frames).map_err(std::io::Error::other)?;
        }
        self.open.log.folder.append(DEAD_LETTERS, &frames)
    }
}

/// Records that could not be booked, in the journal's own format.
const DEAD_LETTERS: &str = "dead-letters";

impl Drop for Open {
    fn drop(&mut self) {
        self.log.close();
    }
}

fn encode(record: &Record, frames: &mut Vec<u8>) -> Result<(), Error> {
    let start = frame::begin(frames);
    record.encode(frames).map_err(|_| Error::TooLarge)?;
    frame::finish(frames, start).ok_or(Error::TooLarge)
}

/// What a usage costs; nothing where there is no price.
fn cost(
    price: Option<&price::Price>,
    service: price::Service,
    usage: &Usage,
) -> Result<Usd, price::Error> {
    price.map_or(Ok(Usd::ZERO), |price| price.cost_at(service, usage))
}
