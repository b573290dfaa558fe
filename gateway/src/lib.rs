//! The program `flowpilot`, and the path of an AI request.
//!
//! # The path of a request
//! `edge` takes it in, `auth` knows the caller, `wire` decodes it, and `pipeline` tells the rest in one function:
//! limits, template, route, cache, quota, and an `exchange` with a `provider` that is journaled before, measured
//! while it passes, and booked before its last byte goes out.

mod api;
mod app;
mod attribution;
mod auth;
mod banner;
mod body;
mod cli;
mod command;
mod directions;
mod edge;
mod embedder;
mod error;
mod exchange;
mod finish;
mod first_start;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod in_flight;
mod limit;
mod management;
mod measure;
mod meter;
mod once;
mod output;
mod pipeline;
mod prompt;
mod provider;
mod ready;
mod reload;
mod reply;
mod reserve;
mod route;
mod signal;
mod state;
mod table;
mod telemetry;
mod template;
mod upkeep;
mod upstream;
mod wire;
mod writer;

use std::process::ExitCode;

use clap::Parser;

/// Small allocations by many threads are what a gateway does; measured against the system's allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The program: reads the command line and does what it says.
pub fn main() -> ExitCode {
    match cli::Cli::try_parse() {
        Ok(cli) => command::run(cli),
        Err(error) => {
            // Help and version come this way too, and are no mistake.
            let _ = error.print();
            if error.use_stderr() {
                command::EX_USAGE.into()
            } else {
                ExitCode::SUCCESS
            }
        }
    }
}
