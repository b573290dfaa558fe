//! The shared middle of the journal: callers append to a buffer, one thread writes it, another syncs it.
//!
//! Whoever finds nobody writing takes the whole buffer and hands it to the kernel in one write, while the next buffer fills:
//! the more callers, the larger the batch. That is a caller itself as a rule, because a write into the page cache takes a
//! microsecond and waking a thread takes ten; also for what nobody waits for, so that a hit that was answered survives a kill.
//! It is the writer's thread when a write was slow lately, or when a segment has to be begun. Syncing is another thread's work, so that an INTENT, which only has to be *written*, never waits
//! for a sync in progress; it runs only when somebody waits for durability, and then for all who wait by then (group commit).
//!
//! Lock discipline: one mutex, held for copies of memory only, never for a system call or a wake-up.

mod full;
mod home;
mod syncer;
mod writer;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use fs_err as fs;
use parking_lot::{Condvar, Mutex, MutexGuard};
use tokio::sync::oneshot;

use home::Home;

use super::files::Folder;
use super::meters::Meters;
use super::{Error, Limits, room};
use crate::failpoint;

/// Records of hits that wait in memory for room at most, in bytes: some thousand hits.
pub(super) const HELD_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Appended and not yet written at most, in bytes, for records that nobody waits for; a disk that stalls this long has failed its purpose.
const UNWRITTEN_BYTES_MAX: usize = 32 * 1024 * 1024;

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
    /// What is written can no longer be read, so that nothing would be booked.
    unreadable: AtomicBool,
    pub(super) folder: Folder,
    limits: Limits,
    meters: Meters,
}

#[derive(Debug)]
struct Inner {
    buffer: Vec<u8>,
    /// An empty buffer to go on with while the other is being written.
    spare: Vec<u8>,
    /// Whether somebody is writing: the thread, or a caller.
    writing: bool,
    /// Until when callers leave the writing to the thread, because a write was slow.
    slow_until: Option<Instant>,
    /// What is known of the room on the disk.
    room: Room,
    /// Records of hits for which there is no room.
    held: Vec<u8>,
    /// The position after everything appended.
    appended: u64,
    written: u64,
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
    /// What it waits for could have been refused, and may still be.
    refusable: bool,
    /// Where it waits.
    home: Option<Home>,
    reached: oneshot::Sender<Result<(), Error>>,
}

/// Whether there is room on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    /// As far as is known.
    Plenty,
    /// For what is owed, in what was kept; it is looked for more at this moment.
    Owed(Instant),
    /// None at all: nothing is written before this moment.
    None(Instant),
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
    /// A record that nobody owes anything for: it waits in memory where there is no room.
    Free,
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
        let (current, room) = match folder.create_segment(position, limits.room_bytes()) {
            Ok(file) => (file, Room::Plenty),
            // What an earlier life left open is settled all the same, if only there is room for that.
            Err(error) if room::is_lacking(&error) => (
                folder.create_segment(position, 0)?,
                Room::Owed(Instant::now()),
            ),
            Err(error) => return Err(error),
        };
        let current = Arc::new(current);
        let released = starts.first().copied().unwrap_or(position);
        starts.push(position);
        let inner = Inner {
            buffer: Vec::new(),
            spare: Vec::new(),
            writing: false,
            slow_until: None,
            room,
            held: Vec::new(),
            appended: position,
            written: position,
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
            unreadable: AtomicBool::new(false),
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
        if !inner.held.is_empty() {
            self.take_held(&mut inner);
        }
        match self.admit(&inner, frame, admission) {
            Err(Error::Full) if admission == Admission::Free => {
                self.hold(&mut inner, frame);
                return Ok(None);
            }
            admitted => admitted?,
        }
        inner.put(frame);
        failpoint::pass("journal.appended");
        let reached = inner.wait_for(until, admission);
        self.meters.records.increment(1);
        if until == Await::Durable && inner.syncer == Rest::Working {
            // The syncer comes back for it, and writes for all who wait by then.
            return Ok(reached);
        }
        // Also what nobody waits for: a hit that was answered is not to be lost with the process.
        if self.may_write_now(&mut inner) {
            self.write_now(inner);
        } else {
            self.leave_to_thread(inner, until);
        }
        Ok(reached)
    }

    fn leave_to_thread(&self, mut inner: MutexGuard<'_, Inner>, until: Await) {
        let wake = match until {
            _ if inner.writing => false,
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
    }

    fn wake_writer(&self, inner: &mut Inner) {
        if inner.writer != Rest::Working {
            inner.writer = Rest::Working;
            self.work.notify_one();
        }
    }

    fn admit(&self, inner: &Inner, frame: &[u8], admission: Admission) -> Result<(), Error> {
        match inner.state {
            State::Failed => return Err(Error::Failed),
            State::Drained => return Err(Error::Closed),
            State::Closing if admission != Admission::Owed => return Err(Error::Closed),
            State::Open | State::Closing => {}
        }
        if admission != Admission::Owed {
            if self.unreadable.load(Ordering::Relaxed) {
                return Err(Error::Failed);
            }
            let bytes = inner.appended - self.released.load(Ordering::Relaxed);
            let unwritten = inner.buffer.len() + frame.len();
            if inner.room != Room::Plenty
                || bytes + frame.len() as u64 > self.limits.journal_bytes_max
                || unwritten > UNWRITTEN_BYTES_MAX
            {
                return Err(Error::Full);
            }
        }
        Ok(())
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
                let held = std::mem::take(&mut inner.held);
                inner.put(&held);
            }
        }
        self.work.notify_one();
        self.wanted.notify_one();
    }

    /// Takes no new obligations until a restart, because what is written cannot be read.
    pub(super) fn refuse_as_unreadable(&self) {
        self.unreadable.store(true, Ordering::Relaxed);
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

impl Inner {
    fn put(&mut self, frames: &[u8]) {
        self.buffer.extend_from_slice(frames);
        self.appended += frames.len() as u64;
    }

    fn wait_for(&mut self, until: Await, admission: Admission) -> Option<Reached> {
        let waiters = match until {
            Await::Nothing => return None,
            Await::Written => &mut self.awaiting_write,
            Await::Durable => &mut self.awaiting_sync,
        };
        let (reached, receiver) = oneshot::channel();
        waiters.push_back(Waiter {
            position: self.appended,
            since: Instant::now(),
            refusable: admission == Admission::Refusable,
            home: Home::here(),
            reached,
        });
        Some(receiver)
    }

    /// Whether somebody waits for the durability of something that is not even written.
    fn awaits_writing(&self) -> bool {
        let last = self.awaiting_sync.back();
        !self.buffer.is_empty() && last.is_some_and(|waiter| waiter.position > self.written)
    }

    /// Whether somebody waits for the durability of something that is written, or a full segment is to be closed.
    fn sync_is_wanted(&self) -> bool {
        let first = self.awaiting_sync.front();
        !self.segments.unsynced.is_empty()
            || first.is_some_and(|waiter| waiter.position <= self.written)
    }
}

fn take_until(waiters: &mut Waiters, position: u64) -> Waiters {
    let reached = waiters.partition_point(|waiter| waiter.position <= position);
    let later = waiters.split_off(reached);
    std::mem::replace(waiters, later)
}
