//! Reads `usage_events` back, a page at a time, for the recomputation of what is summed from them.

use std::collections::BTreeMap;

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, Utc};
use database::Error;
use sqlx::PgConnection;
use sqlx::types::Json;
use types::id::Organization;
use types::{Id, Usage, UsageSource, Usd};
use uuid::Uuid;

use crate::journal::STANDARD;
use crate::rollup::Fact;
use crate::shipper::booking::EventKind;

/// Events held in memory at once: some megabytes.
const PAGE_ROWS: i64 = 5_000;

/// An event as it is stored.
#[derive(Debug)]
pub(crate) struct Event {
    id: Uuid,
    created_at: DateTime<Utc>,
    organization_id: Uuid,
    kind: String,
    quantity: i64,
    pub(crate) cost: Usd,
    saved_cost: Usd,
    outcome: Option<String>,
    provider: String,
    model: String,
    api_key_id: Option<Uuid>,
    user_id: Option<Uuid>,
    department_id: Option<Uuid>,
    workflow_id: Option<Uuid>,
    price_id: Option<Uuid>,
    service: Option<String>,
    usage_source: Option<String>,
    charge_to: String,
    billed_period: NaiveDate,
    usage: Usage,
    tags: BTreeMap<String, String>,
}

/// Where a page ends.
pub(crate) type Key = (DateTime<Utc>, Uuid);

impl Event {
    /// What the next page begins after.
    pub(crate) const fn key(&self) -> Key {
        (self.created_at, self.id)
    }
}

/// The days that organizations have events or roll-ups of.
pub(crate) async fn days(
    connection: &mut PgConnection,
    organization: Option<Id<Organization>>,
    (from, until): (NaiveDate, NaiveDate),
) -> Result<Vec<(Id<Organization>, NaiveDate)>, Error> {
    let rows = sqlx::query!(
        r#"
        SELECT organization_id AS "organization_id!" -- never null in either table
             , day AS "day!"
          FROM metering.usage_rollup
         WHERE day >= $1
           AND day < $2
           AND ($3::uuid IS NULL OR organization_id = $3)
         UNION
        SELECT organization_id
             , (created_at AT TIME ZONE 'UTC')::date
          FROM usage_events
         WHERE created_at >= $4
           AND created_at < $5
           AND ($3::uuid IS NULL OR organization_id = $3)
         ORDER BY 2, 1
        "#,
        from,
        until,
        organization.map(|id| id.uuid()),
        midnight(from),
        midnight(until),
    )
    .fetch_all(connection)
    .await?;
    let days = rows
        .into_iter()
        .map(|row| (Id::from_uuid(row.organization_id), row.day));
    Ok(days.collect())
}

/// The next events of a day, oldest first; none when it is over.
pub(crate) async fn page(
    connection: &mut PgConnection,
    organization: Id<Organization>,
    day: NaiveDate,
    after: Option<Key>,
) -> Result<Vec<Event>, Error> {
    let begin = midnight(day);
    let end = midnight(day.checked_add_days(Days::new(1)).unwrap_or(day));
    let (after_time, after_id) = after.unwrap_or((begin, Uuid::nil()));
    let rows = sqlx::query!(
        r#"
        SELECT id, created_at, event_type, quantity, cost_usd, saved_cost_usd, outcome, provider, model, api_key_id, user_id
             , department_id, workflow_id, price_id, usage_source, charge_to
             , metadata ->> 'service' AS service
             , billed_period
             , input_tokens, cache_read_tokens, cache_write_5m_tokens, cache_write_1h_tokens, audio_input_tokens, image_tokens
             , output_tokens, reasoning_tokens, audio_output_tokens, web_searches
             , tags AS "tags: Json<BTreeMap<String, String>>"
          FROM usage_events
         WHERE organization_id = $1
           AND created_at >= $2
           AND created_at < $3
           AND (created_at, id) > ($4, $5)
         ORDER BY created_at, id
         LIMIT $6
        "#,
        organization.uuid(),
        begin,
        end,
        after_time,
        after_id,
        PAGE_ROWS,
    )
    .fetch_all(connection)
    .await?;
    let month = day.with_day(1).unwrap_or(day);
    let events = rows.into_iter().map(|row| Event {
        id: row.id,
        created_at: row.created_at,
        organization_id: organization.uuid(),
        quantity: row.quantity,
        cost: Usd::new(row.cost_usd),
        saved_cost: Usd::new(row.saved_cost_usd),
        outcome: row.outcome,
        provider: row.provider.unwrap_or_default(),
        model: row.model.unwrap_or_default(),
        api_key_id: row.api_key_id,
        user_id: row.user_id,
        department_id: row.department_id,
        workflow_id: row.workflow_id,
        price_id: row.price_id,
        service: service(row.service, &row.event_type, row.usage_source.as_deref()),
        kind: row.event_type,
        usage_source: row.usage_source,
        charge_to: row.charge_to,
        billed_period: row.billed_period.unwrap_or(month),
        usage: Usage {
            input_tokens: count(row.input_tokens),
            cache_read_tokens: count(row.cache_read_tokens),
            cache_write_5m_tokens: count(row.cache_write_5m_tokens),
            cache_write_1h_tokens: count(row.cache_write_1h_tokens),
            audio_input_tokens: count(row.audio_input_tokens),
            image_tokens: count(row.image_tokens),
            output_tokens: count(row.output_tokens),
            reasoning_tokens: count(row.reasoning_tokens),
            audio_output_tokens: count(row.audio_output_tokens),
            web_searches: count(row.web_searches),
        },
        tags: row.tags.0,
    });
    Ok(events.collect())
}

impl<'a> From<&'a Event> for Fact<'a> {
    fn from(event: &'a Event) -> Self {
        Self {
            organization: event.organization_id,
            day: event.created_at.date_naive(),
            billed_period: event.billed_period,
            event_type: &event.kind,
            provider: &event.provider,
            model: &event.model,
            api_key: event.api_key_id,
            user: event.user_id,
            department: event.department_id,
            workflow: event.workflow_id,
            price: event.price_id,
            service: event.service.as_deref(),
            usage_source: event.usage_source.as_deref(),
            outcome: event.outcome.as_deref(),
            charge_to: &event.charge_to,
            quantity: event.quantity,
            usage: event.usage,
            cost: event.cost,
            saved_cost: event.saved_cost,
            tags: &event.tags,
        }
    }
}

/// Of an attempt whose service was the usual one nothing is said; a hit and a call have none.
fn service(said: Option<String>, kind: &str, usage_source: Option<&str>) -> Option<String> {
    let is_attempt =
        kind == EventKind::AiRequest.as_str() && usage_source != Some(UsageSource::Cache.as_str());
    said.or_else(|| is_attempt.then(|| STANDARD.to_owned()))
}

fn count(tokens: i64) -> u64 {
    u64::try_from(tokens).unwrap_or(0)
}

fn midnight(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::MIN).and_utc()
}
