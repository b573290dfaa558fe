//! Quotas and budgets without a database round trip per request: each node spends from leases it holds.
//!
//! `usage_quotas` says what an organization may use in a period, `metering.budgets` what a part of it may. A node takes a
//! lease of each that applies, in one call that locks the row, and
//! from then on [`Quota::take_call`] and [`Quota::reserve`] are a few atomic operations. What is left of a lease is topped up
//! before it runs out, given back when it lies idle, and ended when the node has shipped everything it spent. At all times
//! used + reserved ≤ limit holds in the database for whatever was granted, so no number of nodes overspends; what a crash
//! leaves reserved stays so until that node's journal has been booked (never until a timeout).
//!
//! A request takes of all limits that apply or of none: what it has is given back when the next one refuses.
//!
//! An organization without a quota, or with an unlimited one, is remembered as such and costs no database work at all.
//! While the database is away, leases are spent to the end, organizations known to be unlimited are served, and all others
//! are refused as [`Refusal::Unavailable`].
//!
//! # Cancellation
//! Dropping [`Quota::take_call`] or [`Quota::reserve`] loses nothing: a refill runs on a task of its own, and what it had
//! taken for a caller that went away is given back.

mod budgets;
mod changes;
mod held;
mod lease;
pub(crate) mod limit;
mod refill;
mod refusal;
mod slot;
mod sweep;

use std::sync::Arc;
use std::time::Duration;

use config::section::NoQuota;
use dashmap::DashMap;
use database::Database;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use types::id::{Node, Organization};
use types::{Clock, Id, Usd};
use uuid::Uuid;

pub use held::{CallPermit, Claim, Reservation};
pub use limit::{Resource, Scope, Spender};
pub use refusal::{Exceeded, Refusal};

use held::{Share, Slices};
use lease::Slice;
pub(crate) use limit::Limit;
use slot::{Slot, Step};

/// How large leases are.
#[derive(Debug, Clone)]
pub struct Options {
    /// The largest lease of tokens.
    pub lease_tokens_max: u64,
    /// The largest lease of calls.
    pub lease_calls_max: u64,
    /// The largest lease of money.
    pub lease_usd_max: Usd,
    /// After how long without use a lease is given back.
    pub lease_idle_return: Duration,
    /// What an organization without a quota may do.
    pub no_quota: NoQuota,
}

/// The most one attempt can use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Estimate {
    /// Input tokens, counted or estimated high.
    pub input_tokens_max: u64,
    /// The cap on output tokens that the provider was given.
    pub output_tokens_max: u64,
}

/// The quotas of all organizations, as far as this node serves them; cheap to clone.
#[derive(Debug, Clone)]
pub struct Quota {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    slots: DashMap<(Id<Organization>, Limit), Arc<Slot>>,
    budgets: DashMap<Id<Organization>, Arc<budgets::Known>>,
    options: Options,
    database: Database,
    clock: Arc<dyn Clock>,
    tasks: TaskTracker,
    stop: CancellationToken,
    node: Id<Node>,
    /// This process: its leases are its own, even after a restart on the same journal.
    life: Uuid,
}

/// What a quota manager needs to know of its surroundings.
#[derive(Debug)]
pub struct Surroundings {
    /// Where the quotas are.
    pub database: Database,
    /// For the ends of periods.
    pub clock: Arc<dyn Clock>,
    /// Where refills and sweeps run.
    pub tasks: TaskTracker,
    /// The node, by its journal.
    pub node: Id<Node>,
}

/// A caller tries so often to get what others refilled and took; then it is told that nothing can be said.
const ATTEMPTS_MAX: usize = 8;

/// How long a stop waits for the database to take leases back.
const STOP_GRACE: Duration = Duration::from_secs(5);

impl Quota {
    /// Begins to serve; asks the database nothing yet.
    pub fn start(options: Options, surroundings: Surroundings) -> Self {
        let Surroundings {
            database,
            clock,
            tasks,
            node,
        } = surroundings;
        let life = Id::<types::id::Lease>::new(&*clock).uuid();
        let stop = CancellationToken::new();
        let quota = Self {
            shared: Arc::new(Shared {
                slots: DashMap::new(),
                budgets: DashMap::new(),
                options,
                database,
                clock,
                tasks: tasks.clone(),
                stop: stop.clone(),
                node,
                life,
            }),
        };
        tasks.spawn(changes::follow(quota.clone(), stop.clone()));
        tasks.spawn(sweep::run(quota.clone(), stop));
        quota
    }

    /// Takes one API call, or says why there is none.
    pub async fn take_call(&self, spender: Spender<'_>) -> Result<CallPermit, Refusal> {
        let amount = |resource| match resource {
            Resource::ApiCalls => Some(1),
            Resource::AiTokens | Resource::Usd => None,
        };
        let slices = self.take_all(spender, Resource::ApiCalls, amount).await?;
        Ok(CallPermit::new(slices))
    }

