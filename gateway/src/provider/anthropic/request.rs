//! Writes a call of another dialect as a request for messages.

use bytes::Bytes;
use serde_json::{Map, Number, Value, json};
use types::call::{Call, Message, Parameters, Part, ResponseFormat, Role, Tool, ToolChoice};

use crate::error::Error;
use crate::provider::translate::{check, data_url, is_left_out, refused, refused_part};
use crate::wire::write;

/// The protocol wants a limit; every model that is served allows so many, in tokens.
const OUTPUT_TOKENS_DEFAULT: u64 = 4_096;

/// The smallest budget for reasoning that the protocol takes, in tokens.
const BUDGET_MIN: u64 = 1_024;

/// How the answer is asked to be JSON, because the protocol has a field only for JSON of a schema.
const JSON_INSTRUCTION: &str = "Answer with one JSON object and nothing else.";

/// The request body for a call; `output_tokens_max` caps the answer where the caller did not.
pub(super) fn encode(
    call: &Call,
    model: &str,
    output_tokens_max: Option<u64>,
) -> Result<Bytes, Error> {
    let mut body = question(call, model)?;
    let mut set = |name: &str, value: Option<Value>| {
        body.extend(value.map(|value| (name.to_owned(), value)));
    };
    let parameters = &call.parameters;
    let limit = output_tokens_max.or(parameters.output_tokens_max);
    let limit = limit.unwrap_or(OUTPUT_TOKENS_DEFAULT);
    set("max_tokens", Some(limit.into()));
    let thinking = thinking(parameters, model, limit);
    // Sampling cannot be changed while the model thinks, and newer models do not let it be changed at all.
    if thinking.is_none() && has_sampling(model) {
        set(
            "temperature",
            parameters.temperature.as_ref().map(at_most_one),
        );
        set("top_p", parameters.top_p.clone().map(Value::Number));
        set("top_k", parameters.top_k.map(Value::from));
    }
    set("thinking", thinking);
    set("output_config", output_config(parameters, model));
    let stop = &parameters.stop;
    set("stop_sequences", (!stop.is_empty()).then(|| json!(stop)));
    set(
        "stream",
        call.delivery.is_stream().then_some(Value::Bool(true)),
    );
    Ok(write::json(&body))
}

/// The body that asks how many tokens a call has.
pub(super) fn encode_count(call: &Call, model: &str) -> Result<Bytes, Error> {
    question(call, model).map(|body| write::json(&body))
}

/// What is asked, without how it is to be answered.
fn question(call: &Call, model: &str) -> Result<Map<String, Value>, Error> {
    check(call)?;
    refuse_unanswerable(&call.parameters)?;
    let mut body = Map::new();
    body.insert("model".to_owned(), model.into());
    body.insert("messages".to_owned(), messages(&call.messages)?);
    if let Some(system) = system(call) {
        body.insert("system".to_owned(), system);
    }
    let parameters = &call.parameters;
    if !parameters.tools.is_empty() {
        body.insert(
            "tools".to_owned(),
            parameters.tools.iter().map(tool).collect(),
        );
        body.extend(tool_choice(parameters).map(|choice| ("tool_choice".to_owned(), choice)));
    }
    Ok(body)
}

/// The protocol has one answer.
fn refuse_unanswerable(parameters: &Parameters) -> Result<(), Error> {
    if parameters.n.is_some_and(|n| n > 1) {
        return Err(refused("n", "more than one answer"));
    }
    Ok(())
}

fn system(call: &Call) -> Option<Value> {
    let messages = call.messages.iter();
    let messages = messages.filter(|message| message.role == Role::System);
    let mut texts: Vec<String> = messages.map(Message::joined_text).collect();
    if call.parameters.response_format == Some(ResponseFormat::JsonObject) {
        texts.push(JSON_INSTRUCTION.to_owned());
    }
    texts.retain(|text| !text.is_empty());
    (!texts.is_empty()).then(|| texts.join("\n\n").into())
}

/// The conversation. Neighbours of the same role are merged: results of parallel calls must be one message.
fn messages(messages: &[Message]) -> Result<Value, Error> {
    let mut merged: Vec<(&str, Vec<Value>)> = Vec::new();
    for message in messages {
        let role = match message.role {
            Role::System => continue,
            Role::User | Role::Tool => "user",
            Role::Assistant => "assistant",
        };
        let blocks = blocks(message)?;
        match merged.last_mut() {
            _ if blocks.is_empty() => {}
            Some((last, before)) if *last == role => before.extend(blocks),
            _ => merged.push((role, blocks)),
        }
    }
    if merged.is_empty() {
        let text = "there is no user message; the provider of this model needs one";
        return Err(Error::invalid(text, Some("messages")));
    }
    let merged = merged.into_iter();
    Ok(merged
        .map(|(role, content)| json!({ "role": role, "content": content }))
        .collect())
}

