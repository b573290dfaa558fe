//! OpenAI's error object: `{"error": {"message", "type", "param", "code"}}`, all four keys always there.

use bytes::Bytes;
use serde::Serialize;

use crate::error::{Error, Kind};

#[derive(Serialize)]
struct Envelope<'a> {
    error: Body<'a>,
}

#[derive(Serialize)]
struct Body<'a> {
    message: String,
    r#type: &'a str,
    param: Option<&'a str>,
    code: Option<&'a str>,
}

/// The body of an error answer.
pub(crate) fn body(error: &Error) -> Bytes {
    encode(error)
}

/// The event that ends a stream which cannot be completed; the status has long been sent.
pub(crate) fn event(error: &Error) -> Bytes {
    let mut event = b"data: ".to_vec();
    event.extend_from_slice(&encode(error));
    event.extend_from_slice(b"\n\n");
    event.into()
}

fn encode(error: &Error) -> Bytes {
    let envelope = Envelope {
        error: Body {
            message: error.to_string(),
            r#type: error_type(error.kind()),
            param: error.param(),
            code: Some(error.code()),
        },
    };
    serde_json::to_vec(&envelope).unwrap_or_default().into()
}

const fn error_type(kind: Kind) -> &'static str {
    match kind {
        Kind::InvalidRequest | Kind::NotFound | Kind::NotSupported => "invalid_request_error",
        Kind::Unauthorized => "authentication_error",
        Kind::Forbidden => "permission_error",
        Kind::QuotaExceeded => "insufficient_quota",
        Kind::RateLimited => "rate_limit_error",
        Kind::UpstreamRejected
        | Kind::UpstreamUnavailable
        | Kind::UpstreamTimeout
        | Kind::Unavailable
        | Kind::Internal => "server_error",
    }
}
