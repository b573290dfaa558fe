//! What a client is told beside an answer: errors, models, the name of its request; each in the client's dialect.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::{HeaderName, StatusCode};
use types::Id;
use types::call::Dialect;
use types::id::Request;

use super::{anthropic, gemini, openai};
use crate::error::{Error, UpstreamError};
use crate::route::Offer;

/// The status and the body of an error answer.
///
/// A provider's own body goes through unchanged to a client of its dialect where the caller can mend the error.
pub(crate) fn error(dialect: Dialect, error: &Error, request: Id<Request>) -> (StatusCode, Bytes) {
    if let Error::Upstream(UpstreamError::Rejected(rejection)) = error
        && rejection.is_callers_fault()
        && let Some((spoken, raw)) = &rejection.raw
        && *spoken == dialect
    {
        return (rejection.status, raw.clone());
    }
    match dialect {
        Dialect::Openai => (error.status(), openai::error::body(error)),
        Dialect::Anthropic => (error.status(), anthropic::error::body(error, request)),
        Dialect::Gemini => (gemini::error::status(error), gemini::error::body(error)),
    }
}

/// The end of a passed-through stream that cannot be completed; the status has long been sent.
pub(crate) fn error_event(dialect: Dialect, error: &Error, request: Id<Request>) -> Bytes {
    match dialect {
        Dialect::Openai => openai::error::event(error),
        Dialect::Anthropic => anthropic::error::event(error, request),
        Dialect::Gemini => gemini::stream::Framing::Events.fail(error),
    }
}

/// The list of models.
pub(crate) fn models(dialect: Dialect, offers: &[Offer], created: DateTime<Utc>) -> Bytes {
    let names = || -> Vec<&str> { offers.iter().map(|offer| offer.name.as_str()).collect() };
    match dialect {
        Dialect::Openai => openai::models::list(offers, created.timestamp()),
        Dialect::Anthropic => anthropic::models::list(&names(), created),
        Dialect::Gemini => gemini::models::list(&names()),
    }
}

/// One model.
pub(crate) fn model(dialect: Dialect, offer: &Offer, created: DateTime<Utc>) -> Bytes {
    match dialect {
        Dialect::Openai => openai::models::one(offer, created.timestamp()),
        Dialect::Anthropic => anthropic::models::one(&offer.name, created),
        Dialect::Gemini => gemini::models::one(&offer.name),
    }
}

/// The header under which the SDKs of a dialect look for the request's name, where it is one of its own.
pub(crate) const fn request_id_header(dialect: Dialect) -> Option<HeaderName> {
    match dialect {
        Dialect::Anthropic => Some(HeaderName::from_static("request-id")),
        Dialect::Openai | Dialect::Gemini => None,
    }
}

/// How many tokens a question has, as the answer to a client that asked for that alone.
pub(crate) fn token_count(dialect: Dialect, tokens: u64) -> Bytes {
    match dialect {
        Dialect::Gemini => super::write::json(&serde_json::json!({ "totalTokens": tokens })),
        Dialect::Openai | Dialect::Anthropic => {
            super::write::json(&serde_json::json!({ "input_tokens": tokens }))
        }
    }
}
