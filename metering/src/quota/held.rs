//! What a request holds of all limits that apply to it: given back when it is dropped, spent when it is posted.

use types::id::{Budget, Lease};
use types::{Id, Usd};

use super::lease::Slice;
use super::limit::{self, Resource};

/// One API call, taken. Given back when dropped; spent once an intent or a replay carries it.
#[derive(Debug)]
#[must_use = "a permit that is dropped is given back"]
pub struct CallPermit {
    held: Slices,
}

/// Tokens and money, reserved. Given back when dropped; spent as far as they were used when the attempt is settled.
#[derive(Debug)]
#[must_use = "a reservation that is dropped is given back"]
pub struct Reservation {
    held: Slices,
}

/// A slice of the quota, and one of each budget that applies. Dropping it gives all of them back.
#[derive(Debug)]
pub(super) struct Slices {
    pub(super) quota: Slice,
    /// Empty, and without memory of its own, where there are no budgets.
    pub(super) budgets: Vec<Share>,
}

/// A slice of a budget.
#[derive(Debug)]
pub(super) struct Share {
    pub(super) budget: Id<Budget>,
    pub(super) resource: Resource,
    pub(super) slice: Slice,
}

/// A budget that a request counts against, as the journal keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// The budget.
    pub budget: Id<Budget>,
    /// What it counts.
    pub resource: Resource,
    /// The lease that was spent from; none of a budget that only counts.
    pub lease: Option<Id<Lease>>,
}

impl Slices {
    fn claims(&self) -> impl Iterator<Item = Claim> {
        self.budgets.iter().map(|share| Claim {
            budget: share.budget,
            resource: share.resource,
            lease: share.slice.lease_id(),
        })
    }
}

impl CallPermit {
    pub(super) const fn new(held: Slices) -> Self {
        Self { held }
    }

    /// The quota's lease it was taken from; none where the organization has no such quota.
    pub fn lease_id(&self) -> Option<Id<Lease>> {
        self.held.quota.lease_id()
    }

    /// The budgets it counts against.
    pub fn claims(&self) -> impl Iterator<Item = Claim> {
        self.held.claims()
    }

    pub(crate) fn post(self) {
        self.held.quota.post(1);
        for share in self.held.budgets {
            share.slice.post(1);
        }
    }
}

impl Reservation {
    pub(super) const fn new(held: Slices) -> Self {
        Self { held }
    }

    /// Tokens reserved.
    pub const fn tokens(&self) -> u64 {
        self.held.quota.amount()
    }

    /// The quota's lease they were taken from; none where the organization has no such quota.
    pub fn lease_id(&self) -> Option<Id<Lease>> {
        self.held.quota.lease_id()
    }

    /// Whether anything limits it, so that its estimate has to be kept.
    pub fn is_limited(&self) -> bool {
        self.lease_id().is_some() || self.claims().any(|claim| claim.lease.is_some())
    }

    /// The budgets it counts against.
    pub fn claims(&self) -> impl Iterator<Item = Claim> {
        self.held.claims()
    }

    pub(crate) fn post(self, tokens: u64, cost: Usd) {
        self.held.quota.post(tokens);
        for share in self.held.budgets {
            share.slice.post(match share.resource {
                Resource::Usd => limit::units_of(cost),
                Resource::AiTokens | Resource::ApiCalls => tokens,
            });
        }
    }
}
