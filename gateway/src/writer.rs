//! Writes an answer in the client's dialect: passed through where the provider speaks it, translated where not.

use bytes::{Bytes, BytesMut};
use types::call::Delivery;
use types::reply::Answer;

use crate::prompt::Prompt;
use crate::provider::Pass;
use crate::route::Transport;
use crate::upstream::Piece;
use crate::wire::openai::{chunk, completion};

/// Writes one stream.
#[derive(Debug)]
pub(crate) enum Writer {
    /// Forwards the provider's events, but for usage that was not asked for and the end, which waits for the booking.
    PassThrough {
        /// Whether the client asked for usage.
        include_usage: bool,
        /// The provider's last event.
        end: Option<Bytes>,
    },
    /// Translates them.
    Openai(chunk::Encoder),
}

impl Writer {
    /// The writer for a prompt whose answer comes from its deployment.
    pub(crate) fn for_upstream(prompt: &Prompt) -> Self {
        let passes = match &prompt.deployment.provider.transport {
            Transport::Http { protocol, .. } => prompt.is_pass_through(protocol.dialect()),
            Transport::Demo => false,
        };
        if passes {
            Self::PassThrough {
                include_usage: wants_usage(prompt),
                end: None,
            }
        } else {
            Self::translating(prompt)
        }
    }

    /// The writer for an answer in our own form.
    pub(crate) fn translating(prompt: &Prompt) -> Self {
        let id = completion_id(prompt);
        let model = prompt.call.model.clone();
        Self::Openai(chunk::Encoder::new(
            id,
            prompt.at,
            model,
            wants_usage(prompt),
        ))
    }

    /// Appends what came.
    pub(crate) fn write(&mut self, piece: &Piece, out: &mut BytesMut) {
        match self {
            Self::PassThrough { include_usage, end } => {
                for (raw, pass) in &piece.raw {
                    match pass {
                        Pass::Forward => out.extend_from_slice(raw),
                        Pass::UsageOnly if *include_usage => out.extend_from_slice(raw),
                        Pass::UsageOnly => {}
                        Pass::Terminal => *end = Some(raw.clone()),
                    }
                }
            }
            Self::Openai(encoder) => piece
                .events
                .iter()
                .for_each(|event| encoder.write(event, out)),
        }
    }

    /// The end of the stream, sent once the request is booked.
    pub(crate) fn finish(&mut self) -> Bytes {
        match self {
            Self::PassThrough { end, .. } => end.take().unwrap_or_default(),
            Self::Openai(encoder) => encoder.finish(),
        }
    }
}

/// A whole answer as one body.
pub(crate) fn whole(prompt: &Prompt, answer: &Answer) -> Bytes {
    completion::encode(answer, &completion_id(prompt), prompt.at)
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
fn completion_id(prompt: &Prompt) -> String {
    format!("chatcmpl-{}", prompt.request.uuid().simple())
}

const fn wants_usage(prompt: &Prompt) -> bool {
    matches!(
        prompt.call.delivery,
        Delivery::Stream {
            include_usage: true
        }
    )
}
