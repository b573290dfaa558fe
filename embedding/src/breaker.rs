//! Leaves a model alone that has been failing, so that not every request pays its whole time budget.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Failures in a row after which the model is left alone.
const FAILURES_MAX: u32 = 8;

/// How long it is left alone.
const PAUSE: Duration = Duration::from_secs(2);

/// The recent failures.
#[derive(Debug, Default)]
pub(crate) struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    paused_until: Option<Instant>,
}

impl Breaker {
    /// Whether nobody should ask now.
    pub(crate) fn is_open(&self, now: Instant) -> bool {
        self.0.lock().paused_until.is_some_and(|until| now < until)
    }

    pub(crate) fn success(&self) {
        *self.0.lock() = State::default();
    }

    /// Notes a failure; returns whether the model is left alone from now on, for the log.
    pub(crate) fn failure(&self, now: Instant) -> bool {
        let mut state = self.0.lock();
        state.failures = state.failures.saturating_add(1);
        if state.failures < FAILURES_MAX {
            return false;
        }
        state.paused_until = Some(now + PAUSE);
        state.failures == FAILURES_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_after_failures_in_a_row_and_closes_by_itself() {
        let breaker = Breaker::default();
        let now = Instant::now();
        let opened = (0..FAILURES_MAX).filter(|_| breaker.failure(now)).count();
        assert_eq!(opened, 1);
        assert!(breaker.is_open(now));
        assert!(!breaker.is_open(now + PAUSE));
        breaker.success();
        assert!(!breaker.is_open(now));
    }
}
