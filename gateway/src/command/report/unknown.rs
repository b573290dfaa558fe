//! `flowpilot report unknown`: the reconciliation list.

use chrono::NaiveDate;
use database::Database;
use metering::reconciliation::{self, Unknown};
use metering::report::Scope;

use crate::cli::Format;
use crate::output;
use crate::table::Table;

/// Prints the list.
pub(super) async fn print(
    database: &Database,
    scope: Scope,
    span: (NaiveDate, NaiveDate),
    format: Format,
) -> anyhow::Result<()> {
    let rows = reconciliation::unknown(database, scope, span).await?;
    match format {
        Format::Json => output::line(serde_json::to_string_pretty(&rows)?),
        Format::Csv | Format::Table => table(&rows).print(format),
    }
    Ok(())
}

fn table(rows: &[Unknown]) -> Table {
    let mut table = Table::new([
        "admitted",
        "organization",
        "request",
        "attempt",
        "provider",
        "model",
        "key",
        "input booked",
        "cost USD",
    ]);
    for row in rows {
        table.row([
            row.created_at.to_rfc3339(),
            row.organization_id.to_string(),
            row.request_id.to_string(),
            row.attempt.to_string(),
            row.provider.clone(),
            row.model.clone(),
            row.api_key_id.map(|id| id.to_string()).unwrap_or_default(),
            row.input_tokens.to_string(),
            row.cost_usd.to_string(),
        ]);
    }
    table
}
