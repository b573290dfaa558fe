//! Anthropic's own protocol: `POST /v1/messages`, whole and streamed.
//!
//! A client of the same dialect gets the provider's bytes; only `model` is changed in its request.
//! Source: the provider's API reference (`platform.claude.com/docs/en/api`) and the official SDKs' types.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::to_raw_value;
use types::call::{Dialect, Endpoint};
use types::reply::{Answer, Event};

use super::{Decoder, MESSAGE_BYTES_MAX, Pass, Provider, cut};
use crate::error::{Error, Rejection, UpstreamError};
use crate::prompt::Prompt;
use crate::upstream::no_embeddings;
use crate::wire::anthropic::stream::{Incoming, Reader};
use crate::wire::anthropic::{BETA_HEADER, VERSION_HEADER, message};
use crate::wire::fields::Fields;

mod request;

/// The version whose forms the translation writes and reads.
const VERSION: &str = "2023-06-01";

/// An endpoint that speaks Anthropic's protocol.
#[derive(Debug)]
pub(crate) struct Anthropic {
    messages_url: http::Uri,
    count_url: http::Uri,
    credential: Option<Credential>,
}

/// A key, as the versions of the protocol want it: as itself up to [`VERSION`], as a bearer after it. This is what the
/// official SDKs send.
#[derive(Debug)]
struct Credential {
    key: HeaderValue,
    bearer: HeaderValue,
}

impl Anthropic {
    /// An endpoint at a base URL such as `https://host`, without the version.
    pub(crate) fn new(base_url: &str, api_key: Option<&str>) -> anyhow::Result<Self> {
        let base_url = base_url.trim_end_matches('/');
        Ok(Self {
            messages_url: format!("{base_url}/v1/messages").parse()?,
            count_url: format!("{base_url}/v1/messages/count_tokens").parse()?,
            credential: api_key.map(Credential::new).transpose()?,
        })
    }

    fn post(&self, url: &http::Uri, prompt: &Prompt, body: Bytes) -> Result<Request<Bytes>, Error> {
        let passes = prompt.is_pass_through(self);
        let version = prompt.call.version.as_deref().filter(|_| passes);
        let version = version.unwrap_or(VERSION);
        let mut request = Request::post(url.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header(VERSION_HEADER, version);
        if let Some(credential) = &self.credential {
            request = if version == VERSION {
                request.header("x-api-key", credential.key.clone())
            } else {
                request.header(header::AUTHORIZATION, credential.bearer.clone())
            };
        }
        let betas = prompt.call.parameters.extra.get(BETA_HEADER);
        if let Some(betas) = betas.and_then(Value::as_str).filter(|_| passes) {
            request = request.header(BETA_HEADER, betas);
        }
        request.body(body).map_err(Error::internal)
    }
}

impl Credential {
    fn new(key: &str) -> anyhow::Result<Self> {
        let secret = |text: &str| {
            let mut value = HeaderValue::from_str(text)?;
            value.set_sensitive(true);
            anyhow::Ok(value)
        };
        Ok(Self {
            key: secret(key)?,
            bearer: secret(&format!("Bearer {key}"))?,
        })
    }
}

impl Provider for Anthropic {
    fn dialect(&self) -> Dialect {
        Dialect::Anthropic
    }

    fn request(
        &self,
        prompt: &Prompt,
        output_tokens_max: Option<u64>,
    ) -> Result<Request<Bytes>, Error> {
        if prompt.call.endpoint == Endpoint::Embeddings {
            return Err(no_embeddings());
        }
        let body = if prompt.is_pass_through(self) {
            passed(prompt, output_tokens_max)?
        } else {
            request::encode(&prompt.call, &prompt.deployment.model, output_tokens_max)?
        };
        self.post(&self.messages_url, prompt, body)
    }

    fn count_request(&self, prompt: &Prompt) -> Result<Option<Request<Bytes>>, Error> {
        let body = if prompt.is_pass_through(self) {
            passed(prompt, None)?
        } else {
            request::encode_count(&prompt.call, &prompt.deployment.model)?
        };
        self.post(&self.count_url, prompt, body).map(Some)
    }

    fn count(&self, body: &[u8]) -> Result<u64, UpstreamError> {
        /// `input_tokens`.
        #[derive(Deserialize)]
        struct Count {
            input_tokens: u64,
        }
        let count: Count =
            serde_json::from_slice(body).map_err(|error| UpstreamError::malformed(&error))?;
        Ok(count.input_tokens)
    }

    fn answer(&self, _prompt: &Prompt, body: &[u8]) -> Result<Answer, UpstreamError> {
        message::decode(body).map_err(|error| UpstreamError::malformed(&error))
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(Stream::default())
    }

