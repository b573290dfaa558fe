//! Writes an answer in the client's dialect: passed through where the provider speaks it, translated where not.

use bytes::{Bytes, BytesMut};
use types::Id;
use types::call::{Delivery, Dialect, Endpoint};
use types::id::Request;
use types::reply::Answer;

use crate::error::Error;
use crate::measure;
use crate::prompt::Prompt;
use crate::provider::Pass;
use crate::route::Transport;
use crate::upstream::Piece;
use crate::wire::gemini::stream::Framing;
use crate::wire::openai::{chunk, completion, embeddings, legacy, responses};
use crate::wire::{anthropic, client, gemini};

/// Writes one stream.
#[derive(Debug)]
pub(crate) enum Writer {
    /// Forwards the provider's events.
    PassThrough(PassThrough),
    /// Translates them into OpenAI's chunks.
    Openai(chunk::Encoder),
    /// Translates them into OpenAI's older chunks.
    Completions(legacy::Encoder),
    /// Translates them into the events of OpenAI's responses.
    Responses(Box<responses::stream::Encoder>),
    /// Translates them into Anthropic's events.
    Anthropic(anthropic::stream::Encoder),
    /// Translates them into Gemini's responses.
    Gemini(gemini::stream::Encoder),
}

/// Forwards a provider's events, but for usage that was not asked for and the end, which waits for the booking.
#[derive(Debug)]
pub(crate) struct PassThrough {
    dialect: Dialect,
    request: Id<Request>,
    /// Whether the client asked for usage.
    include_usage: bool,
    /// The provider's last event.
    end: Option<Bytes>,
    /// How the events are framed where the client did not ask for events.
    framing: Option<Framing>,
}

impl Writer {
    /// The writer for a prompt whose answer comes from its deployment.
    pub(crate) fn for_upstream(prompt: &Prompt) -> Self {
        let passes = match &prompt.deployment.provider.transport {
            Transport::Http { protocol, .. } => prompt.is_pass_through(protocol.as_ref()),
            Transport::Demo => false,
        };
        if passes {
            Self::PassThrough(PassThrough::new(prompt))
        } else {
            Self::translating(prompt)
        }
    }

    /// The writer for an answer in our own form.
    pub(crate) fn translating(prompt: &Prompt) -> Self {
        let (id, model) = (answer_id(prompt), prompt.call.model.clone());
        let delivery = prompt.call.delivery;
        match prompt.call.dialect {
            Dialect::Openai if prompt.call.endpoint == Endpoint::Completions => {
                let include_usage = wants_usage(delivery);
                Self::Completions(legacy::Encoder::new(id, prompt.at, model, include_usage))
            }
            Dialect::Openai if prompt.call.endpoint == Endpoint::Responses => {
                let frame = responses::answer::Frame::new(id, prompt.at, &prompt.call);
                Self::Responses(Box::new(responses::stream::Encoder::new(frame)))
            }
            Dialect::Openai => Self::Openai(chunk::Encoder::new(
                id,
                prompt.at,
                model,
                wants_usage(delivery),
            )),
            Dialect::Anthropic => {
                let shows_reasoning = prompt.shows_reasoning();
                Self::Anthropic(anthropic::stream::Encoder::new(id, model, shows_reasoning))
            }
            Dialect::Gemini => Self::Gemini(gemini::stream::Encoder::new(
                id,
                model,
                prompt.shows_reasoning(),
                Framing::of(delivery),
            )),
        }
    }

    /// Appends what came.
    pub(crate) fn write(&mut self, piece: &Piece, out: &mut BytesMut) {
        let events = piece.events.iter();
        match self {
            Self::PassThrough(forwarder) => forwarder.write(piece, out),
            Self::Openai(encoder) => events.for_each(|event| encoder.write(event, out)),
            Self::Completions(encoder) => events.for_each(|event| encoder.write(event, out)),
            Self::Responses(encoder) => events.for_each(|event| encoder.write(event, out)),
            Self::Anthropic(encoder) => events.for_each(|event| encoder.write(event, out)),
            Self::Gemini(encoder) => events.for_each(|event| encoder.write(event, out)),
        }
    }

    /// The end of the stream, sent once the request is booked.
    pub(crate) fn finish(&mut self) -> Bytes {
        match self {
            Self::PassThrough(forwarder) => forwarder.finish(),
            Self::Openai(encoder) => encoder.finish(),
            Self::Completions(encoder) => encoder.finish(),
            Self::Responses(encoder) => encoder.finish(),
            Self::Anthropic(encoder) => encoder.finish(),
            Self::Gemini(encoder) => encoder.finish(),
        }
    }

