//! Decodes a `GenerateContentRequest` into a [`Call`]; unknown fields are kept, wrong ones are named.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use types::call::{
    Call, Delivery, Dialect, Endpoint, Message, Parameters, ResponseFormat, TemplateUse, Tool,
    ToolChoice,
};

use super::part::{self, Calls, WireContent};
use super::{camel, schema};
use crate::error::Error;
use crate::wire::fields::Fields;
use crate::wire::read::{messages_within_limit, names_template, not_json, parse, unless_template};

/// Fields that say how to deliver, book or store an answer, never what it says.
const NOT_OF_THE_ANSWER: &[&str] = &["labels", "model", "serviceTier", "store"];

/// Reads the body of a request for this model; how the answer is delivered is said by the path.
pub(crate) fn decode(model: &str, delivery: Delivery, body: &Bytes) -> Result<Call, Error> {
    let fields = Fields::parse(body).map_err(|error| not_json(&error))?;
    let mut draft = Draft::default();
    for (name, value) in fields.iter() {
        if value.get() != "null" {
            draft.take(name, value)?;
        }
    }
    draft.finish(model, delivery, body.clone())
}

/// Reads the body of a request to count tokens: contents alone, or a whole request within it.
pub(crate) fn decode_count(model: &str, body: &Bytes) -> Result<Call, Error> {
    let fields = Fields::parse(body).map_err(|error| not_json(&error))?;
    let within = fields
        .iter()
        .find(|(name, _)| camel(name) == "generateContentRequest");
    match within {
        Some((_, request)) => {
            let inner = body.slice_ref(request.get().as_bytes());
            let call = decode(model, Delivery::Whole, &inner)?;
            if names_template(Some(model), call.template.as_deref()) {
                // A template is put into what names it.
                return Ok(call);
            }
            Ok(Call {
                body: body.clone(),
                ..call
            })
        }
        None => decode(model, Delivery::Whole, body),
    }
}

/// The fields read so far.
#[derive(Default)]
struct Draft {
    system: Option<Message>,
    messages: Option<Vec<Message>>,
    template: Option<Box<TemplateUse>>,
    parameters: Parameters,
    format: Format,
}

/// What is said of the answer's form, in three fields.
#[derive(Default)]
struct Format {
    mime_type: Option<String>,
    schema: Option<Value>,
}

impl Draft {
    fn take(&mut self, name: &str, value: &RawValue) -> Result<(), Error> {
        match &*camel(name) {
            "contents" => {
                let contents: Contents = parse(name, value)?;
                let mut calls = Calls::default();
                let messages = contents.list().into_iter();
                let messages = messages.flat_map(|content| part::messages(content, &mut calls));
                self.messages = Some(messages_within_limit(messages.collect())?);
            }
            "systemInstruction" => self.system = Some(part::system(parse(name, value)?)),
            "prompt" => self.template = Some(parse(name, value)?),
            "tools" => self.take_tools(parse(name, value)?),
            "toolConfig" => self.take_tool_config(parse(name, value)?),
            "generationConfig" => {
                let config = Fields::parse(value.get().as_bytes());
                let config = config.map_err(|_| wrong(name, "it is not an object"))?;
                for (name, value) in config.iter() {
                    if value.get() != "null" {
                        self.take_config(name, value)?;
                    }
                }
            }
            known if NOT_OF_THE_ANSWER.contains(&known) => {}
            known => {
                let value = parse(name, value)?;
                self.parameters.extra.insert(known.to_owned(), value);
            }
        }
        Ok(())
    }

    fn take_config(&mut self, name: &str, value: &RawValue) -> Result<(), Error> {
        let parameters = &mut self.parameters;
        match &*camel(name) {
            "maxOutputTokens" => parameters.output_tokens_max = Some(parse(name, value)?),
            "temperature" => parameters.temperature = Some(parse(name, value)?),
            "topP" => parameters.top_p = Some(parse(name, value)?),
            // It is written as a decimal number, also where it is a whole one.
            "topK" => parameters.top_k = Some(whole(name, parse(name, value)?)?),
            "candidateCount" => parameters.n = Some(parse(name, value)?),
            "stopSequences" => parameters.stop = parse(name, value)?,
            "seed" => parameters.seed = Some(parse(name, value)?),
            "presencePenalty" => parameters.presence_penalty = Some(parse(name, value)?),
            "frequencyPenalty" => parameters.frequency_penalty = Some(parse(name, value)?),
            "responseLogprobs" => parameters.logprobs = Some(parse(name, value)?),
            "logprobs" => parameters.top_logprobs = Some(parse(name, value)?),
            "responseMimeType" => self.format.mime_type = Some(parse(name, value)?),
            "responseSchema" => {
                self.format.schema = Some(schema::to_json_schema(parse(name, value)?));
            }
            "responseJsonSchema" => self.format.schema = Some(parse(name, value)?),
            "thinkingConfig" => self.take_thinking(parse(name, value)?),
            known => {
                let value = parse(name, value)?;
                parameters.extra.insert(known.to_owned(), value);
            }
        }
        Ok(())
    }

