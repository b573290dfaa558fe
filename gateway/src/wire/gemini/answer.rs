//! Writes a whole `GenerateContentResponse`.

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;
use types::call::ToolCall;
use types::reply::{Answer, Choice, Finish};

use super::usage::WireUsage;
use crate::wire::write;

/// The response, whole or one element of a stream.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(clippy::struct_field_names, reason = "the names are the wire's")]
pub(super) struct Response<'a> {
    pub(super) candidates: Vec<Candidate<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) usage_metadata: Option<WireUsage>,
    pub(super) model_version: &'a str,
    pub(super) response_id: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Candidate<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) content: Option<Content<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) finish_reason: Option<&'static str>,
    pub(super) index: usize,
}

#[derive(Serialize)]
pub(super) struct Content<'a> {
    parts: Vec<Part<'a>>,
    role: &'static str,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Part<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    thought: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    function_call: Option<FunctionCall<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thought_signature: Option<&'a str>,
}

#[derive(Serialize)]
struct FunctionCall<'a> {
    id: &'a str,
    name: &'a str,
    args: Value,
}

impl<'a> Content<'a> {
    /// These parts; none where there is none, because an empty list is not allowed.
    pub(super) fn of(parts: Vec<Part<'a>>) -> Option<Self> {
        (!parts.is_empty()).then_some(Self {
            parts,
            role: "model",
        })
    }
}

impl<'a> Part<'a> {
    /// Text.
    pub(super) fn text(text: &'a str) -> Self {
        Self {
            text: Some(text),
            ..Self::default()
        }
    }

    /// Reasoning.
    pub(super) fn thought(text: &'a str) -> Self {
        Self {
            thought: true,
            ..Self::text(text)
        }
    }

    /// A call of a function, which is told whole in this dialect.
    pub(super) fn call(call: &'a ToolCall) -> Self {
        Self {
            function_call: Some(FunctionCall {
                id: &call.id,
                name: &call.name,
                args: write::object(&call.arguments),
            }),
            thought_signature: call.signature.as_deref(),
            ..Self::default()
        }
    }
}

/// Writes an answer for a client under a new id; thoughts only for those who asked to see them.
pub(crate) fn encode(answer: &Answer, id: &str, shows_reasoning: bool) -> Bytes {
    let choices = answer.choices.iter().enumerate();
    let candidates = choices.map(|(index, choice)| Candidate {
        content: Content::of(parts(choice, shows_reasoning)),
        finish_reason: Some(finish_word(choice.finish.unwrap_or(Finish::Stop))),
        index,
    });
    write::json(&Response {
        candidates: candidates.collect(),
        usage_metadata: answer.usage.map(Into::into),
        model_version: &answer.model,
        response_id: id,
    })
}

fn parts(choice: &Choice, shows_reasoning: bool) -> Vec<Part<'_>> {
    let is_said = |text: &&str| !text.is_empty();
    let thought = choice.reasoning.as_deref().filter(|_| shows_reasoning);
    let texts = [choice.text.as_deref(), choice.refusal.as_deref()];
    let texts = texts.into_iter().flatten().filter(is_said).map(Part::text);
    let thought = thought.into_iter().filter(is_said).map(Part::thought);
    let calls = choice.tool_calls.iter().map(Part::call);
    thought.chain(texts).chain(calls).collect()
}

/// Gemini's word for a [`Finish`]; a turn that calls functions ends like any other.
pub(super) const fn finish_word(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::ToolCalls => "STOP",
        Finish::Length => "MAX_TOKENS",
        Finish::ContentFilter => "SAFETY",
        Finish::Other => "OTHER",
    }
}
