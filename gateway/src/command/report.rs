//! `flowpilot report …`: tokens, requests and exact cost, and what is not known of them.

mod unknown;

use std::process::ExitCode;

use anyhow::{Context, bail};
use chrono::{Datelike, Months, NaiveDate};
use metering::report::{self, Filter, Row, Scope};
use types::{Clock, SystemClock};

use super::with_database;
use crate::cli::{Common, Format, ReportCommand};
use crate::output;
use crate::state::State;
use crate::table::Table;

/// Prints the report.
pub(super) fn run(common: &Common, command: ReportCommand) -> anyhow::Result<ExitCode> {
    match command {
        ReportCommand::Usage {
            month,
            organization,
            group_by,
            format,
        } => {
            let (from, until) = span(month.as_deref())?;
            let filter = Filter {
                group_by: group_by.into_iter().collect(),
                ..Filter::of(from, until)
            };
            with_database(common, async |state| {
                let scope = scope(state, organization.as_deref()).await?;
                let rows = report::usage(&state.database, scope, &filter).await?;
                print(&rows, format)
            })?;
        }
        ReportCommand::Unknown {
            month,
            organization,
            format,
        } => {
            let span = span(month.as_deref())?;
            with_database(common, async |state| {
                let scope = scope(state, organization.as_deref()).await?;
                unknown::print(&state.database, scope, span, format).await
            })?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A month as its first day and the first day of the next one.
pub(super) fn span(month: Option<&str>) -> anyhow::Result<(NaiveDate, NaiveDate)> {
    let first = match month {
        Some(month) => NaiveDate::parse_from_str(&format!("{month}-01"), "%Y-%m-%d")
            .with_context(|| format!("--month {month} is no month; write it as 2026-11"))?,
        None => SystemClock
            .now()
            .date_naive()
            .with_day(1)
            .context("the clock shows no date")?,
    };
    let Some(next) = first.checked_add_months(Months::new(1)) else {
        bail!("there is no month after {first}");
    };
    Ok((first, next))
}

async fn scope(state: &State, organization: Option<&str>) -> anyhow::Result<Scope> {
    let Some(slug_or_id) = organization else {
        return Ok(Scope::All);
    };
    let found = tenants::command::find_organization(&state.database, slug_or_id).await?;
    Ok(Scope::Organization(found.id))
}

fn print(rows: &[Row], format: Format) -> anyhow::Result<()> {
    match format {
        Format::Json => output::line(serde_json::to_string_pretty(rows)?),
        Format::Csv => output::raw(&report::to_csv(rows)),
        Format::Table => table(rows).print(format),
    }
    Ok(())
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new([
        "organization",
        "period",
        "provider",
        "model",
        "requests",
        "hits",
        "input",
        "output",
        "cost USD",
        "saved USD",
        "unsure",
    ]);
    for row in rows {
        table.row([
            row.organization_id
                .map(|id| id.to_string())
                .unwrap_or_default(),
            row.period.map(|day| day.to_string()).unwrap_or_default(),
            row.provider.clone().unwrap_or_default(),
            row.model.clone().unwrap_or_default(),
            row.requests.to_string(),
            row.hits.to_string(),
            row.input_tokens.to_string(),
            row.output_tokens.to_string(),
            row.cost_usd.to_string(),
            row.saved_cost_usd.to_string(),
            (row.unknown_requests + row.estimated_requests).to_string(),
        ]);
    }
    table
}
