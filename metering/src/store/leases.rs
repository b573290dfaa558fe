//! `metering.quota_leases`, through the functions that keep them in step with `usage_quotas` and `metering.budgets`.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, Utc};
use database::{Bulkhead, Database, Error};
use rust_decimal::Decimal;
use types::Id;
use types::id::{Budget, Lease, Node, Organization};
use uuid::Uuid;

use crate::failpoint;
use crate::leases::OpenLease;
use crate::quota::limit::units_of;
use crate::quota::{Limit, Resource};
use crate::record::ChargeTo;
use crate::shipper::booking::EventRow;

/// Whose lease.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Holder {
    pub(crate) organization: Id<Organization>,
    pub(crate) limit: Limit,
    pub(crate) node: Id<Node>,
    pub(crate) life: Uuid,
}

/// What a node asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask {
    /// The lease it holds, or the id it proposes for its first.
    pub(crate) lease: Id<Lease>,
    /// What it does not need of it.
    pub(crate) give_back: u64,
    pub(crate) wanted: u64,
    pub(crate) needed: u64,
}

/// What it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Granted {
    NoLimit,
    /// There is one, which only counts.
    Unlimited,
    /// Less is left than needed.
    Nothing {
        limit: u64,
        used: u64,
        reset_at: Option<DateTime<Utc>>,
    },
    Lease {
        id: Id<Lease>,
        amount: u64,
        period_end: Option<DateTime<Utc>>,
    },
}

/// Takes a lease, or more of it. `committing` is set when the commit begins: an error after that says nothing about its outcome.
pub(crate) async fn take(
    database: &Database,
    holder: Holder,
    ask: Ask,
    committing: &AtomicBool,
) -> Result<Granted, Error> {
    database
        .tenant(
            "quota: take lease",
            Bulkhead::Hot,
            holder.organization,
            |tx| {
                Box::pin(async move {
                    committing.store(false, Ordering::Release);
                    let granted = take_in(tx.connection(), holder, ask).await?;
                    committing.store(true, Ordering::Release);
                    failpoint::pass("lease.taking");
                    Ok(granted)
                })
            },
        )
        .await
}

async fn take_in(
    connection: &mut sqlx::PgConnection,
    holder: Holder,
    ask: Ask,
) -> Result<Granted, Error> {
    let row = sqlx::query!(
        r#"
        SELECT limited
             , lease_id
             , granted
             , period_end
             , limit_units
             , committed
          FROM metering.take_lease($1, $2, $3, $4, $5, $6, $7, $8, $9)
        "#,
        holder.organization.uuid(),
        holder.limit.quota(),
        holder.limit.budget(),
        holder.node.uuid(),
        holder.life,
        ask.lease.uuid(),
        bigint(ask.give_back),
        bigint(ask.wanted),
        bigint(ask.needed),
    )
    .fetch_one(connection)
    .await?;

    let Some(limited) = row.limited else {
        return Ok(Granted::NoLimit);
    };
    match (row.lease_id, row.granted) {
        _ if !limited => Ok(Granted::Unlimited),
        // Where nothing is needed, as when a lease is topped up, nothing is an answer too.
        (Some(_), Some(0)) if ask.needed > 0 => Ok(Granted::Nothing {
            limit: count(row.limit_units),
            used: count(row.committed),
            reset_at: row.period_end,
        }),
        (Some(id), Some(granted)) => Ok(Granted::Lease {
            id: Id::from_uuid(id),
            amount: count(Some(granted)),
            period_end: row.period_end,
        }),
        _ => Err(Error::Inconsistent {
            table: "metering.quota_leases",
            column: "granted",
            id: holder.organization.to_string(),
        }),
    }
}

/// Gives back what a node does not need of a lease.
pub(crate) async fn give_back(
    database: &Database,
    (organization, limit): (Id<Organization>, Limit),
    (lease, amount): (Id<Lease>, u64),
    committing: &AtomicBool,
) -> Result<(), Error> {
    database
        .tenant(
            "quota: return lease",
            Bulkhead::Workers,
            organization,
            |tx| {
                Box::pin(async move {
                    committing.store(false, Ordering::Release);
                    sqlx::query!(
                        "SELECT metering.return_lease($1, $2, $3, $4, $5)",
                        organization.uuid(),
                        limit.quota(),
                        limit.budget(),
                        lease.uuid(),
                        bigint(amount),
                    )
                    .fetch_one(tx.connection())
                    .await?;
                    committing.store(true, Ordering::Release);
                    Ok(())
                })
            },
        )
        .await
}

/// Counts the changes of limits.
pub(crate) async fn epoch(database: &Database) -> Result<i64, Error> {
    database
        .worker("quota: epoch", Bulkhead::Workers, |tx| {
            Box::pin(async move {
                let row = sqlx::query!("SELECT epoch FROM metering.quota_epoch")
                    .fetch_one(tx.connection())
                    .await?;
                Ok(row.epoch)
            })
        })
        .await
}

/// Ends the leases of a node's earlier lives: only once everything they spent is booked.
pub(crate) async fn close_earlier(
    database: &Database,
    node: Id<Node>,
    life: Uuid,
) -> Result<i64, Error> {
    close(database, node, Some(life), "closed").await
}

/// Ends all leases of a node.
pub(crate) async fn close_all(
    database: &Database,
    node: Id<Node>,
    state: &'static str,
) -> Result<i64, Error> {
    close(database, node, None, state).await
}