    fn take_thinking(&mut self, config: WireThinking) {
        let parameters = &mut self.parameters;
        parameters.reasoning_budget = config.thinking_budget;
        parameters.reasoning_shown = config.include_thoughts;
        parameters.reasoning_effort = config.thinking_level.map(|level| level.to_lowercase());
    }

    fn take_tools(&mut self, tools: Vec<Map<String, Value>>) {
        let mut others = Vec::new();
        for tool in tools {
            for (name, value) in tool {
                let name = camel(&name).into_owned();
                match (name.as_str(), value) {
                    (_, Value::Null) => {}
                    ("functionDeclarations", Value::Array(declarations)) => {
                        let declared = declarations.into_iter().map(declaration);
                        self.parameters.tools.extend(declared);
                    }
                    (_, value) => others.push(Value::Object(Map::from_iter([(name, value)]))),
                }
            }
        }
        if !others.is_empty() {
            // Tools that the provider runs itself: part of the request, and of its cache key.
            let extra = &mut self.parameters.extra;
            extra.insert("tools".to_owned(), Value::Array(others));
        }
    }

    fn take_tool_config(&mut self, config: Map<String, Value>) {
        for (name, value) in config {
            let calling = match &*camel(&name) {
                "functionCallingConfig" => WireCalling::deserialize(&value).ok(),
                _ => None,
            };
            let parameters = &mut self.parameters;
            if let Some(choice) = calling.and_then(WireCalling::choice) {
                parameters.tool_choice = Some(choice);
            } else {
                // Said in the words of this dialect alone.
                let rest = Value::Object(Map::from_iter([(name, value)]));
                parameters.extra.insert("toolConfig".to_owned(), rest);
            }
        }
    }

    fn finish(mut self, model: &str, delivery: Delivery, body: Bytes) -> Result<Call, Error> {
        let templated = names_template(Some(model), self.template.as_deref());
        let mut messages = unless_template(self.messages, templated, "contents")?;
        if messages.is_empty() && !templated {
            return Err(Error::invalid("'contents' is empty", Some("contents")));
        }
        messages.splice(0..0, self.system);
        if self.parameters.n == Some(0) {
            return Err(wrong("candidateCount", "it must be at least 1"));
        }
        self.format.fill(&mut self.parameters);
        Ok(Call {
            dialect: Dialect::Gemini,
            endpoint: Endpoint::Chat,
            model: model.to_owned(),
            messages,
            template: self.template,
            parameters: self.parameters,
            delivery,
            version: None,
            body,
        })
    }
}

impl Format {
    fn fill(self, parameters: &mut Parameters) {
        parameters.response_format = match (self.schema, self.mime_type.as_deref()) {
            (Some(schema), _) => Some(ResponseFormat::JsonSchema {
                name: None,
                description: None,
                schema,
                strict: None,
            }),
            (None, Some("application/json")) => Some(ResponseFormat::JsonObject),
            (None, None | Some("text/plain")) => None,
            (None, Some(other)) => {
                let other = Value::from(other);
                parameters
                    .extra
                    .insert("responseMimeType".to_owned(), other);
                None
            }
        };
    }
}

/// `contents`: a list, or what SDKs make a list of.
#[derive(Deserialize)]
#[serde(untagged)]
enum Contents {
    List(Vec<WireContent>),
    One(WireContent),
}

