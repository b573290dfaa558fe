//! Which handler answers which path: the AI routes first and by hand, then the management API.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use api::Problem;
use axum::extract::ConnectInfo;
use axum::response::IntoResponse;
use http::{HeaderValue, Method, Request, Response, header};
use hyper::body::{Body as _, Incoming};
use tower::ServiceExt;
use types::Id;
use types::call::Dialect;

use super::route::{Action, Route};
use super::{chat, health, models, response};
use crate::app::Shared;
use crate::body::{Body, NoError};
use crate::error::Error;
use crate::telemetry;

/// Answers one request. Every error has become an answer by now.
pub(crate) async fn serve(
    shared: Arc<Shared>,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Result<Response<Body>, NoError> {
    let path = request.uri().path().to_owned();
    let route = Route::of(&path);
    // Those who ask after our health are answered however much there is to do.
    let answer = match route {
        Route::Live => health::live(),
        Route::Ready => health::ready(&shared),
        Route::Metrics => health::metrics(&shared),
        route => {
            let dialect = route.dialect(&path, request.uri().query(), request.headers());
            limited(shared, peer, (route, dialect), request).await
        }
    };
    Ok(answer)
}

/// Answers what counts as a request being answered, if there is a place for it.
async fn limited(
    shared: Arc<Shared>,
    peer: SocketAddr,
    (route, dialect): (Route<'_>, Dialect),
    request: Request<Incoming>,
) -> Response<Body> {
    let id = Id::new(shared.pipeline.clock.as_ref());
    let started = Instant::now();
    let max = shared
        .pipeline
        .settings
        .load()
        .config
        .server
        .requests_in_flight_max;
    let Some(place) = shared.in_flight.enter(max) else {
        let error = Error::Unavailable {
            reason: "too many requests are being answered",
        };
        telemetry::count_request(route.as_str(), Err(&error), started.elapsed());
        return refuse(&error, dialect, id, !request.body().is_end_stream());
    };
    let mut answer = match route {
        Route::Management => management(&shared, peer, request).await,
        _ => ai(&shared, id, (&route, dialect), request, started).await,
    };
    answer.body_mut().hold(place);
    answer
}

async fn ai(
    shared: &Shared,
    id: Id<types::id::Request>,
    (route, dialect): (&Route<'_>, Dialect),
    request: Request<Incoming>,
    started: Instant,
) -> Response<Body> {
    let has_body = !request.body().is_end_stream();
    let result = dispatch(shared, id, (route, dialect), request).await;
    telemetry::count_request(route.as_str(), result.as_ref().map(drop), started.elapsed());
    match result {
        Ok(answer) => response::with_request_id(answer, dialect, id),
        Err(error) => refuse(&error, dialect, id, has_body),
    }
}

async fn dispatch(
    shared: &Shared,
    id: Id<types::id::Request>,
    (route, dialect): (&Route<'_>, Dialect),
    request: Request<Incoming>,
) -> Result<Response<Body>, Error> {
    let ok = |body| response::json(http::StatusCode::OK, body);
    let (headers, query) = (request.headers(), request.uri().query());
    match (route, request.method()) {
        (
            Route::CountMessageTokens
            | Route::Gemini {
                action: Action::CountTokens,
                ..
            },
            &Method::POST,
        ) => chat::count_tokens(shared, id, route, request).await.map(ok),
        (
            Route::NotSupported
            | Route::Gemini {
                action: Action::Other,
                ..
            },
            method,
        ) => {
            // The path is the caller's own; the method is one of a handful.
            let path = request.uri().path();
            Err(Error::NotSupported(format!(
                "{method} {path} is not served here yet"
            )))
        }
        (
            Route::ChatCompletions
            | Route::Completions
            | Route::Embeddings
            | Route::Responses
            | Route::Messages
            | Route::Gemini { .. },
            &Method::POST,
        ) => {
            let reply = chat::answer(shared, id, route, request).await;
            reply.map(response::from_reply)
        }
        (Route::Models, &Method::GET) => {
            let list = models::list_models(shared, dialect, headers, query).await;
            list.map(ok)
        }
        (Route::Model(model), &Method::GET) => {
            let one = models::find_model(shared, dialect, (headers, query), model).await;
            one.map(ok)
        }
        (Route::Unknown, method) => Err(Error::UnknownRoute {
            method: method.to_string(),
            path: request.uri().path().to_owned(),
        }),
        (_, method) => Err(Error::MethodNotAllowed {
            method: method.to_string(),
        }),
    }
}

/// Logs what is our own fault, once and with its causes, and answers.
fn refuse(
    error: &Error,
    dialect: Dialect,
    id: Id<types::id::Request>,
    has_body: bool,
) -> Response<Body> {
    if let Error::Internal(cause) = error {
        tracing::error!(request.id = %id, error = format!("{cause:#}"), "a request failed");
    }
    let mut answer = response::from_error(error, dialect, id);
    if has_body && error.leaves_body_unread() {
        // The connection ends with this answer; a client that is not told sends its next request into the void.
        let close = HeaderValue::from_static("close");
        answer.headers_mut().insert(header::CONNECTION, close);
    }
    answer
}

async fn management(
    shared: &Shared,
    peer: SocketAddr,
    request: Request<Incoming>,
) -> Response<Body> {
    let mut request = request.map(axum::body::Body::new);
    // Where a change came from stands in the audit trail.
    request.extensions_mut().insert(ConnectInfo(peer));
    // On the main runtime: a large report must not hold up the requests of this worker.
    let answer = shared.management.clone().oneshot(request);
    let answer = shared.pipeline.tasks.spawn_on(answer, &shared.main);
    match answer.await {
        Ok(Ok(answer)) => answer.map(Body::axum),
        Ok(Err(never)) => match never {},
        Err(error) => {
            tracing::error!(%error, "a management request broke off");
            Problem::internal(error).into_response().map(Body::axum)
        }
    }
}
