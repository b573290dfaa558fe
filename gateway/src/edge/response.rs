//! Turns replies and errors into HTTP answers with the headers that clients and operators look for.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use metering::Exceeded;
use types::Id;
use types::call::{Delivery, Dialect};
use types::id::Request;

use crate::body::Body;
use crate::error::Error;
use crate::reply::{Content, Origin, Reply};
use crate::wire::client;

/// The request's identity, under the name every SDK shows.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const CACHE: HeaderName = HeaderName::from_static("x-flowpilot-cache");
const CACHE_SCORE: HeaderName = HeaderName::from_static("x-flowpilot-cache-score");
const CACHE_AGE: HeaderName = HeaderName::from_static("x-flowpilot-cache-age");
const CACHE_ENTRY: HeaderName = HeaderName::from_static("x-flowpilot-cache-entry");
const PROVIDER: HeaderName = HeaderName::from_static("x-flowpilot-provider");
const MODEL: HeaderName = HeaderName::from_static("x-flowpilot-model");
const ATTEMPTS: HeaderName = HeaderName::from_static("x-flowpilot-attempts");
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");
const IDEMPOTENT_REPLAY: HeaderName = HeaderName::from_static("x-flowpilot-idempotent-replay");
const LIMIT: HeaderName = HeaderName::from_static("x-flowpilot-limit");
const LIMIT_USED: HeaderName = HeaderName::from_static("x-flowpilot-limit-used");
const LIMIT_RESET: HeaderName = HeaderName::from_static("x-flowpilot-limit-reset");
const LIMIT_SCOPE: HeaderName = HeaderName::from_static("x-flowpilot-limit-scope");
const LIMIT_RESOURCE: HeaderName = HeaderName::from_static("x-flowpilot-limit-resource");
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream; charset=utf-8");

/// A body of JSON.
pub(crate) fn json(status: StatusCode, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::full(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}

/// An answer of the pipeline's.
pub(crate) fn from_reply(reply: Reply) -> Response<Body> {
    let mut response = match reply.content {
        Content::Whole(bytes) => json(StatusCode::OK, bytes),
        Content::Stream(events) => stream(reply.delivery, Body::stream(events)),
        Content::Replayed(events) => stream(reply.delivery, Body::full(events)),
    };
    let headers = response.headers_mut();
    headers.insert(
        CACHE,
        HeaderValue::from_static(reply.origin.cache().as_str()),
    );
    let mut insert =
        |name, value: &str| HeaderValue::from_str(value).map(|value| headers.insert(name, value));
    // A name that does not fit into a header is left out rather than the answer lost.
    let _ = insert(PROVIDER, reply.origin.provider());
    let _ = insert(MODEL, reply.origin.model());
    match &reply.origin {
        Origin::Cache {
            tier, entry, age, ..
        } => {
            if let cache::Tier::Semantic { score } = tier {
                let _ = insert(CACHE_SCORE, &format!("{score:.3}"));
            }
            let _ = insert(CACHE_ENTRY, &entry.to_string());
            headers.insert(CACHE_AGE, HeaderValue::from(age.as_secs()));
        }
        Origin::Kept { .. } => {
            headers.insert(IDEMPOTENT_REPLAY, HeaderValue::from_static("true"));
        }
        Origin::Provider { attempts, .. } => {
            headers.insert(ATTEMPTS, HeaderValue::from(*attempts));
        }
    }
    response
}

/// An error in the client's dialect.
pub(crate) fn from_error(error: &Error, dialect: Dialect, request: Id<Request>) -> Response<Body> {
    let (status, body) = client::error(dialect, error, request);
    let mut response = json(status, body);
    let headers = response.headers_mut();
    if let Some(after) = error.retry_after() {
        // SDKs read the milliseconds first; the seconds, rounded up, are for everyone else.
        let millis = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        headers.insert(RETRY_AFTER_MS, HeaderValue::from(millis));
        headers.insert(
            header::RETRY_AFTER,
            HeaderValue::from(millis.div_ceil(1000)),
        );
    }
    if error.forbids_retry() {
        headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
    }
    if let Some(exceeded) = error.exceeded() {
        tell_limit(headers, exceeded);
    }
    with_request_id(response, dialect, request)
}

/// Which limit is reached, for programs: `reset` in seconds since 1970, as everybody counts them.
fn tell_limit(headers: &mut HeaderMap, exceeded: &Exceeded) {
    let reset = exceeded.reset_at.map(|at| at.timestamp().to_string());
    let told = [
        (LIMIT_SCOPE, Some(exceeded.scope.to_string())),
        (LIMIT_RESOURCE, Some(exceeded.resource.to_string())),
        (LIMIT, Some(exceeded.limit.to_string())),
        (LIMIT_USED, Some(exceeded.used.to_string())),
        (LIMIT_RESET, reset),
    ];
    for (name, text) in told {
        // A scope that does not fit into a header stands in the message all the same.
        if let Some(Ok(value)) = text.map(|text| HeaderValue::from_str(&text)) {
            headers.insert(name, value);
        }
    }
}

fn stream(delivery: Delivery, body: Body) -> Response<Body> {
    let kind = match delivery {
        Delivery::Array => JSON,
        Delivery::Whole | Delivery::Stream { .. } => EVENT_STREAM,
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    response
}

/// Adds the request's identity, under our own name for it and under that of the dialect.
pub(crate) fn with_request_id(
    mut response: Response<Body>,
    dialect: Dialect,
    request: Id<Request>,
) -> Response<Body> {
    let mut text = uuid::Uuid::encode_buffer();
    let text = request.uuid().hyphenated().encode_lower(&mut text);
    if let Ok(value) = HeaderValue::from_str(text) {
        let headers = response.headers_mut();
        if let Some(name) = client::request_id_header(dialect) {
            headers.insert(name, value.clone());
        }
        headers.insert(REQUEST_ID, value);
    }
    response
}
