//! Runs cargo at the root of the workspace, showing what it runs and what it prints.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::output::say;

/// The root of the workspace: the folder above this crate.
pub(crate) fn root() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own)
}

/// Where cargo builds: `CARGO_TARGET_DIR`, or `target` at the root.
pub(crate) fn target_dir() -> PathBuf {
    let chosen = std::env::var_os("CARGO_TARGET_DIR").filter(|path| !path.is_empty());
    root().join(chosen.map_or_else(|| PathBuf::from("target"), PathBuf::from))
}

/// What `cargo run` tells this program about itself. Build scripts look at these variables too: passed on, they would
/// make cargo build again, under their values, half of what a person's own `cargo` has built without them.
const OURS_ALONE: [&str; 3] = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"];

/// A cargo command at the root, with the cargo that runs this task.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(arguments).current_dir(root());
    for (name, _) in std::env::vars_os() {
        let shown = name.to_string_lossy();
        if OURS_ALONE.iter().any(|ours| shown.starts_with(ours)) {
            command.env_remove(name);
        }
    }
    command
}

/// Runs cargo, and fails when it does.
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    run_command(command(arguments))
}

/// Runs a command to its end, and fails when it does.
pub(crate) fn run_command(mut command: Command) -> Result<()> {
    let shown = shown(&command);
    say(&format!("$ {shown}"));
    let status = command
        .status()
        .with_context(|| format!("cannot run {shown}"))?;
    if !status.success() {
        bail!("{shown} failed: {status}");
    }
    Ok(())
}

/// Runs a command and returns what it printed.
pub(crate) fn output_of(mut command: Command) -> Result<String> {
    let shown = shown(&command);
    let output = command
        .stderr(std::process::Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run {shown}"))?;
    if !output.status.success() {
        bail!("{shown} failed: {}", output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("{shown} printed no text"))
}

/// The command without its environment, which may hold a password.
fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(command.get_program());
    let words = std::iter::once(name).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}
