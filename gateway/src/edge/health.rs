//! `/livez`, `/readyz` and `/metrics`: for those who run us.

use http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;

use super::response::json;
use crate::app::Shared;
use crate::body::Body;

#[derive(Serialize)]
struct Readiness {
    status: &'static str,
    draining: bool,
    journal: &'static str,
    requests_in_flight: usize,
}

/// Whether the process runs at all; it asks nothing and nobody.
pub(crate) fn live() -> Response<Body> {
    text("ok\n")
}

/// Whether requests should be sent here: not while it stops, and not while nothing can be booked.
///
/// A database that is away changes nothing: known keys are served on, and all replicas would leave at once.
pub(crate) fn ready(shared: &Shared) -> Response<Body> {
    let draining = shared.draining.is_cancelled();
    let books = shared.pipeline.metering.journal().refusal().is_none();
    let is_ready = !draining && books;
    let readiness = Readiness {
        status: if is_ready { "ready" } else { "not_ready" },
        draining,
        journal: if books { "open" } else { "closed" },
        requests_in_flight: shared.in_flight.count(),
    };
    let status = if is_ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    json(status, serde_json::to_vec(&readiness).unwrap_or_default())
}

/// Prometheus' text format; no label names an organization.
pub(crate) fn metrics(shared: &Shared) -> Response<Body> {
    if shared
        .pipeline
        .settings
        .load()
        .config
        .server
        .metrics_listen
        .is_some()
    {
        return json(
            StatusCode::NOT_FOUND,
            "{\"error\":\"metrics have a listener of their own\"}",
        );
    }
    text(&shared.telemetry.render())
}

/// A plain text answer.
pub(crate) fn text(text: &str) -> Response<Body> {
    let mut response = Response::new(Body::full(text.to_owned()));
    let plain = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}
