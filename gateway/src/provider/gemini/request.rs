//! Writes a call as `GenerateContentRequest`.
//!
//! Schemas go into `parametersJsonSchema` and `responseJsonSchema`, which take real JSON Schema;
//! the older fields refuse a request for every keyword they do not know.

use std::collections::HashMap;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use types::call::{Call, Message, Parameters, Part, ResponseFormat, Role, ToolCall, ToolChoice};

use crate::error::Error;

/// The request body for a call; `output_tokens_max` caps the answer where the caller did not.
pub(super) fn encode(
    call: &Call,
    model: &str,
    output_tokens_max: Option<u64>,
) -> Result<Bytes, Error> {
    let mut body = Map::new();
    body.insert("contents".to_owned(), contents(&call.messages)?);
    if let Some(instruction) = system_instruction(&call.messages) {
        body.insert("systemInstruction".to_owned(), instruction);
    }
    let parameters = &call.parameters;
    if !parameters.tools.is_empty() {
        body.insert("tools".to_owned(), tools(parameters));
    }
    if let Some(choice) = &parameters.tool_choice {
        body.insert("toolConfig".to_owned(), tool_config(choice));
    }
    let config = generation_config(parameters, model, output_tokens_max)?;
    if !config.is_empty() {
        body.insert("generationConfig".to_owned(), Value::Object(config));
    }
    let body = serde_json::to_vec(&body).map_err(Error::internal)?;
    Ok(body.into())
}

/// System messages joined in their order: Gemini has one place for all of them.
fn system_instruction(messages: &[Message]) -> Option<Value> {
    let texts = messages
        .iter()
        .filter(|message| message.role == Role::System);
    let parts: Vec<Value> = texts
        .map(|message| json!({ "text": message.joined_text() }))
        .collect();
    (!parts.is_empty()).then(|| json!({ "parts": parts }))
}

/// The conversation. Neighbours of the same role are merged: results of parallel calls must be one content.
fn contents(messages: &[Message]) -> Result<Value, Error> {
    let mut contents: Vec<(&str, Vec<Value>)> = Vec::new();
    let mut names = HashMap::new();
    for message in messages {
        let role = match message.role {
            Role::System => continue,
            Role::User | Role::Tool => "user",
            Role::Assistant => "model",
        };
        let parts = message_parts(message, &names)?;
        let calls = message.tool_calls.iter();
        names.extend(calls.map(|call| (call.id.as_str(), call.name.as_str())));
        match contents.last_mut() {
            Some((last, merged)) if *last == role => merged.extend(parts),
            _ if parts.is_empty() => {}
            _ => contents.push((role, parts)),
        }
    }
    if contents.is_empty() {
        let text = "there is no user message; Gemini needs one";
        return Err(Error::invalid(text, Some("messages")));
    }
    let contents = contents
        .into_iter()
        .map(|(role, parts)| json!({ "role": role, "parts": parts }));
    Ok(contents.collect())
}

fn message_parts(message: &Message, names: &HashMap<&str, &str>) -> Result<Vec<Value>, Error> {
    if message.role == Role::Tool {
        return Ok(vec![function_response(message, names)]);
    }
    let mut parts = Vec::with_capacity(message.content.len());
    for part in &message.content {
        parts.extend(content_part(part)?);
    }
    parts.extend(message.tool_calls.iter().map(function_call));
    Ok(parts)
}

fn content_part(part: &Part) -> Result<Option<Value>, Error> {
    Ok(match part {
        Part::Text(text) if text.is_empty() => None,
        Part::Text(text) => Some(json!({ "text": text })),
        Part::Image { url, .. } | Part::Document { url, .. } => Some(image(url)?),
        Part::Audio { data, format } => {
            Some(json!({ "inlineData": { "mimeType": format!("audio/{format}"), "data": data } }))
        }
        // A field of the message that only its own dialect knows; it is left out, as unknown fields are.
        Part::Other(value) if value.get("type").is_none() => None,
        Part::Other(value) => {
            let kind = value
                .get("type")
                .and_then(Value::as_str)
                .unwrap_or("unknown");
            let text = format!(
                "the provider of this model cannot take a message part of the kind '{kind}'"
            );
            return Err(Error::invalid(text, Some("messages")));
        }
    })
}

