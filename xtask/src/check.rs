//! Everything that CI runs, in the same order.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::folder::Mode;
use crate::output::{heading, say};
use crate::tool::{self, Missing, Tool};
use crate::{cargo, chaos, focus, invariants, openapi, prepare, sdk};

/// A step: its title, and what it does.
type Step = (&'static str, fn(Missing) -> Result<()>);

/// What is checked: first what is over in seconds, then what builds, so that each build finds what the one before made.
const STEPS: &[Step] = &[
    ("format", |_| cargo::run(&["fmt", "--all", "--check"])),
    ("invariants", |_| invariants::run()),
    ("lints", |_| cargo::run(CLIPPY)),
    ("documentation", |_| documentation()),
    ("queries", |_| prepare::run(Mode::Check)),
    ("tests", |_| cargo::run(TESTS)),
    ("OpenAPI document", |_| openapi::run(Mode::Check)),
    ("official SDKs", |_| sdk::run()),
    ("FOCUS export", |_| focus::run(Mode::Check)),
    ("chaos", |_| chaos::run()),
    ("dependencies", |missing| tool::run(&DENY, missing)),
    ("unused dependencies", |missing| {
        tool::run(&MACHETE, missing)
    }),
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

/// The README's command, with the lock file as it is committed; what fails first does not hide what else fails.
const TESTS: &[&str] = &["test", "--workspace", "--locked", "--no-fail-fast"];

/// Advisories are left out: they need the network, and change without a commit.
const DENY: Tool = Tool {
    name: "cargo-deny",
    version: "0.20.2",
    arguments: &["deny", "--locked", "check", "bans", "licenses", "sources"],
};

const MACHETE: Tool = Tool {
    name: "cargo-machete",
    version: "0.9.2",
    arguments: &[],
};

pub(crate) fn run(missing: Missing) -> Result<()> {
    let mut taken = Vec::new();
    for (title, step) in STEPS {
        heading(title);
        let began = Instant::now();
        let done = step(missing).with_context(|| format!("step `{title}`"));
        taken.push((*title, began.elapsed()));
        if done.is_err() {
            summarize(&taken);
        }
        done?;
    }
    summarize(&taken);
    say("\nall checks passed");
    Ok(())
}

/// Says how long each step took, so that one that grows slow is seen.
fn summarize(taken: &[(&str, Duration)]) {
    heading("durations");
    for (title, time) in taken {
        say(&format!("{title:<20} {:>7.1} s", time.as_secs_f64()));
    }
}

fn documentation() -> Result<()> {
    let mut command = cargo::command(&["doc", "--workspace", "--no-deps", "--locked"]);
    command.env("RUSTDOCFLAGS", "-D warnings");
    cargo::run_command(command)
}
