//! `flowpilot rollup …`: makes what reports are read from anew.

use std::process::ExitCode;

use metering::{PriceBook, rollup};

use super::report::{scope, span};
use super::{load, with_database};
use crate::cli::{Common, RollupCommand};
use crate::output;

/// Does what was asked.
pub(super) fn run(common: &Common, command: RollupCommand) -> anyhow::Result<ExitCode> {
    let RollupCommand::Recompute(of) = command;
    let span = span(of.month.as_deref())?;
    let list = load(common)?.prices;
    with_database(common, async |state| {
        let prices = PriceBook::read(&state.database, &list).await?;
        let organization = scope(state, &of).await?.organization();
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
