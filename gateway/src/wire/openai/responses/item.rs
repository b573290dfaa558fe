//! The items that a question is made of: messages, calls of functions and their results.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use types::call::{Message, Part, Role, ToolCall};

use crate::error::Error;
use crate::wire::content::Content;
use crate::wire::read::{messages_within_limit, parse};

/// An item, whatever its kind.
#[derive(Deserialize)]
struct WireItem {
    r#type: Option<String>,
    role: Option<WireRole>,
    content: Option<Content>,
    call_id: Option<String>,
    name: Option<String>,
    arguments: Option<String>,
    output: Option<Content>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WireRole {
    System,
    Developer,
    User,
    Assistant,
}

/// The conversation that the items are.
pub(super) fn messages(value: &RawValue) -> Result<Vec<Message>, Error> {
    if value.get().starts_with('"') {
        return Ok(vec![Message::text(
            Role::User,
            parse::<String>("input", value)?,
        )]);
    }
    let items: Vec<WireItem> = parse("input", value)?;
    let mut messages = Vec::with_capacity(items.len());
    for (position, item) in items.into_iter().enumerate() {
        take(item, &mut messages).map_err(|what| at(position, &what))?;
    }
    messages_within_limit(messages)
}

fn at(position: usize, what: &str) -> Error {
    let param = format!("input[{position}]");
    Error::invalid(format!("'{param}' {what}"), Some(&param))
}

/// Adds what an item says; else what is wrong with it.
fn take(item: WireItem, messages: &mut Vec<Message>) -> Result<(), String> {
    match item.r#type.as_deref() {
        None | Some("message") => {
            let role = item.role.ok_or("has no 'role'")?;
            let content = item.content.ok_or("has no 'content'")?;
            messages.push(message(role.into(), parts(content)));
        }
        Some("function_call") => {
            let call = ToolCall {
                id: item.call_id.ok_or("has no 'call_id'")?,
                name: item.name.ok_or("has no 'name'")?,
                arguments: item.arguments.unwrap_or_default(),
                signature: None,
            };
            add_call(call, messages);
        }
        Some("function_call_output") => {
            let id = item.call_id.ok_or("has no 'call_id'")?;
            let output = item.output.ok_or("has no 'output'")?;
            messages.push(Message {
                tool_call_id: Some(id),
                ..message(Role::Tool, parts(output))
            });
        }
        // Thoughts are only of use to the model that had them.
        Some("reasoning") => {}
        Some(kind) => return Err(format!("is of the kind '{kind}', which is not served here")),
    }
    Ok(())
}

/// A call belongs to the assistant's turn that stands before it: what is said there and the calls are one.
fn add_call(call: ToolCall, messages: &mut Vec<Message>) {
    match messages.last_mut() {
        Some(last) if last.role == Role::Assistant => last.tool_calls.push(call),
        _ => messages.push(Message {
            tool_calls: vec![call],
            ..message(Role::Assistant, Vec::new())
        }),
    }
}

const fn message(role: Role, content: Vec<Part>) -> Message {
    Message {
        role,
        content,
        name: None,
        tool_calls: Vec::new(),
        tool_call_id: None,
    }
}

fn parts(content: Content) -> Vec<Part> {
    match content {
        Content::Text(text) => vec![Part::Text(text)],
        Content::Parts(parts) => parts.into_iter().map(part).collect(),
    }
}

/// A part; what no other form can say is kept, and refused where the request is written for a provider.
fn part(value: Value) -> Part {
    let field = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let known = match value.get("type").and_then(Value::as_str) {
        Some("input_text" | "output_text" | "text") => field("text").map(Part::Text),
        Some("input_image") => field("image_url").map(|url| Part::Image {
            url,
            detail: field("detail"),
        }),
        Some("input_file") => {
            field("file_data")
                .or_else(|| field("file_url"))
                .map(|url| Part::Document {
                    url,
                    name: field("filename"),
                })
        }
        _ => None,
    };
    known.unwrap_or(Part::Other(value))
}

impl From<WireRole> for Role {
    fn from(role: WireRole) -> Self {
        match role {
            WireRole::System | WireRole::Developer => Self::System,
            WireRole::User => Self::User,
            WireRole::Assistant => Self::Assistant,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(input: &Value) -> Result<Vec<Message>, Error> {
        messages(&RawValue::from_string(input.to_string()).unwrap())
    }

    #[test]
    fn calls_belong_to_the_turn_before_them_and_thoughts_are_left_out() {
        let call = |id: &str| json!({"type": "function_call", "call_id": id, "name": "f", "arguments": "{}"});
        let messages = read(&json!([
            {"role": "user", "content": [{"type": "input_text", "text": "x"},
                {"type": "input_image", "image_url": "https://a/b.png", "detail": "low"}]},
            {"type": "reasoning", "id": "rs_1", "summary": []},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "wait"}]},
            call("a"), call("b"),
            {"type": "function_call_output", "call_id": "a", "output": "rain"}]))
        .unwrap();
        let roles: Vec<Role> = messages.iter().map(|message| message.role).collect();
        assert_eq!(roles, [Role::User, Role::Assistant, Role::Tool]);
        assert!(
            matches!(&messages[0].content[1], Part::Image { url, .. } if url == "https://a/b.png")
        );
        assert_eq!(messages[1].tool_calls.len(), 2);
        assert_eq!(messages[1].joined_text(), "wait");
        assert_eq!(messages[2].tool_call_id.as_deref(), Some("a"));
    }

    #[test]
    fn an_item_that_cannot_be_said_is_named_with_its_place() {
        for (item, complaint) in [
            (
                json!({"type": "item_reference", "id": "x"}),
                "'input[0]' is of the kind 'item_reference'",
            ),
            (json!({"content": "x"}), "'input[0]' has no 'role'"),
            (
                json!({"type": "function_call", "name": "f"}),
                "'input[0]' has no 'call_id'",
            ),
            (
                json!({"role": "king", "content": "x"}),
                "'input[0].role' is wrong",
            ),
        ] {
            let error = read(&json!([item])).unwrap_err().to_string();
            assert!(error.starts_with(complaint), "{error}");
        }
    }
}
