//! Writes a call of another dialect as a request for a chat completion.

use bytes::Bytes;
use serde_json::{Map, Value, json};
use types::call::{Call, Message, Parameters, Part, ResponseFormat, Role, Tool, ToolChoice};

use crate::error::Error;
use crate::provider::translate::{
    check, data_url, is_left_out, refused, refused_part, result_text,
};
use crate::wire::write;

/// A schema needs a name in this dialect, and has none in the others.
const SCHEMA_NAME: &str = "answer";

/// The request body for a call; `output_tokens_max` caps the answer where the caller did not, in `limit_field`.
pub(super) fn encode(
    call: &Call,
    model: &str,
    output_tokens_max: Option<u64>,
    limit_field: &str,
) -> Result<Bytes, Error> {
    check(call)?;
    let mut body = Map::new();
    body.insert("model".to_owned(), model.into());
    body.insert("messages".to_owned(), messages(&call.messages)?.into());
    let parameters = &call.parameters;
    let mut set = |name: &str, value: Option<Value>| {
        body.extend(value.map(|value| (name.to_owned(), value)));
    };
    let limit = output_tokens_max.or(parameters.output_tokens_max);
    set(limit_field, limit.map(Value::from));
    set(
        "temperature",
        parameters.temperature.clone().map(Value::Number),
    );
    set("top_p", parameters.top_p.clone().map(Value::Number));
    set("n", parameters.n.map(Value::from));
    set("seed", parameters.seed.map(Value::from));
    let presence = parameters.presence_penalty.clone();
    set("presence_penalty", presence.map(Value::Number));
    let frequency = parameters.frequency_penalty.clone();
    set("frequency_penalty", frequency.map(Value::Number));
    let stop = &parameters.stop;
    set("stop", (!stop.is_empty()).then(|| json!(stop)));
    set("reasoning_effort", effort(parameters).map(Value::from));
    set(
        "response_format",
        parameters.response_format.as_ref().map(format),
    );
    if !parameters.tools.is_empty() {
        set("tools", Some(parameters.tools.iter().map(tool).collect()));
        set(
            "tool_choice",
            parameters.tool_choice.as_ref().map(tool_choice),
        );
        let parallel = parameters.parallel_tool_calls;
        set("parallel_tool_calls", parallel.map(Value::from));
    }
    if call.delivery.is_stream() {
        set("stream", Some(true.into()));
        set("stream_options", Some(json!({ "include_usage": true })));
    }
    Ok(write::json(&body))
}

/// The body that asks for the vectors of a call's texts; in numbers, which every compatible server has.
pub(super) fn encode_embeddings(call: &Call, model: &str) -> Result<Bytes, Error> {
    let mut input = Vec::with_capacity(call.messages.len());
    for message in &call.messages {
        if let Some(Part::Other(part)) = message.content.first() {
            return Err(refused_part(part));
        }
        input.push(message.joined_text());
    }
    let mut body = json!({ "model": model, "input": input, "encoding_format": "float" });
    let dimensions = call.parameters.extra.get("dimensions");
    if let (Some(dimensions), Some(body)) = (dimensions, body.as_object_mut()) {
        body.insert("dimensions".to_owned(), dimensions.clone());
    }
    Ok(write::json(&body))
}

fn messages(messages: &[Message]) -> Result<Vec<Value>, Error> {
    let mut written = Vec::with_capacity(messages.len());
    // A tool's result is text in this dialect: what it shows comes after the results, from the user.
    let mut shown = Vec::new();
    for message in messages {
        if message.role != Role::Tool && !shown.is_empty() {
            written.push(json!({ "role": "user", "content": std::mem::take(&mut shown) }));
        }
        match message.role {
            Role::System => {
                written.push(json!({ "role": "system", "content": message.joined_text() }));
            }
            Role::User => written.push(json!({ "role": "user", "content": content(message)? })),
            Role::Assistant => written.push(assistant(message)?),
            Role::Tool => {
                let text = result_text(message)?;
                let id = message.tool_call_id.as_deref().unwrap_or_default();
                written.push(json!({ "role": "tool", "tool_call_id": id, "content": text }));
                for part in &message.content {
                    if matches!(part, Part::Image { .. }) {
                        shown.extend(self::part(part)?);
                    }
                }
            }
        }
    }
    if !shown.is_empty() {
        written.push(json!({ "role": "user", "content": shown }));
    }
    Ok(written)
}

