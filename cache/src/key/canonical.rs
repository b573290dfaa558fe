//! The one form of a call that is hashed: JSON with fixed field order and sorted maps, the last text apart.
//!
//! Every field of [`Call`], [`Message`] and [`Parameters`] is named here without `..`, so that a new field does
//! not compile until somebody has decided whether it changes the answer.
//!
//! # Left out, and why
//!
//! * `dialect`, `delivery`, `version`, `body`: the same question, asked or answered in another form; a client of one
//!   dialect may be given what another stored. Only a call that holds what a single dialect can say
//!   ([`Part::Other`], [`Parameters::extra`]) is kept apart by dialect, because a word of one dialect may mean
//!   something else in another.
//! * what [`IMMATERIAL`] lists.

use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};
use serde_json::{Number, Value};
use types::Id;
use types::call::{
    Call, Dialect, Endpoint, Message, Parameters, Part, ResponseFormat, Role, Tool, ToolCall,
    ToolChoice,
};
use types::id::Organization;

/// Says how the rest is to be read. To be raised when the form changes, so that old rows are never read wrongly.
const VERSION: u32 = 1;

/// Fields that do not change the answer.
///
/// `stream` and `stream_options` say how it is delivered; `user`, `safety_identifier` and `metadata` label the
/// end user; `store` asks the provider to keep a copy; the `prompt_cache_*` fields and `service_tier` change
/// what the call costs and how long it takes, and a hit costs nothing and takes no time.
const IMMATERIAL: [&str; 10] = [
    "stream",
    "stream_options",
    "user",
    "safety_identifier",
    "metadata",
    "store",
    "prompt_cache_key",
    "prompt_cache_retention",
    "prompt_cache_options",
    "service_tier",
];

/// Fields whose answer must not be given again: the provider keeps state behind them, or the answer is not
/// only text.
const STATEFUL: [&str; 7] = [
    "previous_response_id",
    "conversation",
    "background",
    "audio",
    "modalities",
    "container",
    "responseModalities",
];

/// Where the last text of the user is among the messages.
#[derive(Debug, Clone, Copy)]
struct Position {
    message: usize,
    part: usize,
}

/// Everything that changes the answer; the last text of the user comes after it.
#[derive(Serialize)]
pub(super) struct Canonical<'a> {
    version: u32,
    organization: Id<Organization>,
    scope: &'static str,
    model: &'a str,
    endpoint: Endpoint,
    dialect: Option<Dialect>,
    output_tokens_max: Option<u64>,
    temperature: Option<Float<'a>>,
    top_p: Option<Float<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_k: Option<u64>,
    n: Option<u64>,
    stop: &'a [String],
    seed: Option<i64>,
    presence_penalty: Option<Float<'a>>,
    frequency_penalty: Option<Float<'a>>,
    reasoning_effort: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_budget: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_shown: Option<bool>,
    logprobs: Option<bool>,
    top_logprobs: Option<u64>,
    response_format: Option<&'a ResponseFormat>,
    tools: &'a [Tool],
    tool_choice: Option<&'a ToolChoice>,
    parallel_tool_calls: Option<bool>,
    #[serde(serialize_with = "in_order")]
    extra: Vec<(&'a str, &'a Value)>,
    messages: Messages<'a>,
}

impl<'a> Canonical<'a> {
    pub(super) fn of(call: &'a Call, organization: Id<Organization>, model: &'a str) -> Self {
        let Call {
            dialect,
            endpoint,
            model: _,
            messages,
            parameters,
            delivery: _,
            version: _,
            template: _,
            body: _,
        } = call;
        let Parameters {
            output_tokens_max,
            temperature,
            top_p,
            top_k,
            n,
            stop,
            seed,
            presence_penalty,
            frequency_penalty,
            reasoning_effort,
            reasoning_budget,
            reasoning_shown,
            logprobs,
            top_logprobs,
            response_format,
            tools,
            tool_choice,
            parallel_tool_calls,
            extra: _,
        } = parameters;
        let extra: Vec<_> = material(parameters).collect();
        let speaks_one_dialect = !extra.is_empty() || has_other_parts(messages);

        Self {
            version: VERSION,
            organization,
            scope: "organization",
            model,
            endpoint: *endpoint,
            dialect: speaks_one_dialect.then_some(*dialect),
            output_tokens_max: *output_tokens_max,
            temperature: temperature.as_ref().map(Float),
            top_p: top_p.as_ref().map(Float),
            top_k: *top_k,
            n: *n,
            stop,
            seed: *seed,
            presence_penalty: presence_penalty.as_ref().map(Float),
            frequency_penalty: frequency_penalty.as_ref().map(Float),
            reasoning_effort: reasoning_effort.as_deref(),
            reasoning_budget: *reasoning_budget,
            reasoning_shown: *reasoning_shown,
            logprobs: *logprobs,
            top_logprobs: *top_logprobs,
            response_format: response_format.as_ref(),
            tools,
            tool_choice: tool_choice.as_ref(),
            parallel_tool_calls: *parallel_tool_calls,
            extra,
            messages: Messages {
                messages,
                last: last_user_text(messages),
            },
        }
    }

