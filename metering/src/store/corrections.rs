//! Reads events with what they cost by now, corrections included, for repricing; and what was used without a price.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use database::Error;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use sqlx::types::Json;
use types::id::Organization;
use types::{Id, Usage, Usd};
use uuid::Uuid;

use super::adjustments::AdjustedSubject;
use crate::record::ChargeTo;
use crate::reprice::Repricing;

/// An event that was priced, or ought to have been.
#[derive(Debug, Clone)]
pub(crate) struct Booked {
    pub(crate) id: Uuid,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) organization: Id<Organization>,
    pub(crate) provider: String,
    pub(crate) model: String,
    pub(crate) price: Option<Uuid>,
    pub(crate) service: Option<String>,
    pub(crate) usage: Usage,
    /// With its corrections.
    pub(crate) cost: Usd,
    /// How many of them there are.
    pub(crate) corrections: i64,
    pub(crate) subject: AdjustedSubject,
}

/// The same as it is read.
struct Row {
    id: Uuid,
    created_at: DateTime<Utc>,
    organization_id: Uuid,
    request_id: Option<Uuid>,
    outcome: Option<String>,
    provider: Option<String>,
    model: Option<String>,
    api_key_id: Option<Uuid>,
    user_id: Option<Uuid>,
    department_id: Option<Uuid>,
    workflow_id: Option<Uuid>,
    usage_source: Option<String>,
    charge_to: String,
    price_id: Option<Uuid>,
    service: Option<String>,
    input_tokens: i64,
    cache_read_tokens: i64,
    cache_write_5m_tokens: i64,
    cache_write_1h_tokens: i64,
    audio_input_tokens: i64,
    image_tokens: i64,
    output_tokens: i64,
    reasoning_tokens: i64,
    audio_output_tokens: i64,
    web_searches: i64,
    tags: Json<BTreeMap<String, String>>,
    cost: Decimal,
    corrections: i64,
}

/// Where a page ends.
pub(crate) type Cursor = (DateTime<Utc>, Uuid);

/// What was used without a price.
#[derive(Debug, Clone)]
pub(crate) struct UnpricedRow {
    pub(crate) provider: String,
    pub(crate) model: String,
    pub(crate) organizations: i64,
    pub(crate) events: i64,
    pub(crate) tokens: i64,
    pub(crate) first_at: DateTime<Utc>,
    pub(crate) last_at: DateTime<Utc>,
}

impl Booked {
    pub(crate) const fn cursor(&self) -> Cursor {
        (self.created_at, self.id)
    }

    pub(crate) fn month(&self) -> NaiveDate {
        let day = self.created_at.date_naive();
        day.with_day(1).unwrap_or(day)
    }
}

/// The next events of a span, oldest first; none when it is over.
pub(crate) async fn page(
    connection: &mut PgConnection,
    repricing: &Repricing,
    after: Option<Cursor>,
    rows_max: i64,
) -> Result<Vec<Booked>, Error> {
    let (after_time, after_id) = after.unwrap_or((repricing.from, Uuid::nil()));
    let rows = sqlx::query_as!(
        Row,
        r#"
        SELECT event.id, event.created_at, event.organization_id, event.request_id, event.outcome, event.provider, event.model
             , event.api_key_id, event.user_id, event.department_id, event.workflow_id, event.usage_source, event.charge_to
             , COALESCE(event.price_id, correction.price_id) AS price_id
             , event.metadata ->> 'service' AS service
             , event.input_tokens, event.cache_read_tokens, event.cache_write_5m_tokens, event.cache_write_1h_tokens
             , event.audio_input_tokens, event.image_tokens, event.output_tokens, event.reasoning_tokens
             , event.audio_output_tokens, event.web_searches
             , event.tags AS "tags: Json<BTreeMap<String, String>>"
             , event.cost_usd + correction.cost_usd AS "cost!" -- an aggregate, which is one row
             , correction.corrections AS "corrections!"
          FROM usage_events AS event
         CROSS JOIN LATERAL (
            SELECT COALESCE(sum(cost_usd), 0) AS cost_usd
                 , count(*) AS corrections
                 , (array_agg(price_id))[1] AS price_id
              FROM usage_events
             WHERE usage_events.organization_id = event.organization_id
               AND usage_events.corrects_id = event.id
               AND usage_events.created_at = event.created_at
         ) AS correction
         WHERE event.created_at >= $1
           AND event.created_at < $2
           AND (event.created_at, event.id) > ($3, $4)
           AND event.event_type = 'ai_request'
           AND event.usage_source <> 'cache'
           AND ($5::uuid IS NULL OR event.organization_id = $5)
           AND ($6::text IS NULL OR event.provider = $6)
           AND ($7::text IS NULL OR event.model = $7)
         ORDER BY event.created_at, event.id
         LIMIT $8
        "#,
        repricing.from.max(after_time),
        repricing.until,
        after_time,
        after_id,
        repricing.organization.map(|id| id.uuid()),
        repricing.provider,
        repricing.model,
        rows_max,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(Booked::from).collect())
}

