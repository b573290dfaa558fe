//! Content that is text or a list of parts, in messages and in answers.
//!
//! Told apart by its first character rather than by trying both: nearly all content is text, and large.

use std::fmt;

use serde::Deserialize;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{Deserializer, Error, SeqAccess, Visitor};
use serde_json::Value;

/// Text or parts.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::wire) enum Content {
    /// Text.
    Text(String),
    /// Parts, whatever they are.
    Parts(Vec<Value>),
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ContentVisitor)
    }
}

struct ContentVisitor;

impl<'de> Visitor<'de> for ContentVisitor {
    type Value = Content;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text or a list of parts")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Content, E> {
        Ok(Content::Text(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Content, E> {
        Ok(Content::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, parts: A) -> Result<Content, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(parts)).map(Content::Parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_parts_are_told_apart_and_nothing_else_is_content() {
        let text = serde_json::from_str::<Content>(r#""h\u0069""#).unwrap();
        assert_eq!(text, Content::Text("hi".to_owned()));
        let parts = serde_json::from_str::<Content>(r#"[{"type":"text"}]"#).unwrap();
        assert!(matches!(parts, Content::Parts(parts) if parts.len() == 1));
        let error = serde_json::from_str::<Content>("5")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("expected text or a list of parts"),
            "{error}"
        );
    }
}
