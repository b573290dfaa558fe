//! Gives back what lies idle, so that other nodes can have it, and forgets quotas that nobody asks about.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::slot::{Slot, State};
use super::{Quota, Shared};
use crate::store::leases;

/// An organization that made no request for so long is forgotten; its next request asks the database once.
const FORGOTTEN_AFTER: Duration = Duration::from_mins(15);

pub(super) async fn run(quota: Quota, stop: CancellationToken) {
    let idle = quota.shared.options.lease_idle_return;
    let mut sweeps = interval((idle / 2).max(Duration::from_millis(10)));
    sweeps.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        if stop.run_until_cancelled(sweeps.tick()).await.is_none() {
            return;
        }
        let shared = &quota.shared;
        for slot in slots(shared) {
            if slot.idle_for() >= idle {
                give_back(shared, &slot).await;
            }
        }
        shared
            .budgets
            .retain(|_, known| known.idle_for() < FORGOTTEN_AFTER);
        shared.slots.retain(|_, slot| !is_forgotten(slot));
    }
}

/// What is still held, or will come back to its lease, has to be given back first.
fn is_forgotten(slot: &Arc<Slot>) -> bool {
    slot.idle_for() >= FORGOTTEN_AFTER && Arc::strong_count(slot) == 1 && !slot.holds_anything()
}

pub(super) async fn give_all_back(shared: &Shared) {
    for slot in slots(shared) {
        give_back(shared, &slot).await;
    }
}

/// No lock of the map is held while the database is asked.
fn slots(shared: &Shared) -> Vec<Arc<Slot>> {
    shared.slots.iter().map(|slot| Arc::clone(&slot)).collect()
}

async fn give_back(shared: &Shared, slot: &Slot) {
    let _guard = slot.refill.lock().await;
    let State::Leased(lease) = slot.state() else {
        return;
    };
    let amount = lease.take_all();
    if amount == 0 {
        return;
    }
    let committing = std::sync::atomic::AtomicBool::new(false);
    let returned = leases::give_back(
        &shared.database,
        (slot.organization, slot.limit),
        (lease.id, amount),
        &committing,
    );
    if let Err(error) = returned.await {
        if !committing.load(std::sync::atomic::Ordering::Acquire) {
            lease.give(amount);
        }
        tracing::debug!(
            error = &error as &dyn std::error::Error,
            "an idle lease could not be given back yet"
        );
    }
}
