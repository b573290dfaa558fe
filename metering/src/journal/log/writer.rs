//! The writer's thread: takes the whole buffer and hands it to the kernel in one write, while the next buffer fills.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fs_err as fs;

use super::{Log, Rest, State, take_until};

/// How long the writer looks on after work before it sleeps for good: records that nobody waits for are written within this
/// time without anyone paying for a wake-up.
const LINGER: Duration = Duration::from_millis(5);

/// A buffer that grew larger is not kept.
const BUFFER_BYTES_KEPT: usize = 1024 * 1024;

impl Log {
    /// The writer's thread: buffer to kernel.
    pub(in crate::journal) fn write_until_closed(&self) {
        let mut batch = Vec::new();
        while let Some(mut file) = self.next_batch(&mut batch) {
            let written = self
                .rotated(&mut file)
                .and_then(|()| (&*file).write_all(&batch));
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
}
