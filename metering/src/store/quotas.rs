//! `usage_quotas` as people see and set them.

use chrono::{DateTime, Utc};
use database::{Error, TenantTransaction};
use types::Id;
use types::id::Quota;

/// The period of a quota that only counts.
const UNLIMITED: &str = "unlimited";

/// A row, with the period that is over already counted as over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QuotaRow {
    pub(crate) resource_type: String,
    pub(crate) limit: i64,
    pub(crate) used: i64,
    pub(crate) reserved: i64,
    pub(crate) period: String,
    pub(crate) reset_at: Option<DateTime<Utc>>,
}

/// What is set.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting<'a> {
    pub(crate) resource_type: &'a str,
    pub(crate) limit: i64,
    pub(crate) period: &'a str,
    pub(crate) reset_at: Option<DateTime<Utc>>,
}

/// The quotas of the transaction's organization; of one resource, if one is named.
pub(crate) async fn list(
    tx: &mut TenantTransaction<'_>,
    resource_type: Option<&str>,
) -> Result<Vec<QuotaRow>, Error> {
    let organization = tx.organization().uuid();
    let rows = sqlx::query_as!(
        QuotaRow,
        r#"
        SELECT quota.resource_type
             , quota.quota_limit AS "limit"
             , CASE WHEN over.is_over THEN 0 ELSE quota.quota_used END AS "used!" -- of columns that are never null
             , CASE WHEN over.is_over THEN 0 ELSE quota.quota_reserved END AS "reserved!"
             , quota.quota_period AS "period"
             , CASE WHEN over.is_over
                    THEN metering.period_end(COALESCE(period.anchor_at, quota.reset_at), quota.quota_period, now())
                    ELSE quota.reset_at
               END AS reset_at
          FROM usage_quotas AS quota
          LEFT JOIN metering.quota_periods AS period
            ON period.organization_id = quota.organization_id
           AND period.resource_type = quota.resource_type
         CROSS JOIN LATERAL (
            SELECT quota.quota_period <> 'unlimited' AND quota.reset_at <= now() AS is_over
         ) AS over
         WHERE quota.organization_id = $1
           AND ($2::text IS NULL OR quota.resource_type = $2)
         ORDER BY quota.resource_type
        "#,
        organization,
        resource_type,
    )
    .fetch_all(tx.connection())
    .await?;
    Ok(rows)
}

/// Locks a quota and begins its next period if that is due, so that what is read next is what is changed.
pub(crate) async fn lock(tx: &mut TenantTransaction<'_>, resource_type: &str) -> Result<(), Error> {
    let organization = tx.organization().uuid();
    sqlx::query!(
        "SELECT current_period FROM metering.lock_quota($1, $2)",
        organization,
        resource_type,
    )
    .fetch_one(tx.connection())
    .await?;
    Ok(())
}

/// Sets a quota. What is used and reserved stays, unless nothing was limited before; the period's new end becomes its anchor.
pub(crate) async fn put(
    tx: &mut TenantTransaction<'_>,
    id: Id<Quota>,
    setting: Setting<'_>,
) -> Result<(), Error> {
    let organization = tx.organization().uuid();
    if setting.period != UNLIMITED {
        begin_first_period(tx, setting.resource_type).await?;
    }
    sqlx::query!(
        "
        INSERT INTO usage_quotas (id, organization_id, resource_type, quota_limit, quota_period, reset_at)
        VALUES ($1, $2, $3, $4, $5, $6)
            ON CONFLICT (organization_id, resource_type) DO UPDATE
           SET quota_limit = EXCLUDED.quota_limit
             , quota_period = EXCLUDED.quota_period
             , reset_at = EXCLUDED.reset_at
        ",
        id.uuid(),
        organization,
        setting.resource_type,
        setting.limit,
        setting.period,
        setting.reset_at,
    )
    .execute(tx.connection())
    .await?;
    sqlx::query!(
        "
        INSERT INTO metering.quota_periods (organization_id, resource_type, anchor_at)
        VALUES ($1, $2, $3)
            ON CONFLICT (organization_id, resource_type) DO UPDATE
           SET anchor_at = EXCLUDED.anchor_at
         WHERE metering.quota_periods.anchor_at IS NULL
            OR EXCLUDED.anchor_at <> metering.period_end(
                   metering.quota_periods.anchor_at, $4, EXCLUDED.anchor_at - interval '1 microsecond')
        ",
        organization,
        setting.resource_type,
        setting.reset_at,
        setting.period,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}

/// Where nothing was limited, all that was ever used is not the first period's; its leases, of before that, end.
async fn begin_first_period(
    tx: &mut TenantTransaction<'_>,
    resource_type: &str,
) -> Result<(), Error> {
    let organization = tx.organization().uuid();
    sqlx::query!(
        "
        WITH begun AS (
            UPDATE usage_quotas
               SET quota_used = 0
                 , quota_reserved = 0
             WHERE organization_id = $1
               AND resource_type = $2
               AND quota_period = $3
            RETURNING organization_id, resource_type
        ), period AS (
            UPDATE metering.quota_periods AS period
               SET period = period.period + 1
                 , anchor_at = NULL
              FROM begun
             WHERE period.organization_id = begun.organization_id
               AND period.resource_type = begun.resource_type
        )
        UPDATE metering.quota_leases AS lease
           SET state = 'expired'
          FROM begun
         WHERE lease.organization_id = begun.organization_id
           AND lease.resource_type = begun.resource_type
           AND lease.state = 'open'
        ",
        organization,
        resource_type,
        UNLIMITED,
    )
    .execute(tx.connection())
    .await?;
    Ok(())
}
