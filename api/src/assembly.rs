//! The whole management API: every crate's operations, the OpenAPI document, and what answers
//! when no operation does.

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::routing::get;
use axum::{Json, Router, middleware};
use types::Clock;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::auth::Authenticate;
use crate::operations::Operations;
use crate::problem::{Code, Problem};
use crate::{docs, openapi, request_id};

/// The largest body of a management request, in bytes: generous for JSON written by hand.
pub const BODY_BYTES_MAX: usize = 256 * 1024;

/// Where the OpenAPI document is.
pub const OPENAPI_PATH: &str = "/api/v1/openapi.json";

/// Collects operations into one router and one document.
#[derive(Debug)]
pub struct Api {
    authenticate: Arc<dyn Authenticate>,
    clock: Arc<dyn Clock>,
    router: Collected,
}

/// `OpenApiRouter` has no `Debug`.
struct Collected(OpenApiRouter);

impl Api {
    /// An API without operations. The clock makes request ids for requests that have none.
    pub fn new(authenticate: Arc<dyn Authenticate>, clock: Arc<dyn Clock>) -> Self {
        Self {
            authenticate,
            clock,
            router: Collected(OpenApiRouter::with_openapi(openapi::base())),
        }
    }

    /// Adds a crate's operations. Their paths begin with `/api/v1/`.
    #[must_use]
    pub fn mount<S: Clone + Send + Sync + 'static>(mut self, operations: Operations<S>) -> Self {
        let router = operations.mount(self.router.0, &self.authenticate);
        self.router = Collected(router);
        self
    }

    /// The document of what is mounted.
    pub fn openapi(&self) -> &OpenApi {
        self.router.0.get_openapi()
    }

    /// The router: the operations, the document, the documentation pages, and 404 and 405.
    pub fn into_router(self) -> Router {
        let (router, document) = self.router.0.split_for_parts();
        let document = Arc::new(document);
        router
            .route(OPENAPI_PATH, get(move || async move { Json(document) }))
            .merge(docs::router())
            .fallback(route_not_found)
            .method_not_allowed_fallback(method_not_allowed)
            .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
            .layer(middleware::from_fn_with_state(self.clock, request_id::name))
    }
}

impl std::fmt::Debug for Collected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let paths = self.0.get_openapi().paths.paths.keys();
        f.debug_list().entries(paths).finish()
    }
}

async fn route_not_found() -> Problem {
    Problem::new(Code::RouteNotFound).detail("see /api/docs for all endpoints")
}

async fn method_not_allowed() -> Problem {
    Problem::new(Code::MethodNotAllowed).detail("the header `allow` lists its methods")
}
