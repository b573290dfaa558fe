//! The events of a streamed message: read from a provider, written to a client.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use types::Usage;
use types::reply::{Delta, Event, Finish};

use super::message::{Block, Outgoing, OutgoingBlock, finish_from, finish_word, is_unsayable};
use super::usage::{ToldUsage, WireUsage};
use crate::wire::write;

/// Reads the events of one stream.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    usage: WireUsage,
    /// The tool call that a block is, by the block's index; others have none.
    blocks: Vec<Option<usize>>,
    tool_calls: usize,
    thought: bool,
}

/// What an event is, beyond what it says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Incoming {
    /// One of many.
    More,
    /// The last one.
    Stop,
    /// The provider's error, told in the middle of the stream.
    Error(Value),
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    #[serde(default, borrow)]
    message: Option<WireStart<'a>>,
    #[serde(default)]
    index: usize,
    #[serde(default, borrow)]
    content_block: Option<Block<'a>>,
    #[serde(default, borrow)]
    delta: Option<WireDelta<'a>>,
    #[serde(default)]
    usage: Option<WireUsage>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
struct WireStart<'a> {
    #[serde(default, borrow)]
    model: Cow<'a, str>,
    #[serde(default)]
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct WireDelta<'a> {
    #[serde(default, borrow)]
    r#type: Option<Cow<'a, str>>,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    thinking: Option<String>,
    #[serde(default)]
    signature: Option<String>,
    #[serde(default)]
    partial_json: Option<String>,
    #[serde(default, borrow)]
    stop_reason: Option<Cow<'a, str>>,
}

impl Reader {
    /// Reads the data of one event.
    pub(crate) fn read(
        &mut self,
        data: &[u8],
        events: &mut Vec<Event>,
    ) -> Result<Incoming, serde_json::Error> {
        let wire: Wire<'_> = serde_json::from_slice(data)?;
        match &*wire.r#type {
            "message_start" => self.start(wire.message, events),
            "content_block_start" => self.begin_block(wire.index, wire.content_block, events),
            "content_block_delta" => {
                let delta = wire.delta.map(|delta| self.delta(wire.index, delta));
                events.extend(delta);
            }
            "message_delta" => {
                let reason = wire.delta.and_then(|delta| delta.stop_reason);
                if let Some(reason) = reason {
                    events.extend(is_unsayable(&reason).then_some(Event::Unsaid));
                    events.push(Event::Finish {
                        choice: 0,
                        finish: finish_from(&reason),
                    });
                }
                self.take_usage(wire.usage, events);
            }
            "message_stop" => return Ok(Incoming::Stop),
            "error" => return Ok(Incoming::Error(wire.error.unwrap_or_default())),
            // `ping`, `content_block_stop`, and whatever may be added.
            _ => {}
        }
        Ok(Incoming::More)
    }

    fn start(&mut self, message: Option<WireStart<'_>>, events: &mut Vec<Event>) {
        let Some(message) = message else {
            return;
        };
        events.push(Event::Start {
            model: message.model.into_owned(),
        });
        self.take_usage(message.usage.map(WireUsage::at_start), events);
    }

    fn take_usage(&mut self, usage: Option<WireUsage>, events: &mut Vec<Event>) {
        if let Some(usage) = usage {
            self.usage = self.usage.updated(usage);
            events.push(Event::Usage(self.usage.into()));
        }
    }

    fn begin_block(&mut self, index: usize, block: Option<Block<'_>>, events: &mut Vec<Event>) {
        let (Some(block), true) = (block, index < types::reply::CHOICES_MAX) else {
            events.push(Event::Unsaid);
            return;
        };
        if self.blocks.len() <= index {
            self.blocks.resize(index + 1, None);
        }
        let delta = match &*block.r#type {
            "text" => block.text.filter(|text| !text.is_empty()).map(Delta::Text),
            "thinking" => {
                events.extend(std::mem::replace(&mut self.thought, true).then_some(Event::Unsaid));
                let thinking = block.thinking.filter(|text| !text.is_empty());
                thinking.map(Delta::Reasoning)
            }
            "tool_use" => {
                let call = self.tool_calls;
                self.tool_calls += 1;
                if let Some(place) = self.blocks.get_mut(index) {
                    *place = Some(call);
                }
                Some(Delta::ToolCall {
                    index: call,
                    id: block.id,
                    name: block.name,
                    arguments: String::new(),
                    signature: None,
                })
            }
            _ => return events.push(Event::Unsaid),
        };
        events.extend(delta.map(|delta| Event::Delta { choice: 0, delta }));
    }

    fn delta(&self, index: usize, delta: WireDelta<'_>) -> Event {
        let delta = match delta.r#type.as_deref() {
            Some("text_delta") => delta.text.map(Delta::Text),
            Some("thinking_delta") => delta.thinking.map(Delta::Reasoning),
            Some("signature_delta") => delta.signature.map(Delta::Signature),
            Some("input_json_delta") => {
                let call = self.blocks.get(index).copied().flatten();
                let arguments = delta.partial_json;
                call.zip(arguments)
                    .map(|(index, arguments)| Delta::ToolCall {
                        index,
                        id: None,
                        name: None,
                        arguments,
                        signature: None,
                    })
            }
            _ => None,
        };
        delta.map_or(Event::Unsaid, |delta| Event::Delta { choice: 0, delta })
    }
}

