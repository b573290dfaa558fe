//! Decodes the request for a response into a [`Call`]; what needs a stored state is refused by name.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use types::call::{
    Call, Delivery, Dialect, Endpoint, Message, Parameters, ResponseFormat, Role, TemplateUse,
    Tool, ToolChoice,
};

use super::item;
use crate::error::Error;
use crate::wire::fields::Fields;
use crate::wire::read::{missing, names_template, not_json, parse, unless_template};

/// Fields that say how to deliver, book or store an answer, never what it says: they are no part of the cache key.
const NOT_OF_THE_ANSWER: &[&str] = &[
    "metadata",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "stream_options",
    "user",
];

/// Reads the body of `POST /v1/responses`.
pub(crate) fn decode(body: &Bytes) -> Result<Call, Error> {
    let fields = Fields::parse(body).map_err(|error| not_json(&error))?;
    let mut draft = Draft::default();
    for (name, value) in fields.iter() {
        if value.get() != "null" {
            draft.take(name, value)?;
        }
    }
    draft.finish(body.clone())
}

/// The fields read so far.
#[derive(Default)]
struct Draft {
    model: Option<String>,
    instructions: Option<String>,
    input: Option<Vec<Message>>,
    template: Option<Box<TemplateUse>>,
    stream: bool,
    parameters: Parameters,
}

impl Draft {
    fn take(&mut self, name: &str, value: &RawValue) -> Result<(), Error> {
        let parameters = &mut self.parameters;
        match name {
            "model" => self.model = Some(parse(name, value)?),
            "instructions" => self.instructions = Some(parse(name, value)?),
            "input" => self.input = Some(item::messages(value)?),
            "prompt" => self.template = Some(template(value)?),
            "stream" => self.stream = parse(name, value)?,
            "max_output_tokens" => parameters.output_tokens_max = Some(parse(name, value)?),
            "temperature" => parameters.temperature = Some(parse(name, value)?),
            "top_p" => parameters.top_p = Some(parse(name, value)?),
            "parallel_tool_calls" => parameters.parallel_tool_calls = Some(parse(name, value)?),
            "reasoning" => {
                let reasoning: WireReasoning = parse(name, value)?;
                parameters.reasoning_effort = reasoning.effort;
            }
            "text" => self.take_text(value)?,
            "tools" => self.take_tools(value)?,
            "tool_choice" => self.take_tool_choice(value)?,
            "include" => self.take_include(value)?,
            "top_logprobs" => {
                let wanted: u64 = parse(name, value)?;
                parameters.logprobs = (wanted > 0).then_some(true).or(parameters.logprobs);
                parameters.top_logprobs = Some(wanted);
            }
            "previous_response_id" | "conversation" => return Err(stateless(name)),
            "store" | "background" => {
                if parse(name, value)? {
                    return Err(stateless(name));
                }
            }
            name if NOT_OF_THE_ANSWER.contains(&name) => {}
            _ => {
                parameters
                    .extra
                    .insert(name.to_owned(), parse(name, value)?);
            }
        }
        Ok(())
    }

    fn take_text(&mut self, value: &RawValue) -> Result<(), Error> {
        let text: WireText = parse("text", value)?;
        self.parameters.response_format = match text.format {
            None | Some(WireFormat::Text) => None,
            Some(WireFormat::JsonObject) => Some(ResponseFormat::JsonObject),
            Some(WireFormat::JsonSchema(schema)) => Some(ResponseFormat::JsonSchema {
                name: schema.name,
                description: schema.description,
                schema: schema.schema,
                strict: schema.strict,
            }),
        };
        let verbosity = text.verbosity.map(|word| ("verbosity".to_owned(), word));
        self.parameters.extra.extend(verbosity);
        Ok(())
    }

    fn take_tools(&mut self, value: &RawValue) -> Result<(), Error> {
        let tools: Vec<Value> = parse("tools", value)?;
        let mut others = Vec::new();
        for tool in tools {
            match WireTool::deserialize(&tool) {
                Ok(WireTool::Function(function)) => self.parameters.tools.push(function),
                Err(_) => others.push(tool),
            }
        }
        if !others.is_empty() {
            // Tools that OpenAI runs itself: refused where the request is written for a provider.
            let others = Value::Array(others);
            self.parameters.extra.insert("tools".to_owned(), others);
        }
        Ok(())
    }

    fn take_tool_choice(&mut self, value: &RawValue) -> Result<(), Error> {
        let choice: Value = parse("tool_choice", value)?;
        let is_function = choice.get("type").and_then(Value::as_str) == Some("function");
        let named = choice.get("name").and_then(Value::as_str);
        let known = match (choice.as_str(), named) {
            (Some("none"), _) => Some(ToolChoice::None),
            (Some("auto"), _) => Some(ToolChoice::Auto),
            (Some("required"), _) => Some(ToolChoice::Required),
            (None, Some(name)) if is_function => Some(ToolChoice::Named(name.to_owned())),
            _ => None,
        };
        if known.is_none() {
            let extra = &mut self.parameters.extra;
            extra.insert("tool_choice".to_owned(), choice);
        }
        self.parameters.tool_choice = known;
        Ok(())
    }

