//! Checks by programs that are not part of Rust's toolchain, and may therefore be missing.
//!
//! A missing one is said loudly and does not fail the run: a machine without the network must be able to check
//! everything else. CI installs them, and fails when it cannot.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::Result;

use crate::cargo;
use crate::output::say;

/// A cargo subcommand.
#[derive(Debug)]
pub(crate) struct Tool {
    /// The program, and the package it comes from.
    pub(crate) name: &'static str,
    /// The version that CI installs: a newer one may want a newer compiler, or find more.
    pub(crate) version: &'static str,
    /// What it is called with; not the subcommand, where the program does not expect it from anyone but cargo.
    pub(crate) arguments: &'static [&'static str],
}

/// What to do about a tool that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// Install it below the target folder, once, and fail when that fails.
    Install,
    /// Say that it is missing.
    Report,
}

impl Missing {
    pub(crate) const fn from_flag(install: bool) -> Self {
        if install { Self::Install } else { Self::Report }
    }
}

/// Runs the tool if it is there or can be had.
pub(crate) fn run(tool: &Tool, missing: Missing) -> Result<()> {
    let program = match (find(tool), missing) {
        (Some(program), _) => program,
        (None, Missing::Install) => install(tool)?,
        (None, Missing::Report) => {
            say(&format!(
                "!!! NOT CHECKED: {name} is missing; `cargo install --locked {name}` brings it",
                name = tool.name
            ));
            return Ok(());
        }
    };
    let mut command = Command::new(program);
    command.args(tool.arguments).current_dir(cargo::root());
    cargo::run_command(command)
}

/// Looks among our own tools, then among the installed ones.
fn find(tool: &Tool) -> Option<PathBuf> {
    [own(tool), PathBuf::from(tool.name)]
        .into_iter()
        .find(answers)
}

fn own(tool: &Tool) -> PathBuf {
    folder().join("bin").join(tool.name)
}

fn folder() -> PathBuf {
    cargo::target_dir().join("tools")
}

fn answers(program: &PathBuf) -> bool {
    let mut command = Command::new(program);
    let quiet = command
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

fn install(tool: &Tool) -> Result<PathBuf> {
    let folder = folder();
    let mut command = cargo::command(&["install", "--locked", "--quiet", tool.name]);
    // A debug build is ready in half the time, and fast enough for a graph of some hundred crates.
    command
        .args(["--version", tool.version, "--debug", "--root"])
        .arg(&folder);
    command.env("CARGO_PROFILE_DEV_DEBUG", "0");
    cargo::run_command(command)?;
    Ok(own(tool))
}
