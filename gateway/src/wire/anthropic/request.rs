//! Decodes a request for messages into a [`Call`]; unknown fields are kept, wrong ones are named.

use bytes::Bytes;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use types::call::{
    Call, Delivery, Dialect, Endpoint, Message, Parameters, ResponseFormat, TemplateUse, Tool,
    ToolChoice,
};

use super::{BETA_HEADER, VERSION_HEADER, block};
use crate::error::Error;
use crate::wire::fields::Fields;
use crate::wire::read::{
    messages_within_limit, missing, names_template, not_json, parse, unless_template,
};

/// Fields that say how to deliver, book or cache an answer, never what it says.
const NOT_OF_THE_ANSWER: &[&str] = &["metadata", "service_tier", "cache_control", "diagnostics"];

/// Reads the body of `POST /v1/messages`.
pub(crate) fn decode(body: &Bytes, headers: &HeaderMap) -> Result<Call, Error> {
    let call = draft(body, headers)?;
    let templated = names_template(Some(&call.model), call.template.as_deref());
    if call.parameters.output_tokens_max.is_none() && !templated {
        return Err(missing("max_tokens"));
    }
    Ok(call)
}

/// Reads the body of `POST /v1/messages/count_tokens`, which sets no limit for an answer.
pub(crate) fn decode_count(body: &Bytes, headers: &HeaderMap) -> Result<Call, Error> {
    draft(body, headers)
}

fn draft(body: &Bytes, headers: &HeaderMap) -> Result<Call, Error> {
    let fields = Fields::parse(body).map_err(|error| not_json(&error))?;
    let mut draft = Draft::default();
    for (name, value) in fields.iter() {
        if value.get() != "null" {
            draft.take(name, value)?;
        }
    }
    let header = |name: &str| Some(headers.get(name)?.to_str().ok()?.to_owned());
    if let Some(betas) = header(BETA_HEADER) {
        // They change what the provider does, and so belong to the question.
        let extra = &mut draft.parameters.extra;
        extra.insert(BETA_HEADER.to_owned(), Value::String(betas));
    }
    draft.finish(body.clone(), header(VERSION_HEADER))
}

/// The fields read so far.
#[derive(Default)]
struct Draft {
    model: Option<String>,
    system: Option<Message>,
    messages: Option<Vec<Message>>,
    template: Option<Box<TemplateUse>>,
    stream: bool,
    parameters: Parameters,
}

impl Draft {
    fn take(&mut self, name: &str, value: &RawValue) -> Result<(), Error> {
        let parameters = &mut self.parameters;
        match name {
            "model" => self.model = Some(parse(name, value)?),
            "system" => self.system = Some(block::system(parse(name, value)?)),
            "messages" => {
                let messages: Vec<block::WireMessage> = parse(name, value)?;
                let messages = messages.into_iter().flat_map(block::messages).collect();
                self.messages = Some(messages_within_limit(messages)?);
            }
            "prompt" => self.template = Some(parse(name, value)?),
            "stream" => self.stream = parse(name, value)?,
            "max_tokens" => parameters.output_tokens_max = Some(parse(name, value)?),
            "temperature" => parameters.temperature = Some(parse(name, value)?),
            "top_p" => parameters.top_p = Some(parse(name, value)?),
            "top_k" => parameters.top_k = Some(parse(name, value)?),
            "stop_sequences" => parameters.stop = parse(name, value)?,
            "tools" => self.take_tools(value)?,
            "tool_choice" => self.take_tool_choice(value)?,
            "thinking" => self.take_thinking(value)?,
            "output_config" => self.take_output_config(value)?,
            name if NOT_OF_THE_ANSWER.contains(&name) => {}
            _ => {
                let value = parse(name, value)?;
                parameters.extra.insert(name.to_owned(), value);
            }
        }
        Ok(())
    }

