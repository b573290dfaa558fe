//! Passes over what keeps failing, and lets one request at a time find out whether it is well again.
//!
//! Closed: everything is let through and counted. Open, after too large a share of failures: passed over for a while. Then
//! half-open: one request tries; if it succeeds, the breaker closes and forgets, if not, it opens again.
//! Lock-free: a request costs one atomic step, and races between requests can only miscount by a few.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use config::section::Routing;

/// The window is remembered in so many parts, which expire one by one.
const SLOTS: u64 = 10;
const SLOT_COUNT: usize = 10;

/// The breaker of one deployment; times are milliseconds since its beginning.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    slots: [AtomicU64; SLOT_COUNT],
    /// When it becomes half-open; 0: closed.
    opens_until: AtomicU64,
    /// Whether a request is trying.
    is_tried: AtomicBool,
}

/// What a breaker says to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Go on.
    Closed,
    /// One request may try, and nobody does yet.
    HalfOpen,
    /// Not before this moment.
    Open {
        /// Milliseconds since the beginning.
        until: u64,
    },
}

/// What became of a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// It was closed and is open.
    Opened,
    /// It was open and is closed.
    Closed,
}

/// Counts of one part of the window, packed into a word: 32 bits for when, 16 for each count.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    tick: u32,
    failed: u16,
    total: u16,
}

impl Breaker {
    /// What it says at a moment.
    pub(crate) fn state(&self, now: u64) -> State {
        match self.opens_until.load(Ordering::Acquire) {
            0 => State::Closed,
            until if now < until => State::Open { until },
            until if self.is_tried.load(Ordering::Acquire) => State::Open { until },
            _ => State::HalfOpen,
        }
    }

    /// Takes the one place to try, if it is half-open. Whoever gets it gives it back with [`Breaker::let_go`].
    pub(crate) fn try_out(&self) -> bool {
        let taken = self.is_tried.swap(true, Ordering::AcqRel);
        !taken
    }

    /// Gives the place to try back.
    pub(crate) fn let_go(&self) {
        self.is_tried.store(false, Ordering::Release);
    }

    /// Takes note of an outcome; `was_open` says that the request was sent although the breaker was not closed.
    pub(crate) fn note(
        &self,
        options: &Routing,
        now: u64,
        failed: bool,
        was_open: bool,
    ) -> Option<Change> {
        if was_open {
            return self.note_trial(options, now, failed);
        }
        let tick = tick(options, now);
        self.count(tick, failed);
        if !failed || !self.is_too_much(options, tick) {
            return None;
        }
        let opens_until = reopens_at(options, now);
        let opened =
            self.opens_until
                .compare_exchange(0, opens_until, Ordering::AcqRel, Ordering::Acquire);
        opened.is_ok().then_some(Change::Opened)
    }

    fn note_trial(&self, options: &Routing, now: u64, failed: bool) -> Option<Change> {
        if failed {
            let opens_until = reopens_at(options, now);
            self.opens_until.store(opens_until, Ordering::Release);
            return None;
        }
        for slot in &self.slots {
            slot.store(0, Ordering::Relaxed);
        }
        let before = self.opens_until.swap(0, Ordering::AcqRel);
        (before != 0).then_some(Change::Closed)
    }

    fn count(&self, tick: u32, failed: bool) {
        let index = usize::try_from(u64::from(tick) % SLOTS).unwrap_or_default();
        let Some(slot) = self.slots.get(index) else {
            return;
        };
        // The closure always gives a value, so this cannot fail.
        let _ = slot.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |packed| {
            Some(Slot::unpack(packed).with(tick, failed).pack())
        });
    }

    fn is_too_much(&self, options: &Routing, tick: u32) -> bool {
        let slots = self.slots.iter();
        let slots = slots.map(|slot| Slot::unpack(slot.load(Ordering::Relaxed)));
        let current = slots.filter(|slot| u64::from(tick.wrapping_sub(slot.tick)) < SLOTS);
        let (failed, total) = current.fold((0_u64, 0_u64), |(failed, total), slot| {
            (
                failed + u64::from(slot.failed),
                total + u64::from(slot.total),
            )
        });
        total >= u64::from(options.breaker_requests_min)
            && failed * 100 >= total * u64::from(options.breaker_failures_percent)
    }
}

