//! Quotas without a database round trip per request: each node spends from leases it holds.

mod lease;
mod refusal;

pub use lease::{CallPermit, Reservation};
pub use refusal::{Refusal, Resource};

/// The most one attempt can use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Estimate {
    /// Input tokens, counted or estimated high.
    pub input_tokens_max: u64,
    /// The cap on output tokens that the provider was given.
    pub output_tokens_max: u64,
}

impl Estimate {
    /// What is reserved.
    pub const fn total_tokens(&self) -> u64 {
        self.input_tokens_max.saturating_add(self.output_tokens_max)
    }
}
