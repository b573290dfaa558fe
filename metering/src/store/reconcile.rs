//! Reads what was asked of a provider, for comparing it with its bill.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use database::Error;
use sqlx::PgConnection;
use types::Usd;

use crate::reconcile::{Line, Ours, Unsure};

/// Quantities and costs by day, model and token class, of all organizations and of the platform; mark-ups are ours alone.
pub(crate) async fn ours(
    connection: &mut PgConnection,
    provider: &str,
    (from, until): (NaiveDate, NaiveDate),
) -> Result<BTreeMap<Line, Ours>, Error> {
    let rows = sqlx::query!(
        r#"
        SELECT day
             , model
             , token_class
             -- Sums of columns that are never null, over groups that are never empty.
             , sum(quantity)::bigint AS "quantity!"
             , sum(cost_usd) AS "cost_usd!"
             , COALESCE(sum(cost_usd) FILTER (WHERE usage_source = 'unknown'), 0) AS "unknown_usd!"
             , COALESCE(sum(cost_usd) FILTER (WHERE usage_source = 'estimated'), 0) AS "estimated_usd!"
             , COALESCE(sum(cost_usd) FILTER (WHERE usage_source = 'provider' AND outcome = 'failed'), 0) AS "failed_usd!"
          FROM metering.charge_rollup
         WHERE provider = $1
           AND day >= $2
           AND day < $3
           AND token_class <> 'markup'
         GROUP BY day, model, token_class
        "#,
        provider,
        from,
        until,
    )
    .fetch_all(connection)
    .await?;
    let ours = rows.into_iter().map(|row| {
        let line = Line {
            day: row.day,
            model: row.model,
            class: row.token_class,
        };
        let ours = Ours {
            quantity: row.quantity,
            cost: Usd::new(row.cost_usd),
            unsure: Unsure {
                unknown: Usd::new(row.unknown_usd),
                estimated: Usd::new(row.estimated_usd),
                failed: Usd::new(row.failed_usd),
            },
        };
        (line, ours)
    });
    Ok(ours.collect())
}
