//! Reads the messages of a request and the blocks they are made of.
//!
//! One message may hold several turns of our form: results of tools are messages of their own there.
//! What only this dialect can say is kept word for word, as [`Part::Other`].

use serde::Deserialize;
use serde_json::{Value, json};
use types::call::{Message, Part, Role, ToolCall};

use crate::wire::content::Content;

/// One entry of `messages`.
#[derive(Deserialize)]
pub(super) struct WireMessage {
    role: WireRole,
    content: Content,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum WireRole {
    System,
    User,
    Assistant,
}

/// The messages of our form that an entry stands for.
pub(super) fn messages(wire: WireMessage) -> Vec<Message> {
    let role = match wire.role {
        WireRole::System => Role::System,
        WireRole::User => Role::User,
        WireRole::Assistant => Role::Assistant,
    };
    let blocks = match wire.content {
        Content::Text(text) => return vec![Message::text(role, text)],
        Content::Parts(blocks) => blocks,
    };
    let mut results = Vec::new();
    let mut message = empty(role);
    for block in blocks {
        match kind(&block) {
            "tool_result" => results.push(tool_result(block)),
            "tool_use" => match tool_use(&block) {
                Some(call) => message.tool_calls.push(call),
                None => message.content.push(Part::Other(block)),
            },
            _ => message.content.push(part(block)),
        }
    }
    if results.is_empty() || !message.content.is_empty() {
        results.push(message);
    }
    results
}

/// The text of `system`, in whichever form it comes.
pub(super) fn system(content: Content) -> Message {
    match content {
        Content::Text(text) => Message::text(Role::System, text),
        Content::Parts(blocks) => Message {
            content: blocks.into_iter().map(part).collect(),
            ..empty(Role::System)
        },
    }
}

fn empty(role: Role) -> Message {
    Message {
        role,
        content: Vec::new(),
        name: None,
        tool_calls: Vec::new(),
        tool_call_id: None,
    }
}

fn kind(block: &Value) -> &str {
    block
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn tool_use(block: &Value) -> Option<ToolCall> {
    let text = |name: &str| block.get(name)?.as_str().map(str::to_owned);
    Some(ToolCall {
        id: text("id")?,
        name: text("name")?,
        arguments: block.get("input").unwrap_or(&json!({})).to_string(),
        signature: None,
    })
}

fn tool_result(mut block: Value) -> Message {
    let id = block.get("tool_use_id").and_then(Value::as_str);
    let id = id.map(str::to_owned);
    let failed = block.get("is_error").and_then(Value::as_bool) == Some(true);
    let mut content = match block.get_mut("content").map(Value::take) {
        Some(Value::String(text)) => vec![Part::Text(text)],
        Some(Value::Array(blocks)) => blocks.into_iter().map(part).collect(),
        _ => Vec::new(),
    };
    if failed {
        // No other dialect has a field for it; the result's own text tells the model.
        content.push(Part::Other(json!({ "is_error": true })));
    }
    Message {
        content,
        tool_call_id: id,
        ..empty(Role::Tool)
    }
}

fn part(mut block: Value) -> Part {
    match kind(&block) {
        "text" if is_plain(&block, &["type", "text"]) => {
            match block.get_mut("text").map(Value::take) {
                Some(Value::String(text)) => Part::Text(text),
                _ => Part::Other(block),
            }
        }
        "image" if is_plain(&block, &["type", "source"]) => match source(&block) {
            Some(url) => Part::Image { url, detail: None },
            None => Part::Other(block),
        },
        "document" if is_plain(&block, &["type", "source", "title"]) => match source(&block) {
            Some(url) => Part::Document {
                url,
                name: block
                    .get("title")
                    .and_then(Value::as_str)
                    .map(str::to_owned),
            },
            None => Part::Other(block),
        },
        _ => Part::Other(block),
    }
}

/// A block with nothing beside these fields that another dialect could not say.
fn is_plain(block: &Value, fields: &[&str]) -> bool {
    block.as_object().is_some_and(|object| {
        object.iter().all(|(name, value)| {
            name == "cache_control" || value.is_null() || fields.contains(&name.as_str())
        })
    })
}

/// Where an image or a document is: a URL, or what it is as a `data:` URL.
fn source(block: &Value) -> Option<String> {
    let source = block.get("source")?;
    let text = |name: &str| source.get(name).and_then(Value::as_str);
    match text("type")? {
        "base64" => Some(format!(
            "data:{};base64,{}",
            text("media_type")?,
            text("data")?
        )),
        "url" => text("url").map(str::to_owned),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(message: Value) -> Vec<Message> {
        messages(serde_json::from_value(message).unwrap())
    }

    #[test]
    fn results_of_tools_become_messages_of_their_own_before_what_the_user_adds() {
        let turns = read(json!({"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "toolu_1", "content": "20 degrees"},
            {"type": "tool_result", "tool_use_id": "toolu_2", "content": [{"type": "text", "text": "no"}], "is_error": true},
            {"type": "text", "text": "and now?", "cache_control": {"type": "ephemeral"}}]}));
        let roles: Vec<_> = turns.iter().map(|turn| turn.role).collect();
        assert_eq!(roles, [Role::Tool, Role::Tool, Role::User]);
        assert_eq!(turns[0].tool_call_id.as_deref(), Some("toolu_1"));
        assert_eq!(turns[1].joined_text(), "no");
        assert_eq!(turns[2].content, [Part::Text("and now?".to_owned())]);
    }

    #[test]
    fn thinking_stays_word_for_word_and_calls_keep_their_order() {
        let thinking = json!({"type": "thinking", "thinking": "hm", "signature": "sealed"});
        let turns = read(json!({"role": "assistant", "content": [thinking,
            {"type": "tool_use", "id": "toolu_1", "name": "a", "input": {"x": 1}},
            {"type": "tool_use", "id": "toolu_2", "name": "b", "input": {}}]}));
        assert_eq!(turns[0].content, [Part::Other(thinking)]);
        assert_eq!(turns[0].tool_calls[0].arguments, r#"{"x":1}"#);
        assert_eq!(turns[0].tool_calls[1].name, "b");
    }

    #[test]
    fn an_image_is_a_url_whichever_way_it_came_and_a_file_stays_what_it_is() {
        let turns = read(json!({"role": "user", "content": [
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}},
            {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
            {"type": "image", "source": {"type": "file", "file_id": "file_1"}}]}));
        assert!(
            matches!(&turns[0].content[0], Part::Image { url, .. } if url == "data:image/png;base64,AA==")
        );
        assert!(
            matches!(&turns[0].content[1], Part::Image { url, .. } if url.starts_with("https:"))
        );
        assert!(matches!(&turns[0].content[2], Part::Other(_)));
    }
}
