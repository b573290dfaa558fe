//! Decodes a chat-completion request into a [`Call`]; unknown fields are kept, wrong ones are named.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use types::call::{
    Call, Delivery, Dialect, Endpoint, Parameters, ResponseFormat, TemplateUse, Tool, ToolChoice,
};

use super::message;
use crate::error::Error;
use crate::wire::fields::Fields;
use crate::wire::read::{messages_within_limit, names_template, not_json, parse, unless_template};

/// Fields that say how to deliver, book or store an answer, never what it says: they are no part of the cache key.
/// `service_tier` is among them: it changes when and at what price an answer comes, not its text.
const NOT_OF_THE_ANSWER: &[&str] = &[
    "metadata",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "store",
    "user",
];

#[derive(Default, Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: Option<bool>,
}

/// Reads the body of `POST /v1/chat/completions`.
pub(crate) fn decode(body: &Bytes) -> Result<Call, Error> {
    let fields = Fields::parse(body).map_err(|error| not_json(&error))?;
    decode_fields(fields.iter(), None, body)
}

/// Reads the fields of a request, about these messages where they stand elsewhere.
pub(super) fn decode_fields<'a>(
    fields: impl Iterator<Item = (&'a str, &'a RawValue)>,
    messages: Option<Vec<types::call::Message>>,
    body: &Bytes,
) -> Result<Call, Error> {
    let mut draft = Draft {
        messages,
        ..Draft::default()
    };
    for (name, value) in fields {
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
    messages: Option<Vec<types::call::Message>>,
    template: Option<Box<TemplateUse>>,
    stream: bool,
    include_usage: bool,
    max_tokens: Option<u64>,
    parameters: Parameters,
}

impl Draft {
    fn take(&mut self, name: &str, value: &RawValue) -> Result<(), Error> {
        let parameters = &mut self.parameters;
        match name {
            "model" => self.model = Some(parse(name, value)?),
            "messages" => self.messages = Some(messages(value)?),
            // Elsewhere in this dialect a prompt is text; here an object names a template.
            "prompt" if value.get().starts_with('{') => self.template = Some(parse(name, value)?),
            "stream" => self.stream = parse(name, value)?,
            "stream_options" => {
                let options: StreamOptions = parse(name, value)?;
                self.include_usage = options.include_usage.unwrap_or(false);
            }
            "max_tokens" => self.max_tokens = Some(parse(name, value)?),
            "max_completion_tokens" => parameters.output_tokens_max = Some(parse(name, value)?),
            "temperature" => parameters.temperature = Some(parse(name, value)?),
            "top_p" => parameters.top_p = Some(parse(name, value)?),
            "n" => parameters.n = Some(parse(name, value)?),
            "stop" => parameters.stop = stop(value)?,
            "seed" => parameters.seed = Some(parse(name, value)?),
            "presence_penalty" => parameters.presence_penalty = Some(parse(name, value)?),
            "frequency_penalty" => parameters.frequency_penalty = Some(parse(name, value)?),
            "reasoning_effort" => parameters.reasoning_effort = Some(parse(name, value)?),
            "logprobs" => parameters.logprobs = Some(parse(name, value)?),
            "top_logprobs" => parameters.top_logprobs = Some(parse(name, value)?),
            "response_format" => self.take_response_format(value)?,
            "tools" => self.take_tools(value)?,
            "tool_choice" => self.take_tool_choice(value)?,
            "parallel_tool_calls" => parameters.parallel_tool_calls = Some(parse(name, value)?),
            name if NOT_OF_THE_ANSWER.contains(&name) => {}
            _ => {
                parameters
                    .extra
                    .insert(name.to_owned(), parse(name, value)?);
            }
        }
        Ok(())
    }

    fn take_response_format(&mut self, value: &RawValue) -> Result<(), Error> {
        let format: WireFormat = parse("response_format", value)?;
        self.parameters.response_format = match format {
            WireFormat::Text => None,
            WireFormat::JsonObject => Some(ResponseFormat::JsonObject),
            WireFormat::JsonSchema { json_schema } => Some(ResponseFormat::JsonSchema {
                name: json_schema.name,
                description: json_schema.description,
                schema: json_schema.schema.unwrap_or(Value::Bool(true)),
                strict: json_schema.strict,
            }),
        };
        Ok(())
    }

    fn take_tools(&mut self, value: &RawValue) -> Result<(), Error> {
        let tools: Vec<Value> = parse("tools", value)?;
        let mut others = Vec::new();
        for tool in tools {
            match WireTool::deserialize(&tool) {
                Ok(WireTool::Function { function }) => self.parameters.tools.push(function),
                Err(_) => others.push(tool),
            }
        }
        if !others.is_empty() {
            // Tools of a kind only this dialect knows: part of the request, and of its cache key.
            self.parameters
                .extra
                .insert("tools".to_owned(), Value::Array(others));
        }
        Ok(())
    }

    fn take_tool_choice(&mut self, value: &RawValue) -> Result<(), Error> {
        let choice: Value = parse("tool_choice", value)?;
        let named = choice.pointer("/function/name").and_then(Value::as_str);
        let known = match (choice.as_str(), named) {
            (Some("none"), _) => Some(ToolChoice::None),
            (Some("auto"), _) => Some(ToolChoice::Auto),
            (Some("required"), _) => Some(ToolChoice::Required),
            (_, Some(name)) => Some(ToolChoice::Named(name.to_owned())),
            _ => None,
        };
        match known {
            Some(known) => self.parameters.tool_choice = Some(known),
            None => {
                self.parameters
                    .extra
                    .insert("tool_choice".to_owned(), choice);
            }
        }
        Ok(())
    }

    fn finish(mut self, body: Bytes) -> Result<Call, Error> {
        let templated = names_template(self.model.as_deref(), self.template.as_deref());
        let model = unless_template(self.model, templated, "model")?;
        let messages = unless_template(self.messages, templated, "messages")?;
        if messages.is_empty() && !templated {
            return Err(Error::invalid("'messages' is empty", Some("messages")));
        }
        let parameters = &mut self.parameters;
        parameters.output_tokens_max = parameters.output_tokens_max.or(self.max_tokens);
        if parameters.n == Some(0) {
            return Err(Error::invalid("'n' must be at least 1", Some("n")));
        }
        Ok(Call {
            dialect: Dialect::Openai,
            endpoint: Endpoint::Chat,
            model,
            messages,
            parameters: self.parameters,
            delivery: if self.stream {
                Delivery::Stream {
                    include_usage: self.include_usage,
                }
            } else {
                Delivery::Whole
            },
            template: self.template,
            version: None,
            body,
        })
    }
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum WireTool {
    Function { function: Tool },
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum WireFormat {
    Text,
    JsonObject,
    JsonSchema { json_schema: WireSchema },
}

#[derive(Deserialize)]
struct WireSchema {
    name: Option<String>,
    description: Option<String>,
    schema: Option<Value>,
    strict: Option<bool>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum WireStop {
    One(String),
    Several(Vec<String>),
}

fn stop(value: &RawValue) -> Result<Vec<String>, Error> {
    let stop: WireStop = parse("stop", value).map_err(|_| {
        Error::invalid("'stop' must be a string or a list of strings", Some("stop"))
    })?;
    Ok(match stop {
        WireStop::One(text) => vec![text],
        WireStop::Several(texts) => texts,
    })
}

fn messages(value: &RawValue) -> Result<Vec<types::call::Message>, Error> {
    let messages: Vec<message::WireMessage> = parse("messages", value)?;
    messages_within_limit(messages.into_iter().map(|message| message.0).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::call::{Part, Role};

    fn decoded(body: &str) -> Call {
        decode(&Bytes::copy_from_slice(body.as_bytes())).unwrap()
    }

    fn complaint(body: &str) -> String {
        decode(&Bytes::copy_from_slice(body.as_bytes()))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn both_names_of_the_token_limit_are_understood_and_the_newer_one_wins() {
        let call = decoded(
            r#"{"model":"m","messages":[{"role":"user","content":"x"}],"max_tokens":5,"max_completion_tokens":7}"#,
        );
        assert_eq!(call.parameters.output_tokens_max, Some(7));
    }

    #[test]
    fn null_means_absent() {
        let call = decoded(
            r#"{"model":"m","messages":[{"role":"user","content":"x"}],"temperature":null,"stream":null,"tools":null}"#,
        );
        assert_eq!(call.parameters, Parameters::default());
        assert_eq!(call.delivery, Delivery::Whole);
    }

    #[test]
    fn unknown_fields_stay_and_bookkeeping_ones_do_not_reach_the_cache_key() {
        let call = decoded(
            r#"{"model":"m","messages":[{"role":"user","content":"x"}],"verbosity":"low","user":"u","metadata":{"a":"b"}}"#,
        );
        assert_eq!(
            call.parameters.extra.keys().collect::<Vec<_>>(),
            ["verbosity"]
        );
    }

    #[test]
    fn text_parts_and_images_are_told_apart() {
        let call = decoded(
            r#"{"model":"m","messages":[{"role":"developer","content":"be brief"},{"role":"user","content":[{"type":"text","text":"what is it?"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AA"}}]}]}"#,
        );
        assert_eq!(call.messages[0].role, Role::System);
        assert!(
            matches!(&call.messages[1].content[1], Part::Image { url, .. } if url.starts_with("data:"))
        );
    }

    #[test]
    fn a_mistake_is_named_with_its_place() {
        assert_eq!(
            complaint("{"),
            "the body is not valid JSON (line 1, column 1)"
        );
        assert_eq!(
            complaint("[]"),
            "the body is not a JSON object (line 1, column 0)"
        );
        assert_eq!(complaint(r#"{"messages":[]}"#), "'model' is missing");
        assert!(
            complaint(r#"{"model":"m","messages":[{"role":"nobody","content":"x"}]}"#)
                .starts_with("'messages[0].role' is wrong: unknown variant `nobody`")
        );
        assert!(
            complaint(r#"{"model":"m","messages":[{"role":"user","content":"x"}],"n":0}"#)
                .contains("'n' must be")
        );
    }
}
