//! Gemini's native protocol: `generateContent` and `streamGenerateContent?alt=sse`.
//!
//! Source: the provider's API reference (`ai.google.dev/api/generate-content`) and the official SDK's types.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use serde::Deserialize;
use serde_json::Value;
use types::call::{Dialect, Endpoint};
use types::reply::{Answer, Assembly, Event};

use super::{Decoder, MESSAGE_BYTES_MAX, Pass, Provider, cut, is_safe_path};
use crate::error::{Error, Rejection, UpstreamError};
use crate::prompt::Prompt;
use crate::wire::gemini::embeddings;

mod pass;
mod request;
mod response;
mod schema;

/// The version with every feature that is translated here; `v1` lacks thinking and JSON schemas.
const API_VERSION: &str = "v1beta";

/// An endpoint that speaks Gemini's protocol.
#[derive(Debug)]
pub(crate) struct Gemini {
    base_url: String,
    api_key: Option<header::HeaderValue>,
}

impl Gemini {
    /// An endpoint at a base URL such as `https://host`, without the version.
    pub(crate) fn new(base_url: &str, api_key: Option<&str>) -> anyhow::Result<Self> {
        let api_key = api_key.map(|key| {
            let mut value = header::HeaderValue::from_str(key)?;
            value.set_sensitive(true);
            anyhow::Ok(value)
        });
        Ok(Self {
            base_url: base_url.trim_end_matches('/').to_owned(),
            api_key: api_key.transpose()?,
        })
    }

    fn post(&self, prompt: &Prompt, method: &str, body: Bytes) -> Result<Request<Bytes>, Error> {
        let request = Request::post(self.url(prompt, method)?);
        let mut request = request.header(header::CONTENT_TYPE, "application/json");
        if let Some(key) = &self.api_key {
            // In a header, never in the URL: URLs end up in logs.
            request = request.header("x-goog-api-key", key.clone());
        }
        request.body(body).map_err(Error::internal)
    }

    fn url(&self, prompt: &Prompt, method: &str) -> Result<http::Uri, Error> {
        let model = &prompt.deployment.model;
        if !is_safe_path(model) {
            return Err(Error::UnknownModel(prompt.call.model.clone()));
        }
        let model = model.strip_prefix("models/").unwrap_or(model);
        let collection = if model.starts_with("tunedModels/") {
            ""
        } else {
            "models/"
        };
        let url = format!(
            "{}/{API_VERSION}/{collection}{model}:{method}",
            self.base_url
        );
        url.parse().map_err(Error::internal)
    }

    /// One question for vectors, in the form that the client chose, or else in that of several.
    fn embed_request(&self, prompt: &Prompt) -> Result<Request<Bytes>, Error> {
        let (call, model) = (&prompt.call, &prompt.deployment.model);
        if !prompt.is_pass_through(self) {
            let body = request::encode_embeddings(call, model)?;
            return self.post(prompt, "batchEmbedContents", body);
        }
        let is_batch = embeddings::is_batch(&call.body);
        let body = pass::renamed(&call.body, model, is_batch)?;
        let method = if is_batch {
            "batchEmbedContents"
        } else {
            "embedContent"
        };
        self.post(prompt, method, body)
    }

    /// How the answer is asked for.
    pub(super) fn method(prompt: &Prompt) -> &'static str {
        if prompt.call.delivery.is_stream() {
            "streamGenerateContent?alt=sse"
        } else {
            "generateContent"
        }
    }

    /// The request's body.
    pub(super) fn body(
        &self,
        prompt: &Prompt,
        output_tokens_max: Option<u64>,
    ) -> Result<Bytes, Error> {
        if prompt.is_pass_through(self) {
            pass::capped(&prompt.call.body, output_tokens_max)
        } else {
            request::encode(&prompt.call, &prompt.deployment.model, output_tokens_max)
        }
    }
}

impl Provider for Gemini {
    fn dialect(&self) -> Dialect {
        Dialect::Gemini
    }

    fn request(
        &self,
        prompt: &Prompt,
        output_tokens_max: Option<u64>,
    ) -> Result<Request<Bytes>, Error> {
        if prompt.call.endpoint == Endpoint::Embeddings {
            return self.embed_request(prompt);
        }
        self.post(
            prompt,
            Self::method(prompt),
            self.body(prompt, output_tokens_max)?,
        )
    }

    fn count_request(&self, prompt: &Prompt) -> Result<Option<Request<Bytes>>, Error> {
        let body = if prompt.is_pass_through(self) {
            pass::counted(&prompt.call.body, &prompt.deployment.model)?
        } else {
            request::encode_count(&prompt.call, &prompt.deployment.model)?
        };
        self.post(prompt, "countTokens", body).map(Some)
    }

    fn count(&self, body: &[u8]) -> Result<u64, UpstreamError> {
        /// `totalTokens`; absent for none.
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Count {
            #[serde(default)]
            total_tokens: u64,
        }
        let count: Count =
            serde_json::from_slice(body).map_err(|error| UpstreamError::malformed(&error))?;
        Ok(count.total_tokens)
    }

