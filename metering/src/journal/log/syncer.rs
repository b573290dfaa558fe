//! The syncer's thread: syncs when somebody waits for durability, and then for all who wait by then.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use fs_err as fs;

use super::{Log, Rest, State, home, take_until};
use crate::failpoint;
use crate::journal::room;

/// A group commit of so many means load, under which a sync for each few requests costs more than it gains.
const GROUP_MIN: usize = 4;

/// How long more are waited for then: a thousandth of what a model takes to answer. Under load a sync costs several requests' work,
/// and waiting longer did not make the median slower: the disk and the processors are free for others meanwhile.
const GATHER: Duration = Duration::from_micros(700);

/// What is to be synced.
struct Sync {
    position: u64,
    current: Arc<fs::File>,
    full: Vec<Arc<fs::File>>,
    folder_changed: bool,
    last: bool,
}

impl Log {
    /// The syncer's thread: kernel to disk, when somebody waits for it.
    pub(in crate::journal) fn sync_until_closed(&self) {
        let mut group = 0;
        while let Some(work) = self.next_sync(group) {
            if let Err(error) = self.sync(&work) {
                return self.fail("synced", &error);
            }
            failpoint::pass("journal.synced");
            self.meters.fsyncs.increment(1);
            group = self.publish_durable(work.position);
            if work.last {
                return;
            }
        }
    }

    /// Writes what waits to be synced, as far as nobody else did, and waits until a sync is wanted. After a group of several, more are likely to come at once: they are waited for.
    fn next_sync(&self, last_group: usize) -> Option<Sync> {
        if last_group >= GROUP_MIN {
            thread::sleep(GATHER);
        }
        let mut inner = self.inner.lock();
        loop {
            if inner.state == State::Failed {
                return None;
            }
            if inner.awaits_writing() && !inner.writing {
                if self.may_write_now(&mut inner) {
                    inner = self.write_batch(inner)?;
                    // What came meanwhile found somebody writing and woke nobody.
                    if !inner.buffer.is_empty() {
                        self.wake_writer(&mut inner);
                    }
                    continue;
                }
                self.wake_writer(&mut inner);
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
            room::give_back(full)?;
            failpoint::sync(full.path())?;
            full.sync_data()?;
        }
        failpoint::sync(work.current.path())?;
        work.current.sync_data()?;
        if work.folder_changed {
            self.folder.sync()?;
        }
        Ok(())
    }

    /// Tells those who waited; says how many there were.
    fn publish_durable(&self, position: u64) -> usize {
        let reached = {
            let mut inner = self.inner.lock();
            take_until(&mut inner.awaiting_sync, position)
        };
        for waiter in &reached {
            self.meters.fsync_wait.record(waiter.since.elapsed());
        }
        let group = reached.len();
        home::tell(reached);
        group
    }
}
