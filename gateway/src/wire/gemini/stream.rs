//! Writes a streamed answer: server-sent events, or the elements of one JSON array.
//!
//! Nothing but `data: ` lines may stand in the events: clients take everything else for part of the answer.

use bytes::{BufMut, Bytes, BytesMut};
use types::Usage;
use types::call::{Delivery, ToolCall};
use types::reply::{CHOICES_MAX, Delta, Event, Finish};

use super::answer::{Candidate, Content, Part, Response, finish_word};
use super::error;
use crate::error::Error;
use crate::wire::write;

/// How the responses of a stream follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// `?alt=sse`.
    Events,
    /// One array; whether it has begun.
    Array(bool),
}

impl Framing {
    /// The framing that a client asked for.
    pub(crate) const fn of(delivery: Delivery) -> Self {
        match delivery {
            Delivery::Array => Self::Array(false),
            Delivery::Whole | Delivery::Stream { .. } => Self::Events,
        }
    }

    /// Appends one response, as JSON.
    pub(crate) fn put(&mut self, json: &[u8], out: &mut BytesMut) {
        self.open(out);
        out.put_slice(json);
        self.close(out);
    }

    /// Appends the error that ends a stream which cannot be completed.
    pub(crate) fn fail(&mut self, error: &Error) -> Bytes {
        let mut out = BytesMut::new();
        self.open(&mut out);
        error::append(error, &mut out);
        self.close(&mut out);
        out.extend_from_slice(&self.end());
        out.freeze()
    }

    /// The end.
    pub(crate) const fn end(self) -> Bytes {
        match self {
            Self::Events => Bytes::new(),
            Self::Array(false) => Bytes::from_static(b"[]"),
            Self::Array(true) => Bytes::from_static(b"]"),
        }
    }

    fn open(&mut self, out: &mut BytesMut) {
        match self {
            Self::Events => out.put_slice(b"data: "),
            Self::Array(begun) => {
                let mark: &[u8] = if std::mem::replace(begun, true) {
                    b",\r\n"
                } else {
                    b"["
                };
                out.put_slice(mark);
            }
        }
    }

    fn close(self, out: &mut BytesMut) {
        if self == Self::Events {
            out.put_slice(b"\r\n\r\n");
        }
    }
}

/// Writes events as responses for a client.
#[derive(Debug)]
pub(crate) struct Encoder {
    id: String,
    model: String,
    shows_reasoning: bool,
    framing: Framing,
    candidates: Vec<Ending>,
    usage: Option<Usage>,
}

/// What of a candidate is told at its end: calls are told whole, and the last ones with the reason.
#[derive(Debug, Clone, Default)]
struct Ending {
    call: Option<(usize, ToolCall)>,
    finish: Option<Finish>,
}

impl Encoder {
    /// An encoder for one stream; the model is the one asked for, until the provider names its own.
    pub(crate) const fn new(
        id: String,
        model: String,
        shows_reasoning: bool,
        framing: Framing,
    ) -> Self {
        Self {
            id,
            model,
            shows_reasoning,
            framing,
            candidates: Vec::new(),
            usage: None,
        }
    }

    /// Appends what an event says to the client's stream.
    pub(crate) fn write(&mut self, event: &Event, out: &mut BytesMut) {
        match event {
            Event::Start { model } => self.model.clone_from(model),
            Event::Usage(usage) => self.usage = Some(*usage),
            Event::Finish { choice, finish } => {
                if let Some(ending) = self.ending(*choice) {
                    ending.finish = Some(*finish);
                }
            }
            Event::Delta { choice, delta } => self.write_delta(*choice, delta, out),
            // Told to a client of the provider's own dialect as it is.
            Event::ServiceTier(_) | Event::Unsaid => {}
        }
    }

    /// The end: the last calls, the reasons, the usage.
    pub(crate) fn finish(&mut self) -> Bytes {
        let endings = std::mem::take(&mut self.candidates);
        let candidates = endings.iter().enumerate().map(|(index, ending)| {
            let call = ending.call.as_ref().map(|(_, call)| Part::call(call));
            Candidate {
                content: Content::of(call.into_iter().collect()),
                finish_reason: Some(finish_word(ending.finish.unwrap_or(Finish::Stop))),
                index,
            }
        });
        let mut out = BytesMut::new();
        let candidates = candidates.collect();
        self.put(candidates, self.usage, &mut out);
        out.extend_from_slice(&self.framing.end());
        out.freeze()
    }

    /// The error that ends the stream instead.
    pub(crate) fn fail(&mut self, error: &Error) -> Bytes {
        self.framing.fail(error)
    }

