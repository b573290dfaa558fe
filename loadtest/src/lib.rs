//! A mock provider with its own books, and a load generator that is judged by them; loopback only.
//!
//! This crate is an oracle: it shares no code with what it measures, so that a mistake in the gateway's
//! arithmetic cannot hide in a copy of itself here. Its README documents the sub-commands and their JSON.
//!
//! # Adding a sub-command
//! A module with `Options` (clap) and `run(Options) -> anyhow::Result<Verdict>`, then one line in `main.rs`.

pub mod bench;
pub mod cache_eval;
pub mod chaos;
pub mod client;
pub mod clock;
pub mod cluster;
pub mod crash;
pub mod gateway;
pub mod loopback;
pub mod mock;
pub mod oracle;
pub mod outage;
pub mod output;
pub mod process;
pub mod program;
pub mod provider;
pub mod quota;
pub mod scratch;
mod store;
