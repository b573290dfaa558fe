//! What to do when the database does not answer: stop asking for a moment, and do not fill the log.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Failures in a row after which the database is left alone. One slow answer is no reason to forgo the next.
const FAILURES_MAX: u32 = 5;

/// How long it is left alone: every request would otherwise pay the whole look-up timeout.
const PAUSE: Duration = Duration::from_secs(1);

/// How often the same trouble is logged at most.
const LOG_INTERVAL: Duration = Duration::from_mins(1);

/// The recent failures of one operation.
#[derive(Debug, Default)]
pub(crate) struct Fault(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    paused_until: Option<Instant>,
    logged_at: Option<Instant>,
}

impl Fault {
    /// Whether the operation is to be left out for now.
    pub(crate) fn is_paused(&self, now: Instant) -> bool {
        self.0.lock().paused_until.is_some_and(|until| now < until)
    }

    /// Notes a success.
    pub(crate) fn end(&self) {
        let mut state = self.0.lock();
        state.failures = 0;
        state.paused_until = None;
    }

    /// Notes a failure; returns whether it is to be logged.
    pub(crate) fn begin(&self, now: Instant) -> bool {
        let mut state = self.0.lock();
        state.failures = state.failures.saturating_add(1);
        if state.failures >= FAILURES_MAX {
            state.paused_until = Some(now + PAUSE);
        }
        let due = state
            .logged_at
            .is_none_or(|at| now.duration_since(at) >= LOG_INTERVAL);
        if due {
            state.logged_at = Some(now);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_database_is_left_alone_after_failures_in_a_row_and_asked_again_later() {
        let fault = Fault::default();
        let now = Instant::now();

        let logged = (0..FAILURES_MAX).filter(|_| fault.begin(now)).count();
        assert_eq!(logged, 1);
        assert!(fault.is_paused(now));
        assert!(!fault.is_paused(now + PAUSE));

        fault.end();
        assert!(!fault.is_paused(now));
        assert!(
            fault.begin(now + LOG_INTERVAL),
            "a minute later it is logged again"
        );
        assert!(!fault.is_paused(now + LOG_INTERVAL));
    }
}
