//! A slice of a quota in memory, and what is taken from it: given back when it is dropped, spent when it is posted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::{DateTime, Utc};
use types::Id;

/// A lease this node holds: so much of a quota may be spent without asking the database.
#[derive(Debug)]
pub(crate) struct Lease {
    /// Its row in `metering.quota_leases`.
    pub(crate) id: Id<types::id::Lease>,
    /// When the period ends that it belongs to; nothing ends an unlimited one.
    pub(crate) period_end: Option<DateTime<Utc>>,
    available: AtomicU64,
}

/// One API call, taken. Given back when dropped; spent once an intent or a replay carries it.
#[derive(Debug)]
#[must_use = "a permit that is dropped is given back"]
pub struct CallPermit {
    held: Slice,
}

/// Tokens, reserved. Given back when dropped; spent as far as they were used when the attempt is settled.
#[derive(Debug)]
#[must_use = "a reservation that is dropped is given back"]
pub struct Reservation {
    held: Slice,
}

/// An amount of a lease; of none where the organization has no limit.
#[derive(Debug)]
struct Slice {
    lease: Option<Arc<Lease>>,
    amount: u64,
}

impl Lease {
    pub(crate) const fn new(
        id: Id<types::id::Lease>,
        period_end: Option<DateTime<Utc>>,
        available: u64,
    ) -> Self {
        Self {
            id,
            period_end,
            available: AtomicU64::new(available),
        }
    }

    /// Takes the amount if all of it is there.
    pub(crate) fn take(&self, amount: u64) -> bool {
        let taken = self
            .available
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |available| {
                available.checked_sub(amount)
            });
        taken.is_ok()
    }

    /// Takes whatever is there, to be returned to the database.
    pub(crate) fn take_all(&self) -> u64 {
        self.available.swap(0, Ordering::AcqRel)
    }

    /// Adds what was granted or given back.
    pub(crate) fn give(&self, amount: u64) {
        self.available.fetch_add(amount, Ordering::AcqRel);
    }

    /// What may be taken now.
    pub(crate) fn available(&self) -> u64 {
        self.available.load(Ordering::Acquire)
    }
}

impl Slice {
    /// Keeps what was used; the rest can be taken again at once. Using more than was reserved takes the difference
    /// from the lease as far as it goes: that overshoot is bounded by the error of the estimate.
    fn post(mut self, used: u64) {
        if let Some(lease) = &self.lease {
            match self.amount.checked_sub(used) {
                Some(unused) => lease.give(unused),
                None => {
                    let more = used - self.amount;
                    while !lease.take(more.min(lease.available())) {}
                }
            }
        }
        self.amount = 0;
    }

    fn lease_id(&self) -> Option<Id<types::id::Lease>> {
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

impl CallPermit {
    pub(crate) const fn new(lease: Option<Arc<Lease>>) -> Self {
        Self {
            held: Slice { lease, amount: 1 },
        }
    }

    /// The lease it was taken from; none where the organization has no such limit.
    pub fn lease_id(&self) -> Option<Id<types::id::Lease>> {
        self.held.lease_id()
    }

    pub(crate) fn post(self) {
        self.held.post(1);
    }
}

impl Reservation {
    pub(crate) const fn new(lease: Option<Arc<Lease>>, amount: u64) -> Self {
        Self {
            held: Slice { lease, amount },
        }
    }

    /// Tokens reserved.
    pub const fn tokens(&self) -> u64 {
        self.held.amount
    }

    /// The lease they were taken from; none where the organization has no such limit.
    pub fn lease_id(&self) -> Option<Id<types::id::Lease>> {
        self.held.lease_id()
    }

    pub(crate) fn post(self, used: u64) {
        self.held.post(used);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease_of(available: u64) -> Arc<Lease> {
        Arc::new(Lease::new(
            Id::new(&types::TestClock::at("2026-11-22T00:00:00Z")),
            None,
            available,
        ))
    }

    fn reserve(lease: &Arc<Lease>, amount: u64) -> Reservation {
        assert!(lease.take(amount));
        Reservation::new(Some(Arc::clone(lease)), amount)
    }

    #[test]
    fn a_dropped_reservation_is_given_back_whole() {
        let lease = lease_of(100);
        drop(reserve(&lease, 60));
        assert_eq!(lease.available(), 100);
    }

    #[test]
    fn a_posted_reservation_keeps_what_was_used() {
        let lease = lease_of(100);
        reserve(&lease, 60).post(25);
        assert_eq!(lease.available(), 75);
    }

    #[test]
    fn using_more_than_reserved_eats_into_the_lease_but_not_below_nothing() {
        let lease = lease_of(100);
        reserve(&lease, 60).post(70);
        assert_eq!(lease.available(), 30);
        reserve(&lease, 30).post(1_000);
        assert_eq!(lease.available(), 0);
    }
}
