//! One shape for every refusal and failure: RFC 9457, `application/problem+json`.
//!
//! A problem carries what the caller may know. What went wrong inside travels beside it as its
//! cause, is logged once where the answer leaves ([`crate::request_id`]), and is never shown.

mod code;

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, header};
use serde::Serialize;
use utoipa::ToSchema;

pub use code::Code;

/// The media type of every problem.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// Where the codes are explained; `type` is this with the code as its fragment.
pub const DOCUMENTATION_PATH: &str = "/api/docs/errors";

/// When to try again while the database is away: a restart or failover takes seconds.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Where the caller must look: one field that is wrong, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// The path of the field in the body, as `limits[0].amount`, or the parameter's name.
    #[schema(example = "expires_at")]
    pub field: String,
    /// What is wrong with it.
    #[schema(example = "must lie in the future")]
    pub message: String,
}

/// A refusal or failure, ready to be answered.
#[derive(Debug, Clone)]
pub struct Problem {
    code: Code,
    detail: Option<String>,
    errors: Vec<FieldError>,
    retry_after: Option<Duration>,
    cause: Option<Arc<dyn StdError + Send + Sync>>,
}

/// The body of a problem.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct Body<'a> {
    /// A relative URI that explains the code.
    #[serde(rename = "type")]
    #[schema(example = "/api/docs/errors#not_found")]
    uri: String,
    /// The short text for people; the same for every occurrence of the code.
    #[schema(example = "There is no such thing")]
    title: &'static str,
    /// The HTTP status.
    #[schema(example = 404)]
    status: u16,
    /// What happened this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "no API key has this id")]
    detail: Option<&'a str>,
    /// The stable word that a program may branch on.
    #[schema(value_type = String, example = "not_found")]
    code: Code,
    /// Names this request in the logs.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    /// The fields that are wrong.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
}

impl Problem {
    /// A problem with nothing but its code.
    pub const fn new(code: Code) -> Self {
        Self {
            code,
            detail: None,
            errors: Vec::new(),
            retry_after: None,
            cause: None,
        }
    }

    /// Something that is not there, or belongs to another organization: the two look the same.
    pub fn not_found(what: &str) -> Self {
        Self::new(Code::NotFound).detail(format!("no {what} has this id"))
    }

    /// One field with a value that cannot be accepted.
    pub fn invalid_field(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self::new(Code::InvalidFields).field(field, message)
    }

    /// A failure of ours. The cause is logged and never shown.
    pub fn internal(cause: impl StdError + Send + Sync + 'static) -> Self {
        Self::new(Code::Internal).cause(cause)
    }

    /// Says what happened this time; shown to the caller, so no secrets and no internals.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds a field that is wrong.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>, message: impl Into<String>) -> Self {
        self.errors.push(FieldError {
            field: field.into(),
            message: message.into(),
        });
        self
    }

    /// Says when trying again makes sense (`Retry-After`, rounded up to a second).
    #[must_use]
    pub const fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Keeps what went wrong inside, for the log.
    #[must_use]
    pub fn cause(mut self, cause: impl StdError + Send + Sync + 'static) -> Self {
        self.cause = Some(Arc::new(cause));
        self
    }

    /// The code.
    pub const fn code(&self) -> Code {
        self.code
    }

    /// What went wrong inside, if something did.
    pub fn source(&self) -> Option<&(dyn StdError + Send + Sync + 'static)> {
        self.cause.as_deref()
    }

    /// The answer, naming the request if its id is known.
    pub(crate) fn answer(self, request_id: Option<&str>) -> Response {
        let body = Body {
            uri: format!("{DOCUMENTATION_PATH}#{}", self.code),
            title: self.code.title(),
            status: self.code.status().as_u16(),
            detail: self.detail.as_deref(),
            code: self.code,
            request_id,
            errors: &self.errors,
        };
        let body = serde_json::to_vec(&body).unwrap_or_default();

        let content_type = [(header::CONTENT_TYPE, MEDIA_TYPE)];
        let mut response = (self.code.status(), content_type, body).into_response();
        if let Some(wait) = self.retry_after {
            let seconds = wait.as_millis().div_ceil(1000).max(1);
            if let Ok(value) = HeaderValue::from_str(&seconds.to_string()) {
                response.headers_mut().insert(header::RETRY_AFTER, value);
            }
        }
        if self.code.status() == http::StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, scheme);
        }
        response.extensions_mut().insert(self);
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.answer(None)
    }
}

/// What the database reports by meaning. A constraint that a request can violate is matched by
/// its endpoint first; here it is a failure of ours.
impl From<database::Error> for Problem {
    fn from(error: database::Error) -> Self {
        let problem = match &error {
            database::Error::Unavailable(_) | database::Error::Conflict(_) => {
                Self::new(Code::Unavailable).retry_after(RETRY_AFTER)
            }
            database::Error::Timeout(_) => Self::new(Code::Timeout),
            _ => Self::new(Code::Internal),
        };
        problem.cause(error)
    }
}

impl database::AsDatabaseError for Problem {
    fn as_database_error(&self) -> Option<&database::Error> {
        self.source()?.downcast_ref()
    }
}

#[cfg(test)]
mod tests;
