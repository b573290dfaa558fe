//! `flowpilot check-config`: everything that is wrong, at once, before anything runs.

use std::process::ExitCode;

use super::sources;
use crate::cli::Common;
use crate::output;

/// Checks and summarises.
pub(super) fn run(common: &Common) -> anyhow::Result<ExitCode> {
    let summary = config::check(&sources(common, None)?)?;
    output::raw(&summary.to_string());
    Ok(ExitCode::SUCCESS)
}