/// A `data:` URL inline, a file that the provider can reach by reference; other addresses it cannot fetch.
fn image(url: &str) -> Result<Value, Error> {
    let inline = url
        .strip_prefix("data:")
        .and_then(|rest| rest.split_once(";base64,"));
    if let Some((mime_type, data)) = inline {
        return Ok(json!({ "inlineData": { "mimeType": mime_type, "data": data } }));
    }
    if url.starts_with("gs://") || url.starts_with("https://generativelanguage.googleapis.com/") {
        return Ok(json!({ "fileData": { "fileUri": url } }));
    }
    let text = "the provider of this model takes images as base64 'data:' URLs only";
    Err(Error::invalid(text, Some("messages")))
}

fn function_call(call: &ToolCall) -> Value {
    // Arguments are text in this dialect and may be empty or broken; Gemini wants an object.
    let args: Value = serde_json::from_str(&call.arguments).unwrap_or_default();
    let args = if args.is_object() { args } else { json!({}) };
    let mut part = json!({ "functionCall": { "name": call.name, "args": args } });
    if let (Some(signature), Some(part)) = (&call.signature, part.as_object_mut()) {
        part.insert(
            "thoughtSignature".to_owned(),
            Value::from(signature.as_str()),
        );
    }
    part
}

/// A tool's result: named after the call it answers, and always an object.
fn function_response(message: &Message, names: &HashMap<&str, &str>) -> Value {
    let id = message.tool_call_id.as_deref().unwrap_or_default();
    let name = names.get(id).copied();
    let name = name.or(message.name.as_deref()).unwrap_or(id);
    let text = message.joined_text();
    let response = match serde_json::from_str(&text) {
        Ok(Value::Object(object)) => Value::Object(object),
        Ok(other) => json!({ "result": other }),
        Err(_) => json!({ "result": text }),
    };
    json!({ "functionResponse": { "name": name, "response": response } })
}

fn tools(parameters: &Parameters) -> Value {
    let declarations = parameters.tools.iter().map(|tool| {
        let mut declaration = json!({ "name": tool.name });
        if let Some(declaration) = declaration.as_object_mut() {
            let description = tool.description.clone().map(Value::from);
            declaration.extend(description.map(|text| ("description".to_owned(), text)));
            let schema = tool.parameters.clone();
            declaration.extend(schema.map(|schema| ("parametersJsonSchema".to_owned(), schema)));
        }
        declaration
    });
    json!([{ "functionDeclarations": declarations.collect::<Vec<_>>() }])
}

fn tool_config(choice: &ToolChoice) -> Value {
    let config = match choice {
        ToolChoice::None => json!({ "mode": "NONE" }),
        ToolChoice::Auto => json!({ "mode": "AUTO" }),
        ToolChoice::Required => json!({ "mode": "ANY" }),
        ToolChoice::Named(name) => json!({ "mode": "ANY", "allowedFunctionNames": [name] }),
    };
    json!({ "functionCallingConfig": config })
}

fn generation_config(
    parameters: &Parameters,
    model: &str,
    output_tokens_max: Option<u64>,
) -> Result<Map<String, Value>, Error> {
    let mut config = Map::new();
    let mut set = |name: &str, value: Option<Value>| {
        config.extend(value.map(|value| (name.to_owned(), value)));
    };
    let limit = output_tokens_max.or(parameters.output_tokens_max);
    set("maxOutputTokens", limit.map(Value::from));
    set(
        "temperature",
        parameters.temperature.clone().map(Value::Number),
    );
    set("topP", parameters.top_p.clone().map(Value::Number));
    set("candidateCount", parameters.n.map(Value::from));
    set("seed", parameters.seed.map(Value::from));
    set(
        "presencePenalty",
        parameters.presence_penalty.clone().map(Value::Number),
    );
    set(
        "frequencyPenalty",
        parameters.frequency_penalty.clone().map(Value::Number),
    );
    set("responseLogprobs", parameters.logprobs.map(Value::from));
    set("logprobs", parameters.top_logprobs.map(Value::from));
    let stop = &parameters.stop;
    set("stopSequences", (!stop.is_empty()).then(|| json!(stop)));
    if let Some(format) = &parameters.response_format {
        set("responseMimeType", Some(json!("application/json")));
        if let ResponseFormat::JsonSchema { schema, .. } = format {
            set("responseJsonSchema", Some(schema.clone()));
        }
    }
    if let Some(effort) = &parameters.reasoning_effort {
        set("thinkingConfig", Some(thinking_config(effort, model)?));
    }
    Ok(config)
}

