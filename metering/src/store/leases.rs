//! `metering.quota_leases`, through the functions that keep them and `usage_quotas` in step.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, Utc};
use database::{Bulkhead, Database, Error};
use types::Id;
use types::id::{Lease, Node, Organization};
use uuid::Uuid;

use crate::failpoint;
use crate::leases::OpenLease;
use crate::quota::Resource;
use crate::record::ChargeTo;
use crate::shipper::booking::{EventKind, EventRow};

/// Whose lease.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Holder {
    pub(crate) organization: Id<Organization>,
    pub(crate) resource: Resource,
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
    NoQuota,
    /// There is a quota, which only counts.
    Unlimited,
    /// Less is left than needed.
    Nothing {
        limit: u64,
        used: u64,
        reset_at: DateTime<Utc>,
    },
    Lease {
        id: Id<Lease>,
        amount: u64,
        period_end: DateTime<Utc>,
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
             , quota_limit
             , committed
          FROM metering.take_lease($1, $2, $3, $4, $5, $6, $7, $8)
        "#,
        holder.organization.uuid(),
        holder.resource.as_str(),
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
        return Ok(Granted::NoQuota);
    };
    match (row.lease_id, row.granted, row.period_end) {
        _ if !limited => Ok(Granted::Unlimited),
        (Some(_), Some(0), Some(reset_at)) => Ok(Granted::Nothing {
            limit: count(row.quota_limit),
            used: count(row.committed),
            reset_at,
        }),
        (Some(id), Some(granted), Some(period_end)) => Ok(Granted::Lease {
            id: Id::from_uuid(id),
            amount: count(Some(granted)),
            period_end,
        }),
        _ => Err(Error::Inconsistent {
            table: "usage_quotas",
            column: "reset_at",
            id: holder.organization.to_string(),
        }),
    }
}

/// Gives back what a node does not need of a lease.
pub(crate) async fn give_back(
    database: &Database,
    (organization, resource): (Id<Organization>, Resource),
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
                        "SELECT metering.return_lease($1, $2, $3, $4)",
                        organization.uuid(),
                        resource.as_str(),
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
                         ORDER BY organization_id, resource_type, id
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

/// Turns what new events spent from reserved into used.
pub(crate) async fn settle(
    connection: &mut sqlx::PgConnection,
    events: &[&EventRow<'_>],
) -> Result<(), Error> {
    let mut spent = BTreeMap::<_, i64>::new();
    for event in events {
        let counts = event.charge_to == ChargeTo::Tenant.as_str() && event.quantity > 0;
        if counts {
            let resource = match event.kind {
                EventKind::AiRequest => Resource::AiTokens,
                EventKind::ApiCall => Resource::ApiCalls,
            };
            let key = (event.subject.organization, resource.as_str(), event.lease);
            let sum = spent.entry(key).or_default();
            *sum = sum.saturating_add(event.quantity);
        }
    }
    if spent.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "SELECT metering.settle_leases($1, $2, $3, $4)",
        &spent.keys().map(|key| key.0).collect::<Vec<_>>(),
        &spent.keys().map(|key| key.1).collect::<Vec<_>>() as _,
        &spent.keys().map(|key| key.2).collect::<Vec<_>>() as _,
        &spent.values().copied().collect::<Vec<_>>(),
    )
    .fetch_one(connection)
    .await?;
    Ok(())
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
                         , resource_type
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
                    resource_type: row.resource_type,
                    node: Id::from_uuid(row.node_id),
                    outstanding: row.outstanding,
                    updated_at: row.updated_at,
                });
                Ok(leases.collect())
            })
        })
        .await
}
