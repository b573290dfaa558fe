//! Gemini's error object: `{"error": {"code", "message", "status", "details"}}`.
//!
//! A key that is not known is a bad request there, with a reason; when to try again stands in the body.

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};

use crate::error::{Error, Kind};
use crate::wire::write;

#[derive(Serialize)]
struct Envelope {
    error: Body,
}

#[derive(Serialize)]
struct Body {
    code: u16,
    message: String,
    status: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    details: Vec<Value>,
}

/// The status of an error answer.
pub(crate) fn status(error: &Error) -> StatusCode {
    match error {
        Error::BadKey => StatusCode::BAD_REQUEST,
        Error::MissingKey => StatusCode::FORBIDDEN,
        other => other.status(),
    }
}

/// The body of an error answer.
pub(crate) fn body(error: &Error) -> Bytes {
    write::json(&envelope(error))
}

/// Appends the error as an element of a stream which cannot be completed.
pub(crate) fn append(error: &Error, out: &mut BytesMut) {
    write::append(&envelope(error), out);
}

fn envelope(error: &Error) -> Envelope {
    Envelope {
        error: Body {
            code: status(error).as_u16(),
            message: error.to_string(),
            status: word(error),
            details: details(error),
        },
    }
}

/// `google.rpc.Code`.
fn word(error: &Error) -> &'static str {
    match (error, error.kind()) {
        (Error::BadKey, _) => "INVALID_ARGUMENT",
        (Error::MissingKey, _) | (_, Kind::Forbidden) => "PERMISSION_DENIED",
        (_, Kind::InvalidRequest) => "INVALID_ARGUMENT",
        (_, Kind::Unauthorized) => "UNAUTHENTICATED",
        (_, Kind::NotFound) => "NOT_FOUND",
        (_, Kind::QuotaExceeded | Kind::RateLimited) => "RESOURCE_EXHAUSTED",
        (_, Kind::NotSupported) => "UNIMPLEMENTED",
        (_, Kind::UpstreamTimeout) => "DEADLINE_EXCEEDED",
        (_, Kind::UpstreamRejected | Kind::UpstreamUnavailable | Kind::Unavailable) => {
            "UNAVAILABLE"
        }
        (_, Kind::Internal) => "INTERNAL",
    }
}

fn details(error: &Error) -> Vec<Value> {
    let reason = match error {
        Error::BadKey => "API_KEY_INVALID",
        other => other.code(),
    };
    let info = json!({
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": reason,
        "domain": "flowpilot",
    });
    let retry = error.retry_after().map(|after| {
        json!({
            "@type": "type.googleapis.com/google.rpc.RetryInfo",
            "retryDelay": format!("{}s", after.as_secs_f64()),
        })
    });
    let quota = matches!(error, Error::QuotaExceeded { .. }).then(|| {
        json!({
            "@type": "type.googleapis.com/google.rpc.QuotaFailure",
            "violations": [{ "description": error.to_string() }],
        })
    });
    [Some(info), retry, quota].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn told(error: &Error) -> Value {
        serde_json::from_slice(&body(error)).unwrap()
    }

    #[test]
    fn a_bad_key_is_told_as_this_dialect_tells_it() {
        let told = told(&Error::BadKey);
        assert_eq!(told["error"]["code"], 400);
        assert_eq!(told["error"]["status"], "INVALID_ARGUMENT");
        assert_eq!(told["error"]["details"][0]["reason"], "API_KEY_INVALID");
    }

    #[test]
    fn when_to_try_again_stands_in_the_body() {
        let told = told(&Error::RateLimited {
            retry_after: Duration::from_millis(1500),
        });
        assert_eq!(told["error"]["status"], "RESOURCE_EXHAUSTED");
        assert_eq!(told["error"]["details"][1]["retryDelay"], "1.5s");
    }
}
