//! Who made a model: FOCUS calls it the publisher, and the one who sells it the provider.

/// The first words of model names, and who makes the models that begin so.
const MAKERS: [(&str, &str); 30] = [
    ("gemini", "Google"),
    ("gemma", "Google"),
    ("text-embedding-00", "Google"),
    ("imagen", "Google"),
    ("veo", "Google"),
    ("gpt", "OpenAI"),
    ("chatgpt", "OpenAI"),
    ("o1", "OpenAI"),
    ("o3", "OpenAI"),
    ("o4", "OpenAI"),
    ("text-embedding-", "OpenAI"),
    ("whisper", "OpenAI"),
    ("claude", "Anthropic"),
    ("mistral", "Mistral AI"),
    ("ministral", "Mistral AI"),
    ("magistral", "Mistral AI"),
    ("codestral", "Mistral AI"),
    ("pixtral", "Mistral AI"),
    ("devstral", "Mistral AI"),
    ("open-mi", "Mistral AI"),
    ("command", "Cohere"),
    ("embed-", "Cohere"),
    ("rerank", "Cohere"),
    ("grok", "xAI"),
    ("deepseek", "DeepSeek"),
    ("llama", "Meta"),
    ("voyage", "Voyage AI"),
    ("qwen", "Alibaba Cloud"),
    ("kimi", "Moonshot AI"),
    ("demo", "FlowPilot"),
];

/// The maker of a model; of one that is not known, whoever sells it.
pub(super) fn publisher<'a>(provider: &'a str, model: &str) -> &'a str {
    let name = model.rsplit('/').next().unwrap_or(model);
    let known = MAKERS.iter().find(|(begin, _)| name.starts_with(begin));
    known.map_or(provider, |(_, maker)| maker)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_maker_is_not_the_seller() {
        assert_eq!(publisher("azure", "gpt-5-mini"), "OpenAI");
        assert_eq!(publisher("groq", "meta-llama/llama-4-scout"), "Meta");
        assert_eq!(publisher("gemini", "text-embedding-004"), "Google");
        assert_eq!(publisher("house", "our-own-7b"), "house");
    }
}
