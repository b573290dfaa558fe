//! `flowpilot migrate`: the schema of the user's own database.

use std::process::ExitCode;

use super::{block_on, load};
use crate::cli::Common;
use crate::{output, state};

/// Applies what is missing.
pub(super) fn run(common: &Common) -> anyhow::Result<ExitCode> {
    let config = load(common)?;
    let applied = block_on(state::migrate(&config))?;
    output::line(match applied {
        0 => "the schema is up to date".to_owned(),
        1 => "applied 1 migration".to_owned(),
        n => format!("applied {n} migrations"),
    });
    Ok(ExitCode::SUCCESS)
}
