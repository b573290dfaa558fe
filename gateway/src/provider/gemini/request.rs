//! Writes a call as `GenerateContentRequest`.
//!
//! Schemas go into `parametersJsonSchema` and `responseJsonSchema`, which take JSON Schema, once [`schema`] has made
//! them fit.

use std::collections::HashMap;

use bytes::Bytes;
use serde_json::{Map, Value, json};
use types::call::{Call, Message, Parameters, Part, ResponseFormat, Role, ToolCall, ToolChoice};

use super::schema;
use crate::error::Error;
use crate::provider::translate::{
    check, data_url, is_left_out, refused, refused_part, result_text,
};
use crate::wire::gemini::embeddings::DIMENSIONS;
use crate::wire::write;

/// Stands for the signature of a call that another model made, or that its client's dialect had no place for; the
/// provider documents it for this (`ai.google.dev/gemini-api/docs/thought-signatures`).
const NO_SIGNATURE: &str = "skip_thought_signature_validator";

/// The request body for a call; `output_tokens_max` caps the answer where the caller did not.
pub(super) fn encode(
    call: &Call,
    model: &str,
    output_tokens_max: Option<u64>,
) -> Result<Bytes, Error> {
    let mut body = question(call, model)?;
    let config = generation_config(&call.parameters, model, output_tokens_max)?;
    if !config.is_empty() {
        body.insert("generationConfig".to_owned(), Value::Object(config));
    }
    Ok(write::json(&body))
}

/// The body that asks how many tokens a call has.
pub(super) fn encode_count(call: &Call, model: &str) -> Result<Bytes, Error> {
    let mut request = question(call, model)?;
    let model = format!("models/{}", model.strip_prefix("models/").unwrap_or(model));
    request.insert("model".to_owned(), model.into());
    Ok(write::json(&json!({ "generateContentRequest": request })))
}

/// The body that asks for the vectors of a call's texts.
pub(super) fn encode_embeddings(call: &Call, model: &str) -> Result<Bytes, Error> {
    let model = format!("models/{}", model.strip_prefix("models/").unwrap_or(model));
    let dimensions = call.parameters.extra.get(DIMENSIONS);
    let mut requests = Vec::with_capacity(call.messages.len());
    for message in &call.messages {
        if let Some(Part::Other(part)) = message.content.first() {
            return Err(refused_part(part));
        }
        let content = json!({ "parts": [{ "text": message.joined_text() }] });
        let mut request = json!({ "model": model, "content": content });
        if let (Some(dimensions), Some(request)) = (dimensions, request.as_object_mut()) {
            request.insert("outputDimensionality".to_owned(), dimensions.clone());
        }
        requests.push(request);
    }
    Ok(write::json(&json!({ "requests": requests })))
}

/// What is asked, without how it is to be answered.
fn question(call: &Call, model: &str) -> Result<Map<String, Value>, Error> {
    check(call)?;
    let mut body = Map::new();
    body.insert("contents".to_owned(), contents(&call.messages, model)?);
    if let Some(instruction) = system_instruction(&call.messages) {
        body.insert("systemInstruction".to_owned(), instruction);
    }
    let parameters = &call.parameters;
    if !parameters.tools.is_empty() {
        body.insert("tools".to_owned(), tools(parameters)?);
        if let Some(choice) = &parameters.tool_choice {
            body.insert("toolConfig".to_owned(), tool_config(choice));
        }
    }
    Ok(body)
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
fn contents(messages: &[Message], model: &str) -> Result<Value, Error> {
    let mut contents: Vec<(&str, Vec<Value>)> = Vec::new();
    let mut names = HashMap::new();
    for message in messages {
        let role = match message.role {
            Role::System => continue,
            Role::User | Role::Tool => "user",
            Role::Assistant => "model",
        };
        let mut parts = message_parts(message, &names)?;
        if wants_signatures(model) {
            sign(&mut parts);
        }
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
        let mut parts = vec![function_response(message, names)?];
        // What a result shows stands beside it: the result itself is an object.
        for part in &message.content {
            if matches!(part, Part::Image { .. }) {
                parts.extend(content_part(part)?);
            }
        }
        return Ok(parts);
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
        Part::Other(value) if is_left_out(value) => None,
        Part::Other(value) => return Err(refused_part(value)),
    })
}

/// A `data:` URL inline, a file that the provider can reach by reference; other addresses it cannot fetch.
fn image(url: &str) -> Result<Value, Error> {
    if let Some((mime_type, data)) = data_url(url) {
        return Ok(json!({ "inlineData": { "mimeType": mime_type, "data": data } }));
    }
    if url.starts_with("gs://") || url.starts_with("https://generativelanguage.googleapis.com/") {
        return Ok(json!({ "fileData": { "fileUri": url } }));
    }
    let what = "a file at another place; this provider takes base64 'data:' URLs only";
    Err(refused("messages", what))
}