async fn close(
    database: &Database,
    node: Id<Node>,
    except_life: Option<Uuid>,
    state: &'static str,
) -> Result<i64, Error> {
    database
        .worker("quota: close leases", Bulkhead::Workers, |tx| {
            Box::pin(async move {
                let row = sqlx::query!(
                    r#"
                    SELECT COALESCE(sum(metering.close_lease(id, $3)), 0)::bigint AS "released!" -- coalesced
                      FROM (
                        SELECT id
                          FROM metering.quota_leases
                         WHERE node_id = $1
                           AND state = 'open'
                           AND life_id IS DISTINCT FROM $2
                         ORDER BY organization_id, budget_id NULLS FIRST, resource_type, id
                      ) AS open
                    "#,
                    node.uuid(),
                    except_life,
                    state,
                )
                .fetch_one(tx.connection())
                .await?;
                Ok(row.released)
            })
        })
        .await
}

pub(crate) fn bigint(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn count(column: Option<i64>) -> u64 {
    u64::try_from(column.unwrap_or_default()).unwrap_or_default()
}

/// What is spent of one lease, or of a limit without one.
type Key = (Uuid, Option<Uuid>, Option<&'static str>, Option<Uuid>);

/// Part of a budget is used: noticed once in each of its periods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Alert {
    pub(crate) organization: Id<Organization>,
    pub(crate) budget: Id<Budget>,
    pub(crate) percent: i16,
}

impl Alert {
    /// Says it to the operator, once it is committed. Telling people is the business of notifications.
    pub(crate) fn raise(&self) {
        tracing::warn!(
            organization = %self.organization,
            budget = %self.budget,
            percent = self.percent,
            "so much of a budget is used"
        );
        metrics::counter!("flowpilot_budget_alerts_total").increment(1);
    }
}

/// Turns what new events spent from reserved into used. The budgets of which a further part is used now.
pub(crate) async fn settle(
    connection: &mut sqlx::PgConnection,
    events: &[&EventRow<'_>],
) -> Result<Vec<Alert>, Error> {
    let spent = spent(events);
    if spent.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query!(
        r#"
        SELECT organization_id AS "organization_id!" -- a function's columns count as nullable
             , budget_id AS "budget_id!"
             , percent AS "percent!"
          FROM metering.settle_leases($1, $2, $3, $4, $5, $6)
        "#,
        &spent.keys().map(|key| key.0).collect::<Vec<_>>(),
        &spent.keys().map(|key| key.2).collect::<Vec<_>>() as _,
        &spent.keys().map(|key| key.1).collect::<Vec<_>>() as _,
        &spent.keys().map(|key| key.3).collect::<Vec<_>>() as _,
        &spent.values().map(|sum| sum.0).collect::<Vec<_>>(),
        &spent.values().map(|sum| sum.1).collect::<Vec<_>>(),
    )
    .fetch_all(connection)
    .await?;
    let alerts = rows.into_iter().map(|row| Alert {
        organization: Id::from_uuid(row.organization_id),
        budget: Id::from_uuid(row.budget_id),
        percent: row.percent,
    });
    Ok(alerts.collect())
}

/// Units and exact amounts, by what they were spent of.
fn spent(events: &[&EventRow<'_>]) -> BTreeMap<Key, (i64, Decimal)> {
    let mut spent = BTreeMap::<Key, (i64, Decimal)>::new();
    let mut add = |key, units: i64, amount: Decimal| {
        let sum = spent.entry(key).or_default();
        sum.0 = sum.0.saturating_add(units);
        sum.1 += amount;
    };
    let tenants = events
        .iter()
        .filter(|event| event.charge_to == ChargeTo::Tenant.as_str());
    for event in tenants {
        let organization = event.subject.organization;
        let quota = event.kind.resource();
        if event.quantity > 0 {
            let key = (organization, None, Some(quota.as_str()), event.lease);
            add(key, event.quantity, event.quantity.into());
        }
        for claim in &event.subject.claims {
            let key = (organization, Some(claim.budget), None, claim.lease);
            match claim.resource() {
                Some(Resource::Usd) if quota == Resource::AiTokens => {
                    add(key, bigint(units_of(event.cost)), event.cost.decimal());
                }
                Some(resource) if resource == quota => {
                    add(key, event.quantity, event.quantity.into());
                }
                Some(_) | None => {}
            }
        }
    }
    spent
}

/// Every open lease, the one that nothing happened to for longest first.
pub(crate) async fn list_open(database: &Database) -> Result<Vec<OpenLease>, Error> {
    database
        .worker("leases: list", Bulkhead::Control, |tx| {
            Box::pin(async move {
                let rows = sqlx::query!(
                    r#"
                    SELECT id
                         , organization_id
                         , COALESCE(resource_type, 'budget ' || budget_id) AS "limit!" -- one of them is there
                         , node_id
                         , granted - settled - returned AS "outstanding!" -- of columns that are never null
                         , updated_at
                      FROM metering.quota_leases
                     WHERE state = 'open'
                     ORDER BY updated_at, id
                    "#,
                )
                .fetch_all(tx.connection())
                .await?;
                let leases = rows.into_iter().map(|row| OpenLease {
                    id: Id::from_uuid(row.id),
                    organization: Id::from_uuid(row.organization_id),
                    limit: row.limit,
                    node: Id::from_uuid(row.node_id),
                    outstanding: row.outstanding,
                    updated_at: row.updated_at,
                });
                Ok(leases.collect())
            })
        })
        .await
}