    fn take_tools(&mut self, value: &RawValue) -> Result<(), Error> {
        let tools: Vec<Value> = parse("tools", value)?;
        let mut others = Vec::new();
        for tool in tools {
            match WireTool::deserialize(&tool) {
                Ok(tool) if tool.is_function() => self.parameters.tools.push(tool.into()),
                _ => others.push(tool),
            }
        }
        if !others.is_empty() {
            // Tools that the provider runs itself: part of the request, and of its cache key.
            let extra = &mut self.parameters.extra;
            extra.insert("tools".to_owned(), Value::Array(others));
        }
        Ok(())
    }

    fn take_tool_choice(&mut self, value: &RawValue) -> Result<(), Error> {
        let choice: WireChoice = parse("tool_choice", value)?;
        if let Some(disabled) = choice.disable_parallel_tool_use {
            self.parameters.parallel_tool_calls = Some(!disabled);
        }
        self.parameters.tool_choice = Some(match (choice.r#type, choice.name) {
            (WireChoiceType::Auto, _) => ToolChoice::Auto,
            (WireChoiceType::Any, _) => ToolChoice::Required,
            (WireChoiceType::None, _) => ToolChoice::None,
            (WireChoiceType::Tool, Some(name)) => ToolChoice::Named(name),
            (WireChoiceType::Tool, None) => return Err(missing("tool_choice.name")),
        });
        Ok(())
    }

    fn take_thinking(&mut self, value: &RawValue) -> Result<(), Error> {
        let thinking: WireThinking = parse("thinking", value)?;
        let parameters = &mut self.parameters;
        let shown = thinking.display.as_deref() != Some("omitted");
        match (thinking.r#type.as_str(), thinking.budget_tokens) {
            ("disabled", _) => parameters.reasoning_budget = Some(0),
            ("enabled", Some(budget)) => parameters.reasoning_budget = Some(budget),
            ("enabled", None) => return Err(missing("thinking.budget_tokens")),
            ("adaptive", _) => parameters.reasoning_budget = Some(-1),
            _ => {
                let thinking = parse("thinking", value)?;
                parameters.extra.insert("thinking".to_owned(), thinking);
            }
        }
        if thinking.r#type != "disabled" {
            parameters.reasoning_shown = Some(shown);
        }
        Ok(())
    }

    fn take_output_config(&mut self, value: &RawValue) -> Result<(), Error> {
        let mut config: Map<String, Value> = parse("output_config", value)?;
        let parameters = &mut self.parameters;
        if let Some(Value::String(effort)) = config.get("effort") {
            parameters.reasoning_effort = Some(effort.clone());
            config.remove("effort");
        }
        if let Some(schema) = config.get("format").and_then(json_schema) {
            parameters.response_format = Some(ResponseFormat::JsonSchema {
                name: None,
                description: None,
                schema,
                strict: Some(true),
            });
            config.remove("format");
        }
        config.retain(|_, value| !value.is_null());
        if !config.is_empty() {
            let config = Value::Object(config);
            parameters.extra.insert("output_config".to_owned(), config);
        }
        Ok(())
    }

    fn finish(self, body: Bytes, version: Option<String>) -> Result<Call, Error> {
        let templated = names_template(self.model.as_deref(), self.template.as_deref());
        let model = unless_template(self.model, templated, "model")?;
        let mut messages = unless_template(self.messages, templated, "messages")?;
        if messages.is_empty() && !templated {
            return Err(Error::invalid("'messages' is empty", Some("messages")));
        }
        messages.splice(0..0, self.system);
        Ok(Call {
            dialect: Dialect::Anthropic,
            endpoint: Endpoint::Chat,
            model,
            messages,
            template: self.template,
            parameters: self.parameters,
            delivery: if self.stream {
                Delivery::Stream {
                    include_usage: true,
                }
            } else {
                Delivery::Whole
            },
            version,
            body,
        })
    }
}

#[derive(Deserialize)]
struct WireTool {
    r#type: Option<String>,
    name: String,
    description: Option<String>,
    input_schema: Option<Value>,
    strict: Option<bool>,
}

impl WireTool {
    fn is_function(&self) -> bool {
        self.r#type.as_deref().is_none_or(|kind| kind == "custom")
    }
}