/// Models that refuse a conversation whose calls lost their signatures.
fn wants_signatures(model: &str) -> bool {
    model.contains("gemini-3")
}

/// Gives the first of parallel calls a signature, which alone carries one, where it lost its own.
fn sign(parts: &mut [Value]) {
    let first = parts
        .iter_mut()
        .filter_map(Value::as_object_mut)
        .find(|part| part.contains_key("functionCall"));
    if let Some(call) = first {
        call.entry("thoughtSignature")
            .or_insert_with(|| NO_SIGNATURE.into());
    }
}

fn function_call(call: &ToolCall) -> Value {
    // Arguments are text in this dialect and may be empty or broken; Gemini wants an object.
    let args = write::object(&call.arguments);
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
fn function_response(message: &Message, names: &HashMap<&str, &str>) -> Result<Value, Error> {
    let id = message.tool_call_id.as_deref().unwrap_or_default();
    let name = names.get(id).copied();
    let name = name.or(message.name.as_deref()).unwrap_or(id);
    let text = result_text(message)?;
    let response = match serde_json::from_str(&text) {
        Ok(Value::Object(object)) => Value::Object(object),
        Ok(other) => json!({ "result": other }),
        Err(_) => json!({ "result": text }),
    };
    Ok(json!({ "functionResponse": { "name": name, "response": response } }))
}

fn tools(parameters: &Parameters) -> Result<Value, Error> {
    let mut declarations = Vec::with_capacity(parameters.tools.len());
    for tool in &parameters.tools {
        let mut declaration = Map::new();
        declaration.insert("name".to_owned(), tool.name.as_str().into());
        let description = tool.description.as_deref();
        declaration.extend(description.map(|text| ("description".to_owned(), text.into())));
        if let Some(parameters) = &tool.parameters {
            let schema = schema::fit(parameters, "tools")?;
            declaration.insert("parametersJsonSchema".to_owned(), schema);
        }
        declarations.push(Value::Object(declaration));
    }
    Ok(json!([{ "functionDeclarations": declarations }]))
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
    let stop = &parameters.stop;
    set("stopSequences", (!stop.is_empty()).then(|| json!(stop)));
    if let Some(format) = &parameters.response_format {
        set("responseMimeType", Some(json!("application/json")));
        if let ResponseFormat::JsonSchema { schema, .. } = format {
            set(
                "responseJsonSchema",
                Some(schema::fit(schema, "response_format")?),
            );
        }
    }
    set("topK", parameters.top_k.map(Value::from));
    let thinking = thinking_config(parameters, model)?;
    set(
        "thinkingConfig",
        (!thinking.is_empty()).then_some(Value::Object(thinking)),
    );
    Ok(config)
}

/// How much is thought, and whether it is shown.
fn thinking_config(parameters: &Parameters, model: &str) -> Result<Map<String, Value>, Error> {
    let mut config = Map::new();
    match (&parameters.reasoning_effort, parameters.reasoning_budget) {
        (Some(effort), _) => config.extend(effort_config(effort, model)?),
        (None, Some(budget)) => drop(config.insert("thinkingBudget".to_owned(), budget.into())),
        (None, None) => {}
    }
    if let Some(shown) = parameters.reasoning_shown {
        config.insert("includeThoughts".to_owned(), shown.into());
    }
    Ok(config)
}

/// Gemini 3 has levels, 2.5 a budget of tokens; the amounts are those of Google's own OpenAI compatibility
/// (`ai.google.dev/gemini-api/docs/openai`, "Thinking").
fn effort_config(effort: &str, model: &str) -> Result<Map<String, Value>, Error> {
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
    let (name, value) = if has_levels {
        ("thinkingLevel", Value::from(level))
    } else {
        ("thinkingBudget", Value::from(budget))
    };
    Ok(Map::from_iter([(name.to_owned(), value)]))
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
                "responseJsonSchema": {"type": "object"}})
        );
        assert_eq!(
            body["tools"][0]["functionDeclarations"][0]["parametersJsonSchema"],
            json!({"type": "object"})
        );
        assert_eq!(body["toolConfig"]["functionCallingConfig"]["mode"], "ANY");
    }

    #[test]
    fn a_call_that_lost_its_signature_gets_one_where_models_want_it() {
        let ask = json!({"model": "m", "messages": [{"role": "user", "content": "x"},
            {"role": "assistant", "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                {"id": "c2", "type": "function", "function": {"name": "g", "arguments": "{}"}}]}]});
        let call = decode(&Bytes::from(ask.to_string())).unwrap();
        let body: Value =
            serde_json::from_slice(&encode(&call, "gemini-3-pro", None).unwrap()).unwrap();
        let parts = &body["contents"][1]["parts"];
        assert_eq!(parts[0]["thoughtSignature"], NO_SIGNATURE);
        assert_eq!(parts[1].get("thoughtSignature"), None);
        assert_eq!(
            encoded(&ask)["contents"][1]["parts"][0].get("thoughtSignature"),
            None
        );
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
