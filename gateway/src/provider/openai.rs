//! OpenAI and everything compatible with it, by base URL.
//!
//! A client of the same dialect gets the provider's bytes; only `model`, and what metering needs, is changed in its request.
//! The requests of other clients are written anew, by [`request`].

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use types::call::{Dialect, Endpoint};
use types::reply::{Answer, Event};

use super::{Decoder, MESSAGE_BYTES_MAX, Pass, Provider, cut};
use crate::error::{Error, Rejection, UpstreamError};
use crate::prompt::Prompt;
use crate::wire::fields::Fields;
use crate::wire::openai::{chunk, completion, embeddings};

mod request;

/// An endpoint that speaks OpenAI's protocol.
#[derive(Debug)]
pub(crate) struct Openai {
    chat_url: http::Uri,
    completions_url: http::Uri,
    embeddings_url: http::Uri,
    authorization: Option<header::HeaderValue>,
    /// OpenAI itself wants `max_completion_tokens`; most compatible servers know only `max_tokens`.
    token_limit_field: &'static str,
}

impl Openai {
    /// An endpoint at a base URL such as `https://host/v1`.
    pub(crate) fn new(
        base_url: &str,
        api_key: Option<&str>,
        is_openai: bool,
    ) -> anyhow::Result<Self> {
        let base_url = base_url.trim_end_matches('/');
        let authorization = api_key.map(|key| {
            let mut value = header::HeaderValue::from_str(&format!("Bearer {key}"))?;
            value.set_sensitive(true);
            anyhow::Ok(value)
        });
        Ok(Self {
            chat_url: format!("{base_url}/chat/completions").parse()?,
            completions_url: format!("{base_url}/completions").parse()?,
            embeddings_url: format!("{base_url}/embeddings").parse()?,
            authorization: authorization.transpose()?,
            token_limit_field: if is_openai {
                "max_completion_tokens"
            } else {
                "max_tokens"
            },
        })
    }

    /// Where a prompt is sent to, below the base URL.
    pub(super) fn path(&self, prompt: &Prompt) -> &'static str {
        match prompt.call.endpoint {
            Endpoint::Embeddings => "embeddings",
            Endpoint::Completions if prompt.is_pass_through(self) => "completions",
            Endpoint::Completions | Endpoint::Chat | Endpoint::Responses => "chat/completions",
        }
    }

    fn url(&self, prompt: &Prompt) -> &http::Uri {
        match self.path(prompt) {
            "embeddings" => &self.embeddings_url,
            "completions" => &self.completions_url,
            _ => &self.chat_url,
        }
    }

    /// The request's body.
    pub(super) fn body(
        &self,
        prompt: &Prompt,
        output_tokens_max: Option<u64>,
    ) -> Result<Bytes, Error> {
        if !prompt.is_pass_through(self) {
            if prompt.call.endpoint == Endpoint::Embeddings {
                return request::encode_embeddings(&prompt.call, &prompt.deployment.model);
            }
            let (model, limit_field) = (&prompt.deployment.model, self.token_limit_field);
            return request::encode(&prompt.call, model, output_tokens_max, limit_field);
        }
        let is_streamed = prompt.call.delivery.is_stream();
        if !is_streamed
            && output_tokens_max.is_none()
            && prompt.call.model == prompt.deployment.model
        {
            return Ok(prompt.call.body.clone());
        }
        let mut fields = Fields::parse(&prompt.call.body).map_err(Error::internal)?;
        fields.set("model", raw(&prompt.deployment.model)?);
        if is_streamed {
            let options = fields.get("stream_options").map(RawValue::get);
            let options = with_usage(options)?;
            fields.set("stream_options", options);
        }
        if let Some(limit) = output_tokens_max {
            // A lowered cap replaces the caller's, whichever name that has.
            let names = ["max_tokens", "max_completion_tokens"];
            let theirs = names.into_iter().find(|name| fields.get(name).is_some());
            let ours = match prompt.call.endpoint {
                // The older form never got the newer name.
                Endpoint::Completions => "max_tokens",
                Endpoint::Chat | Endpoint::Embeddings | Endpoint::Responses => {
                    self.token_limit_field
                }
            };
            fields.set(theirs.unwrap_or(ours), raw(&limit)?);
        }
        let body = serde_json::to_vec(&fields).map_err(Error::internal)?;
        Ok(body.into())
    }
}

impl Provider for Openai {
    fn dialect(&self) -> Dialect {
        Dialect::Openai
    }

