//! One message of a chat-completion request.
//!
//! Read by hand rather than derived: conversations are the bulk of a request, and a derived `flatten`
//! would copy each of them once more only to keep the unknown fields.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::{Map, Value};
use types::call::{Message, Part, Role, ToolCall};

use crate::wire::content::Content;

/// A message as the wire has it.
pub(super) struct WireMessage(pub(super) Message);

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum WireRole {
    System,
    Developer,
    User,
    Assistant,
    Tool,
    Function,
}

#[derive(Deserialize)]
struct WireToolCall {
    #[serde(default)]
    id: Option<String>,
    function: WireFunction,
    #[serde(default)]
    extra_content: Option<Value>,
}

#[derive(Deserialize)]
struct WireFunction {
    name: String,
    #[serde(default)]
    arguments: Option<String>,
}

impl<'de> Deserialize<'de> for WireMessage {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MessageVisitor)
    }
}

struct MessageVisitor;

impl<'de> Visitor<'de> for MessageVisitor {
    type Value = WireMessage;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message: an object with 'role' and 'content'")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut role = None;
        let mut message = Message {
            role: Role::User,
            content: Vec::new(),
            name: None,
            tool_calls: Vec::new(),
            tool_call_id: None,
        };
        let mut unknown = Map::new();
        while let Some(field) = map.next_key::<String>()? {
            match field.as_str() {
                "role" => role = Some(map.next_value::<WireRole>()?),
                "content" => {
                    message.content = map
                        .next_value::<Option<Content>>()?
                        .map_or_else(Vec::new, parts);
                }
                "name" => message.name = map.next_value()?,
                "tool_calls" => take_tool_calls(map.next_value()?, &mut message),
                "tool_call_id" => message.tool_call_id = map.next_value()?,
                _ => {
                    let value: Value = map.next_value()?;
                    if !value.is_null() {
                        unknown.insert(field, value);
                    }
                }
            }
        }
        message.role = role
            .map(Role::from)
            .ok_or_else(|| M::Error::missing_field("role"))?;
        if !unknown.is_empty() {
            message.content.push(Part::Other(Value::Object(unknown)));
        }
        Ok(WireMessage(message))
    }
}

impl From<WireRole> for Role {
    fn from(role: WireRole) -> Self {
        match role {
            WireRole::System | WireRole::Developer => Self::System,
            WireRole::User => Self::User,
            WireRole::Assistant => Self::Assistant,
            WireRole::Tool | WireRole::Function => Self::Tool,
        }
    }
}

/// Calls of functions as such; calls of a kind that only this dialect has are kept word for word.
fn take_tool_calls(calls: Option<Vec<Value>>, message: &mut Message) {
    for call in calls.unwrap_or_default() {
        match WireToolCall::deserialize(&call) {
            Ok(call) => message.tool_calls.push(ToolCall {
                id: call.id.unwrap_or_default(),
                name: call.function.name,
                arguments: call.function.arguments.unwrap_or_default(),
                signature: call.extra_content.as_ref().and_then(signature),
            }),
            Err(_) => message.content.push(Part::Other(call)),
        }
    }
}

/// Where Google's own OpenAI-compatible endpoint keeps a thought signature.
fn signature(extra: &Value) -> Option<String> {
    let signature = extra.pointer("/google/thought_signature")?;
    signature.as_str().map(str::to_owned)
}

fn parts(content: Content) -> Vec<Part> {
    match content {
        Content::Text(text) => vec![Part::Text(text)],
        Content::Parts(parts) => parts.into_iter().map(part).collect(),
    }
}

fn part(mut value: Value) -> Part {
    let string_at = |value: &Value, pointer: &str| {
        value
            .pointer(pointer)
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    match value.get("type").and_then(Value::as_str) {
        Some("text") if is_plain_text(&value) => match value.get_mut("text").map(Value::take) {
            Some(Value::String(text)) => Part::Text(text),
            _ => Part::Other(value),
        },
        Some("image_url") => match string_at(&value, "/image_url/url") {
            Some(url) => Part::Image {
                url,
                detail: string_at(&value, "/image_url/detail"),
            },
            None => Part::Other(value),
        },
        Some("input_audio") => {
            let data = string_at(&value, "/input_audio/data");
            match (data, string_at(&value, "/input_audio/format")) {
                (Some(data), Some(format)) => Part::Audio { data, format },
                _ => Part::Other(value),
            }
        }
        Some("file") => match string_at(&value, "/file/file_data") {
            Some(url) => Part::Document {
                url,
                name: string_at(&value, "/file/filename"),
            },
            None => Part::Other(value),
        },
        _ => Part::Other(value),
    }
}

/// Text with nothing beside it that another dialect could not say.
fn is_plain_text(value: &Value) -> bool {
    let Some(object) = value.as_object() else {
        return false;
    };
    object.get("text").is_some_and(Value::is_string)
        && object
            .keys()
            .all(|key| matches!(key.as_str(), "type" | "text" | "cache_control"))
}
