//! OpenAI's usage object: cached tokens are part of the prompt's, reasoning tokens part of the completion's.

use serde::{Deserialize, Deserializer, Serialize};
use types::Usage;

/// `usage` of a completion.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct WireUsage {
    #[serde(deserialize_with = "or_zero")]
    pub(crate) prompt_tokens: u64,
    #[serde(deserialize_with = "or_zero")]
    pub(crate) completion_tokens: u64,
    #[serde(deserialize_with = "or_zero")]
    pub(crate) total_tokens: u64,
    pub(crate) prompt_tokens_details: Option<PromptDetails>,
    pub(crate) completion_tokens_details: Option<CompletionDetails>,
}

/// `usage.prompt_tokens_details`; providers send null for counts they do not know.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_field_names, reason = "the names are the wire's")]
pub(crate) struct PromptDetails {
    pub(crate) cached_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cache_write_tokens: Option<u64>,
    pub(crate) audio_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) image_tokens: Option<u64>,
}

/// `usage.completion_tokens_details`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_field_names, reason = "the names are the wire's")]
pub(crate) struct CompletionDetails {
    pub(crate) reasoning_tokens: Option<u64>,
    pub(crate) audio_tokens: Option<u64>,
    pub(crate) accepted_prediction_tokens: Option<u64>,
    pub(crate) rejected_prediction_tokens: Option<u64>,
}

/// Some servers send null for what is none.
fn or_zero<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    Option::<u64>::deserialize(deserializer).map(Option::unwrap_or_default)
}

impl From<WireUsage> for Usage {
    fn from(wire: WireUsage) -> Self {
        let prompt = wire.prompt_tokens_details.unwrap_or_default();
        let completion = wire.completion_tokens_details.unwrap_or_default();
        Self {
            input_tokens: wire.prompt_tokens,
            cache_read_tokens: prompt.cached_tokens.unwrap_or(0),
            cache_write_5m_tokens: prompt.cache_write_tokens.unwrap_or(0),
            cache_write_1h_tokens: 0,
            audio_input_tokens: prompt.audio_tokens.unwrap_or(0),
            image_tokens: prompt.image_tokens.unwrap_or(0),
            output_tokens: wire.completion_tokens,
            reasoning_tokens: completion.reasoning_tokens.unwrap_or(0),
            audio_output_tokens: completion.audio_tokens.unwrap_or(0),
            web_searches: 0,
        }
    }
}

impl From<Usage> for WireUsage {
    fn from(usage: Usage) -> Self {
        let written = usage.cache_write_5m_tokens + usage.cache_write_1h_tokens;
        Self {
            prompt_tokens: usage.input_tokens,
            completion_tokens: usage.output_tokens,
            total_tokens: usage.total_tokens(),
            prompt_tokens_details: Some(PromptDetails {
                cached_tokens: Some(usage.cache_read_tokens),
                cache_write_tokens: (written > 0).then_some(written),
                audio_tokens: Some(usage.audio_input_tokens),
                image_tokens: (usage.image_tokens > 0).then_some(usage.image_tokens),
            }),
            completion_tokens_details: Some(CompletionDetails {
                reasoning_tokens: Some(usage.reasoning_tokens),
                audio_tokens: Some(usage.audio_output_tokens),
                accepted_prediction_tokens: Some(0),
                rejected_prediction_tokens: Some(0),
            }),
        }
    }
}