    fn rejection(&self, status: StatusCode, headers: &HeaderMap, body: Bytes) -> Rejection {
        let value: Value = serde_json::from_slice(&body).unwrap_or_default();
        let is_error = value.pointer("/error/message").is_some();
        Rejection {
            retry_after: retry_after(headers),
            raw: is_error.then_some((Dialect::Anthropic, body)),
            ..rejection(status, value.get("error").unwrap_or(&Value::Null))
        }
    }
}

/// The client's own body, with the model as the provider calls it, and a lowered limit.
fn passed(prompt: &Prompt, output_tokens_max: Option<u64>) -> Result<Bytes, Error> {
    if prompt.call.model == prompt.deployment.model && output_tokens_max.is_none() {
        return Ok(prompt.call.body.clone());
    }
    let mut fields = Fields::parse(&prompt.call.body).map_err(Error::internal)?;
    let model = to_raw_value(&prompt.deployment.model).map_err(Error::internal)?;
    fields.set("model", model);
    if let Some(limit) = output_tokens_max {
        fields.set("max_tokens", to_raw_value(&limit).map_err(Error::internal)?);
    }
    let body = serde_json::to_vec(&fields).map_err(Error::internal)?;
    Ok(body.into())
}

#[derive(Default)]
struct Stream {
    reader: Reader,
    done: bool,
}

impl Decoder for Stream {
    fn decode(&mut self, data: &[u8], events: &mut Vec<Event>) -> Result<Pass, UpstreamError> {
        let incoming = self
            .reader
            .read(data, events)
            .map_err(|error| UpstreamError::malformed(&error))?;
        match incoming {
            Incoming::More => Ok(Pass::Forward),
            Incoming::Stop => {
                self.done = true;
                Ok(Pass::Terminal)
            }
            Incoming::Error(error) => {
                let status = status_of(&error);
                Err(UpstreamError::Rejected(Box::new(rejection(status, &error))))
            }
        }
    }

    fn is_complete(&self) -> bool {
        self.done
    }
}

/// What the status would have been of an error that is told in a stream.
fn status_of(error: &Value) -> StatusCode {
    match error.get("type").and_then(Value::as_str) {
        Some("overloaded_error") => StatusCode::SERVICE_UNAVAILABLE,
        Some("rate_limit_error") => StatusCode::TOO_MANY_REQUESTS,
        _ => StatusCode::BAD_GATEWAY,
    }
}

/// Reads `{"type", "message", "details"}`.
fn rejection(status: StatusCode, error: &Value) -> Rejection {
    let text = |pointer: &str| error.pointer(pointer).and_then(Value::as_str);
    let message = text("/message");
    let message = message.map_or_else(|| format!("the provider answered {status}"), str::to_owned);
    let code = text("/details/error_code").or_else(|| text("/type"));
    Rejection {
        status,
        message: cut(&message, MESSAGE_BYTES_MAX).to_owned(),
        code: code.map(str::to_owned),
        param: None,
        retry_after: None,
        raw: None,
    }
}

/// `retry-after`, in seconds.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    Duration::try_from_secs_f64(seconds.trim().parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejected(status: u16, body: &'static str) -> Error {
        let provider = Anthropic::new("http://127.0.0.1:1", Some("k")).unwrap();
        let status = StatusCode::from_u16(status).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
        let rejection = provider.rejection(status, &headers, Bytes::from_static(body.as_bytes()));
        UpstreamError::Rejected(Box::new(rejection)).into()
    }

    #[test]
    fn an_overload_is_told_as_one_and_with_its_time() {
        let error = rejected(
            529,
            r#"{"type":"error","error":{"type":"overloaded_error","message":"busy"}}"#,
        );
        assert_eq!(error.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(error.retry_after(), Some(Duration::from_secs(2)));
    }

    #[test]
    fn what_the_caller_can_mend_keeps_its_status_and_its_code() {
        let error = rejected(
            404,
            r#"{"type":"error","error":{"type":"not_found_error","message":"model: x"}}"#,
        );
        assert_eq!(
            (error.status(), error.code()),
            (StatusCode::NOT_FOUND, "not_found_error")
        );
        assert_eq!(error.to_string(), "model: x");
    }

    #[test]
    fn a_stream_without_its_stop_is_not_complete() {
        let mut stream = Stream::default();
        let mut events = Vec::new();
        let delta = br#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":3}}"#;
        assert_eq!(stream.decode(delta, &mut events).unwrap(), Pass::Forward);
        assert!(!stream.is_complete());
        let stop = br#"{"type":"message_stop"}"#;
        assert_eq!(stream.decode(stop, &mut events).unwrap(), Pass::Terminal);
        assert!(stream.is_complete());
    }
}