impl From<WireTool> for Tool {
    fn from(tool: WireTool) -> Self {
        Self {
            name: tool.name,
            description: tool.description,
            parameters: tool.input_schema,
            strict: tool.strict,
        }
    }
}

#[derive(Deserialize)]
struct WireChoice {
    r#type: WireChoiceType,
    name: Option<String>,
    disable_parallel_tool_use: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum WireChoiceType {
    Auto,
    Any,
    Tool,
    None,
}

#[derive(Deserialize)]
struct WireThinking {
    r#type: String,
    budget_tokens: Option<i64>,
    display: Option<String>,
}

fn json_schema(format: &Value) -> Option<Value> {
    let is_schema = format.get("type").and_then(Value::as_str) == Some("json_schema");
    format.get("schema").filter(|_| is_schema).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use types::call::{Part, Role};

    fn decoded(body: &Value) -> Call {
        decode(&Bytes::from(body.to_string()), &HeaderMap::new()).unwrap()
    }

    #[test]
    fn every_parameter_finds_its_place_and_what_is_unknown_stays() {
        let call = decoded(
            &json!({"model": "m", "max_tokens": 2048, "system": [{"type": "text", "text": "be brief"}],
            "messages": [{"role": "user", "content": "x"}], "temperature": 0.5, "top_k": 40, "stop_sequences": ["END"],
            "thinking": {"type": "enabled", "budget_tokens": 1024},
            "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {"type": "object"}}},
            "tools": [{"name": "f", "input_schema": {"type": "object"}, "cache_control": {"type": "ephemeral"}},
                {"type": "web_search_20250305", "name": "web_search"}],
            "tool_choice": {"type": "any", "disable_parallel_tool_use": true},
            "metadata": {"user_id": "u"}, "future": 1, "stream": true}),
        );
        let parameters = &call.parameters;
        assert_eq!(call.messages[0].role, Role::System);
        assert_eq!(
            (parameters.top_k, parameters.reasoning_budget),
            (Some(40), Some(1024))
        );
        assert_eq!(parameters.reasoning_effort.as_deref(), Some("low"));
        assert!(matches!(
            parameters.response_format,
            Some(ResponseFormat::JsonSchema { .. })
        ));
        assert_eq!(parameters.tools.len(), 1);
        assert_eq!(parameters.tool_choice, Some(ToolChoice::Required));
        assert_eq!(parameters.parallel_tool_calls, Some(false));
        assert_eq!(
            parameters.extra.keys().collect::<Vec<_>>(),
            ["future", "tools"]
        );
        assert!(call.delivery.is_stream());
    }

    #[test]
    fn a_mistake_is_named_with_its_place_and_a_missing_limit_is_one() {
        let complaint = |body: Value| {
            let error = decode(&Bytes::from(body.to_string()), &HeaderMap::new());
            error.unwrap_err().to_string()
        };
        assert_eq!(
            complaint(json!({"model": "m", "messages": [{"role": "user", "content": "x"}]})),
            "'max_tokens' is missing"
        );
        assert!(
            complaint(json!({"model": "m", "max_tokens": 1, "messages": [{"role": "king", "content": "x"}]}))
                .starts_with("'messages[0].role' is wrong")
        );
    }

    #[test]
    fn the_version_and_the_features_asked_for_come_from_the_headers() {
        let mut headers = HeaderMap::new();
        headers.insert(VERSION_HEADER, "2023-06-01".parse().unwrap());
        headers.insert(BETA_HEADER, "a,b".parse().unwrap());
        let body = r#"{"model":"m","max_tokens":1,"messages":[{"role":"user","content":"x"}]}"#;
        let call = decode(&Bytes::from(body), &headers).unwrap();
        assert_eq!(call.version.as_deref(), Some("2023-06-01"));
        assert_eq!(call.parameters.extra[BETA_HEADER], "a,b");
        assert_eq!(call.messages[0].content, [Part::Text("x".to_owned())]);
    }
}