impl Contents {
    fn list(self) -> Vec<WireContent> {
        match self {
            Self::List(list) => list,
            Self::One(one) => vec![one],
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireThinking {
    #[serde(alias = "include_thoughts")]
    include_thoughts: Option<bool>,
    #[serde(alias = "thinking_budget")]
    thinking_budget: Option<i64>,
    #[serde(alias = "thinking_level")]
    thinking_level: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireCalling {
    mode: Option<String>,
    #[serde(default, alias = "allowed_function_names")]
    allowed_function_names: Vec<String>,
}

impl WireCalling {
    fn choice(self) -> Option<ToolChoice> {
        let mut names = self.allowed_function_names.into_iter();
        match (self.mode.as_deref(), names.next(), names.next()) {
            (None | Some("AUTO" | "MODE_UNSPECIFIED"), None, None) => Some(ToolChoice::Auto),
            (Some("NONE"), _, _) => Some(ToolChoice::None),
            (Some("ANY"), None, None) => Some(ToolChoice::Required),
            (Some("ANY"), Some(name), None) => Some(ToolChoice::Named(name)),
            _ => None,
        }
    }
}

fn declaration(declaration: Value) -> Tool {
    let mut tool = Tool {
        name: String::new(),
        description: None,
        parameters: None,
        strict: None,
    };
    let Value::Object(fields) = declaration else {
        return tool;
    };
    for (name, value) in fields {
        match (&*camel(&name), value) {
            ("name", Value::String(name)) => tool.name = name,
            ("description", Value::String(text)) => tool.description = Some(text),
            ("parameters", schema @ Value::Object(_)) => {
                tool.parameters = Some(schema::to_json_schema(schema));
            }
            ("parametersJsonSchema", schema) if !schema.is_null() => tool.parameters = Some(schema),
            _ => {}
        }
    }
    tool
}

fn whole(name: &str, number: f64) -> Result<u64, Error> {
    // No dialect has a limit of sampling that is not a small whole number.
    let is_whole = number >= 0.0 && number <= f64::from(u32::MAX) && number.fract() == 0.0;
    let text = format!("{number:.0}");
    let whole = text.parse().ok().filter(|_| is_whole);
    whole.ok_or_else(|| wrong(name, "it must be a whole number"))
}

fn wrong(name: &str, why: &str) -> Error {
    Error::invalid(format!("'{name}' is wrong: {why}"), Some(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use types::call::Role;

    fn decoded(body: &Value) -> Call {
        decode("m", Delivery::Whole, &Bytes::from(body.to_string())).unwrap()
    }

    #[test]
    fn both_spellings_are_understood_even_in_one_body() {
        let call = decoded(&json!({
            "contents": [{"role": "user", "parts": [{"text": "x"}]}],
            "system_instruction": {"parts": [{"text": "be brief"}]},
            "generationConfig": {"max_output_tokens": 9, "topK": 40.0, "stopSequences": ["END"], "response_mime_type": "application/json",
                "thinking_config": {"thinkingBudget": 0, "include_thoughts": false}},
            "tools": [{"function_declarations": [{"name": "f", "parameters_json_schema": {"type": "object"}},
                {"name": "g", "parameters": {"type": "OBJECT"}}]}, {"googleSearch": {}}],
            "tool_config": {"function_calling_config": {"mode": "ANY", "allowed_function_names": ["f"]}},
            "safetySettings": []}));
        let parameters = &call.parameters;
        assert_eq!(call.messages[0], Message::text(Role::System, "be brief"));
        assert_eq!(
            (parameters.output_tokens_max, parameters.top_k),
            (Some(9), Some(40))
        );
        assert_eq!(
            (parameters.reasoning_budget, parameters.reasoning_shown),
            (Some(0), Some(false))
        );
        assert_eq!(parameters.response_format, Some(ResponseFormat::JsonObject));
        let schemas: Vec<_> = parameters
            .tools
            .iter()
            .map(|tool| tool.parameters.clone().unwrap())
            .collect();
        assert_eq!(
            schemas,
            [json!({"type": "object"}), json!({"type": "object"})]
        );
        assert_eq!(
            parameters.tool_choice,
            Some(ToolChoice::Named("f".to_owned()))
        );
        assert_eq!(
            parameters.extra.keys().collect::<Vec<_>>(),
            ["safetySettings", "tools"]
        );
    }

    #[test]
    fn what_is_said_in_short_is_understood_and_mistakes_are_named() {
        let call = decoded(&json!({"contents": "hi"}));
        assert_eq!(call.messages, [Message::text(Role::User, "hi")]);
        let complaint = |body: &str| {
            let error = decode("m", Delivery::Whole, &Bytes::from(body.to_owned()));
            error.unwrap_err().to_string()
        };
        assert_eq!(complaint("{}"), "'contents' is missing");
        assert!(
            complaint(r#"{"contents":[{"parts":[{"text":"x"}]}],"generationConfig":{"topP":"x"}}"#)
                .contains("'topP' is wrong")
        );
    }

    #[test]
    fn a_count_may_wrap_a_whole_request() {
        let body = r#"{"generateContentRequest":{"model":"models/m","contents":[{"parts":[{"text":"x"}]}]}}"#;
        let call = decode_count("m", &Bytes::from(body)).unwrap();
        assert_eq!(call.messages[0].joined_text(), "x");
        assert_eq!(call.body, body);
    }
}
