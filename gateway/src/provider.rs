//! The providers: each translates between our form and its wire protocol, purely; [`client`] alone does I/O.
//!
//! # Adding a provider
//! One file `provider/<name>.rs` that implements [`Provider`], with its tests beside it; a variant of
//! [`config::section::ProviderKind`] and its line in `route/endpoint.rs`; prices in `config/prices.toml`. Nothing else changes.

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use types::call::Dialect;
use types::reply::{Answer, Event};

use crate::error::{Error, Rejection, UpstreamError};
use crate::prompt::Prompt;

pub(crate) mod anthropic;
pub(crate) mod azure;
pub(crate) mod client;
pub(crate) mod demo;
pub(crate) mod gemini;
pub(crate) mod openai;
pub(crate) mod service_account;
mod translate;
pub(crate) mod vertex;

/// Translates one wire protocol.
pub(crate) trait Provider: fmt::Debug + Send + Sync {
    /// The dialect it speaks.
    fn dialect(&self) -> Dialect;

    /// The request to send; `output_tokens_max` is set where the gateway has to cap the answer.
    fn request(
        &self,
        prompt: &Prompt,
        output_tokens_max: Option<u64>,
    ) -> Result<Request<Bytes>, Error>;

    /// Reads a whole answer to a prompt.
    fn answer(&self, prompt: &Prompt, body: &[u8]) -> Result<Answer, UpstreamError>;

    /// A reader for one stream.
    fn decoder(&self) -> Box<dyn Decoder>;

    /// The request that asks how many tokens a question has; none where the protocol has no such request.
    fn count_request(&self, _prompt: &Prompt) -> Result<Option<Request<Bytes>>, Error> {
        Ok(None)
    }

    /// Reads the answer to it.
    fn count(&self, _body: &[u8]) -> Result<u64, UpstreamError> {
        Err(UpstreamError::Malformed(anyhow::anyhow!(
            "an answer to a question that was not asked"
        )))
    }

    /// Reads an error answer.
    fn rejection(&self, status: StatusCode, headers: &HeaderMap, body: Bytes) -> Rejection;
}

/// Reads the events of one stream.
pub(crate) trait Decoder: Send {
    /// Appends what the data of one server-sent event means, and says what becomes of the event.
    fn decode(&mut self, data: &[u8], events: &mut Vec<Event>) -> Result<Pass, UpstreamError>;

    /// Whether the stream may end here: what ends before is truncated.
    fn is_complete(&self) -> bool;
}

/// What a client of the provider's own dialect gets of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pass {
    /// The event as it is.
    Forward,
    /// The event, if the client asked for usage.
    UsageOnly,
    /// Nothing yet: it is the end, which is held back until the request is booked.
    Terminal,
}

/// How an error message of a provider is cut: enough to understand it, too little to leak a prompt.
pub(crate) const MESSAGE_BYTES_MAX: usize = 2_000;

/// Cuts a text at a character boundary.
pub(crate) fn cut(text: &str, bytes_max: usize) -> &str {
    text.get(..text.floor_char_boundary(bytes_max))
        .unwrap_or(text)
}

/// A model's name becomes part of a path: nothing in it may change where the path leads.
pub(crate) fn is_safe_path(model: &str) -> bool {
    let allowed =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'/' | b'@');
    !model.is_empty()
        && model.bytes().all(allowed)
        && !model.split('/').any(|part| matches!(part, "" | "." | ".."))
}
