//! The chunks of a streamed chat completion: read from a provider, written to a client.

use std::borrow::Cow;

use bytes::{BufMut, Bytes, BytesMut};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use types::Usage;
use types::reply::{Delta, Event, Finish};

use super::completion::{extra_content, finish_from, finish_word};
use super::usage::WireUsage;

/// The event that ends a stream.
pub(crate) const DONE: &[u8] = b"[DONE]";

/// What a provider's chunk is, beyond the events it stands for.
#[derive(Debug, Default)]
pub(crate) struct Decoded {
    /// Whether it only reports usage: OpenAI sends that chunk to those alone who asked for it.
    pub(crate) is_usage_only: bool,
    /// The provider's error, told in the middle of the stream.
    pub(crate) error: Option<Value>,
}

#[derive(Deserialize)]
struct Incoming<'a> {
    #[serde(default, borrow)]
    model: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    choices: Option<Vec<IncomingChoice<'a>>>,
    #[serde(default)]
    usage: Option<WireUsage>,
    #[serde(default)]
    service_tier: Option<String>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
struct IncomingChoice<'a> {
    #[serde(default)]
    index: usize,
    #[serde(default, borrow)]
    delta: Option<IncomingDelta<'a>>,
    /// The older form has its text here.
    #[serde(default, borrow)]
    text: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    finish_reason: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct IncomingDelta<'a> {
    #[serde(default, borrow)]
    content: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    reasoning_content: Option<Cow<'a, str>>,
    #[serde(default, borrow)]
    refusal: Option<Cow<'a, str>>,
    #[serde(default)]
    tool_calls: Option<Vec<IncomingToolCall>>,
}

#[derive(Deserialize)]
struct IncomingToolCall {
    #[serde(default)]
    index: usize,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    function: Option<IncomingFunction>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct IncomingFunction {
    name: Option<String>,
    arguments: Option<String>,
}

/// Reads the data of one event, and appends the events it stands for.
pub(crate) fn decode(data: &[u8], events: &mut Vec<Event>) -> Result<Decoded, serde_json::Error> {
    let incoming: Incoming<'_> = serde_json::from_slice(data)?;
    let choices = incoming.choices.unwrap_or_default();
    let decoded = Decoded {
        is_usage_only: choices.is_empty() && incoming.usage.is_some(),
        error: incoming.error,
    };
    if let Some(model) = incoming.model.filter(|model| !model.is_empty()) {
        events.push(Event::Start {
            model: model.into_owned(),
        });
    }
    for choice in choices {
        take_choice(choice, events);
    }
    events.extend(incoming.service_tier.map(Event::ServiceTier));
    let usage = incoming.usage.map(|usage| Event::Usage(usage.into()));
    events.extend(usage);
    Ok(decoded)
}

fn take_choice(choice: IncomingChoice<'_>, events: &mut Vec<Event>) {
    let index = choice.index;
    let mut push = |delta| {
        events.push(Event::Delta {
            choice: index,
            delta,
        });
    };
    if let Some(text) = choice.text.filter(|text| !text.is_empty()) {
        push(Delta::Text(text.into_owned()));
    }
    if let Some(delta) = choice.delta {
        let text = |text: Option<Cow<'_, str>>| text.filter(|t| !t.is_empty()).map(Cow::into_owned);
        text(delta.reasoning_content)
            .map(Delta::Reasoning)
            .into_iter()
            .for_each(&mut push);
        text(delta.content)
            .map(Delta::Text)
            .into_iter()
            .for_each(&mut push);
        text(delta.refusal)
            .map(Delta::Refusal)
            .into_iter()
            .for_each(&mut push);
        for call in delta.tool_calls.unwrap_or_default() {
            let function = call.function.unwrap_or_default();
            push(Delta::ToolCall {
                index: call.index,
                id: call.id,
                name: function.name,
                arguments: function.arguments.unwrap_or_default(),
                signature: None,
            });
        }
    }
    if let Some(reason) = choice.finish_reason {
        events.push(Event::Finish {
            choice: index,
            finish: finish_from(&reason),
        });
    }
}

/// Writes events as chunks for a client.
#[derive(Debug)]
pub(crate) struct Encoder {
    id: String,
    created: i64,
    model: String,
    include_usage: bool,
    usage: Option<Usage>,
    /// Choices whose first chunk, which names the role, has been written.
    begun: Vec<bool>,
}

#[derive(Serialize)]
struct Outgoing<'a> {
    id: &'a str,
    object: &'static str,
    created: i64,
    model: &'a str,
    choices: &'a [OutgoingChoice<'a>],
    /// Absent for those who did not ask, null until the end for those who did.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<OutgoingUsage>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum OutgoingUsage {
    /// Null.
    NotYet(()),
    Known(WireUsage),
}

#[derive(Serialize)]
struct OutgoingChoice<'a> {
    index: usize,
    delta: OutgoingDelta<'a>,
    logprobs: Option<()>,
    finish_reason: Option<&'static str>,
}

#[derive(Default, Serialize)]
struct OutgoingDelta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[OutgoingToolCall<'a>; 1]>,
}

#[derive(Serialize)]
struct OutgoingToolCall<'a> {
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<&'static str>,
    function: OutgoingFunction<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extra_content: Option<Value>,
}

