//! Anthropic's error object: `{"type": "error", "error": {"type", "message", "details"}, "request_id"}`.

use bytes::{Bytes, BytesMut};
use serde::Serialize;
use types::Id;
use types::id::Request;

use crate::error::{Error, Kind};
use crate::wire::write;

#[derive(Serialize)]
struct Envelope<'a> {
    r#type: &'static str,
    error: Body<'a>,
    request_id: Id<Request>,
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    message: String,
    details: Details<'a>,
}

#[derive(Serialize)]
struct Details<'a> {
    error_code: &'a str,
}

/// The body of an error answer.
pub(crate) fn body(error: &Error, request: Id<Request>) -> Bytes {
    write::json(&envelope(error, request))
}

/// The event that ends a stream which cannot be completed; the status has long been sent.
pub(crate) fn event(error: &Error, request: Id<Request>) -> Bytes {
    let mut out = BytesMut::new();
    write::named_event("error", &envelope(error, request), &mut out);
    out.freeze()
}

fn envelope(error: &Error, request: Id<Request>) -> Envelope<'_> {
    Envelope {
        r#type: "error",
        error: Body {
            r#type: error_type(error),
            message: error.to_string(),
            details: Details {
                error_code: error.code(),
            },
        },
        request_id: request,
    }
}

fn error_type(error: &Error) -> &'static str {
    match (error, error.kind()) {
        (Error::BodyTooLarge { .. }, _) => "request_too_large",
        (_, Kind::InvalidRequest) => "invalid_request_error",
        (_, Kind::NotFound) => "not_found_error",
        (_, Kind::Unauthorized) => "authentication_error",
        (_, Kind::Forbidden) => "permission_error",
        (_, Kind::QuotaExceeded | Kind::RateLimited) => "rate_limit_error",
        (_, Kind::Unavailable | Kind::UpstreamUnavailable) => "overloaded_error",
        (_, Kind::UpstreamTimeout) => "timeout_error",
        (_, Kind::UpstreamRejected | Kind::NotSupported | Kind::Internal) => "api_error",
    }
}
