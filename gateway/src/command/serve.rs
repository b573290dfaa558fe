//! `flowpilot serve`.

use std::net::SocketAddr;
use std::process::ExitCode;

use config::Live;

use super::{block_on, sources};
use crate::app;
use crate::cli::Common;
use crate::telemetry::Telemetry;

/// Serves until told to stop.
pub(super) fn run(common: &Common, listen: Option<SocketAddr>) -> anyhow::Result<ExitCode> {
    let sources = sources(common, listen)?;
    #[cfg(feature = "failpoints")]
    if let Some(list) = sources.environment.get("FLOWPILOT_FAILPOINTS") {
        metering::failpoint::arm(list).map_err(anyhow::Error::msg)?;
    }
    let live = Live::start(sources)?;
    // Idempotent, and before the first TLS connection; another provider is never compiled in.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let telemetry = Telemetry::start(&live.current().log)?;
    block_on(app::serve(live, telemetry))?;
    Ok(ExitCode::SUCCESS)
}
