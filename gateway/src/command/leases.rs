//! `flowpilot leases …`: what gateways hold of quotas, for when one never comes back.

use std::process::ExitCode;

use metering::leases;
use types::Id;

use super::with_database;
use crate::cli::{Common, Format, LeasesCommand};
use crate::output;
use crate::table::Table;

/// Does what was asked.
pub(super) fn run(common: &Common, command: &LeasesCommand) -> anyhow::Result<ExitCode> {
    with_database(common, async |state| {
        match command {
            LeasesCommand::List => {
                let mut table =
                    Table::new(["node", "organization", "resource", "outstanding", "updated"]);
                for lease in leases::list(&state.database).await? {
                    table.row([
                        lease.node.to_string(),
                        lease.organization.to_string(),
                        lease.limit,
                        lease.outstanding.to_string(),
                        lease.updated_at.format("%Y-%m-%d %H:%M:%S").to_string(),
                    ]);
                }
                table.print(Format::Table);
            }
            LeasesCommand::Release { node } => {
                let freed = leases::release(&state.database, Id::from_uuid(*node)).await?;
                output::line(format_args!("released {freed}"));
            }
        }
        Ok(())
    })?;
    Ok(ExitCode::SUCCESS)
}
