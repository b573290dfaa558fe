//! `flowpilot prices …`: the operator's own prices.

use std::io::Read;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use chrono::NaiveTime;
use metering::prices::{self, Filter, PriceSetting, PriceView};
use types::SystemClock;

use super::report::span;
use super::with_database;
use crate::cli::billing::PricesCommand;
use crate::cli::{Common, Format};
use crate::output;
use crate::state::State;
use crate::table::Table;

/// The largest price that is read, in bytes: as much as the API takes.
const PRICE_BYTES_MAX: u64 = 256 * 1024;

/// Does what was asked.
pub(super) fn run(common: &Common, command: PricesCommand) -> anyhow::Result<ExitCode> {
    with_database(common, async |state| match command {
        PricesCommand::List {
            provider,
            model,
            with_lists,
            format,
        } => {
            let filter = Filter {
                provider,
                model,
                with_lists,
                ..Filter::default()
            };
            print(&prices::list(&state.database, &filter).await?, format)
        }
        PricesCommand::Put { file } => {
            let setting: PriceSetting = serde_json::from_str(&read(&file)?)
                .with_context(|| format!("{} is no price", file.display()))?;
            let put = prices::put(&state.database, &SystemClock, &setting, None).await?;
            print(&[put], Format::Table)
        }
        PricesCommand::Unpriced { month } => unpriced(state, month.as_deref()).await,
    })?;
    Ok(ExitCode::SUCCESS)
}

fn read(file: &Path) -> anyhow::Result<String> {
    if file != Path::new("-") {
        return Ok(fs_err::read_to_string(file)?);
    }
    let mut text = String::new();
    std::io::stdin()
        .take(PRICE_BYTES_MAX)
        .read_to_string(&mut text)
        .context("reading the price from standard input")?;
    Ok(text)
}

fn print(prices: &[PriceView], format: Format) -> anyhow::Result<()> {
    if format == Format::Json {
        output::line(serde_json::to_string_pretty(prices)?);
        return Ok(());
    }
    let mut table = Table::new([
        "provider", "model", "for", "from", "until", "input", "output", "tiers", "source", "id",
    ]);
    for price in prices {
        let time = |at: Option<chrono::DateTime<chrono::Utc>>| {
            at.map(|at| at.to_rfc3339()).unwrap_or_default()
        };
        table.row([
            price.provider.clone(),
            price.model.clone(),
            price
                .organization_id
                .map_or_else(|| "all".to_owned(), |id| id.to_string()),
            time(price.begins_at),
            if price.withdrawn {
                "withdrawn".to_owned()
            } else {
                time(price.ends_at)
            },
            price.usd.input.to_string(),
            price.usd.output.to_string(),
            price.tiers.len().to_string(),
            price.source.clone(),
            price.id.to_string(),
        ]);
    }
    table.print(format);
    Ok(())
}

async fn unpriced(state: &State, month: Option<&str>) -> anyhow::Result<()> {
    let (from, until) = span(month)?;
    let midnight = |day: chrono::NaiveDate| day.and_time(NaiveTime::MIN).and_utc();
    let mut table = Table::new([
        "provider",
        "model",
        "organizations",
        "requests",
        "tokens",
        "first",
        "last",
    ]);
    for one in prices::unpriced(&state.database, (midnight(from), midnight(until))).await? {
        table.row([
            one.provider,
            one.model,
            one.organizations.to_string(),
            one.requests.to_string(),
            one.tokens.to_string(),
            one.first_at.to_rfc3339(),
            one.last_at.to_rfc3339(),
        ]);
    }
    table.print(Format::Table);
    Ok(())
}
