//! Reads contents and the parts they are made of.
//!
//! Calls of functions and their responses often have no identifiers here, and every other dialect needs them: they are
//! made from the position in the conversation, so that the same conversation always has the same ones.

use std::collections::VecDeque;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use types::call::{Message, Part, Role, ToolCall};

/// One entry of `contents`, or the `systemInstruction`, which may also be a text or a list of parts.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum WireContent {
    Content(Object),
    Parts(Vec<Value>),
    Text(String),
}

#[derive(Deserialize)]
pub(super) struct Object {
    role: Option<String>,
    #[serde(default)]
    parts: Vec<Value>,
}

/// Calls that no response has been seen of, by name and identifier, oldest first.
#[derive(Default)]
pub(super) struct Calls {
    made: usize,
    open: VecDeque<(String, String)>,
}

/// The messages of our form that a content stands for.
pub(super) fn messages(content: WireContent, calls: &mut Calls) -> Vec<Message> {
    let (role, parts) = match content {
        WireContent::Content(content) => (content.role, content.parts),
        WireContent::Parts(parts) => (None, parts),
        WireContent::Text(text) => return vec![Message::text(Role::User, text)],
    };
    let role = match role.as_deref() {
        Some("model") => Role::Assistant,
        Some("system") => Role::System,
        _ => Role::User,
    };
    let mut messages = Vec::new();
    let mut message = empty(role);
    for part in parts {
        let part = named(part);
        if let Some(response) = part.get("functionResponse") {
            messages.push(response_message(response, calls));
        } else if let Some(call) = part.get("functionCall") {
            let signature = part.get("thoughtSignature").and_then(Value::as_str);
            message.tool_calls.push(call_of(call, signature, calls));
        } else {
            message.content.push(content_part(part));
        }
    }
    if !message.content.is_empty() || !message.tool_calls.is_empty() {
        messages.push(message);
    }
    messages
}

