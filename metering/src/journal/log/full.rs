//! A full disk: new obligations are refused, what is owed goes on, and room is looked for until there is some.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::MutexGuard;

use super::{Error, HELD_BYTES_MAX, Inner, Log, Room, State, Waiters};
use crate::journal::room;

/// How often room is looked for: soon enough that nobody restarts anything, rarely enough to cost nothing.
const LOOK_EVERY: Duration = Duration::from_millis(250);

impl Log {
    /// There is no room for the next segment: what is owed has what was kept in this one.
    pub(super) fn refuse_for_room(&self) {
        let inner = self.inner.lock();
        self.lack_room(inner, Room::Owed);
    }

    /// What was to be written has no room at all, and waits.
    pub(super) fn stop_for_room(&self, batch: Vec<u8>) -> MutexGuard<'_, Inner> {
        let mut inner = self.inner.lock();
        inner.put_back(batch);
        self.lack_room(inner, Room::None);
        self.inner.lock()
    }

    fn lack_room(&self, mut inner: MutexGuard<'_, Inner>, room: fn(Instant) -> Room) {
        let is_new = inner.room == Room::Plenty;
        inner.room = room(Instant::now() + LOOK_EVERY);
        let refused = inner.take_refusable();
        // The writer's thread looks for room, and may be asleep.
        self.wake_writer(&mut inner);
        drop(inner);
        if is_new {
            tracing::error!(
                "there is no room for the journal; billable calls are refused until there is"
            );
            self.meters.full.set(1);
        }
        for waiter in refused {
            let _ = waiter.reached.send(Err(Error::Full));
        }
    }

    /// Looks for room, in the writer's thread; where the journal is being closed and there is none, it gives up.
    pub(super) fn look_for_room(&self) {
        match self.find_room() {
            Ok(()) => {
                let mut inner = self.inner.lock();
                inner.room = Room::Plenty;
                self.take_held(&mut inner);
                drop(inner);
                self.meters.full.set(0);
                tracing::info!("there is room for the journal again");
            }
            Err(error) if room::is_lacking(&error) => {
                let mut inner = self.inner.lock();
                let stuck = matches!(inner.room, Room::None(_));
                if stuck && inner.state == State::Closing {
                    drop(inner);
                    return self.fail("written", &error);
                }
                // Where nothing could be written it is tried again, with what was given free meanwhile.
                inner.room = Room::Owed(Instant::now() + LOOK_EVERY);
            }
            Err(error) => self.fail("written", &error),
        }
    }

    fn find_room(&self) -> Result<(), io::Error> {
        let (current, is_over) = {
            let inner = self.inner.lock();
            let is_over = inner.segment_bytes() >= self.limits.segment_bytes_max;
            (Arc::clone(&inner.segments.current), is_over)
        };
        if is_over {
            self.begin_segment()
        } else {
            room::keep(&current, self.limits.room_bytes())
        }
    }

    /// Keeps a hit's record in memory; what does not fit is counted, and costs nobody anything.
    pub(super) fn hold(&self, inner: &mut Inner, frame: &[u8]) {
        if inner.held.len() + frame.len() > HELD_BYTES_MAX {
            self.meters.unbooked_hits.increment(1);
            return;
        }
        inner.held.extend_from_slice(frame);
    }

    /// Appends what was held, if there is room now.
    pub(super) fn take_held(&self, inner: &mut Inner) {
        let held = std::mem::take(&mut inner.held);
        if self.admit(inner, &held, super::Admission::Free).is_ok() {
            inner.put(&held);
        } else {
            inner.held = held;
        }
    }
}

impl Inner {
    /// What is written of the segment that is written to.
    pub(super) fn segment_bytes(&self) -> u64 {
        let start = self.segments.starts.last().copied();
        self.written - start.unwrap_or(self.written)
    }

    fn put_back(&mut self, mut batch: Vec<u8>) {
        batch.append(&mut self.buffer);
        self.spare = std::mem::replace(&mut self.buffer, batch);
        self.writing = false;
    }

    /// Those who wait for a record that may be refused; the record stays, and is settled as cancelled by whoever drops it.
    fn take_refusable(&mut self) -> Waiters {
        let mut refused = Waiters::new();
        for waiters in [&mut self.awaiting_write, &mut self.awaiting_sync] {
            let (refusable, owed) = std::mem::take(waiters)
                .into_iter()
                .partition(|waiter| waiter.refusable);
            *waiters = owed;
            refused.extend::<Waiters>(refusable);
        }
        refused
    }
}
