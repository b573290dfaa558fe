//! A whole chat completion: read from a provider, written to a client.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use types::call::ToolCall;
use types::reply::{Answer, Choice, Finish};

use super::usage::WireUsage;
use crate::wire::content::Content;

/// A completion as a provider sends it; what we do not need stays in the raw body.
#[derive(Deserialize)]
struct Incoming {
    #[serde(default)]
    model: String,
    #[serde(default)]
    choices: Vec<IncomingChoice>,
    #[serde(default)]
    usage: Option<WireUsage>,
    #[serde(default)]
    service_tier: Option<String>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
struct IncomingChoice {
    #[serde(default)]
    message: IncomingMessage,
    /// The older form has its text here.
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct IncomingMessage {
    content: Option<Content>,
    reasoning_content: Option<String>,
    refusal: Option<String>,
    tool_calls: Option<Vec<IncomingToolCall>>,
}

/// The text of an answer; some compatible servers send it in parts.
fn text_of(content: Content) -> String {
    match content {
        Content::Text(text) => text,
        Content::Parts(parts) => {
            let texts = parts.iter().filter_map(|part| part.get("text")?.as_str());
            texts.collect()
        }
    }
}

#[derive(Deserialize)]
struct IncomingToolCall {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    function: Option<IncomingFunction>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct IncomingFunction {
    name: Option<String>,
    arguments: Option<String>,
}

/// Reads a provider's completion, or the error that some send with status 200.
pub(crate) fn decode(body: &[u8]) -> Result<Result<Answer, Value>, serde_json::Error> {
    let incoming: Incoming = serde_json::from_slice(body)?;
    if let (Some(error), true) = (incoming.error, incoming.choices.is_empty()) {
        return Ok(Err(error));
    }
    Ok(Ok(Answer {
        model: incoming.model,
        choices: incoming.choices.into_iter().map(Choice::from).collect(),
        usage: incoming.usage.map(Into::into),
        service_tier: incoming.service_tier,
        ..Answer::default()
    }))
}

impl From<IncomingChoice> for Choice {
    fn from(choice: IncomingChoice) -> Self {
        let calls = choice.message.tool_calls.unwrap_or_default().into_iter();
        Self {
            text: choice.message.content.map(text_of).or(choice.text),
            reasoning: choice.message.reasoning_content,
            signature: None,
            refusal: choice.message.refusal,
            tool_calls: calls.map(ToolCall::from).collect(),
            finish: choice.finish_reason.as_deref().map(finish_from),
        }
    }
}

impl From<IncomingToolCall> for ToolCall {
    fn from(call: IncomingToolCall) -> Self {
        let function = call.function.unwrap_or_default();
        Self {
            id: call.id.unwrap_or_default(),
            name: function.name.unwrap_or_default(),
            arguments: function.arguments.unwrap_or_default(),
            signature: None,
        }
    }
}

/// OpenAI's `finish_reason`, and what compatible servers make of it.
pub(super) fn finish_from(reason: &str) -> Finish {
    match reason {
        "length" => Finish::Length,
        "tool_calls" | "function_call" => Finish::ToolCalls,
        "content_filter" => Finish::ContentFilter,
        "stop" => Finish::Stop,
        _ => Finish::Other,
    }
}

/// OpenAI's word for a [`Finish`].
pub(super) const fn finish_word(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::Other => "stop",
        Finish::Length => "length",
        Finish::ToolCalls => "tool_calls",
        Finish::ContentFilter => "content_filter",
    }
}

#[derive(Serialize)]
struct Outgoing<'a> {
    id: &'a str,
    object: &'static str,
    created: i64,
    model: &'a str,
    choices: Vec<OutgoingChoice<'a>>,
    usage: WireUsage,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_tier: Option<&'a str>,
}

#[derive(Serialize)]
struct OutgoingChoice<'a> {
    index: usize,
    message: OutgoingMessage<'a>,
    logprobs: Option<()>,
    finish_reason: &'static str,
}

#[derive(Serialize)]
struct OutgoingMessage<'a> {
    role: &'static str,
    content: Option<&'a str>,
    refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Value>,
}

/// Writes an answer for a client under a new id.
pub(crate) fn encode(answer: &Answer, id: &str, created: DateTime<Utc>) -> Bytes {
    let choices = answer.choices.iter().enumerate();
    let outgoing = Outgoing {
        id,
        object: "chat.completion",
        created: created.timestamp(),
        model: &answer.model,
        choices: choices
            .map(|(index, choice)| outgoing_choice(index, choice))
            .collect(),
        usage: answer.usage.unwrap_or_default().into(),
        service_tier: answer.service_tier.as_deref(),
    };
    serde_json::to_vec(&outgoing).unwrap_or_default().into()
}

fn outgoing_choice(index: usize, choice: &Choice) -> OutgoingChoice<'_> {
    OutgoingChoice {
        index,
        message: OutgoingMessage {
            role: "assistant",
            content: choice.text.as_deref(),
            refusal: choice.refusal.as_deref(),
            reasoning_content: choice.reasoning.as_deref(),
            tool_calls: choice.tool_calls.iter().map(tool_call).collect(),
        },
        logprobs: None,
        finish_reason: finish_word(choice.finish.unwrap_or(Finish::Stop)),
    }
}

fn tool_call(call: &ToolCall) -> Value {
    let mut value = json!({
        "id": call.id,
        "type": "function",
        "function": { "name": call.name, "arguments": call.arguments },
    });
    if let (Some(signature), Some(object)) = (&call.signature, value.as_object_mut()) {
        object.insert("extra_content".to_owned(), extra_content(signature));
    }
    value
}

/// Where a thought signature travels in this dialect, as on Google's own compatible endpoint.
pub(super) fn extra_content(signature: &str) -> Value {
    json!({ "google": { "thought_signature": signature } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back_the_same() {
        let answer = Answer {
            model: "m".to_owned(),
            choices: vec![Choice {
                text: Some("hello".to_owned()),
                finish: Some(Finish::Length),
                ..Choice::default()
            }],
            usage: Some(types::Usage {
                input_tokens: 9,
                cache_read_tokens: 4,
                output_tokens: 7,
                reasoning_tokens: 5,
                ..types::Usage::default()
            }),
            service_tier: Some("priority".to_owned()),
            ..Answer::default()
        };
        let body = encode(&answer, "chatcmpl-1", DateTime::UNIX_EPOCH);
        assert_eq!(decode(&body).unwrap(), Ok(answer));
    }

    #[test]
    fn a_completion_without_choices_or_usage_is_no_reason_to_fail() {
        let answer = decode(br#"{"id":"x","object":"chat.completion","choices":[],"timings":{}}"#)
            .unwrap()
            .unwrap();
        assert_eq!(answer.usage, None);
        assert!(!answer.is_complete());
    }
}
