//! `flowpilot rollup …`: makes what reports are read from anew.

use std::process::ExitCode;

use metering::{PriceBook, rollup};

use super::report::span;
use super::{load, with_database};
use crate::cli::{Common, RollupCommand};
use crate::output;

/// Does what was asked.
pub(super) fn run(common: &Common, command: RollupCommand) -> anyhow::Result<ExitCode> {
    let RollupCommand::Recompute {
        month,
        organization,
    } = command;
    let span = span(month.as_deref())?;
    let prices = PriceBook::new(&load(common)?.prices);
    with_database(common, async |state| {
        let organization = match organization.as_deref() {
            Some(named) => {
                let found = tenants::command::find_organization(&state.database, named).await?;
                Some(found.id)
            }
            None => None,
        };
        let done = rollup::recompute(&state.database, &prices, organization, span).await?;
        output::line(format_args!(
            "recomputed {} days of organizations from {} events",
            done.days, done.events
        ));
        output::line(format_args!(
            "they cost {} USD; the roll-ups had said {}",
            done.cost_after, done.cost_before
        ));
        Ok(())
    })?;
    Ok(ExitCode::SUCCESS)
}