    fn answer(&self, prompt: &Prompt, body: &[u8]) -> Result<Answer, UpstreamError> {
        if prompt.call.endpoint == Endpoint::Embeddings {
            return embeddings::decode_answer(body, &prompt.deployment.model)
                .map_err(|error| UpstreamError::malformed(&error));
        }
        let mut reader = response::Reader::default();
        let mut assembly = Assembly::default();
        let mut events = Vec::new();
        reader
            .read(body, &mut events)
            .map_err(|error| UpstreamError::malformed(&error))?;
        for event in &events {
            assembly.add(event);
        }
        if !reader.is_finished() {
            return Err(UpstreamError::Truncated);
        }
        Ok(assembly.into_answer())
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(Stream::default())
    }

    fn rejection(&self, status: StatusCode, _headers: &HeaderMap, body: Bytes) -> Rejection {
        let value: Value = serde_json::from_slice(&body).unwrap_or_default();
        let is_error = value.pointer("/error/message").is_some();
        Rejection {
            raw: is_error.then_some((Dialect::Gemini, body)),
            ..rejection(status, &value)
        }
    }
}

#[derive(Default)]
struct Stream {
    reader: response::Reader,
}

impl Decoder for Stream {
    fn decode(&mut self, data: &[u8], events: &mut Vec<Event>) -> Result<Pass, UpstreamError> {
        if let Some(error) = error_in(data) {
            return Err(UpstreamError::Rejected(Box::new(rejection(
                StatusCode::BAD_GATEWAY,
                &error,
            ))));
        }
        self.reader
            .read(data, events)
            .map_err(|error| UpstreamError::malformed(&error))?;
        Ok(Pass::Forward)
    }

    /// There is no closing event: a stream is complete when every candidate gave its reason to finish.
    fn is_complete(&self) -> bool {
        self.reader.is_finished()
    }
}

/// The error object of an event that is one; a cheap look first, because hardly any is.
fn error_in(data: &[u8]) -> Option<Value> {
    memchr::memmem::find(data, b"\"error\"")?;
    let value: Value = serde_json::from_slice(data).ok()?;
    let is_error = value.get("error").is_some() || value.pointer("/0/error").is_some();
    is_error.then_some(value)
}

/// Reads `{"error": {"code", "message", "status", "details"}}`, which may come as a list of one.
fn rejection(status: StatusCode, body: &Value) -> Rejection {
    let error = body
        .get("error")
        .or_else(|| body.pointer("/0/error"))
        .unwrap_or(&Value::Null);
    let message = error.get("message").and_then(Value::as_str);
    let message = message.map_or_else(|| format!("the provider answered {status}"), str::to_owned);
    let details = error.get("details").and_then(Value::as_array);
    let details = details.map(Vec::as_slice).unwrap_or_default();
    // A bad key is answered with 400 like a bad request, but the caller cannot mend ours.
    let key_is_bad = details
        .iter()
        .any(|detail| detail.get("reason").and_then(Value::as_str) == Some("API_KEY_INVALID"));
    Rejection {
        status: if key_is_bad {
            StatusCode::UNAUTHORIZED
        } else {
            status
        },
        message: cut(&message, MESSAGE_BYTES_MAX).to_owned(),
        code: error
            .get("status")
            .and_then(Value::as_str)
            .map(str::to_lowercase),
        param: None,
        retry_after: details.iter().find_map(retry_delay),
        raw: None,
    }
}

/// `google.rpc.RetryInfo.retryDelay`, such as `46s` or `0.5s`.
fn retry_delay(detail: &Value) -> Option<Duration> {
    let delay = detail.get("retryDelay")?.as_str()?;
    let seconds: f64 = delay.strip_suffix('s')?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_name_cannot_lead_the_path_elsewhere() {
        assert!(is_safe_path("gemini-2.5-flash"));
        assert!(is_safe_path("tunedModels/mine-1"));
        for bad in [
            "",
            "../files",
            "a?key=1",
            "a:embedContent",
            "a//b",
            "a#b",
            "a b",
        ] {
            assert!(!is_safe_path(bad), "{bad}");
        }
    }

    #[test]
    fn a_bad_key_of_ours_is_told_from_a_bad_request() {
        let body = serde_json::json!({"error": {"code": 400, "message": "API key not valid", "status": "INVALID_ARGUMENT",
            "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}]}});
        assert_eq!(
            rejection(StatusCode::BAD_REQUEST, &body).status,
            StatusCode::UNAUTHORIZED
        );
    }

    #[test]
    fn the_retry_time_is_in_the_body_and_the_body_may_be_a_list() {
        let body = serde_json::json!([{"error": {"code": 429, "message": "slow down", "status": "RESOURCE_EXHAUSTED",
            "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "46s"}]}}]);
        let rejection = rejection(StatusCode::TOO_MANY_REQUESTS, &body);
        assert_eq!(rejection.retry_after, Some(Duration::from_secs(46)));
        assert_eq!(rejection.code.as_deref(), Some("resource_exhausted"));
    }
}
