//! Chaos, a few seeds of it, and a quota used up by several gateways: processes are killed under load, and the books are right.

use std::process::Command;

use anyhow::Result;

use crate::cargo;
use crate::output::heading;

/// Enough that most faults come up; a longer run is `cargo run --release -p loadtest -- chaos --seeds 200`.
const SEEDS: &str = "20";

/// The program with fail points; its features must not be those of the program that serves.
const CHAOS: &[&str] = &[
    "build",
    "--locked",
    "--package",
    "gateway",
    "--features",
    "failpoints",
    "--bin",
    "flowpilot-chaos",
];

const SERVING: &[&str] = &[
    "build",
    "--locked",
    "--package",
    "gateway",
    "--package",
    "loadtest",
];

pub(crate) fn run() -> Result<()> {
    heading("programs");
    cargo::run(CHAOS)?;
    cargo::run(SERVING)?;
    heading("chaos");
    loadtest("flowpilot-chaos", &["chaos", "--seeds", SEEDS])?;
    heading("a quota of several gateways");
    loadtest("flowpilot", &["quota"])
}

fn loadtest(gateway: &str, arguments: &[&str]) -> Result<()> {
    let programs = cargo::target_dir().join("debug");
    let mut command = Command::new(programs.join("loadtest"));
    command
        .args(arguments)
        .arg("--gateway")
        .arg(programs.join(gateway));
    cargo::run_command(command)
}