    /// What is to be told beside the answer: probabilities change it, the rest has nothing to add to it here.
    fn take_include(&mut self, value: &RawValue) -> Result<(), Error> {
        let wanted: Vec<String> = parse("include", value)?;
        if wanted
            .iter()
            .any(|what| what == "message.output_text.logprobs")
        {
            self.parameters.logprobs = Some(true);
        }
        Ok(())
    }

    fn finish(self, body: Bytes) -> Result<Call, Error> {
        let templated = names_template(self.model.as_deref(), self.template.as_deref());
        let model = unless_template(self.model, templated, "model")?;
        let input = unless_template(self.input, templated, "input")?;
        if input.is_empty() && !templated {
            return Err(missing("input"));
        }
        let instructions = self.instructions.filter(|text| !text.is_empty());
        let instructions = instructions.map(|text| Message::text(Role::System, text));
        Ok(Call {
            dialect: Dialect::Openai,
            endpoint: Endpoint::Responses,
            model,
            messages: instructions.into_iter().chain(input).collect(),
            template: self.template,
            parameters: self.parameters,
            delivery: if self.stream {
                Delivery::Stream {
                    include_usage: true,
                }
            } else {
                Delivery::Whole
            },
            version: None,
            body,
        })
    }
}

/// A template of ours; OpenAI's own are named by an id and kept there.
fn template(value: &RawValue) -> Result<Box<TemplateUse>, Error> {
    let prompt: Value = parse("prompt", value)?;
    if prompt.get("id").is_some() {
        let text = "'prompt.id' names a prompt that is kept at OpenAI, which is not served here; \
                    name a prompt template of your organization by 'prompt.slug'";
        return Err(Error::invalid(text.to_owned(), Some("prompt.id")));
    }
    parse("prompt", value)
}

fn stateless(name: &str) -> Error {
    let text = format!(
        "'{name}' asks for a response that is kept, and none is kept here: \
         send the whole conversation in 'input', with 'store' false or absent"
    );
    Error::invalid(text, Some(name))
}

#[derive(Deserialize)]
struct WireReasoning {
    effort: Option<String>,
}

#[derive(Deserialize)]
struct WireText {
    format: Option<WireFormat>,
    verbosity: Option<Value>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum WireFormat {
    Text,
    JsonObject,
    JsonSchema(WireSchema),
}

#[derive(Deserialize)]
struct WireSchema {
    name: Option<String>,
    description: Option<String>,
    schema: Value,
    strict: Option<bool>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum WireTool {
    Function(Tool),
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn decoded(body: &Value) -> Result<Call, Error> {
        decode(&Bytes::from(body.to_string()))
    }

    #[test]
    fn every_parameter_finds_its_place_and_what_is_unknown_stays() {
        let call = decoded(&json!({"model": "m", "instructions": "be brief", "input": "x", "stream": true,
            "max_output_tokens": 7, "reasoning": {"effort": "low", "summary": "auto"}, "store": false,
            "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}}, "verbosity": "low"},
            "tools": [{"type": "function", "name": "f", "parameters": {}}, {"type": "web_search"}],
            "tool_choice": {"type": "function", "name": "f"}, "metadata": {"a": "b"}, "future": 1}))
        .unwrap();
        let parameters = &call.parameters;
        assert_eq!(call.messages[0], Message::text(Role::System, "be brief"));
        assert_eq!(call.messages[1], Message::text(Role::User, "x"));
        assert_eq!(parameters.output_tokens_max, Some(7));
        assert_eq!(parameters.reasoning_effort.as_deref(), Some("low"));
        assert_eq!(parameters.tools.len(), 1);
        assert_eq!(
            parameters.tool_choice,
            Some(ToolChoice::Named("f".to_owned()))
        );
        assert!(matches!(
            parameters.response_format,
            Some(ResponseFormat::JsonSchema { .. })
        ));
        let mut extra: Vec<_> = parameters.extra.keys().collect();
        extra.sort();
        assert_eq!(extra, ["future", "tools", "verbosity"]);
        assert!(call.delivery.is_stream());
    }

    #[test]
    fn what_needs_a_kept_response_is_refused_by_its_name() {
        for (name, value) in [
            ("previous_response_id", json!("resp_1")),
            ("conversation", json!("conv_1")),
            ("store", json!(true)),
            ("background", json!(true)),
            ("prompt", json!({"id": "pmpt_1"})),
        ] {
            let mut body = json!({"model": "m", "input": "x"});
            body[name] = value;
            let error = decoded(&body).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
        let error = decoded(&json!({"model": "m"})).unwrap_err();
        assert_eq!(error.to_string(), "'input' is missing");
    }
}
