//! `flowpilot openapi`: the management API's document, without a database.

use std::process::ExitCode;

use crate::{management, output};

/// Prints the document.
pub(super) fn run() -> anyhow::Result<ExitCode> {
    output::line(management::openapi()?);
    Ok(ExitCode::SUCCESS)
}
