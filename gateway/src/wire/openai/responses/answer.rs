//! A response as its client sees it: what was asked, the items of the answer, and its usage.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use types::Usage;
use types::call::{Call, ToolCall};
use types::reply::{Answer, Choice, Finish};

use crate::wire::write;

/// What a response says besides its answer; the same in all events of a stream.
#[derive(Debug)]
pub(crate) struct Frame {
    id: String,
    created_at: i64,
    model: String,
    asked: Asked,
}

/// The settings that a response repeats, as they were asked for.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    instructions: Option<Value>,
    max_output_tokens: Option<Value>,
    metadata: Option<Value>,
    parallel_tool_calls: Option<Value>,
    reasoning: Option<Value>,
    temperature: Option<Value>,
    text: Option<Value>,
    tool_choice: Option<Value>,
    tools: Option<Value>,
    top_p: Option<Value>,
}

#[derive(Serialize)]
struct Outgoing<'a> {
    id: &'a str,
    object: &'static str,
    created_at: i64,
    status: &'static str,
    background: bool,
    error: Option<()>,
    incomplete_details: Option<Value>,
    instructions: &'a Option<Value>,
    max_output_tokens: &'a Option<Value>,
    metadata: Value,
    model: &'a str,
    output: &'a [Value],
    parallel_tool_calls: Value,
    previous_response_id: Option<()>,
    reasoning: Value,
    store: bool,
    temperature: &'a Option<Value>,
    text: Value,
    tool_choice: Value,
    tools: Value,
    top_p: &'a Option<Value>,
    truncation: &'static str,
    usage: Option<WireUsage>,
}

#[derive(Serialize)]
struct WireUsage {
    input_tokens: u64,
    input_tokens_details: InputDetails,
    output_tokens: u64,
    output_tokens_details: OutputDetails,
    total_tokens: u64,
}

#[derive(Serialize)]
struct InputDetails {
    cached_tokens: u64,
}

#[derive(Serialize)]
struct OutputDetails {
    reasoning_tokens: u64,
}

impl Frame {
    /// What is said around the answer to a call.
    pub(crate) fn new(id: String, created_at: DateTime<Utc>, call: &Call) -> Self {
        Self {
            id,
            created_at: created_at.timestamp(),
            model: call.model.clone(),
            // The body was decoded before; what cannot be read again is not repeated.
            asked: serde_json::from_slice(&call.body).unwrap_or_default(),
        }
    }

    /// A whole answer as one body.
    pub(crate) fn whole(mut self, answer: &Answer) -> Bytes {
        self.set_model(&answer.model);
        let choice = answer.choices.first().cloned().unwrap_or_default();
        let mut output = Vec::new();
        if let Some(message) = self.message(&choice) {
            output.push(message);
        }
        for (index, call) in choice.tool_calls.iter().enumerate() {
            output.push(self.function_call(index, call, status(choice.finish)));
        }
        write::json(&self.ended(choice.finish, &output, answer.usage))
    }

    /// Takes the provider's name of the model.
    pub(super) fn set_model(&mut self, model: &str) {
        if !model.is_empty() {
            model.clone_into(&mut self.model);
        }
    }

    /// A response of which nothing is there yet.
    pub(super) fn begun(&self) -> Value {
        json!(self.outgoing("in_progress", &[], None))
    }

    /// A response that came to its end.
    pub(super) fn ended(
        &self,
        finish: Option<Finish>,
        output: &[Value],
        usage: Option<Usage>,
    ) -> Value {
        let usage = Some(usage.unwrap_or_default());
        let mut outgoing = self.outgoing(status(finish), output, usage);
        outgoing.incomplete_details = cut_by(finish).map(|reason| json!({ "reason": reason }));
        json!(outgoing)
    }

    /// The identifier of the message; a response has one at most.
    pub(super) fn message_id(&self) -> String {
        format!("msg_{}", self.bare_id())
    }

    /// The message, where something is said.
    pub(super) fn message(&self, choice: &Choice) -> Option<Value> {
        let text = choice.text.as_deref().map(text_part);
        let refusal = choice.refusal.as_deref().map(refusal_part);
        let content: Vec<Value> = text.into_iter().chain(refusal).collect();
        let status = status(choice.finish);
        (!content.is_empty()).then(|| {
            json!({ "id": self.message_id(), "type": "message", "status": status, "role": "assistant", "content": content })
        })
    }

    /// The identifier of the item that a call of a function is.
    pub(super) fn function_call_id(&self, index: usize) -> String {
        format!("fc_{}_{index}", self.bare_id())
    }

    /// A call of a function.
    pub(super) fn function_call(&self, index: usize, call: &ToolCall, status: &str) -> Value {
        json!({ "id": self.function_call_id(index), "type": "function_call", "status": status,
            "call_id": call.id, "name": call.name, "arguments": call.arguments })
    }

    fn bare_id(&self) -> &str {
        self.id.trim_start_matches("resp_")
    }

    fn outgoing<'a>(
        &'a self,
        status: &'static str,
        output: &'a [Value],
        usage: Option<Usage>,
    ) -> Outgoing<'a> {
        let asked = &self.asked;
        let or = |value: &Option<Value>, default: Value| value.clone().unwrap_or(default);
        Outgoing {
            id: &self.id,
            object: "response",
            created_at: self.created_at,
            status,
            background: false,
            error: None,
            incomplete_details: None,
            instructions: &asked.instructions,
            max_output_tokens: &asked.max_output_tokens,
            metadata: or(&asked.metadata, json!({})),
            model: &self.model,
            output,
            parallel_tool_calls: or(&asked.parallel_tool_calls, true.into()),
            previous_response_id: None,
            reasoning: or(&asked.reasoning, json!({ "effort": null, "summary": null })),
            store: false,
            temperature: &asked.temperature,
            text: or(&asked.text, json!({ "format": { "type": "text" } })),
            tool_choice: or(&asked.tool_choice, "auto".into()),
            tools: or(&asked.tools, json!([])),
            top_p: &asked.top_p,
            truncation: "disabled",
            usage: usage.map(WireUsage::from),
        }
    }
}

/// A piece of text.
pub(super) fn text_part(text: &str) -> Value {
    json!({ "type": "output_text", "text": text, "annotations": [], "logprobs": [] })
}

/// Why the model refused.
pub(super) fn refusal_part(text: &str) -> Value {
    json!({ "type": "refusal", "refusal": text })
}

/// Whether an answer came to its end or was cut.
pub(super) fn status(finish: Option<Finish>) -> &'static str {
    match cut_by(finish) {
        Some(_) => "incomplete",
        None => "completed",
    }
}

const fn cut_by(finish: Option<Finish>) -> Option<&'static str> {
    match finish {
        Some(Finish::Length) => Some("max_output_tokens"),
        Some(Finish::ContentFilter) => Some("content_filter"),
        Some(Finish::Stop | Finish::ToolCalls | Finish::Other) | None => None,
    }
}

impl From<Usage> for WireUsage {
    fn from(usage: Usage) -> Self {
        Self {
            input_tokens: usage.input_tokens,
            input_tokens_details: InputDetails {
                cached_tokens: usage.cache_read_tokens,
            },
            output_tokens: usage.output_tokens,
            output_tokens_details: OutputDetails {
                reasoning_tokens: usage.reasoning_tokens,
            },
            total_tokens: usage.total_tokens(),
        }
    }
}
