//! `flowpilot openapi`: the management API's document, without a database.

use std::process::ExitCode;

use super::block_on;
use crate::{management, output};

/// Prints the document.
pub(super) fn run() -> anyhow::Result<ExitCode> {
    // Pools are made inside a runtime, even those that never connect.
    output::line(block_on(async { management::openapi() })?);
    Ok(ExitCode::SUCCESS)
}
