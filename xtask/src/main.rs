//! The repository's own tasks: `cargo xtask check`, `prepare`, `openapi`, `test-external`, `sdk`, `focus`, `chaos`, `invariants`.
//!
//! # Adding a task
//! A module with a `run`, a variant of [`Task`], and, when it checks something, a line in `check::STEPS`.

mod cargo;
mod chaos;
mod check;
mod focus;
mod folder;
mod invariants;
mod openapi;
mod output;
mod prepare;
mod sdk;
mod test_external;
mod tool;
mod tree;

use std::process::ExitCode;

use clap::Parser;

/// The repository's own tasks.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Task {
    /// Run everything that CI runs, in the same order; stop at the first failure.
    Check {
        /// Install cargo-deny and cargo-machete into target/tools when they are missing.
        #[arg(long)]
        install_tools: bool,
    },
    /// Refresh `.sqlx`, the descriptions of all queries, from a freshly migrated database.
    Prepare {
        /// Change nothing; fail when `.sqlx` is not what it should be.
        #[arg(long)]
        check: bool,
    },
    /// Refresh docs/openapi.json from the program.
    Openapi {
        /// Change nothing; fail when the document is not what it should be.
        #[arg(long)]
        check: bool,
    },
    /// Run the tests that need a database against the server that `DATABASE_URL` names.
    TestExternal,
    /// Run the official SDKs against the gateway with a mock provider, and compare their books.
    Sdk,
    /// Kill gateways and PostgreSQL under load, twenty seeds long, and compare the books; then use up a quota from three gateways.
    Chaos,
    /// Export fixed books in FOCUS 1.2, refresh what is committed of it, and have the official validator look at it.
    Focus {
        /// Change nothing; fail when the export is not what is committed.
        #[arg(long)]
        check: bool,
    },
    /// Check the rules of ARCHITECTURE.md that a program can check.
    Invariants,
}

fn main() -> ExitCode {
    let done = match Task::parse() {
        Task::Check { install_tools } => check::run(tool::Missing::from_flag(install_tools)),
        Task::Prepare { check } => prepare::run(folder::Mode::from_flag(check)),
        Task::Openapi { check } => openapi::run(folder::Mode::from_flag(check)),
        Task::TestExternal => test_external::run(),
        Task::Sdk => sdk::run(),
        Task::Chaos => chaos::run(),
        Task::Focus { check } => focus::run(folder::Mode::from_flag(check)),
        Task::Invariants => invariants::run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}
