//! The events of a streamed response, written for a client; each is typed and numbered.
//!
//! Items are open until the answer's end, so that a provider may go back and forth between them.

use bytes::{Bytes, BytesMut};
use serde_json::{Value, json};
use types::call::ToolCall;
use types::reply::{Assembly, Choice, Delta, Event};

use super::answer::{Frame, refusal_part, status, text_part};
use crate::error::Error;
use crate::wire::write;

/// Writes events for a client.
#[derive(Debug)]
pub(crate) struct Encoder {
    frame: Frame,
    /// The number of the next event.
    sequence: u64,
    /// The answer so far.
    answer: Assembly,
    /// The items begun, in the order of the output.
    items: Vec<Item>,
    /// The parts of the message begun, in their order.
    parts: Vec<Kind>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Item {
    Message,
    /// The call at this position.
    FunctionCall(usize),
}

/// What a part of a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Refusal,
}

impl Encoder {
    /// An encoder for one stream.
    pub(crate) fn new(frame: Frame) -> Self {
        Self {
            frame,
            sequence: 0,
            answer: Assembly::default(),
            items: Vec::new(),
            parts: Vec::new(),
        }
    }

    /// Appends what an event says to the client's stream.
    pub(crate) fn write(&mut self, event: &Event, out: &mut BytesMut) {
        if let Event::Start { model } = event {
            self.frame.set_model(model);
        }
        self.begin(out);
        self.answer.add(event);
        // A response has one answer.
        if let Event::Delta { choice: 0, delta } = event {
            self.write_delta(delta, out);
        }
    }

    /// The end: every item closed, then the response as a whole.
    pub(crate) fn finish(&mut self) -> Bytes {
        let mut out = BytesMut::new();
        self.begin(&mut out);
        let answer = std::mem::take(&mut self.answer).into_answer();
        let choice = answer.choices.into_iter().next().unwrap_or_default();
        let mut output = Vec::with_capacity(self.items.len());
        for (position, item) in std::mem::take(&mut self.items).into_iter().enumerate() {
            output.extend(match item {
                Item::Message => self.close_message(position, &choice, &mut out),
                Item::FunctionCall(index) => {
                    self.close_function_call((position, index), &choice, &mut out)
                }
            });
        }
        let name = match status(choice.finish) {
            "incomplete" => "response.incomplete",
            _ => "response.completed",
        };
        let response = self.frame.ended(choice.finish, &output, answer.usage);
        self.put(name, json!({ "response": response }), &mut out);
        out.freeze()
    }

    /// The error that ends a stream instead.
    pub(crate) fn fail(&mut self, error: &Error) -> Bytes {
        let mut out = BytesMut::new();
        let said =
            json!({ "code": error.code(), "message": error.to_string(), "param": error.param() });
        self.put("error", said, &mut out);
        out.freeze()
    }

    fn begin(&mut self, out: &mut BytesMut) {
        if self.sequence == 0 {
            for name in ["response.created", "response.in_progress"] {
                let response = self.frame.begun();
                self.put(name, json!({ "response": response }), out);
            }
        }
    }

    fn write_delta(&mut self, delta: &Delta, out: &mut BytesMut) {
        match delta {
            Delta::Text(text) => self.write_part(Kind::Text, text, out),
            Delta::Refusal(text) => self.write_part(Kind::Refusal, text, out),
            Delta::ToolCall {
                index,
                id,
                name,
                arguments,
                ..
            } => {
                let begun = ToolCall {
                    id: id.clone().unwrap_or_default(),
                    name: name.clone().unwrap_or_default(),
                    ..ToolCall::default()
                };
                self.write_arguments((*index, &begun), arguments, out);
            }
            // Thoughts are told to those who asked for a summary, and no provider gives one here.
            Delta::Reasoning(_) | Delta::Signature(_) => {}
        }
    }

