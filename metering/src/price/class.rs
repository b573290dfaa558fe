//! The classes that tokens are priced in, and what one usage costs in one of them.

use types::Usd;
use types::money::{self, UsdPerMillion};

/// A class of tokens with a price of its own; every token is in exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TokenClass {
    /// Text that went in and was in no cache.
    Input,
    /// Audio that went in.
    AudioInput,
    /// Images that went in.
    ImageInput,
    /// Input that the provider read from its cache.
    CacheRead,
    /// Input that the provider wrote to its cache for five minutes.
    CacheWrite5m,
    /// Input that the provider wrote to its cache for an hour.
    CacheWrite1h,
    /// Text that came out.
    Output,
    /// Output spent on reasoning.
    Reasoning,
    /// Audio that came out.
    AudioOutput,
    /// Web searches: a count, not tokens.
    WebSearch,
    /// What the operator adds to the provider's prices; its quantity is the mark-up.
    Markup,
    /// The whole of an event that cannot be taken apart; its quantity is the event.
    Undivided,
}

/// So many of one class at one price; quantity × unit price ÷ 10⁶ is the cost, exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charge {
    /// Which class.
    pub class: TokenClass,
    /// How many.
    pub quantity: u64,
    /// What a million of them cost.
    pub unit_price: UsdPerMillion,
}

impl Charge {
    /// What it costs, exactly.
    pub fn cost(&self) -> Result<Usd, money::Error> {
        self.unit_price.cost_of(self.quantity)
    }
}

impl TokenClass {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Input,
        Self::AudioInput,
        Self::ImageInput,
        Self::CacheRead,
        Self::CacheWrite5m,
        Self::CacheWrite1h,
        Self::Output,
        Self::Reasoning,
        Self::AudioOutput,
        Self::WebSearch,
        Self::Markup,
        Self::Undivided,
    ];

    /// The word in `metering.charge_rollup.token_class`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::AudioInput => "audio_input",
            Self::ImageInput => "image_input",
            Self::CacheRead => "cache_read",
            Self::CacheWrite5m => "cache_write_5m",
            Self::CacheWrite1h => "cache_write_1h",
            Self::Output => "output",
            Self::Reasoning => "reasoning",
            Self::AudioOutput => "audio_output",
            Self::WebSearch => "web_search",
            Self::Markup => "markup",
            Self::Undivided => "undivided",
        }
    }

    /// The class of a word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == word)
    }
}
