//! Where the time comes from: the system's clock, or a test's.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, SubsecRound, Utc};

/// Tells the time of day. Durations are measured with [`std::time::Instant`] instead.
pub trait Clock: fmt::Debug + Send + Sync {
    /// The present, in UTC, cut to microseconds: what PostgreSQL can store without changing it.
    fn now(&self) -> DateTime<Utc>;
}

/// The operating system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

/// A clock that stands still until a test moves it.
#[derive(Debug)]
pub struct TestClock {
    unix_micros: AtomicI64,
}

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that asks the system"
    )]
    fn now(&self) -> DateTime<Utc> {
        Utc::now().trunc_subsecs(6)
    }
}

impl TestClock {
    /// A clock showing an RFC 3339 time; text that is none gives the Unix epoch.
    pub fn at(time: &str) -> Self {
        let time = DateTime::parse_from_rfc3339(time).map_or(DateTime::UNIX_EPOCH, |t| t.to_utc());
        Self {
            unix_micros: AtomicI64::new(time.timestamp_micros()),
        }
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        self.unix_micros.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.unix_micros.load(Ordering::SeqCst)).unwrap_or_default()
    }
}
