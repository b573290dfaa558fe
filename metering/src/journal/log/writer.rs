//! Writing: takes the whole buffer and hands it to the kernel in one write, in a caller's thread or in the writer's.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use fs_err as fs;
use parking_lot::MutexGuard;

use super::{Await, Inner, Log, Rest, State, home, take_until};

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

impl Log {
    /// The writer's thread: buffer to kernel, for whatever callers do not write themselves.
    pub(in crate::journal) fn write_until_closed(&self) {
        while let Some((batch, mut file)) = self.next_batch() {
            let written = self
                .rotated(&mut file)
                .and_then(|()| (&*file).write_all(&batch));
            if let Err(error) = written {
                return self.fail("written", &error);
            }
            drop(self.publish_written(batch, None));
        }
    }

    /// Whether the caller may write: nobody does, the disk is quick, and the segment has room.
    pub(super) fn may_write_now(&self, inner: &mut Inner) -> bool {
        let start = inner.segments.starts.last().copied();
        let is_full =
            start.is_none_or(|start| inner.written - start >= self.limits.segment_bytes_max);
        if inner.writing || is_full || inner.state == State::Failed {
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
        let (batch, file) = inner.take_batch();
        drop(inner);
        let began = Instant::now();
        if let Err(error) = (&*file).write_all(&batch) {
            self.fail("written", &error);
            return None;
        }
        let slow = began.elapsed() > WRITE_MAX;
        Some(self.publish_written(batch, slow.then(|| Instant::now() + SLOW_FOR)))
    }

    /// Waits for records that nobody is writing and takes them all; `None` when there will be no more.
    fn next_batch(&self) -> Option<(Vec<u8>, Arc<fs::File>)> {
        let mut inner = self.inner.lock();
        while inner.buffer.is_empty() || inner.writing {
            if inner.state == State::Failed {
                return None;
            }
            if inner.state != State::Open && !inner.writing {
                if inner.state == State::Closing {
                    inner.state = State::Drained;
                }
                drop(inner);
                self.wanted.notify_one();
                return None;
            }
            if inner.writer == Rest::Working || inner.writing {
                inner.writer = Rest::Lingering;
                self.work.wait_for(&mut inner, LINGER);
            } else {
                inner.writer = Rest::Sleeping;
                self.work.wait(&mut inner);
            }
        }
        inner.writer = Rest::Working;
        Some(inner.take_batch())
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
    fn take_batch(&mut self) -> (Vec<u8>, Arc<fs::File>) {
        self.writing = true;
        let spare = std::mem::take(&mut self.spare);
        let batch = std::mem::replace(&mut self.buffer, spare);
        (batch, Arc::clone(&self.segments.current))
    }
}
