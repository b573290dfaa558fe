//! `POST /v1/chat/completions`.

use http::Request;
use hyper::body::Incoming;
use types::Id;

use super::request::{presented_key, read_body};
use crate::app::Shared;
use crate::directions::Directions;
use crate::error::Error;
use crate::reply::Reply;
use crate::wire::openai;

/// Answers a chat completion, whole or streamed.
pub(crate) async fn create_chat_completion(
    shared: &Shared,
    id: Id<types::id::Request>,
    request: Request<Incoming>,
) -> Result<Reply, Error> {
    let (head, body) = request.into_parts();
    let caller = shared
        .auth
        .authenticate(presented_key(&head.headers)?)
        .await?;
    let bytes_max = shared
        .pipeline
        .settings
        .load()
        .config
        .server
        .request_body_bytes_max;
    let body = read_body(body, bytes_max).await?;
    let directions = Directions::from_headers(&head.headers)?;
    let call = openai::request::decode(&body)?;
    shared.pipeline.answer(id, caller, call, directions).await
}