/// Text as text, and anything more as parts.
fn content(message: &Message) -> Result<Value, Error> {
    if let [Part::Text(text)] = message.content.as_slice() {
        return Ok(text.as_str().into());
    }
    let mut parts = Vec::with_capacity(message.content.len());
    for one in &message.content {
        parts.extend(part(one)?);
    }
    Ok(Value::Array(parts))
}

fn part(part: &Part) -> Result<Option<Value>, Error> {
    Ok(match part {
        Part::Text(text) => Some(json!({ "type": "text", "text": text })),
        Part::Image { url, .. } if data_url(url).is_some() || url.starts_with("http") => {
            Some(json!({ "type": "image_url", "image_url": { "url": url } }))
        }
        Part::Audio { data, format } => Some(
            json!({ "type": "input_audio", "input_audio": { "data": data, "format": format } }),
        ),
        Part::Document { url, name } if data_url(url).is_some() => {
            let name = name.as_deref().unwrap_or("document.pdf");
            Some(json!({ "type": "file", "file": { "file_data": url, "filename": name } }))
        }
        Part::Image { .. } | Part::Document { .. } => {
            return Err(refused("messages", "a file at another place"));
        }
        Part::Other(value) if is_left_out(value) => None,
        Part::Other(value) => return Err(refused_part(value)),
    })
}

fn assistant(message: &Message) -> Result<Value, Error> {
    for part in &message.content {
        match part {
            Part::Text(_) => {}
            Part::Other(value) if is_left_out(value) => {}
            Part::Other(value) => return Err(refused_part(value)),
            _ => return Err(refused("messages", "an assistant that shows something")),
        }
    }
    let text = message.joined_text();
    let text = if text.is_empty() {
        Value::Null
    } else {
        text.into()
    };
    let mut written = json!({ "role": "assistant", "content": text });
    if let (Some(written), false) = (written.as_object_mut(), message.tool_calls.is_empty()) {
        let calls = message.tool_calls.iter().map(|call| {
            let function = json!({ "name": call.name, "arguments": call.arguments });
            json!({ "id": call.id, "type": "function", "function": function })
        });
        written.insert("tool_calls".to_owned(), calls.collect());
    }
    Ok(written)
}

/// A budget of tokens as the word nearest to it. None was asked for where nothing was said.
fn effort(parameters: &Parameters) -> Option<String> {
    match (&parameters.reasoning_effort, parameters.reasoning_budget) {
        (Some(effort), _) => Some(effort.clone()),
        (None, None | Some(0)) => None,
        (None, Some(budget)) => Some(
            match budget {
                0..2_048 => "low",
                // Below zero the model decides.
                ..0 | 2_048..8_192 => "medium",
                8_192.. => "high",
            }
            .to_owned(),
        ),
    }
}

fn format(format: &ResponseFormat) -> Value {
    match format {
        ResponseFormat::JsonObject => json!({ "type": "json_object" }),
        ResponseFormat::JsonSchema {
            name,
            description,
            schema,
            strict,
        } => {
            let name = name.as_deref().unwrap_or(SCHEMA_NAME);
            let mut wrapped = json!({ "name": name, "schema": schema });
            if let Some(wrapped) = wrapped.as_object_mut() {
                let description = description.as_deref();
                wrapped.extend(description.map(|text| ("description".to_owned(), text.into())));
                wrapped.extend(strict.map(|strict| ("strict".to_owned(), strict.into())));
            }
            json!({ "type": "json_schema", "json_schema": wrapped })
        }
    }
}