/// Gemini 3 has levels, 2.5 a budget of tokens; the amounts are those of Google's own OpenAI compatibility
/// (`ai.google.dev/gemini-api/docs/openai`, "Thinking").
fn thinking_config(effort: &str, model: &str) -> Result<Value, Error> {
    let has_levels = model.contains("gemini-3");
    let (level, budget) = match effort {
        "none" => ("MINIMAL", 0),
        "minimal" => ("MINIMAL", 1_024),
        "low" => ("LOW", 1_024),
        "medium" => ("MEDIUM", 8_192),
        "high" | "xhigh" | "max" => ("HIGH", 24_576),
        other => {
            let text = format!("'reasoning_effort' cannot be '{other}'");
            return Err(Error::invalid(text, Some("reasoning_effort")));
        }
    };
    Ok(if has_levels {
        json!({ "thinkingLevel": level })
    } else {
        json!({ "thinkingBudget": budget })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::openai::request::decode;

    fn encoded(openai: &Value) -> Value {
        let call = decode(&Bytes::from(openai.to_string())).unwrap();
        serde_json::from_slice(&encode(&call, "gemini-2.5-flash", None).unwrap()).unwrap()
    }

    #[test]
    fn instructions_go_to_their_own_place_wherever_they_stood() {
        let body = encoded(&json!({"model": "m", "messages": [
            {"role": "user", "content": "hi"}, {"role": "system", "content": "be brief"}, {"role": "user", "content": "there"}]}));
        assert_eq!(
            body["systemInstruction"],
            json!({"parts": [{"text": "be brief"}]})
        );
        assert_eq!(
            body["contents"],
            json!([{"role": "user", "parts": [{"text": "hi"}, {"text": "there"}]}])
        );
    }

    #[test]
    fn results_of_parallel_calls_become_one_content_named_after_their_calls() {
        let body = encoded(&json!({"model": "m", "messages": [
            {"role": "user", "content": "weather?"},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "get", "arguments": "{\"city\":\"Rome\"}"}, "extra_content": {"google": {"thought_signature": "sig"}}},
                {"id": "c2", "type": "function", "function": {"name": "put", "arguments": ""}}]},
            {"role": "tool", "tool_call_id": "c1", "content": "{\"t\":20}"},
            {"role": "tool", "tool_call_id": "c2", "content": "done"}]}));
        assert_eq!(body["contents"][1]["parts"][0]["thoughtSignature"], "sig");
        assert_eq!(
            body["contents"][1]["parts"][1]["functionCall"],
            json!({"name": "put", "args": {}})
        );
        assert_eq!(
            body["contents"][2],
            json!({"role": "user", "parts": [
                {"functionResponse": {"name": "get", "response": {"t": 20}}},
                {"functionResponse": {"name": "put", "response": {"result": "done"}}}]})
        );
    }

    #[test]
    fn parameters_find_their_places() {
        let body = encoded(
            &json!({"model": "m", "messages": [{"role": "user", "content": "x"}],
            "max_tokens": 9, "temperature": 0.5, "stop": "END", "n": 2, "reasoning_effort": "low",
            "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object", "$schema": "x"}}},
            "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}], "tool_choice": "required"}),
        );
        assert_eq!(
            body["generationConfig"],
            json!({"maxOutputTokens": 9, "temperature": 0.5, "stopSequences": ["END"], "candidateCount": 2,
                "thinkingConfig": {"thinkingBudget": 1024}, "responseMimeType": "application/json",
                "responseJsonSchema": {"type": "object", "$schema": "x"}})
        );
        assert_eq!(
            body["tools"][0]["functionDeclarations"][0]["parametersJsonSchema"],
            json!({"type": "object"})
        );
        assert_eq!(body["toolConfig"]["functionCallingConfig"]["mode"], "ANY");
    }

    #[test]
    fn an_image_the_provider_cannot_fetch_is_a_clear_error() {
        let request = json!({"model": "m", "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]}]});
        let call = decode(&Bytes::from(request.to_string())).unwrap();
        assert!(
            encode(&call, "gemini-2.5-flash", None)
                .unwrap_err()
                .to_string()
                .contains("data:")
        );
    }
}