/// The instruction, in one message.
pub(super) fn system(content: WireContent) -> Message {
    let mut messages = messages(content, &mut Calls::default());
    let mut message = if messages.is_empty() {
        empty(Role::System)
    } else {
        messages.swap_remove(0)
    };
    message.role = Role::System;
    message
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

/// A part with its own fields, and those of the data in it, under their documented names.
fn named(part: Value) -> Map<String, Value> {
    let Value::Object(fields) = part else {
        // Some clients write a text where a part belongs.
        return Map::from_iter([("text".to_owned(), part)]);
    };
    let fields = fields.into_iter().filter(|(_, value)| !value.is_null());
    let fields = fields.map(|(name, value)| {
        let name = super::camel(&name).into_owned();
        let is_data = name == "inlineData" || name == "fileData";
        match value {
            Value::Object(data) if is_data => {
                let data = data.into_iter();
                let data = data.map(|(name, value)| (super::camel(&name).into_owned(), value));
                (name, Value::Object(data.collect()))
            }
            value => (name, value),
        }
    });
    fields.collect()
}

fn text(value: &Value, name: &str) -> Option<String> {
    value.get(name)?.as_str().map(str::to_owned)
}

fn call_of(call: &Value, signature: Option<&str>, calls: &mut Calls) -> ToolCall {
    let name = text(call, "name").unwrap_or_default();
    let id = text(call, "id").unwrap_or_else(|| format!("call_{}", calls.made));
    calls.made += 1;
    calls.open.push_back((name.clone(), id.clone()));
    ToolCall {
        id,
        name,
        arguments: call.get("args").unwrap_or(&json!({})).to_string(),
        signature: signature.map(str::to_owned),
    }
}

fn response_message(response: &Value, calls: &mut Calls) -> Message {
    let name = text(response, "name");
    let id = text(response, "id");
    // By its identifier, or else the oldest call of that name.
    let answered = calls.open.iter().position(|(called, call)| match &id {
        Some(id) => call == id,
        None => Some(called) == name.as_ref(),
    });
    let answered = answered.and_then(|at| calls.open.remove(at));
    let id = id.or_else(|| answered.map(|(_, id)| id));
    let result = response.get("response").unwrap_or(&Value::Null);
    let result = match result {
        // Where a result was no object it is wrapped like this.
        Value::Object(object) if object.len() == 1 => match object.get("result") {
            Some(Value::String(text)) => text.clone(),
            _ => result.to_string(),
        },
        result => result.to_string(),
    };
    Message {
        content: vec![Part::Text(result)],
        tool_call_id: Some(id.unwrap_or_else(|| name.clone().unwrap_or_default())),
        name,
        ..empty(Role::Tool)
    }
}

fn content_part(mut part: Map<String, Value>) -> Part {
    // A signature of a text is no part of what it says.
    let plain = part
        .keys()
        .all(|name| name == "text" || name == "thoughtSignature");
    match part.get_mut("text").map(Value::take) {
        Some(Value::String(text)) if plain => return Part::Text(text),
        Some(text) => drop(part.insert("text".to_owned(), text)),
        None => {}
    }
    let known = match (part.get("inlineData"), part.get("fileData"), part.len()) {
        (Some(data), None, 1) => inline(data),
        (None, Some(file), 1) => file_part(file),
        _ => None,
    };
    known.unwrap_or_else(|| {
        let kind = part.keys().find(|name| *name != "thought").cloned();
        part.insert("type".to_owned(), Value::String(kind.unwrap_or_default()));
        Part::Other(Value::Object(part))
    })
}

fn inline(data: &Value) -> Option<Part> {
    let (mime_type, data) = (text(data, "mimeType")?, text(data, "data")?);
    if let Some(format) = mime_type.strip_prefix("audio/") {
        let format = format.to_owned();
        return Some(Part::Audio { data, format });
    }
    let url = format!("data:{mime_type};base64,{data}");
    Some(of_url(&mime_type, url))
}

fn file_part(file: &Value) -> Option<Part> {
    let uri = text(file, "fileUri")?;
    Some(of_url(&text(file, "mimeType").unwrap_or_default(), uri))
}

fn of_url(mime_type: &str, url: String) -> Part {
    if mime_type.starts_with("image/") {
        return Part::Image { url, detail: None };
    }
    Part::Document { url, name: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(contents: Value) -> Vec<Message> {
        let contents: Vec<WireContent> = serde_json::from_value(contents).unwrap();
        let mut calls = Calls::default();
        let messages = contents
            .into_iter()
            .flat_map(|content| messages(content, &mut calls));
        messages.collect()
    }

    #[test]
    fn responses_without_identifiers_find_their_calls_by_name_and_order() {
        let turns = read(json!([
            {"role": "model", "parts": [
                {"functionCall": {"name": "get", "args": {"x": 1}}, "thoughtSignature": "sig"},
                {"function_call": {"name": "get", "args": {"x": 2}}},
                {"functionCall": {"id": "own", "name": "put"}}]},
            {"role": "user", "parts": [
                {"functionResponse": {"name": "get", "response": {"t": 20}}},
                {"function_response": {"name": "get", "response": {"result": "done"}}},
                {"functionResponse": {"id": "own", "name": "put", "response": {}}},
                {"text": "well?"}]}]));
        let ids: Vec<_> = turns[0]
            .tool_calls
            .iter()
            .map(|call| call.id.as_str())
            .collect();
        assert_eq!(ids, ["call_0", "call_1", "own"]);
        assert_eq!(turns[0].tool_calls[0].signature.as_deref(), Some("sig"));
        let answered: Vec<_> = turns[1..4]
            .iter()
            .map(|turn| turn.tool_call_id.as_deref().unwrap())
            .collect();
        assert_eq!(answered, ids);
        assert_eq!(
            (turns[1].joined_text(), turns[2].joined_text()),
            (r#"{"t":20}"#.to_owned(), "done".to_owned())
        );
        assert_eq!(turns[4], Message::text(Role::User, "well?"));
    }

    #[test]
    fn data_is_told_apart_by_its_type_and_what_is_unknown_stays() {
        let turns = read(json!([{"parts": [
            {"inline_data": {"mime_type": "image/png", "data": "AA=="}},
            {"inlineData": {"mimeType": "audio/wav", "data": "BB=="}},
            {"fileData": {"mimeType": "application/pdf", "fileUri": "https://example.com/a.pdf"}},
            {"text": "hm", "thought": true},
            {"executableCode": {"code": "1"}}]}]));
        let parts = &turns[0].content;
        assert!(
            matches!(&parts[0], Part::Image { url, .. } if url == "data:image/png;base64,AA==")
        );
        assert!(matches!(&parts[1], Part::Audio { format, .. } if format == "wav"));
        assert!(matches!(&parts[2], Part::Document { .. }));
        assert!(matches!(&parts[3], Part::Other(value) if value["thought"] == true));
        assert!(matches!(&parts[4], Part::Other(value) if value["type"] == "executableCode"));
    }
}
