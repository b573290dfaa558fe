//! Counts how often each template is used, and writes the counts down now and then.
//!
//! A count is a hint for people, no booking: what a dying process has not written is lost.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use database::Database;
use parking_lot::Mutex;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use types::Id;
use types::id::Template;

use super::store;

/// How often the counts are written.
const WRITE_INTERVAL: Duration = Duration::from_secs(5);

/// Templates counted between two writes at most; more are used so seldom that it does not show.
const COUNTED_MAX: usize = 10_000;

/// The counts since the last write.
#[derive(Debug, Default)]
pub(crate) struct Uses(Mutex<HashMap<Id<Template>, u32>>);

impl Uses {
    /// Counts one use.
    pub(crate) fn add(&self, template: Id<Template>) {
        let mut counts = self.0.lock();
        if let Some(count) = counts.get_mut(&template) {
            *count = count.saturating_add(1);
        } else if counts.len() < COUNTED_MAX {
            counts.insert(template, 1);
        }
    }

    async fn write(&self, database: &Database) {
        let counts: Vec<_> = self.0.lock().drain().collect();
        if counts.is_empty() {
            return;
        }
        if let Err(error) = store::add_uses(database, &counts).await {
            let error = &error as &dyn std::error::Error;
            tracing::debug!(error, "the uses of templates were not written");
            let mut again = self.0.lock();
            for (template, count) in counts.into_iter().take(COUNTED_MAX) {
                let sum = again.entry(template).or_default();
                *sum = sum.saturating_add(count);
            }
        }
    }
}

/// Writes the counts until told to stop, and once more then.
pub(super) async fn write_always(uses: Arc<Uses>, database: Database, stop: CancellationToken) {
    let mut tick = interval(WRITE_INTERVAL);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        uses.write(&database).await;
    }
    uses.write(&database).await;
}
