//! The shared middle of the journal: callers append to a buffer, one thread writes it, another syncs it.
//!
//! The writer takes the whole buffer and hands it to the kernel in one write, while the next buffer fills: the more callers,
//! the larger the batch. Syncing is another thread's work, so that an INTENT, which only has to be *written*, never waits
//! for a sync in progress; it runs only when somebody waits for durability, and then for all who wait by then (group commit).
//!
//! Lock discipline: one mutex, held for copies of memory only, never for a system call or a wake-up.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fs_err as fs;
use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;

use super::files::Folder;
use super::meters::Meters;
use super::{Error, Limits};

/// How long the writer looks on after work before it sleeps for good: records that nobody waits for are written within this
/// time without anyone paying for a wake-up.
const LINGER: Duration = Duration::from_millis(5);

/// Appended and not yet written at most, in bytes, for records that nobody waits for; a disk that stalls this long has failed its purpose.
const UNWRITTEN_BYTES_MAX: usize = 32 * 1024 * 1024;

/// A buffer that grew larger is not kept.
const BUFFER_BYTES_KEPT: usize = 1024 * 1024;

/// The journal while it is open.
#[derive(Debug)]
pub(super) struct Log {
    inner: Mutex<Inner>,
    /// Wakes the writer.
    work: Condvar,
    /// Wakes the syncer.
    wanted: Condvar,
    /// Everything before it is in the files.
    written: AtomicU64,
    /// Everything before it is removed from the files.
    released: AtomicU64,
    pub(super) folder: Folder,
    limits: Limits,
    meters: Meters,
}

#[derive(Debug)]
struct Inner {
    buffer: Vec<u8>,
    /// The position after everything appended.
    appended: u64,
    written: u64,
    durable: u64,
    awaiting_write: Waiters,
    awaiting_sync: Waiters,
    writer: Rest,
    syncer: Rest,
    segments: Segments,
    state: State,
}

/// Callers in the order of the positions they wait for.
type Waiters = VecDeque<Waiter>;

#[derive(Debug)]
struct Waiter {
    position: u64,
    since: Instant,
    reached: oneshot::Sender<Result<(), Error>>,
}

/// What a thread does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    Working,
    /// Wakes up by itself soon.
    Lingering,
    Sleeping,
}

#[derive(Debug)]
struct Segments {
    /// The positions of all, ascending; the last is written to.
    starts: Vec<u64>,
    current: Arc<fs::File>,
    /// Full ones that are not synced yet.
    unsynced: Vec<Arc<fs::File>>,
    /// Whether the folder has a new name that is not synced yet.
    folder_changed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// No new obligations; what is there is written.
    Closing,
    /// All is written and no record is taken any more; the threads end after one last sync.
    Drained,
    Failed,
}

/// What the caller of [`Log::append`] wants to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Await {
    Nothing,
    Written,
    Durable,
}

/// Whether the journal may refuse a record because it is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// A new obligation: it may be refused.
    Refusable,
    /// The end of an obligation already in the journal: it is always taken.
    Owed,
}

pub(super) type Reached = oneshot::Receiver<Result<(), Error>>;

impl Log {
    /// Starts at a position, in a new segment.
    pub(super) fn start(
        folder: Folder,
        mut starts: Vec<u64>,
        position: u64,
        limits: Limits,
    ) -> Result<Arc<Self>, std::io::Error> {
        let current = Arc::new(folder.create_segment(position)?);
        let released = starts.first().copied().unwrap_or(position);
        starts.push(position);
        let inner = Inner {
            buffer: Vec::new(),
            appended: position,
            written: position,
            durable: position,
            awaiting_write: Waiters::new(),
            awaiting_sync: Waiters::new(),
            writer: Rest::Working,
            syncer: Rest::Working,
            segments: Segments {
                starts,
                current,
                unsynced: Vec::new(),
                folder_changed: true,
            },
            state: State::Open,
        };
        Ok(Arc::new(Self {
            inner: Mutex::new(inner),
            work: Condvar::new(),
            wanted: Condvar::new(),
            written: AtomicU64::new(position),
            released: AtomicU64::new(released),
            folder,
            limits,
            meters: Meters::default(),
        }))
    }

    /// Takes a framed record. Returns at once; what is returned resolves when the record is where the caller wants it.
    pub(super) fn append(
        &self,
        frame: &[u8],
        admission: Admission,
        until: Await,
    ) -> Result<Option<Reached>, Error> {
        let mut inner = self.inner.lock();
        self.admit(&inner, frame, admission)?;
        inner.buffer.extend_from_slice(frame);
        inner.appended += frame.len() as u64;
        let reached = inner.wait_for(until);

        let wake = match until {
            Await::Nothing => inner.writer == Rest::Sleeping,
            Await::Written | Await::Durable => inner.writer != Rest::Working,
        };
        if wake {
            inner.writer = Rest::Working;
        }
        drop(inner);
        if wake {
            self.work.notify_one();
        }
        self.meters.records.increment(1);
        Ok(reached)
    }

