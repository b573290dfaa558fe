//! Everything that CI runs, in the same order.

use anyhow::{Context, Result};

use crate::folder::Mode;
use crate::output::{heading, say};
use crate::tool::{self, Missing, Tool};
use crate::{cargo, invariants, openapi, prepare};

/// A step: its title, and what it does.
type Step = (&'static str, fn(Missing) -> Result<()>);

/// What is checked, from the cheapest to the dearest as far as one does not need another.
const STEPS: &[Step] = &[
    ("format", |_| cargo::run(&["fmt", "--all", "--check"])),
    ("lints", |_| cargo::run(CLIPPY)),
    ("documentation", |_| documentation()),
    ("tests", |_| {
        cargo::run(&["test", "--workspace", "--locked"])
    }),
    ("queries", |_| prepare::run(Mode::Check)),
    ("OpenAPI document", |_| openapi::run(Mode::Check)),
    ("dependencies", |missing| tool::run(&DENY, missing)),
    ("unused dependencies", |missing| {
        tool::run(&MACHETE, missing)
    }),
    ("invariants", |_| invariants::run()),
];

const CLIPPY: &[&str] = &[
    "clippy",
    "--workspace",
    "--all-targets",
    "--locked",
    "--",
    "-D",
    "warnings",
];

/// Advisories are left out: they need the network, and change without a commit.
const DENY: Tool = Tool {
    name: "cargo-deny",
    version: "0.20.2",
    arguments: &["deny", "--locked", "check", "bans", "licenses", "sources"],
};

const MACHETE: Tool = Tool {
    name: "cargo-machete",
    version: "0.9.2",
    arguments: &["machete"],
};

pub(crate) fn run(missing: Missing) -> Result<()> {
    for (title, step) in STEPS {
        heading(title);
        step(missing).with_context(|| format!("step `{title}`"))?;
    }
    say("\nall checks passed");
    Ok(())
}

fn documentation() -> Result<()> {
    let mut command = cargo::command(&["doc", "--workspace", "--no-deps", "--locked"]);
    command.env("RUSTDOCFLAGS", "-D warnings");
    cargo::run_command(command)
}
