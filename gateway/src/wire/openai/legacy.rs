//! Completions: OpenAI's older form, a text that the model continues.

use bytes::{BufMut, Bytes, BytesMut};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use types::Usage;
use types::call::{Call, Endpoint, Message, Part, Role};
use types::reply::{Answer, Delta, Event, Finish};

use super::completion::finish_word;
use super::request;
use super::usage::WireUsage;
use crate::error::Error;
use crate::wire::fields::Fields;
use crate::wire::read::{missing, not_json, parse};
use crate::wire::write;

/// Output tokens where the caller says nothing: what this form promises.
const OUTPUT_TOKENS_DEFAULT: u64 = 16;

/// Reads the body of `POST /v1/completions`. Several prompts are several messages.
pub(crate) fn decode(body: &Bytes) -> Result<Call, Error> {
    let fields = Fields::parse(body).map_err(|error| not_json(&error))?;
    let prompt = fields.get("prompt").filter(|prompt| prompt.get() != "null");
    let prompt: WirePrompt = parse("prompt", prompt.ok_or_else(|| missing("prompt"))?)?;
    // Here it is a number, and of another meaning.
    let options = fields
        .iter()
        .filter(|(name, _)| !matches!(*name, "prompt" | "logprobs"));
    let mut call = request::decode_fields(options, Some(prompt.messages()), body)?;
    if let Some(logprobs) = fields.get("logprobs").filter(|it| it.get() != "null") {
        call.parameters.logprobs = Some(true);
        call.parameters.top_logprobs = Some(parse("logprobs", logprobs)?);
    }
    let limit = &mut call.parameters.output_tokens_max;
    *limit = limit.or(Some(OUTPUT_TOKENS_DEFAULT));
    Ok(Call {
        endpoint: Endpoint::Completions,
        ..call
    })
}

/// `prompt`: a text, several, or tokens.
#[derive(Deserialize)]
#[serde(untagged)]
enum WirePrompt {
    Text(String),
    Texts(Vec<String>),
    Tokens(Value),
}

impl WirePrompt {
    fn messages(self) -> Vec<Message> {
        let text = |text| Message::text(Role::User, text);
        match self {
            Self::Text(one) => vec![text(one)],
            Self::Texts(several) if several.len() == 1 => several.into_iter().map(text).collect(),
            Self::Texts(several) => vec![other("several texts", &serde_json::json!(several))],
            Self::Tokens(tokens) => vec![other("tokens", &tokens)],
        }
    }
}

/// What only this form can say.
fn other(kind: &str, value: &Value) -> Message {
    Message {
        content: vec![Part::Other(
            serde_json::json!({ "type": kind, "prompt": value }),
        )],
        ..Message::text(Role::User, "")
    }
}

#[derive(Serialize)]
struct Outgoing<'a> {
    id: &'a str,
    object: &'static str,
    created: i64,
    model: &'a str,
    choices: Vec<OutgoingChoice<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<WireUsage>,
}

#[derive(Serialize)]
struct OutgoingChoice<'a> {
    text: &'a str,
    index: usize,
    logprobs: Option<()>,
    finish_reason: Option<&'static str>,
}

/// Writes an answer for a client under a new id.
pub(crate) fn encode(answer: &Answer, id: &str, created: DateTime<Utc>) -> Bytes {
    let choices = answer.choices.iter().enumerate();
    let choices = choices.map(|(index, choice)| OutgoingChoice {
        text: choice.text.as_deref().unwrap_or_default(),
        index,
        logprobs: None,
        finish_reason: Some(finish_word(choice.finish.unwrap_or(Finish::Stop))),
    });
    write::json(&Outgoing {
        id,
        object: "text_completion",
        created: created.timestamp(),
        model: &answer.model,
        choices: choices.collect(),
        usage: Some(answer.usage.unwrap_or_default().into()),
    })
}

/// Writes events as chunks for a client.
#[derive(Debug)]
pub(crate) struct Encoder {
    id: String,
    created: i64,
    model: String,
    include_usage: bool,
    usage: Option<Usage>,
}

impl Encoder {
    /// An encoder for one stream; the model is the one asked for, until the provider names its own.
    pub(crate) fn new(
        id: String,
        created: DateTime<Utc>,
        model: String,
        include_usage: bool,
    ) -> Self {
        Self {
            id,
            created: created.timestamp(),
            model,
            include_usage,
            usage: None,
        }
    }

    /// Appends what an event says to the client's stream; this form knows text alone.
    pub(crate) fn write(&mut self, event: &Event, out: &mut BytesMut) {
        match event {
            Event::Start { model } => self.model.clone_from(model),
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::Delta {
                choice,
                delta: Delta::Text(text) | Delta::Refusal(text),
            } => self.write_choice(*choice, text, None, out),
            Event::Finish { choice, finish } => self.write_choice(*choice, "", Some(*finish), out),
            Event::Delta { .. } | Event::ServiceTier(_) | Event::Unsaid => {}
        }
    }

    /// The end: the usage for those who asked, then `[DONE]`.
    pub(crate) fn finish(&mut self) -> Bytes {
        let mut out = BytesMut::new();
        if self.include_usage {
            let usage = self.usage.unwrap_or_default().into();
            self.write_chunk(Vec::new(), Some(usage), &mut out);
        }
        out.put_slice(b"data: [DONE]\n\n");
        out.freeze()
    }

    fn write_choice(&self, index: usize, text: &str, finish: Option<Finish>, out: &mut BytesMut) {
        let choice = OutgoingChoice {
            text,
            index,
            logprobs: None,
            finish_reason: finish.map(finish_word),
        };
        self.write_chunk(vec![choice], None, out);
    }

    fn write_chunk(
        &self,
        choices: Vec<OutgoingChoice<'_>>,
        usage: Option<WireUsage>,
        out: &mut BytesMut,
    ) {
        let chunk = Outgoing {
            id: &self.id,
            object: "text_completion",
            created: self.created,
            model: &self.model,
            choices,
            usage,
        };
        write::data_event(&chunk, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_form_is_a_conversation_of_one_message_and_ends_early_unless_told() {
        let call = decode(&Bytes::from_static(
            br#"{"model":"m","prompt":"Once","stop":"END","stream":true}"#,
        ))
        .unwrap();
        assert_eq!(call.messages, [Message::text(Role::User, "Once")]);
        assert_eq!(call.parameters.output_tokens_max, Some(16));
        assert!(call.delivery.is_stream());
        let several = decode(&Bytes::from_static(br#"{"model":"m","prompt":["a","b"]}"#)).unwrap();
        assert!(matches!(several.messages[0].content[0], Part::Other(_)));
        let none = decode(&Bytes::from_static(br#"{"model":"m"}"#)).unwrap_err();
        assert_eq!(none.to_string(), "'prompt' is missing");
    }

    #[test]
    fn what_is_written_reads_back_the_same() {
        let answer = Answer {
            model: "m".to_owned(),
            choices: vec![types::reply::Choice {
                text: Some("upon a time".to_owned()),
                finish: Some(Finish::Length),
                ..Default::default()
            }],
            usage: Some(Usage::default()),
            ..Answer::default()
        };
        let body = encode(&answer, "cmpl-1", DateTime::UNIX_EPOCH);
        assert_eq!(super::super::completion::decode(&body).unwrap(), Ok(answer));
    }
}