impl From<Row> for Booked {
    fn from(row: Row) -> Self {
        let usage = row.usage();
        let provider = row.provider.unwrap_or_default();
        let model = row.model.unwrap_or_default();
        let is_platforms = row.charge_to == ChargeTo::Platform.as_str();
        let charge_to = if is_platforms {
            ChargeTo::Platform
        } else {
            ChargeTo::Tenant
        };
        Self {
            id: row.id,
            created_at: row.created_at,
            organization: Id::from_uuid(row.organization_id),
            price: row.price_id,
            usage,
            cost: Usd::new(row.cost),
            corrections: row.corrections,
            subject: AdjustedSubject {
                corrects: None,
                request: row.request_id,
                outcome: row.outcome,
                provider: provider.clone(),
                model: model.clone(),
                api_key: row.api_key_id,
                user: row.user_id,
                department: row.department_id,
                workflow: row.workflow_id,
                price: None,
                service: row.service.clone(),
                usage_source: row.usage_source,
                charge_to: Some(charge_to),
                tags: row.tags.0,
            },
            provider,
            model,
            service: row.service,
        }
    }
}

impl Row {
    fn usage(&self) -> Usage {
        Usage {
            input_tokens: count(self.input_tokens),
            cache_read_tokens: count(self.cache_read_tokens),
            cache_write_5m_tokens: count(self.cache_write_5m_tokens),
            cache_write_1h_tokens: count(self.cache_write_1h_tokens),
            audio_input_tokens: count(self.audio_input_tokens),
            image_tokens: count(self.image_tokens),
            output_tokens: count(self.output_tokens),
            reasoning_tokens: count(self.reasoning_tokens),
            audio_output_tokens: count(self.audio_output_tokens),
            web_searches: count(self.web_searches),
        }
    }
}

fn count(tokens: i64) -> u64 {
    u64::try_from(tokens).unwrap_or(0)
}

/// What was used without a price in a span, and is not repriced since.
pub(crate) async fn unpriced(
    connection: &mut PgConnection,
    (from, until): (DateTime<Utc>, DateTime<Utc>),
    rows_max: i64,
) -> Result<Vec<UnpricedRow>, Error> {
    let rows = sqlx::query_as!(
        UnpricedRow,
        r#"
        SELECT COALESCE(event.provider, '') AS "provider!"
             , COALESCE(event.model, '') AS "model!"
             , count(DISTINCT event.organization_id) AS "organizations!" -- counts, and of groups, which are never empty
             , count(*) AS "events!"
             , sum(event.quantity)::bigint AS "tokens!"
             , min(event.created_at) AS "first_at!"
             , max(event.created_at) AS "last_at!"
          FROM usage_events AS event
         WHERE event.created_at >= $1
           AND event.created_at < $2
           AND event.event_type = 'ai_request'
           AND event.price_id IS NULL
           AND event.quantity > 0
           AND NOT EXISTS (
               SELECT
                 FROM usage_events AS correction
                WHERE correction.organization_id = event.organization_id
                  AND correction.corrects_id = event.id
                  AND correction.created_at = event.created_at
               )
         GROUP BY event.provider, event.model
         ORDER BY sum(event.quantity) DESC, event.provider, event.model
         LIMIT $3
        "#,
        from,
        until,
        rows_max,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}
