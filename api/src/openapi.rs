//! The OpenAPI 3.1 document: what is said once for all operations.

use http::StatusCode;
use types::Permission;
use utoipa::PartialSchema;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{
    Components, Content, InfoBuilder, OpenApi, OpenApiBuilder, Ref, RefOr, Response,
    ResponseBuilder,
};

use crate::problem::{self, FieldError};

/// The name of the bearer scheme in the document.
const SECURITY_SCHEME: &str = "api_key";

/// The document before any operation is in it.
pub(crate) fn base() -> OpenApi {
    let mut components = Components::new();
    let schemas = &mut components.schemas;
    schemas.insert("Problem".to_owned(), problem::Body::schema());
    schemas.insert("FieldError".to_owned(), FieldError::schema());

    let mut bearer = Http::new(HttpAuthScheme::Bearer);
    bearer.bearer_format = Some("fp_<public>_<secret>_<checksum>".to_owned());
    bearer.description = Some(permissions());
    components.add_security_scheme(SECURITY_SCHEME, SecurityScheme::Http(bearer));

    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("FlowPilot Gateway management API")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some(DESCRIPTION))
                .build(),
        )
        .components(Some(components))
        .security(Some([SecurityRequirement::new(
            SECURITY_SCHEME,
            Vec::<String>::new(),
        )]))
        .build()
}

const DESCRIPTION: &str = "\
Organizations, keys, quotas, usage and reports.

* Errors are `application/problem+json`; each `code` is explained at `/api/docs/errors`.
* Lists are pages: `?limit` (1 to 100, default 50) and `?after` with the `next` of the page before.
* A POST that creates something takes an `Idempotency-Key`: sent again within 24 hours, the same \
request is answered as the first time, with the header `idempotency-replayed: true`.
* What can be changed by several people has an `ETag`; changing it needs `If-Match`.";

fn permissions() -> String {
    Permission::ALL
        .iter()
        .fold(String::from("Permissions:\n"), |text, p| {
            format!("{text}\n* `{p}`: {}", p.meaning())
        })
}

/// Adds the problems that every operation may answer, unless it describes them itself.
pub(crate) fn add_problems(operation: &mut Operation) {
    let takes_body = operation.request_body.is_some();
    let mut statuses = vec![
        StatusCode::UNAUTHORIZED,
        StatusCode::FORBIDDEN,
        StatusCode::INTERNAL_SERVER_ERROR,
        StatusCode::SERVICE_UNAVAILABLE,
    ];
    if takes_body || operation.parameters.is_some() {
        statuses.push(StatusCode::BAD_REQUEST);
    }
    if takes_body {
        statuses.extend([
            StatusCode::PAYLOAD_TOO_LARGE,
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            StatusCode::UNPROCESSABLE_ENTITY,
        ]);
    }
    let responses = &mut operation.responses.responses;
    for status in statuses {
        let reason = status.canonical_reason().unwrap_or_default();
        let entry = responses.entry(status.as_str().to_owned());
        entry.or_insert_with(|| RefOr::T(response(reason)));
    }
    for (status, response) in responses {
        if let (true, RefOr::T(response)) = (status.starts_with(['4', '5']), response) {
            describe(response);
        }
    }
}

fn response(description: &str) -> Response {
    ResponseBuilder::new().description(description).build()
}

/// A 4xx or 5xx without a body of its own has a problem as its body.
fn describe(response: &mut Response) {
    if response.content.is_empty() {
        let problem = Content::new(Some(Ref::from_schema_name("Problem")));
        let media_type = problem::MEDIA_TYPE.to_owned();
        response.content.insert(media_type, problem.into());
    }
}
