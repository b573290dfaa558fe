//! What tokens cost: the price list by provider, model and time, and exact arithmetic on it.
//!
//! A price is found for the moment of the INTENT and prices the settlement too, so that a price change
//! never touches a request under way. Every class of tokens is priced once: [`Usage`] counts cached, audio and image tokens
//! inside the input and reasoning tokens inside the output, and [`Price::cost`] takes them apart first.

mod book;
mod cost;

use chrono::{DateTime, Utc};
use types::Usd;
use types::money::UsdPerMillion;
use uuid::Uuid;

pub use book::PriceBook;
pub use cost::Error;

/// The price of one model from one moment on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    /// Always the same for the same provider, model and beginning; `usage_events.price_id`.
    pub id: Uuid,
    /// The provider's name in the configuration or its kind.
    pub provider: String,
    /// The model as the provider names it.
    pub model: String,
    /// From when on it holds.
    pub effective_from: DateTime<Utc>,
    /// Prices per class for requests of ordinary length.
    pub rates: Rates,
    /// Prices for long prompts, ascending by threshold.
    pub tiers: Vec<Tier>,
    /// US dollars per web search.
    pub web_search: Usd,
}

/// Prices for requests whose prompt is longer than a threshold; they apply to the whole request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tier {
    /// Input tokens that must be exceeded.
    pub input_tokens_over: u64,
    /// The prices then.
    pub rates: Rates,
}

/// US dollars per million tokens of each class. A class without a price of its own costs what the class around it costs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rates {
    /// Input.
    pub input: UsdPerMillion,
    /// Output.
    pub output: UsdPerMillion,
    /// Input read from the provider's cache; otherwise as input.
    pub cache_read: Option<UsdPerMillion>,
    /// Input written to the cache for five minutes; otherwise as input.
    pub cache_write_5m: Option<UsdPerMillion>,
    /// Input written to the cache for one hour; otherwise as for five minutes.
    pub cache_write_1h: Option<UsdPerMillion>,
    /// Audio input; otherwise as input.
    pub audio_input: Option<UsdPerMillion>,
    /// Images; otherwise as input.
    pub image: Option<UsdPerMillion>,
    /// Reasoning; otherwise as output.
    pub reasoning: Option<UsdPerMillion>,
    /// Audio output; otherwise as output.
    pub audio_output: Option<UsdPerMillion>,
}
