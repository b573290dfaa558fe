//! Writes down when keys were used: in batches, because an update per request would be a hot row.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{Keys, store};

/// How often uses are written down; `last_used_at` is at most that old.
const INTERVAL: Duration = Duration::from_secs(30);

/// Keys per statement, so that no statement locks many rows for long.
const BATCH: usize = 500;

/// Writes uses down until it is stopped, and once more then.
pub(super) async fn run(keys: Keys, stop: CancellationToken) {
    let mut tick = interval(INTERVAL);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        flush(&keys).await;
    }
    flush(&keys).await;
}

/// Writes the uses since the last time. One that cannot be written is lost: the next use of the
/// key is as good.
pub(super) async fn flush(keys: &Keys) {
    let mut uses = keys.shared.memory.take_used();
    // In one order everywhere, so that two gateways never wait for each other.
    uses.sort_unstable_by_key(|used| used.key);
    for batch in uses.chunks(BATCH) {
        if let Err(error) = store::note_uses(&keys.shared.database, batch).await {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "last uses of keys could not be written down");
            return;
        }
    }
}
