//! The gateway's programs: beside this one, and built first where this one was built and run by cargo.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use config::Environment;

use crate::output;

/// A program of the gateway's crate.
#[derive(Debug)]
pub struct Program {
    name: &'static str,
    features: &'static [&'static str],
}

/// The program that serves.
pub const SERVING: Program = Program {
    name: "flowpilot",
    features: &[],
};

/// The same with fail points.
pub const CHAOS: Program = Program {
    name: "flowpilot-chaos",
    features: &["failpoints"],
};

/// The program that was named, or else the one beside this program.
pub fn beside(named: Option<&Path>, program: &Program) -> anyhow::Result<PathBuf> {
    let path = match named {
        Some(path) => path.to_owned(),
        None => std::env::current_exe()?.with_file_name(program.name),
    };
    ensure!(
        path.is_file(),
        "there is no gateway at {}; give --gateway",
        path.display()
    );
    Ok(path)
}

/// The program that was named; or else the one beside this program, of the same source if `cargo run` started this one.
pub fn fresh(named: Option<&Path>, program: &Program) -> anyhow::Result<PathBuf> {
    let environment = Environment::capture();
    if let (None, Some(cargo)) = (named, environment.get("CARGO")) {
        build(Path::new(cargo), program)?;
    }
    beside(named, program)
}

/// What `cargo run` tells this program about itself. Build scripts look at these variables too: passed on, they would make
/// cargo build again what was built without them.
const OURS_ALONE: [&str; 17] = [
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_PATH",
    "CARGO_PKG_AUTHORS",
    "CARGO_PKG_DESCRIPTION",
    "CARGO_PKG_HOMEPAGE",
    "CARGO_PKG_LICENSE",
    "CARGO_PKG_LICENSE_FILE",
    "CARGO_PKG_NAME",
    "CARGO_PKG_README",
    "CARGO_PKG_REPOSITORY",
    "CARGO_PKG_RUST_VERSION",
    "CARGO_PKG_VERSION",
    "CARGO_PKG_VERSION_MAJOR",
    "CARGO_PKG_VERSION_MINOR",
    "CARGO_PKG_VERSION_PATCH",
    "CARGO_PKG_VERSION_PRE",
    "CARGO_BIN_NAME",
];

/// Cargo does nothing where nothing changed; what it says goes to standard error.
fn build(cargo: &Path, program: &Program) -> anyhow::Result<()> {
    output::note(&format!("building {} as far as it is not", program.name));
    let mut command = Command::new(cargo);
    command
        .args(["build", "--package", "gateway", "--bin", program.name])
        .args(
            program
                .features
                .iter()
                .flat_map(|feature| ["--features", feature]),
        )
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    for name in OURS_ALONE {
        command.env_remove(name);
    }
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    let status = command.status().context("cannot run cargo")?;
    ensure!(status.success(), "{} cannot be built", program.name);
    Ok(())
}
