//! Writing: takes the whole buffer and hands it to the kernel in one write, in a caller's thread or in the writer's.

use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use fs_err as fs;
use parking_lot::MutexGuard;

use super::{Await, Inner, Log, Rest, Room, State, home, take_until};
use crate::failpoint;
use crate::journal::room;

/// How long the writer looks on after work before it sleeps for good: what is left to it and nobody waits for is written within
/// this time without anyone paying for a wake-up.
const LINGER: Duration = Duration::from_millis(5);

/// A buffer that grew larger is not kept.
const BUFFER_BYTES_KEPT: usize = 1024 * 1024;

/// A write that took longer hands the writing to the thread for [`SLOW_FOR`]: a request's thread has others to serve.
/// Well above what being preempted on a busy machine takes, which says nothing about the disk.
const WRITE_MAX: Duration = Duration::from_millis(20);

/// How long a slow disk is left to the thread.
const SLOW_FOR: Duration = Duration::from_secs(1);

/// Rounds a caller writes for others that came meanwhile, before the thread takes over.
const ROUNDS_MAX: usize = 2;

/// What the writer's thread does next.
enum Work {
    Write(Batch),
    LookForRoom,
    End,
}

/// Everything appended, and where it goes.
pub(super) struct Batch {
    bytes: Vec<u8>,
    file: Arc<fs::File>,
    /// In the file.
    offset: u64,
}

impl Log {
    /// The writer's thread: buffer to kernel, for whatever callers do not write themselves.
    pub(in crate::journal) fn write_until_closed(&self) {
        loop {
            let mut batch = match self.next_work() {
                Work::Write(batch) => batch,
                Work::LookForRoom => {
                    self.look_for_room();
                    continue;
                }
                Work::End => return,
            };
            if let Err(error) = self.rotate_where_full(&mut batch) {
                return self.fail("written", &error);
            }
            if self.write_out(batch).is_none() {
                return;
            }
        }
    }

    /// Whether the caller may write: nobody does, the disk is quick, and the segment has room.
    pub(super) fn may_write_now(&self, inner: &mut Inner) -> bool {
        let is_full = inner.segment_bytes() >= self.limits.segment_bytes_max;
        let no_room = inner.room != Room::Plenty;
        if inner.writing || is_full || no_room || inner.state == State::Failed {
            return false;
        }
        match inner.slow_until {
            Some(until) if Instant::now() < until => false,
            _ => {
                inner.slow_until = None;
                true
            }
        }
    }