fn blocks(message: &Message) -> Result<Vec<Value>, Error> {
    let mut blocks = Vec::with_capacity(message.content.len());
    for part in &message.content {
        blocks.extend(block(part)?);
    }
    if message.role == Role::Tool {
        let id = identifier(message.tool_call_id.as_deref().unwrap_or_default());
        return Ok(vec![
            json!({ "type": "tool_result", "tool_use_id": id, "content": blocks }),
        ]);
    }
    let calls = message.tool_calls.iter().map(|call| {
        let input = write::object(&call.arguments);
        json!({ "type": "tool_use", "id": identifier(&call.id), "name": call.name, "input": input })
    });
    blocks.extend(calls);
    Ok(blocks)
}

fn block(part: &Part) -> Result<Option<Value>, Error> {
    Ok(match part {
        // Empty texts are refused by the provider.
        Part::Text(text) if text.is_empty() => None,
        Part::Text(text) => Some(json!({ "type": "text", "text": text })),
        Part::Image { url, .. } => Some(json!({ "type": "image", "source": source(url)? })),
        Part::Document { url, name } => {
            let mut block = json!({ "type": "document", "source": source(url)? });
            if let (Some(name), Some(block)) = (name, block.as_object_mut()) {
                block.insert("title".to_owned(), name.as_str().into());
            }
            Some(block)
        }
        Part::Audio { .. } => return Err(refused("messages", "sound")),
        Part::Other(value) if is_left_out(value) => None,
        Part::Other(value) => return Err(refused_part(value)),
    })
}

fn source(url: &str) -> Result<Value, Error> {
    if let Some((media_type, data)) = data_url(url) {
        return Ok(json!({ "type": "base64", "media_type": media_type, "data": data }));
    }
    if url.starts_with("https://") || url.starts_with("http://") {
        return Ok(json!({ "type": "url", "url": url }));
    }
    Err(refused("messages", "a file at another provider"))
}

/// Identifiers are of letters, digits, `_` and `-` there; a call and its result are changed alike.
fn identifier(id: &str) -> String {
    let allowed = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
    id.chars()
        .map(|letter| if allowed(letter) { letter } else { '_' })
        .collect()
}

fn tool(tool: &Tool) -> Value {
    let schema = tool.parameters.clone().filter(Value::is_object);
    let mut schema = schema.unwrap_or_else(|| json!({ "type": "object", "properties": {} }));
    if let Some(schema) = schema.as_object_mut() {
        schema.entry("type").or_insert_with(|| "object".into());
    }
    let mut declared = json!({ "name": tool.name, "input_schema": schema });
    if let Some(declared) = declared.as_object_mut() {
        let description = tool.description.as_deref();
        declared.extend(description.map(|text| ("description".to_owned(), text.into())));
        declared.extend(
            tool.strict
                .map(|strict| ("strict".to_owned(), strict.into())),
        );
    }
    declared
}

fn tool_choice(parameters: &Parameters) -> Option<Value> {
    let parallel = parameters.parallel_tool_calls;
    let choice = match (&parameters.tool_choice, parallel) {
        (None, None) => return None,
        (None | Some(ToolChoice::Auto), _) => json!({ "type": "auto" }),
        (Some(ToolChoice::None), _) => return Some(json!({ "type": "none" })),
        (Some(ToolChoice::Required), _) => json!({ "type": "any" }),
        (Some(ToolChoice::Named(name)), _) => json!({ "type": "tool", "name": name }),
    };
    let mut choice = choice;
    if let (Some(parallel), Some(choice)) = (parallel, choice.as_object_mut()) {
        choice.insert("disable_parallel_tool_use".to_owned(), (!parallel).into());
    }
    Some(choice)
}

/// Whether a model is of the generation that is told a budget for reasoning; later ones decide it by the effort.
fn has_budget(model: &str) -> bool {
    let old = ["claude-3", "claude-2", "claude-instant"];
    let fourth = ["-4-0", "-4-1", "-4-5", "-4-2025"];
    old.iter().any(|name| model.contains(name)) || fourth.iter().any(|name| model.contains(name))
}

/// The models that let sampling be changed are those with a budget, and the one after them.
fn has_sampling(model: &str) -> bool {
    has_budget(model) || model.contains("-4-6")
}

/// Reasoning as it was asked for, by effort or by budget.
fn thinking(parameters: &Parameters, model: &str, limit: u64) -> Option<Value> {
    let effort = parameters.reasoning_effort.as_deref();
    let wanted = match (parameters.reasoning_budget, effort) {
        (Some(0), _) | (None, None | Some("none" | "minimal")) => return None,
        (Some(budget), _) if budget > 0 => u64::try_from(budget).unwrap_or(BUDGET_MIN),
        (_, Some("low")) => 1_024,
        (_, Some("high")) => 4_096,
        (_, Some("xhigh" | "max")) => 8_192,
        _ => 2_048,
    };
    if !has_budget(model) {
        return Some(json!({ "type": "adaptive" }));
    }
    // The budget is part of the limit, and has to leave room for an answer.
    let budget = wanted.max(BUDGET_MIN);
    let budget = if budget < limit { budget } else { BUDGET_MIN };
    (budget < limit).then(|| json!({ "type": "enabled", "budget_tokens": budget }))
}