#[derive(Serialize)]
struct OutgoingFunction<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    arguments: &'a str,
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
            begun: Vec::new(),
        }
    }

    /// Appends what an event says to the client's stream.
    pub(crate) fn write(&mut self, event: &Event, out: &mut BytesMut) {
        match event {
            Event::Start { model } => self.model.clone_from(model),
            Event::Usage(usage) => self.usage = Some(*usage),
            // Told on pass-through only: a translated stream has another provider's services, and this dialect
            // has no place for a signature.
            Event::ServiceTier(_)
            | Event::Unsaid
            | Event::Delta {
                delta: Delta::Signature(_),
                ..
            } => {}
            Event::Delta { choice, delta } => {
                self.begin(*choice, out);
                self.write_choice(*choice, outgoing_delta(delta), None, out);
            }
            Event::Finish { choice, finish } => {
                self.begin(*choice, out);
                self.write_choice(*choice, OutgoingDelta::default(), Some(*finish), out);
            }
        }
    }

    /// The end: the usage for those who asked, then `[DONE]`.
    pub(crate) fn finish(&mut self) -> Bytes {
        let mut out = BytesMut::new();
        if self.include_usage {
            let usage = OutgoingUsage::Known(self.usage.unwrap_or_default().into());
            self.write_chunk(&[], Some(usage), &mut out);
        }
        out.put_slice(b"data: [DONE]\n\n");
        out.freeze()
    }

    fn begin(&mut self, choice: usize, out: &mut BytesMut) {
        if self.begun.len() <= choice && choice < types::reply::CHOICES_MAX {
            self.begun.resize(choice + 1, false);
        }
        let Some(begun) = self.begun.get_mut(choice) else {
            return;
        };
        if !std::mem::replace(begun, true) {
            let delta = OutgoingDelta {
                role: Some("assistant"),
                content: Some(""),
                ..OutgoingDelta::default()
            };
            self.write_choice(choice, delta, None, out);
        }
    }

    fn write_choice(
        &self,
        index: usize,
        delta: OutgoingDelta<'_>,
        finish: Option<Finish>,
        out: &mut BytesMut,
    ) {
        let choice = OutgoingChoice {
            index,
            delta,
            logprobs: None,
            finish_reason: finish.map(finish_word),
        };
        self.write_chunk(
            &[choice],
            self.include_usage.then_some(OutgoingUsage::NotYet(())),
            out,
        );
    }

    fn write_chunk(
        &self,
        choices: &[OutgoingChoice<'_>],
        usage: Option<OutgoingUsage>,
        out: &mut BytesMut,
    ) {
        let chunk = Outgoing {
            id: &self.id,
            object: "chat.completion.chunk",
            created: self.created,
            model: &self.model,
            choices,
            usage,
        };
        out.put_slice(b"data: ");
        // Writing to memory cannot fail, and every field is plain data.
        let _ = serde_json::to_writer((&mut *out).writer(), &chunk);
        out.put_slice(b"\n\n");
    }
}

fn outgoing_delta(delta: &Delta) -> OutgoingDelta<'_> {
    let mut outgoing = OutgoingDelta::default();
    match delta {
        Delta::Text(text) => outgoing.content = Some(text),
        Delta::Reasoning(text) => outgoing.reasoning_content = Some(text),
        Delta::Refusal(text) => outgoing.refusal = Some(text),
        Delta::Signature(_) => {}
        Delta::ToolCall {
            index,
            id,
            name,
            arguments,
            signature,
        } => {
            outgoing.tool_calls = Some([OutgoingToolCall {
                index: *index,
                id: id.as_deref(),
                r#type: id.is_some().then_some("function"),
                function: OutgoingFunction {
                    name: name.as_deref(),
                    arguments,
                },
                extra_content: signature.as_deref().map(extra_content),
            }]);
        }
    }
    outgoing
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(include_usage: bool) -> String {
        let mut encoder = Encoder::new(
            "chatcmpl-1".to_owned(),
            DateTime::UNIX_EPOCH,
            "m".to_owned(),
            include_usage,
        );
        let mut out = BytesMut::new();
        let events = [
            Event::Delta {
                choice: 0,
                delta: Delta::Text("hi".to_owned()),
            },
            Event::Finish {
                choice: 0,
                finish: Finish::Stop,
            },
            Event::Usage(Usage {
                input_tokens: 3,
                output_tokens: 1,
                ..Usage::default()
            }),
        ];
        for event in &events {
            encoder.write(event, &mut out);
        }
        out.extend_from_slice(&encoder.finish());
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn usage_is_a_chunk_of_its_own_and_only_for_those_who_asked() {
        let asked = stream(true);
        assert!(asked.contains(r#""choices":[],"usage":{"prompt_tokens":3"#));
        assert!(asked.contains(r#""finish_reason":"stop"}],"usage":null"#));
        assert!(!stream(false).contains("usage"));
    }

    #[test]
    fn the_first_chunk_names_the_role_and_the_last_is_done() {
        let text = stream(false);
        let chunks: Vec<&str> = text.trim_end().split("\n\n").collect();
        assert!(chunks[0].contains(r#""delta":{"role":"assistant","content":""}"#));
        assert_eq!(chunks.len(), 4);
        assert_eq!(chunks[3], "data: [DONE]");
    }

    #[test]
    fn chunks_without_choices_are_understood() {
        let mut events = Vec::new();
        assert!(
            !decode(br#"{"choices":[]}"#, &mut events)
                .unwrap()
                .is_usage_only
        );
        assert!(!decode(br#"{"id":"x"}"#, &mut events).unwrap().is_usage_only);
        assert!(events.is_empty());
        let usage = br#"{"choices":[],"usage":{"prompt_tokens":1}}"#;
        assert!(decode(usage, &mut events).unwrap().is_usage_only);
    }
}
