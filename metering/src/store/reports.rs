//! Reads `metering.usage_rollup` for reports.

use sqlx::PgConnection;
use types::id::Organization;
use types::{Id, Usd};

use crate::report::{Dimension, Filter, ROWS_MAX, Row};

/// One row more than allowed, to see whether there are too many.
pub(crate) async fn usage(
    connection: &mut PgConnection,
    organization: Option<Id<Organization>>,
    filter: &Filter,
) -> Result<Vec<Row>, database::Error> {
    let rows = sqlx::query_file!(
        "sql/usage.sql",
        filter.from,
        filter.until,
        organization.map(|id| id.uuid()),
        filter.by(Dimension::Organization),
        filter.by(Dimension::Month),
        filter.by(Dimension::Day),
        filter.by(Dimension::Provider),
        filter.by(Dimension::Model),
        filter.by(Dimension::ApiKey),
        filter.provider,
        filter.model,
        filter.api_key.map(|id| id.uuid()),
        i64::try_from(ROWS_MAX)
            .unwrap_or(i64::MAX)
            .saturating_add(1),
    )
    .fetch_all(connection)
    .await?;
    let rows = rows.into_iter().map(|row| Row {
        organization_id: row.organization_id,
        period: row.period,
        provider: row.provider,
        model: row.model,
        api_key_id: row.api_key_id,
        requests: row.requests,
        hits: row.hits,
        unknown_requests: row.unknown_requests,
        estimated_requests: row.estimated_requests,
        input_tokens: row.input_tokens,
        cache_read_tokens: row.cache_read_tokens,
        output_tokens: row.output_tokens,
        reasoning_tokens: row.reasoning_tokens,
        cost_usd: Usd::new(row.cost_usd),
        saved_cost_usd: Usd::new(row.saved_cost_usd),
    });
    Ok(rows.collect())
}
