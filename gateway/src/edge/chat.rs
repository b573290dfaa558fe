//! Questions to models, in every dialect: who asks, what is asked, and the way to the pipeline.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Request};
use hyper::body::Incoming;
use types::call::{Call, Delivery};
use types::{Caller, Id};

use super::request::{presented_key, query_value, read_body};
use super::route::{Action, Route};
use crate::app::Shared;
use crate::directions::Directions;
use crate::error::Error;
use crate::once::Asking;
use crate::reply::Reply;
use crate::wire::{anthropic, gemini, openai};

/// A request of a known caller, read to its end.
struct Received {
    caller: Caller,
    head: Parts,
    body: Bytes,
}

/// Answers a question, whole or streamed.
pub(crate) async fn answer(
    shared: &Shared,
    id: Id<types::id::Request>,
    route: &Route<'_>,
    request: Request<Incoming>,
) -> Result<Reply, Error> {
    let received = receive(shared, request).await?;
    let directions = Directions::from_headers(&received.head.headers)?;
    let call = decode(route, &received)?;
    let asking = Box::new(Asking {
        request: id,
        caller: received.caller,
        call,
        directions,
    });
    shared.pipeline.answer(asking).await
}

/// Counts the tokens of a question: the body of the answer.
pub(crate) async fn count_tokens(
    shared: &Shared,
    id: Id<types::id::Request>,
    route: &Route<'_>,
    request: Request<Incoming>,
) -> Result<Bytes, Error> {
    let received = receive(shared, request).await?;
    let headers = &received.head.headers;
    let call = match route {
        Route::Gemini { model, .. } => gemini::request::decode_count(model, &received.body)?,
        _ => anthropic::request::decode_count(&received.body, headers)?,
    };
    shared.pipeline.count(id, received.caller, call).await
}

/// Knows the caller before it reads the body.
async fn receive(shared: &Shared, request: Request<Incoming>) -> Result<Received, Error> {
    let (head, body) = request.into_parts();
    let caller = authenticate(shared, &head.headers, head.uri.query()).await?;
    let bytes_max = shared
        .pipeline
        .settings
        .load()
        .config
        .server
        .request_body_bytes_max;
    let body = read_body(body, bytes_max).await?;
    Ok(Received { caller, head, body })
}

/// The caller whose key is presented.
pub(crate) async fn authenticate(
    shared: &Shared,
    headers: &HeaderMap,
    query: Option<&str>,
) -> Result<Caller, Error> {
    let key = presented_key(headers, query)?;
    shared.auth.authenticate(&key).await
}

fn decode(route: &Route<'_>, received: &Received) -> Result<Call, Error> {
    let (headers, body) = (&received.head.headers, &received.body);
    match route {
        Route::Messages => anthropic::request::decode(body, headers),
        Route::Gemini { model, action } => match action {
            Action::Embed => gemini::embeddings::decode(model, body),
            Action::EmbedBatch => gemini::embeddings::decode_batch(model, body),
            _ => gemini::request::decode(model, delivery(*action, received.head.uri.query()), body),
        },
        Route::Completions => openai::legacy::decode(body),
        Route::Embeddings => openai::embeddings::decode(body),
        Route::Responses => openai::responses::request::decode(body),
        _ => openai::request::decode(body),
    }
}

/// How Gemini's clients say that they want a stream, and in what form.
fn delivery(action: Action, query: Option<&str>) -> Delivery {
    let wants_events = query.and_then(|query| query_value(query, "alt")) == Some("sse");
    match action {
        Action::Stream if wants_events => Delivery::Stream {
            include_usage: true,
        },
        Action::Stream => Delivery::Array,
        _ => Delivery::Whole,
    }
}
