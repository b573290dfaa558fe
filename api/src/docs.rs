//! The pages for people: `/api/docs` to try operations out, `/api/docs/errors` for the codes.
//!
//! Everything is in the binary; neither page asks the network for anything.

pub mod errors;

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::assembly::OPENAPI_PATH;
use crate::problem::DOCUMENTATION_PATH;

/// Where the interactive page is.
pub const DOCS_PATH: &str = "/api/docs";

/// Both pages.
pub(crate) fn router() -> Router {
    let config = Config::from(OPENAPI_PATH)
        .display_operation_id(true)
        .show_extensions(true);
    let interactive: Router = SwaggerUi::new(DOCS_PATH).config(config).into();
    interactive.route(DOCUMENTATION_PATH, get(async || Html(errors::html())))
}