fn output_config(parameters: &Parameters, model: &str) -> Option<Value> {
    let mut config = Map::new();
    let effort = parameters.reasoning_effort.as_deref();
    let effort =
        effort.filter(|effort| !matches!(*effort, "none" | "minimal") && !has_budget(model));
    config.extend(effort.map(|effort| ("effort".to_owned(), effort.into())));
    if let Some(ResponseFormat::JsonSchema { schema, .. }) = &parameters.response_format {
        let format = json!({ "type": "json_schema", "schema": schema });
        config.insert("format".to_owned(), format);
    }
    (!config.is_empty()).then_some(Value::Object(config))
}

/// Temperatures end at 1 there, and at 2 elsewhere.
fn at_most_one(temperature: &Number) -> Value {
    let too_hot = temperature.as_f64().is_some_and(|value| value > 1.0);
    if too_hot {
        1.into()
    } else {
        Value::Number(temperature.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::openai::request::decode;

    const MODEL: &str = "claude-sonnet-4-5";

    fn encoded(openai: &Value) -> Value {
        let call = decode(&Bytes::from(openai.to_string())).unwrap();
        serde_json::from_slice(&encode(&call, MODEL, None).unwrap()).unwrap()
    }

    fn complaint(openai: &Value) -> String {
        let call = decode(&Bytes::from(openai.to_string())).unwrap();
        encode(&call, MODEL, None).unwrap_err().to_string()
    }

    #[test]
    fn a_conversation_with_tools_and_images_finds_its_form() {
        let body = encoded(&json!({"model": "m", "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": [{"type": "text", "text": "what?"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "call:1", "type": "function", "function": {"name": "get", "arguments": "{\"x\":1}"}},
                {"id": "call_2", "type": "function", "function": {"name": "put", "arguments": "broken"}}]},
            {"role": "tool", "tool_call_id": "call:1", "content": "20"},
            {"role": "tool", "tool_call_id": "call_2", "content": "done"},
            {"role": "user", "content": "and?"}]}));
        assert_eq!(body["system"], "be brief");
        assert_eq!(body["max_tokens"], 4096);
        assert_eq!(
            body["messages"],
            json!([
            {"role": "user", "content": [{"type": "text", "text": "what?"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}]},
            {"role": "assistant", "content": [
                {"type": "tool_use", "id": "call_1", "name": "get", "input": {"x": 1}},
                {"type": "tool_use", "id": "call_2", "name": "put", "input": {}}]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "call_1", "content": [{"type": "text", "text": "20"}]},
                {"type": "tool_result", "tool_use_id": "call_2", "content": [{"type": "text", "text": "done"}]},
                {"type": "text", "text": "and?"}]}])
        );
    }

    #[test]
    fn parameters_find_their_places() {
        let body = encoded(
            &json!({"model": "m", "messages": [{"role": "user", "content": "x"}],
            "max_tokens": 9, "temperature": 1.5, "stop": ["END"], "seed": 1, "stream": true,
            "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}},
            "tools": [{"type": "function", "function": {"name": "f", "strict": true}}],
            "tool_choice": "required", "parallel_tool_calls": false}),
        );
        assert_eq!(
            body,
            json!({"model": MODEL, "messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}],
            "max_tokens": 9, "temperature": 1, "stop_sequences": ["END"], "stream": true,
            "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}},
            "tools": [{"name": "f", "input_schema": {"type": "object", "properties": {}}, "strict": true}],
            "tool_choice": {"type": "any", "disable_parallel_tool_use": true}})
        );
    }

    #[test]
    fn effort_becomes_a_budget_that_leaves_room_or_an_effort_where_models_have_it() {
        let ask = json!({"model": "m", "messages": [{"role": "user", "content": "x"}], "reasoning_effort": "high",
            "max_tokens": 2000, "temperature": 0.5});
        let body = encoded(&ask);
        assert_eq!(
            body["thinking"],
            json!({"type": "enabled", "budget_tokens": 1024})
        );
        assert_eq!(body.get("temperature"), None);
        let call = decode(&Bytes::from(ask.to_string())).unwrap();
        let body: Value =
            serde_json::from_slice(&encode(&call, "claude-opus-5", None).unwrap()).unwrap();
        assert_eq!(body["thinking"], json!({"type": "adaptive"}));
        assert_eq!(body["output_config"], json!({"effort": "high"}));
    }

    #[test]
    fn what_the_answer_would_be_wrong_without_is_refused() {
        let ask = |name: &str, value: Value| {
            let mut ask = json!({"model": "m", "messages": [{"role": "user", "content": "x"}]});
            ask[name] = value;
            ask
        };
        assert!(complaint(&ask("n", json!(2))).starts_with("'n' asks for"));
        assert!(complaint(&ask("logprobs", json!(true))).contains("probabilities"));
        assert!(
            complaint(&ask(
                "tools",
                json!([{"type": "custom", "custom": {"name": "f"}}])
            ))
            .contains("'tools'")
        );
        assert!(complaint(&ask("modalities", json!(["text", "audio"]))).contains("not text"));
        assert_eq!(
            encoded(&ask("modalities", json!(["text"])))["max_tokens"],
            4096
        );
    }
}
