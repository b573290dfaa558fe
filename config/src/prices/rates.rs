//! The prices of one tier, by class of tokens.

use serde::Deserialize;
use types::money::UsdPerMillion;

/// Prices per million tokens, by class. A class without a price of its own costs what the accessor of its name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// Input tokens.
    pub input: UsdPerMillion,
    /// Output tokens.
    pub output: UsdPerMillion,
    /// Input tokens read from the provider's cache, where they have a price of their own.
    pub cache_read: Option<UsdPerMillion>,
    /// Input tokens written to the provider's cache for five minutes, where they have a price of their own.
    pub cache_write: Option<UsdPerMillion>,
    /// Input tokens written to the provider's cache for one hour, where they have a price of their own.
    pub cache_write_1h: Option<UsdPerMillion>,
    /// Output tokens spent on reasoning, where they have a price of their own.
    pub reasoning: Option<UsdPerMillion>,
    /// Input tokens that were audio, where they have a price of their own.
    pub audio_input: Option<UsdPerMillion>,
    /// Output tokens that were audio, where they have a price of their own.
    pub audio_output: Option<UsdPerMillion>,
    /// Input tokens that were images, where they have a price of their own.
    pub image_input: Option<UsdPerMillion>,
}

/// Prices for a service, or for inputs beyond a length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tier {
    /// The service.
    pub service: Service,
    /// It holds for requests of more input tokens than this; 0: for all.
    pub input_tokens_over: u64,
    /// The prices.
    pub rates: Rates,
}

/// The service a provider says it used for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Service {
    /// The usual one.
    #[default]
    Standard,
    /// Answered within a day.
    Batch,
    /// Answered when there is room.
    Flex,
    /// Answered before others.
    Priority,
}

impl Service {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Standard, Self::Batch, Self::Flex, Self::Priority];

    /// The word in a list and in the books.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Batch => "batch",
            Self::Flex => "flex",
            Self::Priority => "priority",
        }
    }

    /// The service of a word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|service| service.as_str() == word)
    }
}

impl Tier {
    /// Whether it holds for a request of so many input tokens.
    pub const fn holds_for(&self, input_tokens: u64) -> bool {
        self.input_tokens_over == 0 || input_tokens > self.input_tokens_over
    }
}

impl Rates {
    /// Tokens read from the cache; as input, if they have no price of their own.
    pub fn cache_read(&self) -> UsdPerMillion {
        self.cache_read.unwrap_or(self.input)
    }

    /// Tokens written to the cache for five minutes; as input, if they have no price of their own.
    pub fn cache_write(&self) -> UsdPerMillion {
        self.cache_write.unwrap_or(self.input)
    }

    /// Tokens written to the cache for one hour; as for five minutes, if they have no price of their own.
    pub fn cache_write_1h(&self) -> UsdPerMillion {
        self.cache_write_1h.unwrap_or_else(|| self.cache_write())
    }

    /// Tokens spent on reasoning; as output, if they have no price of their own.
    pub fn reasoning(&self) -> UsdPerMillion {
        self.reasoning.unwrap_or(self.output)
    }

    /// Audio that went in; as input, if it has no price of its own.
    pub fn audio_input(&self) -> UsdPerMillion {
        self.audio_input.unwrap_or(self.input)
    }

    /// Audio that came out; as output, if it has no price of its own.
    pub fn audio_output(&self) -> UsdPerMillion {
        self.audio_output.unwrap_or(self.output)
    }

    /// Images that went in; as input, if they have no price of their own.
    pub fn image_input(&self) -> UsdPerMillion {
        self.image_input.unwrap_or(self.input)
    }
}
