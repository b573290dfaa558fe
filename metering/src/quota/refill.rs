//! Asks the database for more of a quota: one question at a time per quota, on a task that no caller's leaving interrupts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use config::section::NoQuota;
use tokio::sync::OwnedMutexGuard;
use types::Id;

use super::Shared;
use super::counted;
use super::lease::{Lease, Slice};
use super::limit::Limit;
use super::refusal::Refusal;
use super::slot::{Slot, State, Step};
use crate::store::leases::{self, Ask, Granted};

/// Fetches what a caller needs and takes it for it. `None`: the caller should look again.
pub(super) async fn for_caller(
    shared: &Arc<Shared>,
    slot: &Arc<Slot>,
    amount: u64,
) -> Result<Option<Slice>, Refusal> {
    let guard = Arc::clone(&slot.refill).lock_owned().await;
    // Whoever asked before may have brought enough, or the answer that there is none.
    match slot.take(amount, shared.clock.now()) {
        Step::Taken(slice) => return Ok(Some(slice)),
        Step::Refused(refusal) => return Err(counted(refusal)),
        Step::Refill => {}
    }
    let refill = demand(Arc::clone(shared), Arc::clone(slot), amount, guard);
    let refilled = shared.tasks.spawn(refill).await;
    let unavailable = Refusal::Unavailable {
        resource: slot.resource,
    };
    refilled.unwrap_or(Err(unavailable)).map_err(counted)
}

/// Fetches more before anyone has to wait, unless somebody is at it.
pub(super) fn ahead(shared: &Arc<Shared>, slot: &Arc<Slot>) {
    let Ok(guard) = Arc::clone(&slot.refill).try_lock_owned() else {
        return;
    };
    shared
        .tasks
        .spawn(top_up(Arc::clone(shared), Arc::clone(slot), guard));
}

async fn demand(
    shared: Arc<Shared>,
    slot: Arc<Slot>,
    amount: u64,
    _guard: OwnedMutexGuard<()>,
) -> Result<Option<Slice>, Refusal> {
    let lease = current(&shared, &slot);
    let give_back = lease.take_all();
    let committing = AtomicBool::new(false);
    let ask = Ask {
        lease: lease.id,
        give_back,
        wanted: shared.lease_max(slot.resource).max(amount),
        needed: amount,
    };
    let doubts = slot.doubts();
    match ask_database(&shared, &slot, ask, &committing).await {
        Ok(granted) => {
            let applied = apply(&shared, &slot, &lease, granted, amount);
            slot.doubt_if_newer(doubts);
            applied
        }
        Err(error) => {
            // Certainly not given back: it can be spent on. Where the commit's outcome is not known it stays reserved for
            // nobody until the node ends, which never overspends.
            if !committing.load(Ordering::Acquire) {
                lease.give(give_back);
            }
            not_answered(&slot, &error)
        }
    }
}

/// The lease that is spent from, or the one that will be.
fn current(shared: &Shared, slot: &Slot) -> Arc<Lease> {
    match slot.state() {
        State::Leased(lease) => lease,
        State::Unknown | State::Unlimited { .. } => Arc::new(Lease::new(Id::new(&*shared.clock))),
    }
}

fn apply(
    shared: &Shared,
    slot: &Slot,
    lease: &Arc<Lease>,
    granted: Granted,
    amount: u64,
) -> Result<Option<Slice>, Refusal> {
    match granted {
        Granted::NoLimit if refuses_without_limit(shared, slot) => {
            let refusal = slot.exceeded(0, 0, None);
            slot.refuse(0, refusal.clone());
            Err(refusal)
        }
        // A budget that is gone limits nothing any more.
        Granted::NoLimit | Granted::Unlimited => {
            slot.set(State::Unlimited { stale: false });
            Ok(None)
        }
        Granted::Nothing {
            limit,
            used,
            reset_at,
        } => {
            let refusal = slot.exceeded(limit, used, reset_at);
            slot.refuse(amount, refusal.clone());
            Err(refusal)
        }
        Granted::Lease {
            id,
            amount: granted,
            period_end,
        } => {
            let lease = if id == lease.id {
                Arc::clone(lease)
            } else {
                Arc::new(Lease::new(id))
            };
            let slice = lease.grant_and_take(granted, period_end, amount);
            slot.set(State::Leased(lease));
            Ok(Some(slice))
        }
    }
}

fn refuses_without_limit(shared: &Shared, slot: &Slot) -> bool {
    matches!(slot.limit, Limit::Quota(_)) && shared.options.no_quota == NoQuota::Refuse
}

/// Tops up a lease, or asks whether there is still no limit.
async fn top_up(shared: Arc<Shared>, slot: Arc<Slot>, _guard: OwnedMutexGuard<()>) {
    let lease = current(&shared, &slot);
    let ask = Ask {
        lease: lease.id,
        give_back: 0,
        wanted: shared.lease_max(slot.resource),
        needed: 1,
    };
    let doubts = slot.doubts();
    // Nothing is given back, so it does not matter what became of a commit.
    let granted = ask_database(&shared, &slot, ask, &AtomicBool::new(false)).await;
    let Ok(granted) = granted else {
        // Whoever needs it finds out, and is told why.
        return slot.pause_ahead();
    };
    if apply(&shared, &slot, &lease, granted, 0).is_err() {
        slot.pause_ahead();
        slot.limit();
    }
    slot.doubt_if_newer(doubts);
}

async fn ask_database(
    shared: &Shared,
    slot: &Slot,
    ask: Ask,
    committing: &AtomicBool,
) -> Result<Granted, database::Error> {
    let holder = leases::Holder {
        organization: slot.organization,
        limit: slot.limit,
        node: shared.node,
        life: shared.life,
    };
    let granted = leases::take(&shared.database, holder, ask, committing).await;
    let outcome = match &granted {
        Ok(_) => "answered",
        Err(_) => "failed",
    };
    metrics::counter!("flowpilot_quota_refills_total", "outcome" => outcome).increment(1);
    granted
}

/// The database did not answer, and nothing is known or held that would do without it.
fn not_answered(slot: &Slot, error: &database::Error) -> Result<Option<Slice>, Refusal> {
    tracing::warn!(
        resource = %slot.resource,
        error = error as &dyn std::error::Error,
        "a quota could not be asked for"
    );
    let refusal = Refusal::Unavailable {
        resource: slot.resource,
    };
    slot.refuse(0, refusal.clone());
    Err(refusal)
}