/// Writes events as a message for a client. This dialect has one answer; others are passed over.
#[derive(Debug)]
pub(crate) struct Encoder {
    id: String,
    model: String,
    shows_reasoning: bool,
    started: bool,
    /// The block being written, and how many there were before it.
    open: Option<Open>,
    blocks: usize,
    finish: Option<Finish>,
    usage: Option<Usage>,
}

/// What an open block is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Thinking,
    Text,
    Tool(usize),
}

#[derive(Serialize)]
struct MessageStart<'a> {
    r#type: &'static str,
    message: Outgoing<'a>,
}

#[derive(Serialize)]
struct BlockStart<'a> {
    r#type: &'static str,
    index: usize,
    content_block: OutgoingBlock<'a>,
}

#[derive(Serialize)]
struct BlockDelta<'a> {
    r#type: &'static str,
    index: usize,
    delta: OutgoingDelta<'a>,
}

#[derive(Serialize)]
#[serde(tag = "type")]
enum OutgoingDelta<'a> {
    #[serde(rename = "text_delta")]
    Text { text: &'a str },
    #[serde(rename = "thinking_delta")]
    Thinking { thinking: &'a str },
    #[serde(rename = "signature_delta")]
    Signature { signature: &'a str },
    #[serde(rename = "input_json_delta")]
    InputJson { partial_json: &'a str },
}

#[derive(Serialize)]
struct BlockStop {
    r#type: &'static str,
    index: usize,
}

#[derive(Serialize)]
struct MessageDelta {
    r#type: &'static str,
    delta: StopReason,
    usage: ToldUsage,
}

#[derive(Serialize)]
struct StopReason {
    stop_reason: &'static str,
    stop_sequence: Option<()>,
}

#[derive(Serialize)]
struct MessageStop {
    r#type: &'static str,
}

impl Encoder {
    /// An encoder for one stream; the model is the one asked for, until the provider names its own.
    pub(crate) fn new(id: String, model: String, shows_reasoning: bool) -> Self {
        Self {
            id,
            model,
            shows_reasoning,
            started: false,
            open: None,
            blocks: 0,
            finish: None,
            usage: None,
        }
    }

    /// Appends what an event says to the client's stream.
    pub(crate) fn write(&mut self, event: &Event, out: &mut BytesMut) {
        match event {
            Event::Start { model } => self.model.clone_from(model),
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::Finish { choice: 0, finish } => self.finish = Some(*finish),
            Event::Delta { choice: 0, delta } => self.write_delta(delta, out),
            // Other answers, and what a client of the provider's own dialect is told as it is.
            Event::Finish { .. } | Event::Delta { .. } | Event::ServiceTier(_) | Event::Unsaid => {}
        }
    }

    /// The end: the reason, the usage, and that it is the end.
    pub(crate) fn finish(&mut self) -> Bytes {
        let mut out = BytesMut::new();
        self.start(&mut out);
        self.close(&mut out);
        let end = MessageDelta {
            r#type: "message_delta",
            delta: StopReason {
                stop_reason: finish_word(self.finish.unwrap_or(Finish::Stop)),
                stop_sequence: None,
            },
            usage: self.usage.unwrap_or_default().into(),
        };
        write::named_event("message_delta", &end, &mut out);
        let stop = MessageStop {
            r#type: "message_stop",
        };
        write::named_event("message_stop", &stop, &mut out);
        out.freeze()
    }

    fn write_delta(&mut self, delta: &Delta, out: &mut BytesMut) {
        let (kind, delta) = match delta {
            Delta::Reasoning(_) | Delta::Signature(_) if !self.shows_reasoning => return,
            Delta::Reasoning(thinking) => (Open::Thinking, OutgoingDelta::Thinking { thinking }),
            Delta::Signature(signature) => (Open::Thinking, OutgoingDelta::Signature { signature }),
            Delta::Text(text) | Delta::Refusal(text) => (Open::Text, OutgoingDelta::Text { text }),
            Delta::ToolCall {
                index,
                id,
                name,
                arguments,
                ..
            } => {
                self.open_tool(*index, id.as_deref(), name.as_deref(), out);
                if arguments.is_empty() {
                    return;
                }
                let partial_json = arguments;
                (
                    Open::Tool(*index),
                    OutgoingDelta::InputJson { partial_json },
                )
            }
        };
        if self.open != Some(kind) {
            let block = match kind {
                Open::Thinking => OutgoingBlock::Thinking {
                    thinking: "",
                    signature: "",
                },
                Open::Text | Open::Tool(_) => OutgoingBlock::Text { text: "" },
            };
            self.begin(kind, block, out);
        }
        let delta = BlockDelta {
            r#type: "content_block_delta",
            index: self.blocks,
            delta,
        };
        write::named_event("content_block_delta", &delta, out);
    }

    fn open_tool(
        &mut self,
        index: usize,
        id: Option<&str>,
        name: Option<&str>,
        out: &mut BytesMut,
    ) {
        if self.open == Some(Open::Tool(index)) {
            return;
        }
        let block = OutgoingBlock::ToolUse {
            id: id.unwrap_or_default(),
            name: name.unwrap_or_default(),
            input: Value::Object(Map::new()),
        };
        self.begin(Open::Tool(index), block, out);
    }

    fn begin(&mut self, kind: Open, content_block: OutgoingBlock<'_>, out: &mut BytesMut) {
        self.start(out);
        self.close(out);
        let start = BlockStart {
            r#type: "content_block_start",
            index: self.blocks,
            content_block,
        };
        write::named_event("content_block_start", &start, out);
        self.open = Some(kind);
    }

    fn close(&mut self, out: &mut BytesMut) {
        if self.open.take().is_some() {
            let stop = BlockStop {
                r#type: "content_block_stop",
                index: self.blocks,
            };
            write::named_event("content_block_stop", &stop, out);
            self.blocks += 1;
        }
    }

    fn start(&mut self, out: &mut BytesMut) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        let start = MessageStart {
            r#type: "message_start",
            message: Outgoing {
                id: &self.id,
                r#type: "message",
                role: "assistant",
                model: &self.model,
                content: Vec::new(),
                stop_reason: None,
                stop_sequence: None,
                usage: self.usage.unwrap_or_default().into(),
            },
        };
        write::named_event("message_start", &start, out);
    }
}

#[cfg(test)]
mod tests;
