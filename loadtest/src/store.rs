//! The gateway's books, read past row-level security with SQL of this crate's own.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::postgres::PgRow;
use sqlx::{PgPool, Row};
use uuid::Uuid;

use crate::oracle::price::{Usd, decimal};
use crate::provider::plan::Tokens;

/// A row of `usage_events`.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) request: Uuid,
    pub(crate) organization: Uuid,
    pub(crate) created_at: DateTime<Utc>,
    /// `ai_request` or `api_call`.
    pub(crate) kind: String,
    pub(crate) provider: String,
    pub(crate) model: String,
    pub(crate) outcome: String,
    pub(crate) source: String,
    pub(crate) quantity: u64,
    pub(crate) tokens: Tokens,
    pub(crate) cost: Usd,
    /// The prompt, as the request's row has it.
    pub(crate) prompt: String,
}

/// Sums of one organization and day, month or whatever is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) calls: u64,
    pub(crate) tokens: u64,
    pub(crate) cost: Usd,
}

/// Sums by organization, day, provider, model, key and source.
pub(crate) type Dimensions = (Uuid, NaiveDate, String, String, String);

/// A row of `usage_quotas`.
#[derive(Debug, Clone)]
pub(crate) struct Quota {
    pub(crate) organization: Uuid,
    pub(crate) resource: String,
    /// None where it only counts.
    pub(crate) limit: Option<u64>,
    pub(crate) used: u64,
    pub(crate) reserved: u64,
}

/// All events of these organizations, as they came.
pub(crate) async fn events(pool: &PgPool, organizations: &[Uuid]) -> anyhow::Result<Vec<Event>> {
    let rows = sqlx::query(
        "SELECT event.request_id AS request, event.organization_id AS organization, event.created_at
              , event.event_type AS kind, event.provider, event.model, event.outcome
              , COALESCE(event.usage_source, '') AS source, event.quantity, event.input_tokens AS input
              , event.cache_read_tokens AS cache_read, event.cache_write_5m_tokens AS write_5m
              , event.cache_write_1h_tokens AS write_1h, event.output_tokens AS output
              , event.reasoning_tokens AS reasoning, event.cost_usd::text AS cost
              , COALESCE(request.prompt_text, '') AS prompt
           FROM usage_events AS event
           LEFT JOIN ai_requests AS request
             ON request.id = event.request_id
            AND request.created_at = event.created_at
          WHERE event.organization_id = ANY ($1)
          ORDER BY event.created_at",
    );
    let rows = rows.bind(organizations).fetch_all(pool).await?;
    rows.iter().map(event).collect()
}

/// `billing_usage`, by organization and the period's first day.
pub(crate) async fn periods(
    pool: &PgPool,
    organizations: &[Uuid],
) -> anyhow::Result<BTreeMap<(Uuid, NaiveDate), Sums>> {
    let rows = sqlx::query(
        "SELECT organization_id AS organization, billing_period_start AS day, total_api_calls AS calls
              , total_ai_tokens AS tokens, total_cost_usd_exact::text AS cost
           FROM billing_usage
          WHERE organization_id = ANY ($1)",
    );
    by_day(&rows.bind(organizations).fetch_all(pool).await?)
}

/// `daily_metrics`, by organization and day.
pub(crate) async fn days(
    pool: &PgPool,
    organizations: &[Uuid],
) -> anyhow::Result<BTreeMap<(Uuid, NaiveDate), Sums>> {
    let rows = sqlx::query(
        "SELECT organization_id AS organization, metric_date AS day, total_api_calls AS calls
              , total_ai_tokens AS tokens, total_ai_cost_usd::text AS cost
           FROM daily_metrics
          WHERE organization_id = ANY ($1)",
    );
    by_day(&rows.bind(organizations).fetch_all(pool).await?)
}

/// `ai_requests`, by organization and day; its calls are its rows.
pub(crate) async fn requests(
    pool: &PgPool,
    organizations: &[Uuid],
) -> anyhow::Result<BTreeMap<(Uuid, NaiveDate), Sums>> {
    let rows = sqlx::query(
        "SELECT organization_id AS organization, (created_at AT TIME ZONE 'UTC')::date AS day, count(*) AS calls
              , sum(total_tokens)::bigint AS tokens, sum(cost_usd)::text AS cost
           FROM ai_requests
          WHERE organization_id = ANY ($1)
          GROUP BY 1, 2",
    );
    by_day(&rows.bind(organizations).fetch_all(pool).await?)
}