    fn write_delta(&mut self, choice: usize, delta: &Delta, out: &mut BytesMut) {
        match delta {
            Delta::Text(text) | Delta::Refusal(text) => {
                self.put_part(choice, Part::text(text), out);
            }
            Delta::Reasoning(text) if self.shows_reasoning => {
                self.put_part(choice, Part::thought(text), out);
            }
            Delta::Reasoning(_) | Delta::Signature(_) => {}
            Delta::ToolCall {
                index,
                id,
                name,
                arguments,
                signature,
            } => {
                self.begin_call(choice, *index, out);
                let Some((_, call)) = self.ending(choice).and_then(|it| it.call.as_mut()) else {
                    return;
                };
                call.id.push_str(id.as_deref().unwrap_or_default());
                call.name.push_str(name.as_deref().unwrap_or_default());
                call.arguments.push_str(arguments);
                if signature.is_some() {
                    call.signature.clone_from(signature);
                }
            }
        }
    }

    /// Makes this call the one being gathered, and tells the one before it.
    fn begin_call(&mut self, choice: usize, index: usize, out: &mut BytesMut) {
        let Some(ending) = self.ending(choice) else {
            return;
        };
        if ending.call.as_ref().is_some_and(|(at, _)| *at == index) {
            return;
        }
        let before = ending.call.replace((index, ToolCall::default()));
        if let Some((_, call)) = before {
            self.put_part(choice, Part::call(&call), out);
        }
    }

    fn ending(&mut self, choice: usize) -> Option<&mut Ending> {
        if self.candidates.len() <= choice && choice < CHOICES_MAX {
            self.candidates.resize(choice + 1, Ending::default());
        }
        self.candidates.get_mut(choice)
    }

    fn put_part(&mut self, index: usize, part: Part<'_>, out: &mut BytesMut) {
        if self.ending(index).is_none() {
            return;
        }
        let candidate = Candidate {
            content: Content::of(vec![part]),
            finish_reason: None,
            index,
        };
        self.put(vec![candidate], None, out);
    }

    fn put(&mut self, candidates: Vec<Candidate<'_>>, usage: Option<Usage>, out: &mut BytesMut) {
        let response = Response {
            candidates,
            usage_metadata: usage.map(Into::into),
            model_version: &self.model,
            response_id: &self.id,
        };
        self.framing.open(out);
        write::append(&response, out);
        self.framing.close(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn events() -> Vec<Event> {
        let call = |index, id: Option<&str>, arguments: &str| Event::Delta {
            choice: 0,
            delta: Delta::ToolCall {
                index,
                id: id.map(str::to_owned),
                name: id.map(|_| "f".to_owned()),
                arguments: arguments.to_owned(),
                signature: id.filter(|_| index == 0).map(|_| "sig".to_owned()),
            },
        };
        vec![
            Event::Start {
                model: "m".to_owned(),
            },
            Event::Delta {
                choice: 0,
                delta: Delta::Text("hi".to_owned()),
            },
            call(0, Some("c1"), ""),
            call(0, None, r#"{"x""#),
            call(0, None, ":1}"),
            call(1, Some("c2"), "broken"),
            Event::Finish {
                choice: 0,
                finish: Finish::ToolCalls,
            },
            Event::Usage(Usage {
                input_tokens: 3,
                output_tokens: 1,
                ..Usage::default()
            }),
        ]
    }

    fn stream(framing: Framing) -> String {
        let mut encoder = Encoder::new("r1".to_owned(), "asked".to_owned(), false, framing);
        let mut out = BytesMut::new();
        for event in events() {
            encoder.write(&event, &mut out);
        }
        out.extend_from_slice(&encoder.finish());
        String::from_utf8(out.to_vec()).unwrap()
    }

    fn is_what_was_said(responses: &[Value]) {
        let part = |at: usize| &responses[at]["candidates"][0]["content"]["parts"][0];
        assert_eq!(part(0), &json!({"text": "hi"}));
        assert_eq!(
            part(1),
            &json!({"functionCall": {"id": "c1", "name": "f", "args": {"x": 1}}, "thoughtSignature": "sig"})
        );
        assert_eq!(
            part(2),
            &json!({"functionCall": {"id": "c2", "name": "f", "args": {}}})
        );
        assert_eq!(responses[2]["candidates"][0]["finishReason"], "STOP");
        assert_eq!(responses[2]["usageMetadata"]["totalTokenCount"], 4);
        assert_eq!(responses.len(), 3);
    }

    #[test]
    fn calls_are_told_whole_and_only_data_lines_are_sent() {
        let text = stream(Framing::Events);
        let responses: Vec<Value> = text
            .split_terminator("\r\n\r\n")
            .map(|event| serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap())
            .collect();
        is_what_was_said(&responses);
    }

    #[test]
    fn without_events_it_is_one_array_also_when_it_fails_or_says_nothing() {
        let array = |text: &str| serde_json::from_str::<Vec<Value>>(text).unwrap();
        is_what_was_said(&array(&stream(Framing::Array(false))));
        for begun in [false, true] {
            let mut framing = Framing::Array(false);
            let mut out = BytesMut::new();
            if begun {
                framing.put(b"{}", &mut out);
            }
            out.extend_from_slice(&framing.fail(&Error::BadKey));
            let text = String::from_utf8(out.to_vec()).unwrap();
            assert_eq!(array(&text).last().unwrap()["error"]["code"], 400);
        }
        assert_eq!(Framing::Array(false).end(), "[]");
    }
}
