//! Gemini's usage: cached tokens are part of the prompt's, thoughts stand beside the candidates'. An absent count is zero.

use serde::{Deserialize, Serialize};
use types::Usage;

/// `usageMetadata`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct WireUsage {
    #[serde(skip_serializing_if = "is_zero")]
    prompt_token_count: u64,
    #[serde(skip_serializing_if = "is_zero")]
    cached_content_token_count: u64,
    #[serde(skip_serializing_if = "is_zero")]
    candidates_token_count: u64,
    #[serde(skip_serializing_if = "is_zero")]
    thoughts_token_count: u64,
    #[serde(skip_serializing_if = "is_zero")]
    tool_use_prompt_token_count: u64,
    total_token_count: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    prompt_tokens_details: Vec<WireModality>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    candidates_tokens_details: Vec<WireModality>,
}

/// The tokens of one kind of content.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct WireModality {
    modality: String,
    token_count: u64,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl From<WireUsage> for Usage {
    fn from(wire: WireUsage) -> Self {
        let modality = |details: &[WireModality], name: &str| {
            let of_it = details.iter().filter(|detail| detail.modality == name);
            of_it
                .map(|detail| detail.token_count)
                .fold(0, u64::saturating_add)
        };
        Self {
            input_tokens: wire
                .prompt_token_count
                .saturating_add(wire.tool_use_prompt_token_count),
            cache_read_tokens: wire.cached_content_token_count,
            audio_input_tokens: modality(&wire.prompt_tokens_details, "AUDIO"),
            image_tokens: modality(&wire.prompt_tokens_details, "IMAGE"),
            output_tokens: wire
                .candidates_token_count
                .saturating_add(wire.thoughts_token_count),
            reasoning_tokens: wire.thoughts_token_count,
            audio_output_tokens: modality(&wire.candidates_tokens_details, "AUDIO"),
            ..Self::default()
        }
    }
}

impl From<Usage> for WireUsage {
    fn from(usage: Usage) -> Self {
        let details = |kinds: &[(&str, u64)]| {
            let kinds = kinds.iter().filter(|(_, count)| *count > 0);
            let kinds = kinds.map(|(modality, token_count)| WireModality {
                modality: (*modality).to_owned(),
                token_count: *token_count,
            });
            kinds.collect()
        };
        Self {
            prompt_token_count: usage.input_tokens,
            cached_content_token_count: usage.cache_read_tokens,
            candidates_token_count: usage.output_tokens.saturating_sub(usage.reasoning_tokens),
            thoughts_token_count: usage.reasoning_tokens,
            tool_use_prompt_token_count: 0,
            total_token_count: usage.total_tokens(),
            prompt_tokens_details: details(&[
                ("AUDIO", usage.audio_input_tokens),
                ("IMAGE", usage.image_tokens),
            ]),
            candidates_tokens_details: details(&[("AUDIO", usage.audio_output_tokens)]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_and_output_together_are_the_total_and_read_back_the_same() {
        let wire: WireUsage = serde_json::from_str(
            r#"{"promptTokenCount":10,"cachedContentTokenCount":4,"candidatesTokenCount":2,"thoughtsTokenCount":5,
                "toolUsePromptTokenCount":3,"totalTokenCount":20,"promptTokensDetails":[{"modality":"IMAGE","tokenCount":2}]}"#,
        )
        .unwrap();
        let total = wire.total_token_count;
        let usage = Usage::from(wire);
        assert_eq!(usage.total_tokens(), total);
        assert_eq!(
            (usage.input_tokens, usage.output_tokens, usage.image_tokens),
            (13, 7, 2)
        );
        let told = serde_json::to_string(&WireUsage::from(usage)).unwrap();
        assert_eq!(
            Usage::from(serde_json::from_str::<WireUsage>(&told).unwrap()),
            usage
        );
    }
}
