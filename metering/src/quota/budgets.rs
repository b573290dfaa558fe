//! Which budgets an organization has, as far as this node serves it: asked once, then kept until one changes.
//!
//! An organization without budgets costs one look in memory per request. A change is noticed as a quota's is; what was
//! known holds until the new list is there, and nobody waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use types::Id;
use types::id::Organization;

use super::limit::{Limit, Resource, Scope};
use super::refusal::Refusal;
use super::slot::Slot;
use super::{Shared, counted};
use crate::store::budgets as store;

/// A budget that is spent from.
#[derive(Debug)]
pub(super) struct Budget {
    pub(super) scope: Arc<Scope>,
    pub(super) resource: Resource,
    pub(super) id: Id<types::id::Budget>,
    /// What a hard one is spent from; a soft one is only counted, when the usage is booked.
    pub(super) slot: Option<Arc<Slot>>,
}

/// An organization's budgets, in the order in which they are taken.
#[derive(Debug)]
pub(super) struct Known {
    budgets: ArcSwapOption<Vec<Budget>>,
    /// The list may have changed since it was asked.
    stale: AtomicBool,
    /// Held by whoever asks the database.
    asking: Arc<tokio::sync::Mutex<()>>,
    made: Instant,
    used_ms: AtomicU64,
}

impl Known {
    pub(super) fn new() -> Self {
        Self {
            budgets: ArcSwapOption::empty(),
            stale: AtomicBool::new(false),
            asking: Arc::default(),
            made: Instant::now(),
            used_ms: AtomicU64::new(0),
        }
    }

    /// One may have been made, changed or deleted.
    pub(super) fn doubt(&self) {
        self.stale.store(true, Ordering::Release);
    }

    pub(super) fn idle_for(&self) -> Duration {
        let idle = self.now_ms() - self.used_ms.load(Ordering::Relaxed).min(self.now_ms());
        Duration::from_millis(idle)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.made.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// The organization's budgets; none of them is known to be gone, and the answer of the database is awaited only once.
pub(super) async fn of(
    shared: &Arc<Shared>,
    organization: Id<Organization>,
    resource: Resource,
) -> Result<Arc<Vec<Budget>>, Refusal> {
    let known = shared.budgets_of(organization);
    known.used_ms.store(known.now_ms(), Ordering::Relaxed);
    if let Some(budgets) = known.budgets.load_full() {
        if known.stale.load(Ordering::Acquire) {
            ask_ahead(shared, organization, &known);
        }
        return Ok(budgets);
    }
    let _guard = known.asking.lock().await;
    if let Some(budgets) = known.budgets.load_full() {
        return Ok(budgets);
    }
    // On the heap, so that a request that knows them does not carry a transaction's size.
    let asked = Box::pin(ask(shared, organization, &known)).await;
    asked.map_err(|error| {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "budgets could not be asked for"
        );
        counted(Refusal::Unavailable { resource })
    })
}

/// Asks on a task of its own, unless somebody is at it.
fn ask_ahead(shared: &Arc<Shared>, organization: Id<Organization>, known: &Arc<Known>) {
    let Ok(guard) = Arc::clone(&known.asking).try_lock_owned() else {
        return;
    };
    let (shared, known) = (Arc::clone(shared), Arc::clone(known));
    let tasks = shared.tasks.clone();
    tasks.spawn(async move {
        let _guard = guard;
        // Where the database is away, what is known holds on; the next request tries again.
        let _ = ask(&shared, organization, &known).await;
    });
}

async fn ask(
    shared: &Arc<Shared>,
    organization: Id<Organization>,
    known: &Known,
) -> Result<Arc<Vec<Budget>>, database::Error> {
    // Before the question: a change while it is on its way is asked for again.
    known.stale.store(false, Ordering::Release);
    let rows = match store::list_to_spend(&shared.database, organization).await {
        Ok(rows) => rows,
        Err(error) => {
            known.stale.store(true, Ordering::Release);
            return Err(error);
        }
    };
    let budgets = rows.into_iter().map(|row| {
        let (limit, scope) = (Limit::Budget(row.id), Arc::new(row.scope));
        let slot = || shared.slot(organization, limit, row.resource, Arc::clone(&scope));
        Budget {
            slot: row.hard.then(slot),
            id: row.id,
            resource: row.resource,
            scope,
        }
    });
    let budgets = Arc::new(budgets.collect::<Vec<_>>());
    known.budgets.store(Some(Arc::clone(&budgets)));
    Ok(budgets)
}
