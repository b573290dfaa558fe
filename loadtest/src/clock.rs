//! The one place where this tool asks what time it is.

use std::time::{SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Utc};

/// The time now.
#[expect(
    clippy::disallowed_methods,
    reason = "a tool without the gateway's crates has no `types::Clock`"
)]
pub fn now() -> DateTime<Utc> {
    DateTime::from(SystemTime::now())
}

/// Seconds since 1970.
pub fn unix_seconds() -> u64 {
    u64::try_from(now().timestamp()).unwrap_or_default()
}

/// Nanoseconds since 1970; what seeds are made of when none is given.
#[expect(
    clippy::disallowed_methods,
    reason = "a tool without the gateway's crates has no `types::Clock`"
)]
pub fn seed() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let nanoseconds = since.unwrap_or_default().as_nanos();
    u64::try_from(nanoseconds & u128::from(u64::MAX)).unwrap_or_default()
}
