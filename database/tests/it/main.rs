//! What the database promises: tenants apart, conflicts repeated, data that survive, one server per folder.

#[cfg(test)]
mod invariants;
#[cfg(test)]
mod server;
#[cfg(test)]
mod tenancy;

use std::time::{Duration, Instant};

/// Waits until a condition holds; fails when it does not come true in a minute.
async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !holds().await {
        assert!(started.elapsed() < Duration::from_mins(1), "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
