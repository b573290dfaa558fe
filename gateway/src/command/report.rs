//! `flowpilot report …`: what was used and what it cost, from the roll-ups; and what is not known of it.

mod unknown;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use chrono::{Datelike, Months, NaiveDate};
use metering::reconcile::{self, Bill};
use metering::report::{
    self, CostRow, Dimension, Filter, Paging, ReportRow, Rows, Scope, UsageRow,
};
use metering::sheet::{Encoding, Sheet, to_text};
use metering::{focus, forecast};
use serde::Serialize;
use types::{Clock, SystemClock};

use super::{load, with_database};
use crate::cli::{Common, FocusFormat, FormArgs, MonthArgs, ReportCommand, ReportFormat};
use crate::output;
use crate::state::State;

/// Prints the report.
pub(super) fn run(common: &Common, command: ReportCommand) -> anyhow::Result<ExitCode> {
    let operator = load(common)?.metering.operator_name;
    with_database(common, async |state| match command {
        ReportCommand::Usage { of, group_by, form } => {
            grouped::<UsageRow>(state, &of, group_by, &form).await
        }
        ReportCommand::Cost { of, group_by, form } => {
            grouped::<CostRow>(state, &of, group_by, &form).await
        }
        ReportCommand::Focus { of, format, output } => {
            let (period, _) = span(of.month.as_deref())?;
            let scope = scope(state, &of).await?;
            let sheet = focus::export(&state.database, scope, period, &operator).await?;
            let encoding = match format {
                FocusFormat::Csv => Encoding::Csv,
                FocusFormat::Parquet => Encoding::Parquet,
            };
            put(sheet.encode(encoding).await?, output.as_deref())
        }
        ReportCommand::Forecast { organization, form } => {
            let today = SystemClock.now().date_naive();
            let of = MonthArgs {
                month: None,
                organization,
            };
            let scope = scope(state, &of).await?;
            let rows = forecast::forecast(&state.database, scope, today).await?;
            write(rows, forecast::sheet, &form).await
        }
        ReportCommand::Reconcile {
            provider,
            month,
            bill,
            form,
        } => {
            let span = span(month.as_deref())?;
            let bill = Bill::parse(&fs_err::read_to_string(bill)?)?;
            let rows = reconcile::reconcile(&state.database, &provider, span, &bill).await?;
            write(rows, reconcile::sheet, &form).await
        }
        ReportCommand::Unknown { of, format } => {
            let span = span(of.month.as_deref())?;
            let scope = scope(state, &of).await?;
            unknown::print(&state.database, scope, span, format).await
        }
    })?;
    Ok(ExitCode::SUCCESS)
}

/// All pages of one sheet of the report.
async fn grouped<R: ReportRow>(
    state: &State,
    of: &MonthArgs,
    group_by: Vec<Dimension>,
    form: &FormArgs,
) -> anyhow::Result<()> {
    let scope = scope(state, of).await?;
    let (from, until) = span(of.month.as_deref())?;
    let filter = Filter {
        group_by: group_by.into_iter().collect(),
        ..Filter::of(from, until)
    };
    let mut paging = Paging::default();
    let mut all: Vec<R> = Vec::new();
    loop {
        let Rows { rows, more } = report::read(&state.database, scope, &filter, paging).await?;
        all.extend(rows);
        if !more {
            return write(all, report::sheet, form).await;
        }
        paging.offset += paging.limit;
    }
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

/// Whose: one organization's, or everybody's.
pub(super) async fn scope(state: &State, of: &MonthArgs) -> anyhow::Result<Scope> {
    let Some(slug_or_id) = of.organization.as_deref() else {
        return Ok(Scope::All);
    };
    let found = tenants::command::find_organization(&state.database, slug_or_id).await?;
    Ok(Scope::Organization(found.id))
}

/// Writes rows in the form that is asked for.
async fn write<T: Serialize>(
    rows: Vec<T>,
    sheet: impl FnOnce(Vec<T>) -> Sheet,
    form: &FormArgs,
) -> anyhow::Result<()> {
    let bytes = match form.format {
        ReportFormat::Json => serde_json::to_string_pretty(&rows)?.into_bytes(),
        ReportFormat::Table => to_text(&sheet(rows)).into_bytes(),
        ReportFormat::Csv => sheet(rows).encode(Encoding::Csv).await?,
        ReportFormat::Parquet => sheet(rows).encode(Encoding::Parquet).await?,
    };
    put(bytes, form.output.as_deref())
}

/// Into the file, or to standard output.
fn put(bytes: Vec<u8>, file: Option<&Path>) -> anyhow::Result<()> {
    match file {
        Some(path) => fs_err::write(path, bytes)?,
        None => output::bytes(&bytes),
    }
    Ok(())
}