    fn request(
        &self,
        prompt: &Prompt,
        output_tokens_max: Option<u64>,
    ) -> Result<Request<Bytes>, Error> {
        let mut request = Request::post(self.url(prompt).clone())
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization.clone());
        }
        request
            .body(self.body(prompt, output_tokens_max)?)
            .map_err(Error::internal)
    }

    fn answer(&self, prompt: &Prompt, body: &[u8]) -> Result<Answer, UpstreamError> {
        if prompt.call.endpoint == Endpoint::Embeddings {
            let with_vectors = !prompt.is_pass_through(self);
            return embeddings::decode_answer(body, with_vectors)
                .map_err(|error| UpstreamError::malformed(&error));
        }
        let decoded = completion::decode(body).map_err(|error| UpstreamError::malformed(&error))?;
        decoded.map_err(|error| told_late(&error))
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(Stream { done: false })
    }

    fn rejection(&self, status: StatusCode, headers: &HeaderMap, body: Bytes) -> Rejection {
        let value: Value = serde_json::from_slice(&body).unwrap_or_default();
        let is_error_object = value.pointer("/error/message").is_some();
        rejection(
            status,
            &value,
            retry_after(headers),
            is_error_object.then_some((Dialect::Openai, body)),
        )
    }
}

struct Stream {
    done: bool,
}

impl Decoder for Stream {
    fn decode(&mut self, data: &[u8], events: &mut Vec<Event>) -> Result<Pass, UpstreamError> {
        if data == chunk::DONE {
            self.done = true;
            return Ok(Pass::Terminal);
        }
        let decoded =
            chunk::decode(data, events).map_err(|error| UpstreamError::malformed(&error))?;
        if let Some(error) = decoded.error {
            return Err(told_late(&error));
        }
        Ok(if decoded.is_usage_only {
            Pass::UsageOnly
        } else {
            Pass::Forward
        })
    }

    fn is_complete(&self) -> bool {
        self.done
    }
}

/// An error that came with status 200.
fn told_late(error: &Value) -> UpstreamError {
    let value = serde_json::json!({ "error": error });
    UpstreamError::Rejected(Box::new(rejection(
        StatusCode::BAD_GATEWAY,
        &value,
        None,
        None,
    )))
}

/// The client's stream options, with usage asked for: without it a stream would be billed as nothing.
fn with_usage(options: Option<&str>) -> Result<Box<RawValue>, Error> {
    let mut options: Value = options
        .map_or(Ok(Value::Null), serde_json::from_str)
        .map_err(Error::internal)?;
    match options.as_object_mut() {
        Some(options) => {
            options.insert("include_usage".to_owned(), Value::Bool(true));
        }
        None => options = serde_json::json!({ "include_usage": true }),
    }
    raw(&options)
}

fn raw(value: &impl serde::Serialize) -> Result<Box<RawValue>, Error> {
    to_raw_value(value).map_err(Error::internal)
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireError {
    message: Option<String>,
    code: Option<Value>,
    param: Option<String>,
}

fn rejection(
    status: StatusCode,
    body: &Value,
    retry_after: Option<Duration>,
    raw: Option<(Dialect, Bytes)>,
) -> Rejection {
    let error = body.get("error").cloned().unwrap_or_default();
    let error: WireError = serde_json::from_value(error).unwrap_or_default();
    let message = error
        .message
        .unwrap_or_else(|| format!("the provider answered {status}"));
    Rejection {
        status,
        message: cut(&message, MESSAGE_BYTES_MAX).to_owned(),
        code: error.code.and_then(|code| match code {
            Value::String(code) => Some(code),
            Value::Number(code) => Some(code.to_string()),
            _ => None,
        }),
        param: error.param,
        retry_after,
        raw,
    }
}

/// `retry-after-ms`, then `retry-after` in seconds; a date there is passed over, the caller backs off by itself.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<f64>().ok();
    let millis = number("retry-after-ms").map(|millis| millis / 1000.0);
    let seconds = millis.or_else(|| number("retry-after"))?;
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_always_asked_for_and_other_stream_options_survive() {
        assert_eq!(with_usage(None).unwrap().get(), r#"{"include_usage":true}"#);
        assert_eq!(
            with_usage(Some(
                r#"{"include_obfuscation":false,"include_usage":false}"#
            ))
            .unwrap()
            .get(),
            r#"{"include_obfuscation":false,"include_usage":true}"#
        );
    }

    #[test]
    fn our_own_bad_credential_is_not_the_callers_fault() {
        let body =
            Bytes::from_static(br#"{"error":{"message":"bad key sk-1","code":"invalid_api_key"}}"#);
        let provider = Openai::new("http://127.0.0.1:1/v1", None, true).unwrap();
        let error = Error::from(UpstreamError::Rejected(Box::new(provider.rejection(
            StatusCode::UNAUTHORIZED,
            &HeaderMap::new(),
            body,
        ))));
        assert_eq!(error.status(), StatusCode::BAD_GATEWAY);
    }

    #[test]
    fn retry_after_is_read_in_both_forms() {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", "1.5".parse().unwrap());
        assert_eq!(retry_after(&headers), Some(Duration::from_millis(1500)));
        headers.insert("retry-after-ms", "20".parse().unwrap());
        assert_eq!(retry_after(&headers), Some(Duration::from_millis(20)));
    }
}