fn tool(tool: &Tool) -> Value {
    json!({ "type": "function", "function": tool })
}

fn tool_choice(choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::None => "none".into(),
        ToolChoice::Auto => "auto".into(),
        ToolChoice::Required => "required".into(),
        ToolChoice::Named(name) => json!({ "type": "function", "function": { "name": name } }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{anthropic, gemini};
    use http::HeaderMap;
    use types::call::Delivery;

    fn encoded(call: &Call) -> Value {
        let body = encode(call, "gpt", None, "max_completion_tokens").unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    #[test]
    fn a_conversation_of_anthropics_finds_its_form() {
        let body = json!({"model": "m", "max_tokens": 5, "system": "be brief", "stream": true,
            "messages": [{"role": "user", "content": "weather?"},
                {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "s"},
                    {"type": "text", "text": "I look."}, {"type": "tool_use", "id": "toolu_1", "name": "get", "input": {"x": 1}}]},
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": [
                    {"type": "text", "text": "see"}, {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}]},
                    {"type": "text", "text": "so?"}]}],
            "tools": [{"name": "get", "description": "d", "input_schema": {"type": "object"}}],
            "tool_choice": {"type": "tool", "name": "get"}, "thinking": {"type": "enabled", "budget_tokens": 4096}});
        let call =
            anthropic::request::decode(&Bytes::from(body.to_string()), &HeaderMap::new()).unwrap();
        assert_eq!(
            encoded(&call),
            json!({"model": "gpt", "max_completion_tokens": 5, "stream": true,
            "stream_options": {"include_usage": true}, "reasoning_effort": "medium",
            "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "weather?"},
                {"role": "assistant", "content": "I look.", "tool_calls": [
                    {"id": "toolu_1", "type": "function", "function": {"name": "get", "arguments": "{\"x\":1}"}}]},
                {"role": "tool", "tool_call_id": "toolu_1", "content": "see"},
                {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]},
                {"role": "user", "content": "so?"}],
            "tools": [{"type": "function", "function": {"name": "get", "description": "d", "parameters": {"type": "object"}}}],
            "tool_choice": {"type": "function", "function": {"name": "get"}}})
        );
    }

    #[test]
    fn a_conversation_of_geminis_finds_its_form() {
        let body = json!({"contents": [{"role": "user", "parts": [{"text": "a"}]},
                {"role": "model", "parts": [{"functionCall": {"name": "get", "args": {"x": 1}}}]},
                {"role": "user", "parts": [{"functionResponse": {"name": "get", "response": {"t": 2}}}]}],
            "systemInstruction": {"parts": [{"text": "be brief"}]}, "safetySettings": [],
            "generationConfig": {"candidateCount": 2, "responseMimeType": "application/json", "responseSchema": {"type": "STRING"}}});
        let call =
            gemini::request::decode("m", Delivery::Whole, &Bytes::from(body.to_string())).unwrap();
        assert_eq!(
            encoded(&call),
            json!({"model": "gpt", "n": 2,
            "messages": [{"role": "system", "content": "be brief"}, {"role": "user", "content": "a"},
                {"role": "assistant", "content": null, "tool_calls": [
                    {"id": "call_0", "type": "function", "function": {"name": "get", "arguments": "{\"x\":1}"}}]},
                {"role": "tool", "tool_call_id": "call_0", "content": "{\"t\":2}"}],
            "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "string"}}}})
        );
    }

    #[test]
    fn tools_that_a_provider_runs_itself_are_refused() {
        let body = json!({"contents": "x", "tools": [{"googleSearch": {}}]});
        let call =
            gemini::request::decode("m", Delivery::Whole, &Bytes::from(body.to_string())).unwrap();
        let error = encode(&call, "gpt", None, "max_tokens").unwrap_err();
        assert!(error.to_string().starts_with("'tools' asks for"));
    }
}
