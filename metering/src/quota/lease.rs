//! A lease in memory, and a slice of it: given back when it is dropped, spent when it is posted.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use types::Id;

/// A lease this node holds: so much of a quota may be spent without asking the database.
#[derive(Debug)]
pub(super) struct Lease {
    /// Its row in `metering.quota_leases`.
    pub(super) id: Id<types::id::Lease>,
    /// When the period ends that it belongs to, in microseconds since 1970; of one without an end, the last there is.
    period_end: AtomicI64,
    available: AtomicU64,
    /// Below it, more is fetched before anyone has to wait.
    low_water: AtomicU64,
}

/// An amount of a lease; of none where the organization has no limit. Given back when dropped.
#[derive(Debug)]
pub(super) struct Slice {
    lease: Option<Arc<Lease>>,
    amount: u64,
}

impl Lease {
    pub(super) const fn new(id: Id<types::id::Lease>) -> Self {
        Self {
            id,
            period_end: AtomicI64::new(0),
            available: AtomicU64::new(0),
            low_water: AtomicU64::new(0),
        }
    }

    /// Takes the amount if all of it is there.
    pub(super) fn take(self: &Arc<Self>, amount: u64) -> Option<Slice> {
        self.subtract(amount).then(|| Slice {
            lease: Some(Arc::clone(self)),
            amount,
        })
    }

    /// Takes whatever is there, to be returned to the database.
    pub(super) fn take_all(&self) -> u64 {
        self.available.swap(0, Ordering::AcqRel)
    }

    /// Adds what was granted, and says until when it may be spent.
    pub(super) fn grant(&self, amount: u64, period_end: Option<DateTime<Utc>>) {
        let end = period_end.map_or(i64::MAX, |end| end.timestamp_micros());
        self.period_end.store(end, Ordering::Release);
        self.low_water.store(amount / 4, Ordering::Relaxed);
        self.give(amount);
    }

    /// Adds what was given back.
    pub(super) fn give(&self, amount: u64) {
        self.available.fetch_add(amount, Ordering::AcqRel);
    }

    /// Takes what the caller that had it fetched needs, whether others were quicker or not: it was granted for it.
    pub(super) fn grant_and_take(
        self: &Arc<Self>,
        amount: u64,
        period_end: Option<DateTime<Utc>>,
        taken: u64,
    ) -> Slice {
        self.grant(amount.saturating_sub(taken), period_end);
        Slice {
            lease: Some(Arc::clone(self)),
            amount: taken,
        }
    }

    pub(super) fn holds_at(&self, now: DateTime<Utc>) -> bool {
        now.timestamp_micros() < self.period_end.load(Ordering::Acquire)
    }

    /// Whether something is available, or somebody holds a slice of it.
    pub(super) fn is_held(self: &Arc<Self>) -> bool {
        Arc::strong_count(self) > 1 || self.available.load(Ordering::Acquire) > 0
    }

    pub(super) fn is_low(&self) -> bool {
        self.available.load(Ordering::Relaxed) < self.low_water.load(Ordering::Relaxed)
    }

    fn subtract(&self, amount: u64) -> bool {
        let taken = self
            .available
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |available| {
                available.checked_sub(amount)
            });
        taken.is_ok()
    }

    /// Takes up to the amount.
    fn subtract_up_to(&self, amount: u64) {
        // The closure always gives a value, so this cannot fail.
        let _ = self
            .available
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |available| {
                Some(available.saturating_sub(amount))
            });
    }
}

impl Slice {
    /// For an organization without a limit.
    pub(super) const fn unlimited(amount: u64) -> Self {
        Self {
            lease: None,
            amount,
        }
    }

    pub(super) const fn amount(&self) -> u64 {
        self.amount
    }

    pub(super) fn lease(&self) -> Option<&Arc<Lease>> {
        self.lease.as_ref()
    }

    /// Keeps what was used; the rest can be taken again at once. Using more than was reserved takes the difference
    /// from the lease as far as it goes: that overshoot is bounded by the error of the estimate.
    pub(super) fn post(mut self, used: u64) {
        if let Some(lease) = &self.lease {
            match self.amount.checked_sub(used) {
                Some(unused) => lease.give(unused),
                None => lease.subtract_up_to(used - self.amount),
            }
        }
        self.amount = 0;
    }

    pub(super) fn lease_id(&self) -> Option<Id<types::id::Lease>> {
        self.lease.as_ref().map(|lease| lease.id)
    }
}

impl Drop for Slice {
    fn drop(&mut self) {
        if let Some(lease) = &self.lease {
            lease.give(self.amount);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease_of(available: u64) -> Arc<Lease> {
        let lease = Lease::new(Id::new(&types::TestClock::at("2026-11-22T00:00:00Z")));
        lease.give(available);
        Arc::new(lease)
    }

    fn left(lease: &Lease) -> u64 {
        lease.available.load(Ordering::Relaxed)
    }

    fn reserve(lease: &Arc<Lease>, amount: u64) -> Slice {
        lease.take(amount).unwrap()
    }

    #[test]
    fn a_dropped_reservation_is_given_back_whole() {
        let lease = lease_of(100);
        drop(reserve(&lease, 60));
        assert_eq!(left(&lease), 100);
    }

    #[test]
    fn a_posted_reservation_keeps_what_was_used() {
        let lease = lease_of(100);
        reserve(&lease, 60).post(25);
        assert_eq!(left(&lease), 75);
    }

    #[test]
    fn using_more_than_reserved_eats_into_the_lease_but_not_below_nothing() {
        let lease = lease_of(100);
        reserve(&lease, 60).post(70);
        assert_eq!(left(&lease), 30);
        reserve(&lease, 30).post(1_000);
        assert_eq!(left(&lease), 0);
    }

    #[test]
    fn a_lease_is_held_while_something_is_left_or_reserved() {
        let lease = lease_of(60);
        let reserved = reserve(&lease, 60);
        assert!(lease.is_held());
        drop(reserved);
        assert!(lease.is_held());
        lease.take_all();
        assert!(!lease.is_held());
    }
}
