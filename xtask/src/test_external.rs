//! The tests that need a database, against a server that somebody else runs.

use anyhow::{Context, Result};

use crate::cargo;

/// The crates whose tests make databases.
const CRATES: [&str; 6] = ["database", "api", "cache", "metering", "tenants", "gateway"];

/// Where `database::testing` looks for a server.
const TEST_URL: &str = "FLOWPILOT_TEST_DATABASE_URL";

pub(crate) fn run() -> Result<()> {
    let url = std::env::var_os("DATABASE_URL").filter(|url| !url.is_empty());
    let url = url.context("DATABASE_URL must name a server on which databases can be made")?;
    let mut command = cargo::command(&["test", "--locked"]);
    for name in CRATES {
        command.args(["--package", name]);
    }
    command.env(TEST_URL, url);
    cargo::run_command(command)
}
