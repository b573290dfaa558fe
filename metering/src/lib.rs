//! Quotas, prices, journal, ledger, roll-ups and finance reports: every token and every micro-dollar, booked once.
//!
//! # The life of a booking
//! 1. [`quota`]: one API call and the estimate of the tokens are taken from local leases.
//! 2. [`journal`]: the INTENT is written before the provider is called; it survives `kill -9`.
//! 3. The answer is streamed; at its end [`journal::Pending::settle`] prices the usage and appends the SETTLE,
//!    which is fsynced (group commit) before the last byte goes out.
//! 4. The shipper carries both to PostgreSQL: `ai_requests`, `usage_events`, totals, roll-ups and quotas, in one transaction,
//!    with totals taken only from the rows that were really inserted. Replaying the journal therefore changes nothing.
//! 5. [`price`] says what tokens cost; reports read the roll-ups.
//!
//! # Adding a price
//! Of a provider's page: `config/prices.toml`: model, `effective_from`, prices per million tokens, source. Nothing here changes.
//! Of an operator: [`prices::put`], or `flowpilot prices put`.

#![deny(clippy::float_arithmetic)]

pub mod api;
pub mod billing;
pub mod budgets;
pub mod failpoint;
pub mod focus;
pub mod forecast;
pub mod idempotency;
pub mod journal;
pub mod leases;
mod metering;
mod options;
pub mod price;
pub mod prices;
pub mod quota;
pub mod quotas;
pub mod reconcile;
pub mod reconciliation;
pub mod record;
pub mod report;
pub mod reprice;
pub mod rollup;
pub mod sheet;
mod shipper;
mod store;
pub mod text;

pub use journal::Journal;
pub use metering::{Metering, StartError};
pub use options::Options;
pub use price::{Price, PriceBook};
pub use quota::{
    CallPermit, Estimate, Exceeded, Quota, Refusal, Reservation, Resource, Scope, Spender,
};
pub use record::{Attribution, CacheStatus, ChargeTo, Failure, Held, Intent, Replay, Settlement};