    fn write_part(&mut self, kind: Kind, text: &str, out: &mut BytesMut) {
        let id = self.frame.message_id();
        let (position, is_new) = position_of(&mut self.items, Item::Message);
        if is_new {
            let item = json!({ "id": id, "type": "message", "status": "in_progress", "role": "assistant", "content": [] });
            let added = json!({ "output_index": position, "item": item });
            self.put("response.output_item.added", added, out);
        }
        let (part, is_new) = position_of(&mut self.parts, kind);
        if is_new {
            let added = json!({ "item_id": id, "output_index": position, "content_index": part, "part": kind.part("") });
            self.put("response.content_part.added", added, out);
        }
        let mut said = json!({ "item_id": id, "output_index": position, "content_index": part, "delta": text });
        if kind == Kind::Text {
            with(&mut said, "logprobs", json!([]));
        }
        self.put(&format!("response.{}.delta", kind.word()), said, out);
    }

    fn write_arguments(
        &mut self,
        (index, begun): (usize, &ToolCall),
        arguments: &str,
        out: &mut BytesMut,
    ) {
        if index >= types::reply::CHOICES_MAX {
            return;
        }
        let (position, is_new) = position_of(&mut self.items, Item::FunctionCall(index));
        if is_new {
            let item = self.frame.function_call(index, begun, "in_progress");
            let added = json!({ "output_index": position, "item": item });
            self.put("response.output_item.added", added, out);
        }
        if !arguments.is_empty() {
            let id = self.frame.function_call_id(index);
            let more = json!({ "item_id": id, "output_index": position, "delta": arguments });
            self.put("response.function_call_arguments.delta", more, out);
        }
    }

    fn close_message(
        &mut self,
        position: usize,
        choice: &Choice,
        out: &mut BytesMut,
    ) -> Option<Value> {
        let id = self.frame.message_id();
        for (part, kind) in std::mem::take(&mut self.parts).into_iter().enumerate() {
            let text = kind.of(choice);
            let mut said =
                json!({ "item_id": id, "output_index": position, "content_index": part });
            let mut done = said.clone();
            with(&mut said, kind.field(), text.into());
            if kind == Kind::Text {
                with(&mut said, "logprobs", json!([]));
            }
            self.put(&format!("response.{}.done", kind.word()), said, out);
            with(&mut done, "part", kind.part(text));
            self.put("response.content_part.done", done, out);
        }
        let item = self.frame.message(choice)?;
        self.close(position, &item, out);
        Some(item)
    }

    fn close_function_call(
        &mut self,
        (position, index): (usize, usize),
        choice: &Choice,
        out: &mut BytesMut,
    ) -> Option<Value> {
        let call = choice.tool_calls.get(index)?;
        let done = json!({ "item_id": self.frame.function_call_id(index), "output_index": position,
            "name": call.name, "arguments": call.arguments });
        self.put("response.function_call_arguments.done", done, out);
        let item = self.frame.function_call(index, call, status(choice.finish));
        self.close(position, &item, out);
        Some(item)
    }

    fn close(&mut self, position: usize, item: &Value, out: &mut BytesMut) {
        let done = json!({ "output_index": position, "item": item });
        self.put("response.output_item.done", done, out);
    }

    fn put(&mut self, name: &str, mut event: Value, out: &mut BytesMut) {
        with(&mut event, "type", name.into());
        with(&mut event, "sequence_number", self.sequence.into());
        self.sequence += 1;
        write::named_event(name, &event, out);
    }
}

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Self::Text => "output_text",
            Self::Refusal => "refusal",
        }
    }

    const fn field(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Refusal => "refusal",
        }
    }

    fn of(self, choice: &Choice) -> &str {
        let text = match self {
            Self::Text => &choice.text,
            Self::Refusal => &choice.refusal,
        };
        text.as_deref().unwrap_or_default()
    }

    fn part(self, text: &str) -> Value {
        match self {
            Self::Text => text_part(text),
            Self::Refusal => refusal_part(text),
        }
    }
}

/// Where something stands in a list, and whether it was only now added.
fn position_of<T: PartialEq>(list: &mut Vec<T>, one: T) -> (usize, bool) {
    if let Some(position) = list.iter().position(|other| *other == one) {
        return (position, false);
    }
    list.push(one);
    (list.len() - 1, true)
}

fn with(object: &mut Value, name: &str, value: Value) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert(name.to_owned(), value);
    }
}

#[cfg(test)]
mod tests;