    fn admit(&self, inner: &Inner, frame: &[u8], admission: Admission) -> Result<(), Error> {
        match inner.state {
            State::Failed => return Err(Error::Failed),
            State::Drained => return Err(Error::Closed),
            State::Closing if admission == Admission::Refusable => return Err(Error::Closed),
            State::Open | State::Closing => {}
        }
        if admission == Admission::Refusable {
            let bytes = inner.appended - self.released.load(Ordering::Relaxed);
            let unwritten = inner.buffer.len() + frame.len();
            if bytes + frame.len() as u64 > self.limits.journal_bytes_max
                || unwritten > UNWRITTEN_BYTES_MAX
            {
                return Err(Error::Full);
            }
        }
        Ok(())
    }

    /// The writer's thread: buffer to kernel.
    pub(super) fn write_until_closed(&self) {
        let mut batch = Vec::new();
        while let Some(mut file) = self.next_batch(&mut batch) {
            let written = self
                .rotated(&mut file)
                .and_then(|()| std::io::Write::write_all(&mut &*file, &batch));
            if let Err(error) = written {
                return self.fail("written", &error);
            }
            self.publish_written(batch.len() as u64);
            batch.clear();
            batch.shrink_to(BUFFER_BYTES_KEPT);
        }
    }

    /// Waits for records and takes them all; `None` when there will be no more.
    fn next_batch(&self, batch: &mut Vec<u8>) -> Option<Arc<fs::File>> {
        let mut inner = self.inner.lock();
        while inner.buffer.is_empty() {
            if inner.state != State::Open {
                if inner.state == State::Closing {
                    inner.state = State::Drained;
                }
                drop(inner);
                self.wanted.notify_one();
                return None;
            }
            if inner.writer == Rest::Working {
                inner.writer = Rest::Lingering;
                self.work.wait_for(&mut inner, LINGER);
            } else {
                inner.writer = Rest::Sleeping;
                self.work.wait(&mut inner);
            }
        }
        inner.writer = Rest::Working;
        std::mem::swap(&mut inner.buffer, batch);
        Some(Arc::clone(&inner.segments.current))
    }

    /// Begins a new segment when the current one is full.
    fn rotated(&self, file: &mut Arc<fs::File>) -> Result<(), std::io::Error> {
        let (start, position) = {
            let inner = self.inner.lock();
            let start = inner.segments.starts.last().copied();
            (start.unwrap_or(inner.written), inner.written)
        };
        if position - start < self.limits.segment_bytes_max {
            return Ok(());
        }
        let new = Arc::new(self.folder.create_segment(position)?);
        let mut inner = self.inner.lock();
        let full = std::mem::replace(&mut inner.segments.current, Arc::clone(&new));
        inner.segments.unsynced.push(full);
        inner.segments.folder_changed = true;
        inner.segments.starts.push(position);
        *file = new;
        Ok(())
    }

    fn publish_written(&self, bytes: u64) {
        let mut inner = self.inner.lock();
        inner.written += bytes;
        let position = inner.written;
        let reached = take_until(&mut inner.awaiting_write, position);
        let sync = inner.syncer == Rest::Sleeping && inner.sync_is_wanted();
        let journal_bytes = inner.written - self.released.load(Ordering::Relaxed);
        drop(inner);

        self.written.store(position, Ordering::Release);
        if sync {
            self.wanted.notify_one();
        }
        for waiter in reached {
            // The caller may be gone; the record stays.
            let _ = waiter.reached.send(Ok(()));
        }
        self.meters.set_bytes(journal_bytes);
    }

    /// The syncer's thread: kernel to disk, when somebody waits for it.
    pub(super) fn sync_until_closed(&self) {
        while let Some(work) = self.next_sync() {
            if let Err(error) = self.sync(&work) {
                return self.fail("synced", &error);
            }
            self.meters.fsyncs.increment(1);
            self.publish_durable(work.position);
            if work.last {
                return;
            }
        }
    }

