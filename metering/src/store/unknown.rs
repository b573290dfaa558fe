//! Reads from `usage_events` the requests whose usage nobody knows; an index of their own holds them.

use chrono::NaiveDate;
use sqlx::PgConnection;
use types::id::Organization;
use types::{Id, Usd};

use crate::reconciliation::Unknown;
use crate::report::ROWS_MAX;

/// One more than allowed, to see whether there are too many.
pub(crate) async fn list(
    connection: &mut PgConnection,
    organization: Option<Id<Organization>>,
    (from, until): (NaiveDate, NaiveDate),
) -> Result<Vec<Unknown>, database::Error> {
    let rows = sqlx::query!(
        r#"
        SELECT organization_id
             , request_id AS "request_id!" -- every event of the gateway has these
             , COALESCE(attempt, 1) AS "attempt!"
             , created_at
             , COALESCE(provider, '') AS "provider!"
             , COALESCE(model, '') AS "model!"
             , api_key_id
             , input_tokens AS "input_tokens!"
             , cost_usd AS "cost_usd!"
          FROM usage_events
         WHERE usage_source = 'unknown'
           AND event_type = 'ai_request'
           AND created_at >= $1::date AT TIME ZONE 'UTC'
           AND created_at < $2::date AT TIME ZONE 'UTC'
           AND ($3::uuid IS NULL OR organization_id = $3)
         ORDER BY created_at, id
         LIMIT $4
        "#,
        from,
        until,
        organization.map(|id| id.uuid()),
        i64::try_from(ROWS_MAX)
            .unwrap_or(i64::MAX)
            .saturating_add(1),
    )
    .fetch_all(connection)
    .await?;
    let rows = rows.into_iter().map(|row| Unknown {
        organization_id: row.organization_id,
        request_id: row.request_id,
        attempt: row.attempt,
        created_at: row.created_at,
        provider: row.provider,
        model: row.model,
        api_key_id: row.api_key_id,
        input_tokens: row.input_tokens,
        cost_usd: Usd::new(row.cost_usd),
    });
    Ok(rows.collect())
}
