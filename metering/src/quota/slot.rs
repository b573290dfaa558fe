//! What this node knows of one quota or budget, and the path every request takes through it: memory only.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};
use chrono::{DateTime, Utc};
use types::Id;
use types::id::Organization;

use super::lease::{Lease, Slice};
use super::limit::{Limit, Resource, Scope};
use super::refusal::{Exceeded, Refusal};

/// How long a refusal is remembered, so that a caller who does not give up costs the database two questions a second.
/// What other nodes give back can be had after it.
const REFUSAL_REMEMBERED: Duration = Duration::from_millis(500);

/// One quota or budget of one organization.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) organization: Id<Organization>,
    pub(super) limit: Limit,
    pub(super) resource: Resource,
    scope: Arc<Scope>,
    state: ArcSwap<State>,
    refused: ArcSwapOption<Refused>,
    /// Held by whoever asks the database: one at a time.
    pub(super) refill: Arc<tokio::sync::Mutex<()>>,
    made: Instant,
    /// The last request, in milliseconds since the slot was made.
    used_ms: AtomicU64,
    /// Until when nothing is fetched ahead, likewise.
    ahead_ms: AtomicU64,
    /// How often the limit was said to have changed.
    doubts: AtomicU64,
}

#[derive(Debug, Clone)]
pub(super) enum State {
    /// Never asked.
    Unknown,
    /// No limit; `stale` when it may have got one since.
    Unlimited { stale: bool },
    /// Spent from this.
    Leased(Arc<Lease>),
}

#[derive(Debug)]
struct Refused {
    /// What was asked for; less may still be had.
    amount: u64,
    until: Instant,
    refusal: Refusal,
}

/// What memory says to a request.
#[derive(Debug)]
pub(super) enum Step {
    Taken(Slice),
    Refused(Refusal),
    /// The database has to be asked.
    Refill,
}

impl Slot {
    pub(super) fn new(
        organization: Id<Organization>,
        limit: Limit,
        resource: Resource,
        scope: Arc<Scope>,
    ) -> Self {
        Self {
            organization,
            limit,
            resource,
            scope,
            state: ArcSwap::from_pointee(State::Unknown),
            refused: ArcSwapOption::empty(),
            refill: Arc::default(),
            made: Instant::now(),
            used_ms: AtomicU64::new(0),
            ahead_ms: AtomicU64::new(0),
            doubts: AtomicU64::new(0),
        }
    }

    pub(super) fn take(&self, amount: u64, now: DateTime<Utc>) -> Step {
        self.used_ms.store(self.now_ms(), Ordering::Relaxed);
        match &**self.state.load() {
            // What was known holds until the database says otherwise: it is asked aside, and nobody waits for it.
            State::Unlimited { .. } => return Step::Taken(Slice::unlimited(amount)),
            State::Leased(lease) if lease.holds_at(now) => {
                if let Some(slice) = lease.take(amount) {
                    return Step::Taken(slice);
                }
            }
            State::Leased(_) | State::Unknown => {}
        }
        self.refusal_of(amount).map_or(Step::Refill, Step::Refused)
    }

    /// The refusal that so much of so much is used.
    pub(super) fn exceeded(
        &self,
        limit: u64,
        used: u64,
        reset_at: Option<DateTime<Utc>>,
    ) -> Refusal {
        Refusal::Exceeded(Box::new(Exceeded {
            scope: Scope::clone(&self.scope),
            resource: self.resource,
            limit: self.resource.amount(limit),
            used: self.resource.amount(used),
            reset_at,
        }))
    }

    fn refusal_of(&self, amount: u64) -> Option<Refusal> {
        let refused = self.refused.load();
        let refused = refused.as_ref()?;
        let holds = amount >= refused.amount && Instant::now() < refused.until;
        holds.then(|| refused.refusal.clone())
    }

    /// Remembers that the amount was refused.
    pub(super) fn refuse(&self, amount: u64, refusal: Refusal) {
        let until = Instant::now() + REFUSAL_REMEMBERED;
        self.refused.store(Some(Arc::new(Refused {
            amount,
            until,
            refusal,
        })));
    }

    pub(super) fn state(&self) -> State {
        State::clone(&self.state.load())
    }

    pub(super) fn set(&self, state: State) {
        self.state.store(Arc::new(state));
        self.refused.store(None);
    }

    /// There is a limit after all, and nothing is left of it.
    pub(super) fn limit(&self) {
        self.replace_unlimited(&State::Unknown);
    }

    /// The limit may have changed.
    pub(super) fn doubt(&self) {
        // Counted first: whoever is asking at this moment sees it when the answer is there.
        self.doubts.fetch_add(1, Ordering::AcqRel);
        self.refused.store(None);
        self.replace_unlimited(&State::Unlimited { stale: true });
    }

    /// How often it was doubted, to be remembered before asking.
    pub(super) fn doubts(&self) -> u64 {
        self.doubts.load(Ordering::Acquire)
    }

    /// An answer that was on its way when the limit was doubted may be older than the change.
    pub(super) fn doubt_if_newer(&self, doubts: u64) {
        if self.doubts() != doubts {
            self.replace_unlimited(&State::Unlimited { stale: true });
        }
    }

    /// Only if it is unlimited at that very moment: a lease that a refill puts there meanwhile must not be lost.
    fn replace_unlimited(&self, new: &State) {
        self.state.rcu(|state| match **state {
            State::Unlimited { .. } => Arc::new(new.clone()),
            State::Unknown | State::Leased(_) => Arc::clone(state),
        });
    }

    /// Whether something of a lease is here, or taken and not yet spent or given back.
    pub(super) fn holds_anything(&self) -> bool {
        match &**self.state.load() {
            State::Leased(lease) => lease.is_held(),
            State::Unknown | State::Unlimited { .. } => false,
        }
    }

    /// Whether the database should be asked before somebody has to wait for it: the lease runs low, or the limit may have changed.
    pub(super) fn wants_ahead(&self, slice: &Slice) -> bool {
        let wants = match slice.lease() {
            Some(lease) => lease.is_low(),
            None => matches!(&**self.state.load(), State::Unlimited { stale: true }),
        };
        wants && self.now_ms() >= self.ahead_ms.load(Ordering::Relaxed)
    }

    /// There was nothing, or no answer: it is not asked ahead for a while.
    pub(super) fn pause_ahead(&self) {
        let pause = u64::try_from(REFUSAL_REMEMBERED.as_millis()).unwrap_or_default();
        self.ahead_ms
            .store(self.now_ms() + pause, Ordering::Relaxed);
    }

    pub(super) fn idle_for(&self) -> Duration {
        let idle = self.now_ms() - self.used_ms.load(Ordering::Relaxed).min(self.now_ms());
        Duration::from_millis(idle)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.made.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::TestClock;

    #[test]
    fn a_limit_that_changes_while_the_answer_is_on_its_way_is_asked_for_again() {
        let organization = Id::new(&TestClock::at("2026-11-22T00:00:00Z"));
        let limit = Limit::Quota(Resource::AiTokens);
        let scope = Arc::new(Scope::Organization);
        let slot = Slot::new(organization, limit, Resource::AiTokens, scope);
        let doubts = slot.doubts();
        slot.doubt();
        slot.set(State::Unlimited { stale: false });
        slot.doubt_if_newer(doubts);
        assert!(matches!(slot.state(), State::Unlimited { stale: true }));
    }
}
