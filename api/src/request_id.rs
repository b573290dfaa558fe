//! Names every request, so that an answer and its log lines can be found from each other.
//!
//! The edge names requests (`x-request-id`); a request that comes without a name gets one here.
//! This is also where a problem leaves the API, and so the one place where its cause is logged.

use std::error::Error as StdError;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderName, HeaderValue};
use types::id;
use types::{Clock, Id};

use crate::problem::Problem;

/// The header that carries the request's id, in both directions.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The longest id that is taken over from a request, in bytes; longer ones are replaced.
const BYTES_MAX: usize = 128;

/// The middleware: names the request, and puts the name into the answer.
pub(crate) async fn name(
    State(clock): State<Arc<dyn Clock>>,
    mut request: Request,
    next: Next,
) -> Response {
    let given = request.headers().get(&REQUEST_ID);
    let id = match given.and_then(|id| id.to_str().ok()) {
        Some(id) if !id.is_empty() && id.len() <= BYTES_MAX => id.to_owned(),
        _ => Id::<id::Request>::new(clock.as_ref()).to_string(),
    };
    let value = HeaderValue::from_str(&id).ok();
    if let Some(value) = &value {
        request.headers_mut().insert(REQUEST_ID, value.clone());
    }

    let mut response = answer(next.run(request).await, &id);
    if let Some(value) = value {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

/// Gives a problem the request's id and logs its cause; other answers pass unchanged.
fn answer(mut response: Response, id: &str) -> Response {
    let Some(problem) = response.extensions_mut().remove::<Problem>() else {
        return response;
    };
    if let Some(cause) = problem.source() {
        let code = problem.code().as_str();
        let cause = chain(cause);
        if problem.code().status().is_server_error() {
            tracing::error!(request_id = id, code, cause, "management request failed");
        } else {
            tracing::info!(request_id = id, code, cause, "management request refused");
        }
    }
    let (parts, _) = response.into_parts();
    let mut answer = problem.answer(Some(id));
    for (name, value) in &parts.headers {
        // Such as `allow`, which the router adds; what the body decides is the new one's.
        if !answer.headers().contains_key(name) && name != http::header::CONTENT_LENGTH {
            answer.headers_mut().insert(name.clone(), value.clone());
        }
    }
    answer.extensions_mut().remove::<Problem>();
    answer
}

/// The error and its causes, in one line.
fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}