/// `metering.usage_rollup`, by what the reports tell apart; its calls are its events.
pub(crate) async fn rollup(
    pool: &PgPool,
    organizations: &[Uuid],
) -> anyhow::Result<BTreeMap<Dimensions, Sums>> {
    let rows = sqlx::query(
        "SELECT organization_id AS organization, day, provider, model, usage_source AS source
              , sum(events)::bigint AS calls, sum(quantity)::bigint AS tokens, sum(cost_usd)::text AS cost
           FROM metering.usage_rollup
          WHERE organization_id = ANY ($1)
            AND event_type = 'ai_request'
          GROUP BY 1, 2, 3, 4, 5",
    );
    let rows = rows.bind(organizations).fetch_all(pool).await?;
    let entries = rows.iter().map(|row| {
        let (organization, day) = (row.try_get("organization")?, row.try_get("day")?);
        let (provider, model) = (row.try_get("provider")?, row.try_get("model")?);
        let key = (organization, day, provider, model, row.try_get("source")?);
        Ok((key, sums(row)?))
    });
    entries.collect()
}

/// The quotas of these organizations.
pub(crate) async fn quotas(pool: &PgPool, organizations: &[Uuid]) -> anyhow::Result<Vec<Quota>> {
    let rows = sqlx::query(
        "SELECT organization_id AS organization, resource_type AS resource, quota_limit AS limit, quota_period AS period
              , quota_used AS used, quota_reserved AS reserved
           FROM usage_quotas
          WHERE organization_id = ANY ($1)",
    );
    let rows = rows.bind(organizations).fetch_all(pool).await?;
    let quotas = rows.iter().map(|row| {
        let is_limited = row.try_get::<String, _>("period")? != "unlimited";
        let limit = count(row, "limit")?;
        Ok(Quota {
            organization: row.try_get("organization")?,
            resource: row.try_get("resource")?,
            limit: is_limited.then_some(limit),
            used: count(row, "used")?,
            reserved: count(row, "reserved")?,
        })
    });
    quotas.collect()
}

/// Leases of these organizations that nobody ended.
pub(crate) async fn open_leases(pool: &PgPool, organizations: &[Uuid]) -> anyhow::Result<i64> {
    let count = sqlx::query_scalar(
        "SELECT count(*) FROM metering.quota_leases WHERE state = 'open' AND organization_id = ANY ($1)",
    );
    Ok(count.bind(organizations).fetch_one(pool).await?)
}

fn by_day(rows: &[PgRow]) -> anyhow::Result<BTreeMap<(Uuid, NaiveDate), Sums>> {
    let entries = rows.iter().map(|row| {
        let key = (row.try_get("organization")?, row.try_get("day")?);
        Ok((key, sums(row)?))
    });
    entries.collect()
}

fn sums(row: &PgRow) -> anyhow::Result<Sums> {
    Ok(Sums {
        calls: count(row, "calls")?,
        tokens: count(row, "tokens")?,
        cost: usd(row)?,
    })
}

fn event(row: &PgRow) -> anyhow::Result<Event> {
    Ok(Event {
        request: row.try_get("request")?,
        organization: row.try_get("organization")?,
        created_at: row.try_get("created_at")?,
        kind: row.try_get("kind")?,
        provider: row.try_get("provider")?,
        model: row.try_get("model")?,
        outcome: row.try_get("outcome")?,
        source: row.try_get("source")?,
        quantity: count(row, "quantity")?,
        tokens: Tokens {
            input: count(row, "input")?,
            cache_read: count(row, "cache_read")?,
            cache_write_5m: count(row, "write_5m")?,
            cache_write_1h: count(row, "write_1h")?,
            output: count(row, "output")?,
            reasoning: count(row, "reasoning")?,
        },
        cost: usd(row)?,
        prompt: row.try_get("prompt")?,
    })
}

/// A column that never holds less than nothing.
fn count(row: &PgRow, column: &str) -> anyhow::Result<u64> {
    Ok(row.try_get::<i64, _>(column)?.try_into()?)
}

fn usd(row: &PgRow) -> anyhow::Result<Usd> {
    decimal(row.try_get("cost")?)
}
