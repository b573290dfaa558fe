//! Reads and checks the configuration, and the price list.
//!
//! `default.toml` ← the file of `--config` ← `FLOWPILOT__SECTION__KEY` ← command line, each over the one before it, value by
//! value. What comes out is a [`Config`] that may be used as it is, or all [`Problems`] at once. Start, `check-config`, reload
//! and tests take the same way. Components receive their section; none receives the whole.
//!
//! Invariants: nothing else reads the environment; a secret shows in no message; a running gateway never gets worse by a reload.
//!
//! # Adding a key
//! 1. The key with its sentence, unit and `(live)` or `(restart)` in `default.toml`.
//! 2. The field with its sentence in `src/section/<name>.rs`, and its limits in that section's `check`.
//!
//! A test compares the two lists. Mark a key `(live)` only if its reader takes it from [`Live`] anew.
//!
//! # Adding a provider that speaks OpenAI's protocol
//! An entry in `presets.toml`, and its prices in `prices.toml`. No code.

mod checked;
mod dotenv;
mod environment;
mod key;
mod layers;
mod live;
mod load;
mod preset;
pub mod prices;
mod problem;
mod reference;
mod report;
mod secret;
pub mod section;
mod summary;
mod unit;

pub use checked::Config;
pub use dotenv::Error as EnvFileError;
pub use environment::Environment;
pub use live::{Live, Reload, WatchError};
pub use load::{Overrides, Sources, load};
pub use prices::{Price, PriceList};
pub use problem::{Origin, Problem, Problems};
pub use reference::{DEFAULT_TOML, Effect, Entry, Reference};
pub use secret::Secret;
pub use summary::{Summary, check};