    /// Writes in the caller's thread what it and others have appended.
    pub(super) fn write_now<'a>(&'a self, mut inner: MutexGuard<'a, Inner>) {
        for _ in 0..ROUNDS_MAX {
            let Some(written) = self.write_batch(inner) else {
                return;
            };
            inner = written;
            if inner.buffer.is_empty() || !self.may_write_now(&mut inner) {
                break;
            }
        }
        if inner.buffer.is_empty() {
            return;
        }
        self.leave_to_thread(inner, Await::Written);
    }

    /// Writes everything appended so far; nothing comes back when that failed, and the journal with it.
    pub(super) fn write_batch<'a>(
        &'a self,
        mut inner: MutexGuard<'a, Inner>,
    ) -> Option<MutexGuard<'a, Inner>> {
        let batch = inner.take_batch();
        drop(inner);
        self.write_out(batch)
    }

    /// Writes a batch. Where there is no room for it, it waits at the head of the buffer.
    fn write_out(&self, batch: Batch) -> Option<MutexGuard<'_, Inner>> {
        let began = Instant::now();
        let written = failpoint::write(batch.file.path())
            .and_then(|()| batch.file.file().write_all_at(&batch.bytes, batch.offset));
        match written {
            Ok(()) => {
                failpoint::pass("journal.written");
                let slow = began.elapsed() > WRITE_MAX;
                let slow_until = slow.then(|| Instant::now() + SLOW_FOR);
                Some(self.publish_written(batch.bytes, slow_until))
            }
            // What was written of it is written over, and read by nobody until then.
            Err(error) if room::is_lacking(&error) => Some(self.stop_for_room(batch.bytes)),
            Err(error) => {
                self.fail("written", &error);
                None
            }
        }
    }

    /// Waits for records that nobody is writing and takes them all, or until room is to be looked for.
    fn next_work(&self) -> Work {
        let mut inner = self.inner.lock();
        loop {
            if inner.state == State::Failed {
                return Work::End;
            }
            if inner.writing {
                inner.writer = Rest::Lingering;
                self.work.wait_for(&mut inner, LINGER);
                continue;
            }
            let can_write = !matches!(inner.room, Room::None(_));
            if can_write && !inner.buffer.is_empty() {
                inner.writer = Rest::Working;
                return Work::Write(inner.take_batch());
            }
            if inner.buffer.is_empty() && inner.state != State::Open {
                return self.end(inner);
            }
            if let Room::Owed(at) | Room::None(at) = inner.room {
                inner.writer = Rest::Lingering;
                let closing = inner.state == State::Closing;
                if closing || self.work.wait_until(&mut inner, at).timed_out() {
                    return Work::LookForRoom;
                }
            } else if inner.writer == Rest::Working {
                inner.writer = Rest::Lingering;
                self.work.wait_for(&mut inner, LINGER);
            } else {
                inner.writer = Rest::Sleeping;
                self.work.wait(&mut inner);
            }
        }
    }

    fn end(&self, mut inner: MutexGuard<'_, Inner>) -> Work {
        if inner.state == State::Closing {
            inner.state = State::Drained;
        }
        drop(inner);
        self.wanted.notify_one();
        Work::End
    }

    /// Begins a new segment when the current one is full and there is room for one.
    fn rotate_where_full(&self, batch: &mut Batch) -> Result<(), std::io::Error> {
        let is_due =
            batch.offset >= self.limits.segment_bytes_max && self.inner.lock().room == Room::Plenty;
        if !is_due {
            return Ok(());
        }
        match self.begin_segment() {
            Err(error) if room::is_lacking(&error) => self.refuse_for_room(),
            begun => begun?,
        }
        let inner = self.inner.lock();
        batch.file = Arc::clone(&inner.segments.current);
        batch.offset = inner.segment_bytes();
        Ok(())
    }

    /// Begins a new segment at the position written; nobody may be writing.
    pub(super) fn begin_segment(&self) -> Result<(), std::io::Error> {
        let position = self.inner.lock().written;
        let room_bytes = self.limits.room_bytes();
        let new = Arc::new(self.folder.create_segment(position, room_bytes)?);
        failpoint::pass("journal.rotated");
        let mut inner = self.inner.lock();
        let full = std::mem::replace(&mut inner.segments.current, new);
        inner.segments.unsynced.push(full);
        inner.segments.folder_changed = true;
        inner.segments.starts.push(position);
        Ok(())
    }

    fn publish_written(
        &self,
        mut batch: Vec<u8>,
        slow_until: Option<Instant>,
    ) -> MutexGuard<'_, Inner> {
        let bytes = batch.len() as u64;
        batch.clear();
        batch.shrink_to(BUFFER_BYTES_KEPT);

        let mut inner = self.inner.lock();
        inner.spare = batch;
        inner.writing = false;
        inner.slow_until = slow_until.or(inner.slow_until);
        inner.written += bytes;
        let position = inner.written;
        let reached = take_until(&mut inner.awaiting_write, position);
        let sync = inner.syncer == Rest::Sleeping && inner.sync_is_wanted();
        let journal_bytes = position - self.released.load(Ordering::Relaxed);
        self.written.store(position, Ordering::Release);
        MutexGuard::unlocked(&mut inner, || {
            if sync {
                self.wanted.notify_one();
            }
            home::tell(reached);
            self.meters.set_bytes(journal_bytes);
        });
        inner
    }
}

impl Inner {
    /// Takes everything appended; whoever has it is the one who writes.
    fn take_batch(&mut self) -> Batch {
        self.writing = true;
        let spare = std::mem::take(&mut self.spare);
        Batch {
            bytes: std::mem::replace(&mut self.buffer, spare),
            file: Arc::clone(&self.segments.current),
            offset: self.segment_bytes(),
        }
    }
}