impl Slot {
    fn unpack(packed: u64) -> Self {
        let part = |shift: u32| u16::try_from(packed >> shift & 0xffff).unwrap_or_default();
        Self {
            tick: u32::try_from(packed >> 32).unwrap_or_default(),
            failed: part(16),
            total: part(0),
        }
    }

    fn pack(self) -> u64 {
        u64::from(self.tick) << 32 | u64::from(self.failed) << 16 | u64::from(self.total)
    }

    fn with(self, tick: u32, failed: bool) -> Self {
        let before = if self.tick == tick {
            self
        } else {
            Self {
                tick,
                ..Self::default()
            }
        };
        Self {
            tick,
            failed: before.failed.saturating_add(u16::from(failed)),
            total: before.total.saturating_add(1),
        }
    }
}

/// Which part of the window a moment belongs to, from 1: an empty slot is of none.
fn tick(options: &Routing, now: u64) -> u32 {
    let window = millis(options.breaker_window);
    let tick = now / (window / SLOTS).max(1);
    u32::try_from(tick.saturating_add(SLOTS)).unwrap_or(u32::MAX)
}

fn reopens_at(options: &Routing, now: u64) -> u64 {
    now.saturating_add(millis(options.breaker_open)).max(1)
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 4 requests within a second, half of them failed; open for 5 seconds.
    fn options() -> Routing {
        let text = "[routing]\nbreaker_window_ms = 1000\nbreaker_requests_min = 4\nbreaker_failures_percent = 50\nbreaker_open_ms = 5000";
        config::Config::from_toml(text).unwrap().routing
    }

    fn opened_at(now: u64) -> Breaker {
        let breaker = Breaker::default();
        for _ in 0..3 {
            assert_eq!(breaker.note(&options(), now, true, false), None);
        }
        let change = breaker.note(&options(), now, true, false);
        assert_eq!(change, Some(Change::Opened));
        breaker
    }

    #[test]
    fn it_opens_at_the_share_of_failures_and_not_before_there_are_enough_requests() {
        let breaker = opened_at(7);
        assert_eq!(breaker.state(7), State::Open { until: 5007 });

        let breaker = Breaker::default();
        for failed in [true, false, false, false, true, false, false, true] {
            assert_eq!(breaker.note(&options(), 7, failed, false), None);
        }
        assert_eq!(breaker.state(7), State::Closed);
    }

    #[test]
    fn failures_are_forgotten_after_the_window() {
        let breaker = Breaker::default();
        for now in [0, 0, 0, 1_000, 2_000, 2_050] {
            assert_eq!(breaker.note(&options(), now, true, false), None, "{now}");
        }
        assert_eq!(breaker.note(&options(), 2_999, true, false), None);
        let fourth = breaker.note(&options(), 2_999, true, false);
        assert_eq!(fourth, Some(Change::Opened));
    }

    #[test]
    fn when_half_open_one_request_at_a_time_tries_and_success_closes_it() {
        let breaker = opened_at(0);
        assert_eq!(breaker.state(5_000), State::HalfOpen);
        assert!(breaker.try_out());
        assert!(!breaker.try_out());
        assert!(matches!(breaker.state(5_000), State::Open { .. }));
        let change = breaker.note(&options(), 5_001, false, true);
        breaker.let_go();
        assert_eq!(change, Some(Change::Closed));
        assert_eq!(breaker.state(5_001), State::Closed);
        // What was before is forgotten.
        assert_eq!(breaker.note(&options(), 5_002, true, false), None);
    }

    #[test]
    fn a_trial_that_fails_opens_it_again() {
        let breaker = opened_at(0);
        assert!(breaker.try_out());
        assert_eq!(breaker.note(&options(), 6_000, true, true), None);
        breaker.let_go();
        assert_eq!(breaker.state(6_000), State::Open { until: 11_000 });
    }
}
