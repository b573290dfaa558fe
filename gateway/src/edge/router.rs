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

use super::{chat, health, models, response};
use crate::app::Shared;
use crate::body::{Body, NoError};
use crate::error::Error;
use crate::telemetry;

/// A route of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route<'a> {
    ChatCompletions,
    Models,
    Model(&'a str),
    Live,
    Ready,
    Metrics,
    Management,
    Unknown,
}

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
        _ => limited(shared, peer, route, request).await,
    };
    Ok(answer)
}

/// Answers what counts as a request being answered, if there is a place for it.
async fn limited(
    shared: Arc<Shared>,
    peer: SocketAddr,
    route: Route<'_>,
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
        return refuse(&error, id, !request.body().is_end_stream());
    };
    let mut answer = match route {
        Route::Management => management(&shared, peer, request).await,
        _ => ai(&shared, id, route, request, started).await,
    };
    answer.body_mut().hold(place);
    answer
}

async fn ai(
    shared: &Shared,
    id: Id<types::id::Request>,
    route: Route<'_>,
    request: Request<Incoming>,
    started: Instant,
) -> Response<Body> {
    let has_body = !request.body().is_end_stream();
    let result = match (route, request.method()) {
        (Route::ChatCompletions, &Method::POST) => {
            let reply = chat::create_chat_completion(shared, id, request).await;
            reply.map(response::from_reply)
        }
        (Route::Models, &Method::GET) => {
            let list = models::list_models(shared, request.headers()).await;
            list.map(|body| response::json(http::StatusCode::OK, body))
        }
        (Route::Model(model), &Method::GET) => {
            let one = models::find_model(shared, request.headers(), model).await;
            one.map(|body| response::json(http::StatusCode::OK, body))
        }
        (Route::Unknown, method) => Err(Error::UnknownRoute {
            method: method.to_string(),
            path: request.uri().path().to_owned(),
        }),
        (_, method) => Err(Error::MethodNotAllowed {
            method: method.to_string(),
        }),
    };
    telemetry::count_request(route.as_str(), result.as_ref().map(drop), started.elapsed());
    match result {
        Ok(answer) => response::with_request_id(answer, id),
        Err(error) => refuse(&error, id, has_body),
    }
}

/// Logs what is our own fault, once and with its causes, and answers.
fn refuse(error: &Error, id: Id<types::id::Request>, has_body: bool) -> Response<Body> {
    if let Error::Internal(cause) = error {
        tracing::error!(request.id = %id, error = format!("{cause:#}"), "a request failed");
    }
    let mut answer = response::from_error(error, id);
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

impl<'a> Route<'a> {
    fn of(path: &'a str) -> Self {
        // Base URLs are given with and without a slash at the end, and with `/v1` by those who add it once more.
        let path = path.strip_suffix('/').unwrap_or(path);
        let path = path
            .strip_prefix("/v1")
            .filter(|rest| rest.starts_with("/v1/"))
            .unwrap_or(path);
        match path {
            "/v1/chat/completions" => Self::ChatCompletions,
            "/v1/models" => Self::Models,
            "/livez" => Self::Live,
            "/readyz" => Self::Ready,
            "/metrics" => Self::Metrics,
            path if path == "/api" || path.starts_with("/api/") => Self::Management,
            path => path
                .strip_prefix("/v1/models/")
                .map_or(Self::Unknown, Self::Model),
        }
    }

    /// The label in metrics: a path of a client's making is never one.
    const fn as_str(self) -> &'static str {
        match self {
            Self::ChatCompletions => "/v1/chat/completions",
            Self::Models => "/v1/models",
            Self::Model(_) => "/v1/models/{id}",
            Self::Live => "/livez",
            Self::Ready => "/readyz",
            Self::Metrics => "/metrics",
            Self::Management => "/api",
            Self::Unknown => "unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_urls_may_end_with_a_slash_or_repeat_the_version() {
        for path in [
            "/v1/chat/completions",
            "/v1/chat/completions/",
            "/v1/v1/chat/completions",
        ] {
            assert_eq!(Route::of(path), Route::ChatCompletions, "{path}");
        }
        assert_eq!(
            Route::of("/v1/models/gemini/gemini-2.5-flash"),
            Route::Model("gemini/gemini-2.5-flash")
        );
        assert_eq!(Route::of("/apis"), Route::Unknown);
    }
}
