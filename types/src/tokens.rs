//! What a request used, in the classes that providers price apart.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Token counts of one provider attempt, normalised to inclusive totals.
///
/// As OpenTelemetry's generative-AI conventions have it, cached tokens are *included* in the input
/// and reasoning tokens in the output; each provider's translation brings its own numbers into this form.
/// The parts therefore never exceed their total: see [`Usage::is_consistent`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// All input tokens, cached ones included.
    pub input_tokens: u64,
    /// Input tokens read from the provider's prompt cache.
    pub cache_read_tokens: u64,
    /// Input tokens written to the provider's cache for five minutes.
    pub cache_write_5m_tokens: u64,
    /// Input tokens written to the provider's cache for one hour.
    pub cache_write_1h_tokens: u64,
    /// Input tokens that were audio.
    pub audio_input_tokens: u64,
    /// Input tokens that were images.
    pub image_tokens: u64,
    /// All output tokens, reasoning included.
    pub output_tokens: u64,
    /// Output tokens spent on reasoning ("thoughts").
    pub reasoning_tokens: u64,
    /// Output tokens that were audio.
    pub audio_output_tokens: u64,
    /// Web searches the provider made and charges for, a count.
    pub web_searches: u64,
}

impl Usage {
    /// Input and output together: what a token quota counts.
    pub const fn total_tokens(&self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }

    /// Whether each part fits into the total it belongs to.
    pub const fn is_consistent(&self) -> bool {
        let cached = self
            .cache_read_tokens
            .saturating_add(self.cache_write_5m_tokens)
            .saturating_add(self.cache_write_1h_tokens);
        cached <= self.input_tokens
            && self.audio_input_tokens.saturating_add(self.image_tokens) <= self.input_tokens
            && self.reasoning_tokens <= self.output_tokens
            && self.audio_output_tokens <= self.output_tokens
    }
}

/// Where a [`Usage`] comes from; reports never mix the classes silently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UsageSource {
    /// The provider reported it.
    Provider,
    /// We counted it, because the provider said nothing.
    Estimated,
    /// The process died between call and answer; the provider may have charged.
    Unknown,
    /// An answer from the cache: nothing was used.
    Cache,
}

impl UsageSource {
    /// The word stored in `usage_events.usage_source`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Estimated => "estimated",
            Self::Unknown => "unknown",
            Self::Cache => "cache",
        }
    }
}

impl fmt::Display for UsageSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