    /// The last text of the user; empty where there is none.
    pub(super) fn last_user_text(&self) -> &'a str {
        let last = self.messages.last;
        let part = last.and_then(|at| self.messages.messages.get(at.message)?.content.get(at.part));
        match part {
            Some(Part::Text(text)) => text,
            _ => "",
        }
    }
}

/// Whether an answer to the call may be given again: see [`STATEFUL`].
pub(super) fn is_reusable(call: &Call) -> bool {
    let asks_for_logprobs = call.parameters.logprobs == Some(true);
    let extra = &call.parameters.extra;
    !asks_for_logprobs && !STATEFUL.iter().any(|name| extra.contains_key(*name))
}

/// The extra fields that change the answer, sorted by name.
///
/// Sorted here although `serde_json`'s map is, because a dependency could switch that off for all of us.
fn material(parameters: &Parameters) -> impl Iterator<Item = (&str, &Value)> {
    let extra = parameters.extra.iter();
    let mut material: Vec<_> = extra
        .filter(|(name, _)| !IMMATERIAL.contains(&name.as_str()))
        .map(|(name, value)| (name.as_str(), value))
        .collect();
    material.sort_unstable_by_key(|(name, _)| *name);
    material.into_iter()
}

fn has_other_parts(messages: &[Message]) -> bool {
    let mut parts = messages.iter().flat_map(|message| &message.content);
    parts.any(|part| matches!(part, Part::Other(_)))
}

fn last_user_text(messages: &[Message]) -> Option<Position> {
    let message = messages.iter().rposition(|m| m.role == Role::User)?;
    let parts = &messages.get(message)?.content;
    let part = parts.iter().rposition(|p| matches!(p, Part::Text(_)))?;
    Some(Position { message, part })
}

fn in_order<S: Serializer>(fields: &[(&str, &Value)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(fields.iter().copied())
}

/// A number by its value: `1` and `1.0` are the same temperature.
struct Float<'a>(&'a Number);

impl Serialize for Float<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_f64() {
            Some(value) => serializer.serialize_f64(value),
            None => self.0.serialize(serializer),
        }
    }
}

/// The conversation with a mark in place of the last text.
struct Messages<'a> {
    messages: &'a [Message],
    last: Option<Position>,
}

impl Serialize for Messages<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let turns = self.messages.iter().enumerate();
        serializer.collect_seq(turns.map(|(index, message)| {
            let last = self.last.filter(|last| last.message == index);
            Turn::of(message, last.map(|last| last.part))
        }))
    }
}

#[derive(Serialize)]
struct Turn<'a> {
    role: Role,
    name: Option<&'a str>,
    tool_calls: &'a [ToolCall],
    tool_call_id: Option<&'a str>,
    content: Parts<'a>,
}

impl<'a> Turn<'a> {
    fn of(message: &'a Message, apart: Option<usize>) -> Self {
        let Message {
            role,
            content,
            name,
            tool_calls,
            tool_call_id,
        } = message;
        Self {
            role: *role,
            name: name.as_deref(),
            tool_calls,
            tool_call_id: tool_call_id.as_deref(),
            content: Parts {
                parts: content,
                apart,
            },
        }
    }
}

struct Parts<'a> {
    parts: &'a [Part],
    apart: Option<usize>,
}

impl Serialize for Parts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.parts.len()))?;
        for (index, part) in self.parts.iter().enumerate() {
            if Some(index) == self.apart {
                // No part serializes to `null`, so the mark cannot be mistaken for one.
                list.serialize_element(&())?;
            } else {
                list.serialize_element(part)?;
            }
        }
        list.end()
    }
}