    fn next_sync(&self) -> Option<Sync> {
        let mut inner = self.inner.lock();
        loop {
            if inner.state == State::Failed {
                return None;
            }
            let last = inner.state == State::Drained;
            if last || inner.sync_is_wanted() {
                inner.syncer = Rest::Working;
                return Some(Sync {
                    position: inner.written,
                    current: Arc::clone(&inner.segments.current),
                    full: std::mem::take(&mut inner.segments.unsynced),
                    folder_changed: std::mem::take(&mut inner.segments.folder_changed),
                    last,
                });
            }
            inner.syncer = Rest::Sleeping;
            self.wanted.wait(&mut inner);
        }
    }

    fn sync(&self, work: &Sync) -> Result<(), std::io::Error> {
        for full in &work.full {
            full.sync_data()?;
        }
        work.current.sync_data()?;
        if work.folder_changed {
            self.folder.sync()?;
        }
        Ok(())
    }

    fn publish_durable(&self, position: u64) {
        let reached = {
            let mut inner = self.inner.lock();
            inner.durable = position;
            take_until(&mut inner.awaiting_sync, position)
        };
        for waiter in reached {
            self.meters.fsync_wait.record(waiter.since.elapsed());
            // The caller may be gone; the record stays.
            let _ = waiter.reached.send(Ok(()));
        }
    }

    /// After a failed write or sync nobody knows what the disk holds; everyone who waits or comes is told so.
    fn fail(&self, what: &str, error: &std::io::Error) {
        let waiters = {
            let mut inner = self.inner.lock();
            if inner.state == State::Failed {
                return;
            }
            inner.state = State::Failed;
            let mut waiters = std::mem::take(&mut inner.awaiting_write);
            waiters.append(&mut inner.awaiting_sync);
            waiters
        };
        tracing::error!(%error, "the journal could not be {what}; billable calls are refused until a restart");
        self.meters.failures.increment(1);
        self.work.notify_one();
        self.wanted.notify_one();
        for waiter in waiters {
            let _ = waiter.reached.send(Err(Error::Failed));
        }
    }

    /// Takes no new obligations; the threads end when everything is on disk.
    pub(super) fn close(&self) {
        {
            let mut inner = self.inner.lock();
            if inner.state == State::Open {
                inner.state = State::Closing;
            }
        }
        self.work.notify_one();
        self.wanted.notify_one();
    }

    /// Why no record is taken, if none is.
    pub(super) fn refusal(&self) -> Option<Error> {
        let inner = self.inner.lock();
        self.admit(&inner, &[], Admission::Refusable).err()
    }

    /// The position up to which the files may be read.
    pub(super) fn written(&self) -> u64 {
        self.written.load(Ordering::Acquire)
    }

    /// The segment a position lies in, and the beginning of the one after it.
    pub(super) fn segment_of(&self, position: u64) -> (u64, Option<u64>) {
        let inner = self.inner.lock();
        let starts = &inner.segments.starts;
        let next = starts.partition_point(|start| *start <= position);
        let own = next.checked_sub(1).and_then(|own| starts.get(own));
        (own.copied().unwrap_or(position), starts.get(next).copied())
    }

    /// Removes the segments that lie wholly before a position.
    pub(super) fn release(&self, position: u64) -> Result<(), std::io::Error> {
        loop {
            let oldest = {
                let inner = self.inner.lock();
                match inner.segments.starts.as_slice() {
                    [oldest, next, ..] if *next <= position => *oldest,
                    _ => return Ok(()),
                }
            };
            self.folder.sync_watermark()?;
            self.folder.remove_segment(oldest)?;
            let mut inner = self.inner.lock();
            inner.segments.starts.retain(|start| *start != oldest);
            let first = inner.segments.starts.first().copied();
            self.released
                .store(first.unwrap_or(position), Ordering::Relaxed);
        }
    }
}

/// What is to be synced.
struct Sync {
    position: u64,
    current: Arc<fs::File>,
    full: Vec<Arc<fs::File>>,
    folder_changed: bool,
    last: bool,
}

impl Inner {
    fn wait_for(&mut self, until: Await) -> Option<Reached> {
        let waiters = match until {
            Await::Nothing => return None,
            Await::Written => &mut self.awaiting_write,
            Await::Durable => &mut self.awaiting_sync,
        };
        let (reached, receiver) = oneshot::channel();
        waiters.push_back(Waiter {
            position: self.appended,
            since: Instant::now(),
            reached,
        });
        Some(receiver)
    }

    /// Whether somebody waits for the durability of something that is written.
    fn sync_is_wanted(&self) -> bool {
        let first = self.awaiting_sync.front();
        first.is_some_and(|waiter| waiter.position <= self.written)
    }
}

fn take_until(waiters: &mut Waiters, position: u64) -> Waiters {
    let reached = waiters.partition_point(|waiter| waiter.position <= position);
    let later = waiters.split_off(reached);
    std::mem::replace(waiters, later)
}