    /// Reserves the most an attempt can use and cost, or says why it cannot be had. What it costs is asked only where a
    /// budget in dollars applies.
    pub async fn reserve(
        &self,
        spender: Spender<'_>,
        estimate: Estimate,
        cost_max: impl Fn() -> Usd,
    ) -> Result<Reservation, Refusal> {
        let amount = |resource| match resource {
            Resource::AiTokens => Some(estimate.total_tokens()),
            Resource::Usd => Some(limit::units_of(cost_max())),
            Resource::ApiCalls => None,
        };
        let slices = self.take_all(spender, Resource::AiTokens, amount).await?;
        Ok(Reservation::new(slices))
    }

    /// Takes of the quota, then of each budget that counts such a thing and covers the spender. What is taken already is
    /// given back by being dropped when a later one refuses.
    async fn take_all(
        &self,
        spender: Spender<'_>,
        quota: Resource,
        amount: impl Fn(Resource) -> Option<u64>,
    ) -> Result<Slices, Refusal> {
        let organization = spender.caller.organization;
        let slot = self.shared.quota_slot(organization, quota);
        let mut slices = Slices {
            quota: self.take(&slot, amount(quota).unwrap_or_default()).await?,
            budgets: Vec::new(),
        };
        let budgets = budgets::of(&self.shared, organization, quota).await?;
        for budget in budgets.iter() {
            if !budget.scope.covers(&spender) {
                continue;
            }
            let Some(amount) = amount(budget.resource) else {
                continue;
            };
            let slice = match &budget.slot {
                Some(slot) => self.take(slot, amount).await?,
                None => Slice::unlimited(amount),
            };
            slices.budgets.push(Share {
                budget: budget.id,
                resource: budget.resource,
                slice,
            });
        }
        Ok(slices)
    }

    async fn take(&self, slot: &Arc<Slot>, amount: u64) -> Result<Slice, Refusal> {
        for _ in 0..ATTEMPTS_MAX {
            match slot.take(amount, self.shared.clock.now()) {
                Step::Taken(slice) => {
                    if slot.wants_ahead(&slice) {
                        refill::ahead(&self.shared, slot);
                    }
                    return Ok(slice);
                }
                Step::Refused(refusal) => return Err(counted(refusal)),
                Step::Refill => {}
            }
            // On the heap, so that a request with a lease does not carry a transaction's size.
            let refilled = Box::pin(refill::for_caller(&self.shared, slot, amount)).await?;
            if let Some(slice) = refilled {
                return Ok(slice);
            }
        }
        Err(counted(Refusal::Unavailable {
            resource: slot.resource,
        }))
    }

    /// Which process of the node this is.
    pub(crate) fn life(&self) -> Uuid {
        self.shared.life
    }

    /// Stops the tasks and gives back all that is not reserved. What is reserved ends when its settlement is shipped.
    pub(crate) async fn stop(&self) {
        self.shared.stop.cancel();
        let giving_back = sweep::give_all_back(&self.shared);
        if tokio::time::timeout(STOP_GRACE, giving_back).await.is_err() {
            tracing::warn!(
                "not all leases could be given back; they end when this node's next start has shipped its journal"
            );
        }
    }
}

impl Shared {
    fn quota_slot(&self, organization: Id<Organization>, resource: Resource) -> Arc<Slot> {
        let limit = Limit::Quota(resource);
        if let Some(slot) = self.slots.get(&(organization, limit)) {
            return Arc::clone(&slot);
        }
        self.slot(organization, limit, resource, Arc::new(Scope::Organization))
    }

    fn slot(
        &self,
        organization: Id<Organization>,
        limit: Limit,
        resource: Resource,
        scope: Arc<Scope>,
    ) -> Arc<Slot> {
        let slot = self.slots.entry((organization, limit));
        let new = || Arc::new(Slot::new(organization, limit, resource, scope));
        Arc::clone(&slot.or_insert_with(new))
    }

    fn budgets_of(&self, organization: Id<Organization>) -> Arc<budgets::Known> {
        if let Some(known) = self.budgets.get(&organization) {
            return Arc::clone(&known);
        }
        let known = self.budgets.entry(organization);
        Arc::clone(&known.or_insert_with(|| Arc::new(budgets::Known::new())))
    }

    /// The largest lease of a resource.
    fn lease_max(&self, resource: Resource) -> u64 {
        match resource {
            Resource::ApiCalls => self.options.lease_calls_max,
            Resource::AiTokens => self.options.lease_tokens_max,
            Resource::Usd => limit::units_of(self.options.lease_usd_max),
        }
    }
}

fn counted(refusal: Refusal) -> Refusal {
    let reason = match &refusal {
        Refusal::Exceeded(_) => "exceeded",
        Refusal::Unavailable { .. } => "unavailable",
    };
    metrics::counter!(
        "flowpilot_quota_refusals_total",
        "resource" => refusal.resource().as_str(),
        "reason" => reason,
    )
    .increment(1);
    refusal
}

impl Estimate {
    /// What is reserved.
    pub const fn total_tokens(&self) -> u64 {
        self.input_tokens_max.saturating_add(self.output_tokens_max)
    }
}