    /// The error that ends a stream instead, whose status has long been sent.
    pub(crate) fn fail(&mut self, error: &Error, request: Id<Request>) -> Bytes {
        match self {
            Self::PassThrough(forwarder) => forwarder.fail(error),
            Self::Openai(_) | Self::Completions(_) => {
                client::error_event(Dialect::Openai, error, request)
            }
            Self::Responses(encoder) => encoder.fail(error),
            Self::Anthropic(_) => client::error_event(Dialect::Anthropic, error, request),
            Self::Gemini(encoder) => encoder.fail(error),
        }
    }
}

impl PassThrough {
    fn new(prompt: &Prompt) -> Self {
        let call = &prompt.call;
        Self {
            dialect: call.dialect,
            request: prompt.request,
            include_usage: wants_usage(call.delivery),
            end: None,
            framing: (call.delivery == Delivery::Array).then(|| Framing::of(call.delivery)),
        }
    }

    fn write(&mut self, piece: &Piece, out: &mut BytesMut) {
        for (event, pass) in &piece.raw {
            match (pass, &mut self.framing) {
                (Pass::UsageOnly, _) if !self.include_usage => {}
                (Pass::Terminal, _) => self.end = Some(event.raw.clone()),
                (Pass::Forward | Pass::UsageOnly, Some(framing)) => framing.put(&event.data, out),
                (Pass::Forward | Pass::UsageOnly, None) => out.extend_from_slice(&event.raw),
            }
        }
    }

    fn finish(&mut self) -> Bytes {
        match &self.framing {
            Some(framing) => framing.end(),
            None => self.end.take().unwrap_or_default(),
        }
    }

    fn fail(&mut self, error: &Error) -> Bytes {
        match &mut self.framing {
            Some(framing) => framing.fail(error),
            None => client::error_event(self.dialect, error, self.request),
        }
    }
}

/// A whole answer as one body.
pub(crate) fn whole(prompt: &Prompt, answer: &Answer) -> Bytes {
    let id = answer_id(prompt);
    let call = &prompt.call;
    match (call.dialect, call.endpoint) {
        (Dialect::Openai, Endpoint::Embeddings) => {
            let in_base64 = embeddings::wants_base64(call);
            // What is booked where the provider does not say it.
            let usage = answer
                .usage
                .unwrap_or_else(|| measure::input_estimate(prompt));
            embeddings::encode(answer, (&call.model, usage), in_base64)
        }
        (Dialect::Gemini, Endpoint::Embeddings) => {
            let is_batch = gemini::embeddings::is_batch(&call.body);
            gemini::embeddings::encode(answer, is_batch)
        }
        (Dialect::Openai, Endpoint::Completions) => legacy::encode(answer, &id, prompt.at),
        (Dialect::Openai, Endpoint::Responses) => {
            responses::answer::Frame::new(id, prompt.at, call).whole(answer)
        }
        (Dialect::Openai, Endpoint::Chat) => completion::encode(answer, &id, prompt.at),
        (Dialect::Anthropic, _) => {
            anthropic::message::encode(answer, &id, prompt.shows_reasoning())
        }
        (Dialect::Gemini, _) => gemini::answer::encode(answer, &id, prompt.shows_reasoning()),
    }
}

/// A stored answer as a finished stream.
pub(crate) fn replayed(prompt: &Prompt, answer: &Answer) -> Bytes {
    let mut writer = Writer::translating(prompt);
    let mut out = BytesMut::new();
    let piece = Piece {
        events: answer.events(),
        raw: Vec::new(),
    };
    writer.write(&piece, &mut out);
    out.extend_from_slice(&writer.finish());
    out.freeze()
}

/// Named after the request, so that an answer leads to its booking.
fn answer_id(prompt: &Prompt) -> String {
    let prefix = match prompt.call.dialect {
        Dialect::Openai if prompt.call.endpoint == Endpoint::Completions => "cmpl-",
        Dialect::Openai if prompt.call.endpoint == Endpoint::Responses => "resp_",
        Dialect::Openai => "chatcmpl-",
        Dialect::Anthropic => "msg_",
        Dialect::Gemini => "",
    };
    format!("{prefix}{}", prompt.request.uuid().simple())
}

const fn wants_usage(delivery: Delivery) -> bool {
    matches!(
        delivery,
        Delivery::Stream {
            include_usage: true
        }
    )
}
