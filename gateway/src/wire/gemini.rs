//! Gemini's dialect: generateContent, the count of its tokens, embeddings, models and errors.
//!
//! Source: the provider's API reference (`ai.google.dev/api`) and the official SDKs' types. The wire is proto JSON:
//! names in camel case and in snake case are both legal, and SDKs send both, even in one body.

pub(crate) mod answer;
pub(crate) mod embeddings;
pub(crate) mod error;
pub(crate) mod models;
mod part;
pub(crate) mod request;
mod schema;
pub(crate) mod stream;
pub(crate) mod usage;

/// A field's name as the dialect documents it, whichever way it was written.
pub(crate) fn camel(name: &str) -> std::borrow::Cow<'_, str> {
    if !name.contains('_') {
        return name.into();
    }
    let mut camel = String::with_capacity(name.len());
    let mut raise = false;
    for letter in name.chars() {
        match letter {
            '_' if !camel.is_empty() => raise = true,
            letter if raise => {
                camel.push(letter.to_ascii_uppercase());
                raise = false;
            }
            letter => camel.push(letter),
        }
    }
    camel.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_of_a_name_are_the_same() {
        assert_eq!(camel("max_output_tokens"), "maxOutputTokens");
        assert_eq!(camel("maxOutputTokens"), "maxOutputTokens");
        assert_eq!(camel("_"), "_");
    }
}
