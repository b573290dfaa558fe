//! What a translation into another dialect leaves out, and what it refuses; `docs/dialects.md` has the whole table.
//!
//! What only tunes an answer is left out. What the answer would be wrong without is refused, with the field's name.

use serde_json::Value;
use types::call::{Call, Message, Part};

use crate::error::Error;

/// Fields of one dialect that change what is asked for; each with what to say about it.
const REFUSED: &[(&str, &str)] = &[
    (
        "tools",
        "tools that a provider runs itself, or of a kind that only one dialect has",
    ),
    (
        "tool_choice",
        "a choice among tools that only one dialect has",
    ),
    (
        "toolConfig",
        "a choice among tools that only one dialect has",
    ),
    ("functions", "functions in their old form; use 'tools'"),
    (
        "function_call",
        "functions in their old form; use 'tool_choice'",
    ),
    ("web_search_options", "a search by the provider"),
    ("cachedContent", "content cached at one provider"),
    ("container", "a container at one provider"),
    ("mcp_servers", "servers that a provider asks itself"),
    ("audio", "an answer that is spoken"),
    ("echo", "the question in front of its answer"),
    ("suffix", "a text between two others"),
    ("responseMimeType", "an answer in this form"),
];

/// Fields that ask for other answers than text, unless they ask for text alone.
const MODALITIES: [&str; 2] = ["modalities", "responseModalities"];

/// Refuses a call whose answer would be wrong if it were translated.
pub(super) fn check(call: &Call) -> Result<(), Error> {
    let extra = &call.parameters.extra;
    for (name, what) in REFUSED {
        if extra
            .get(*name)
            .is_some_and(|value| *value != Value::Bool(false))
        {
            return Err(refused(name, what));
        }
    }
    if call.parameters.logprobs == Some(true) {
        let what = "the probabilities of tokens, which every dialect tells in another form";
        return Err(refused("logprobs", what));
    }
    for name in MODALITIES {
        if extra.get(name).is_some_and(|wanted| !is_text_alone(wanted)) {
            return Err(refused(name, "an answer that is not text"));
        }
    }
    Ok(())
}

/// Refuses what the provider of the model has no word for.
pub(super) fn refused(field: &str, what: &str) -> Error {
    let text = format!(
        "'{field}' asks for what the provider of this model cannot be asked for in its own protocol: {what}"
    );
    Error::invalid(text, Some(field))
}

fn is_text_alone(wanted: &Value) -> bool {
    let wanted = wanted.as_array().map(Vec::as_slice).unwrap_or_default();
    let is_text = |kind: &Value| {
        kind.as_str()
            .is_some_and(|kind| kind.eq_ignore_ascii_case("text"))
    };
    wanted.iter().all(is_text)
}

/// Whether a part of one dialect is left out of a translation: fields of a message that we do not know, and thoughts,
/// which are only of use to the provider that had them.
pub(super) fn is_left_out(part: &Value) -> bool {
    let thought = part.get("thought") == Some(&Value::Bool(true));
    thought
        || match part.get("type").and_then(Value::as_str) {
            None => true,
            Some(kind) => matches!(kind, "thinking" | "redacted_thinking" | "refusal"),
        }
}

/// Refuses a part that only its own dialect has.
pub(super) fn refused_part(part: &Value) -> Error {
    let kind = part
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or("unknown");
    refused("messages", &format!("a part of the kind '{kind}'"))
}

/// The kind of content and the base64 data of a `data:` URL.
pub(super) fn data_url(url: &str) -> Option<(&str, &str)> {
    url.strip_prefix("data:")?.split_once(";base64,")
}

/// The text of a tool's result.
pub(super) fn result_text(message: &Message) -> Result<String, Error> {
    for part in &message.content {
        match part {
            Part::Text(_) | Part::Image { .. } => {}
            Part::Other(value) if is_left_out(value) => {}
            Part::Other(value) => return Err(refused_part(value)),
            Part::Audio { .. } | Part::Document { .. } => {
                return Err(refused(
                    "messages",
                    "sound or a document as the result of a tool",
                ));
            }
        }
    }
    Ok(message.joined_text())
}
