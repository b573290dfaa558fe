//! The one mapping from what went wrong to status, code and message.
//!
//! Callers see a public sentence; the chain of causes goes to the log, once, where the error is answered.
//! A message never holds a secret, a prompt, or an upstream's address.

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::StatusCode;
use metering::Exceeded;
use types::call::Dialect;

/// Why a request was not answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// No credential was sent.
    #[error("no API key was sent; use the header 'Authorization: Bearer <key>'")]
    MissingKey,
    /// The credential is unknown, revoked or expired.
    #[error("the API key is unknown, revoked or expired")]
    BadKey,
    /// The credential may not do this.
    #[error("the API key lacks the permission '{0}'")]
    Forbidden(types::Permission),
    /// The request cannot be understood.
    #[error("{message}")]
    Invalid {
        /// What is wrong, for the caller.
        message: String,
        /// The field it is about.
        param: Option<String>,
    },
    /// The dialect has it, but nothing here or behind it can do it.
    #[error("{0}")]
    NotSupported(String),
    /// The body is larger than allowed.
    #[error("the request body is larger than {limit_bytes} bytes")]
    BodyTooLarge {
        /// The limit.
        limit_bytes: u64,
    },
    /// The body did not arrive in time, or not at all.
    #[error("the request body did not arrive completely")]
    BodyIncomplete,
    /// There is no such route.
    #[error("there is no route {method} {path}")]
    UnknownRoute {
        /// The method.
        method: String,
        /// The path, which is the caller's own.
        path: String,
    },
    /// The route exists, the method does not.
    #[error("the method {method} is not allowed here")]
    MethodNotAllowed {
        /// The method.
        method: String,
    },
    /// No deployment serves the model.
    #[error("the model '{0}' does not exist here; GET /v1/models lists those that do")]
    UnknownModel(String),
    /// The organization has no such template, or the template no such version.
    #[error("there is no prompt template '{slug}'{}", version_text(*version))]
    UnknownTemplate {
        /// The slug, which is the caller's own.
        slug: String,
        /// The version that was asked for.
        version: Option<u32>,
    },
    /// The model has no price, and the operator refuses such.
    #[error(
        "the model '{0}' has no price, so its use cannot be billed; ask the operator to add one"
    )]
    UnpricedModel(String),
    /// More requests than allowed in this time.
    #[error("too many requests; try again in {} ms", retry_after.as_millis())]
    RateLimited {
        /// When it may work again.
        retry_after: Duration,
    },
    /// More requests at once than allowed.
    #[error("too many requests at once for this key (limit {limit})")]
    TooManyAtOnce {
        /// The limit.
        limit: u32,
    },
    /// A quota or budget of the period has too little left.
    #[error(
        "the limit of {} {} for the {} is used up ({} used or reserved){}",
        .0.limit, .0.resource, .0.scope, .0.used, reset_text(.0.reset_at)
    )]
    QuotaExceeded(Box<Exceeded>),
    /// The idempotency key was used for another call.
    #[error(
        "this Idempotency-Key was used for another request; a key names one request for 24 hours"
    )]
    IdempotencyMismatch,
    /// The gateway is at a limit of its own, or lacks what it needs to book the request.
    #[error("the gateway cannot take the request now: {reason}")]
    Unavailable {
        /// Why, without details.
        reason: &'static str,
    },
    /// The provider refused or failed.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// Our own fault.
    #[error("internal error")]
    Internal(#[source] anyhow::Error),
}

/// How a provider failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum UpstreamError {
    /// It answered with an error.
    #[error(transparent)]
    Rejected(Box<Rejection>),
    /// It could not be reached: it never saw the request.
    #[error("the provider could not be reached")]
    Unreachable(#[source] anyhow::Error),
    /// The connection broke after the request was sent: it may have charged.
    #[error("the connection to the provider broke")]
    Broken(#[source] anyhow::Error),
    /// It was too slow.
    #[error("the provider did not answer in time ({0})")]
    TimedOut(&'static str),
    /// It answered something that is not its protocol.
    #[error("the provider's answer could not be understood")]
    Malformed(#[source] anyhow::Error),
    /// Its answer ended before it was complete.
    #[error("the provider's answer ended before it was complete")]
    Truncated,
}

/// A provider's own error answer.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Rejection {
    /// Its status.
    pub(crate) status: StatusCode,
    /// Its message.
    pub(crate) message: String,
    /// Its code, where it has one.
    pub(crate) code: Option<String>,
    /// The field it is about, where it says so.
    pub(crate) param: Option<String>,
    /// When to try again.
    pub(crate) retry_after: Option<Duration>,
    /// The body as it came and its dialect, for a client of the same one.
    pub(crate) raw: Option<(Dialect, Bytes)>,
}

/// The low-cardinality class of an [`Error`], for metrics, the ledger and the dialects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    InvalidRequest,
    Unauthorized,
    Forbidden,
    NotFound,
    NotSupported,
    QuotaExceeded,
    RateLimited,
    UpstreamRejected,
    UpstreamUnavailable,
    UpstreamTimeout,
    Unavailable,
    Internal,
}

impl Error {
    /// A request that cannot be understood.
    pub(crate) fn invalid(message: impl Into<String>, param: Option<&str>) -> Self {
        Self::Invalid {
            message: message.into(),
            param: param.map(str::to_owned),
        }
    }

    /// An error of ours, whose cause is only logged.
    pub(crate) fn internal(cause: impl Into<anyhow::Error>) -> Self {
        Self::Internal(cause.into())
    }

    /// The class.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::MissingKey | Self::BadKey => Kind::Unauthorized,
            Self::Forbidden(_) => Kind::Forbidden,
            Self::Invalid { .. }
            | Self::IdempotencyMismatch
            | Self::BodyTooLarge { .. }
            | Self::BodyIncomplete
            | Self::UnpricedModel(_)
            | Self::MethodNotAllowed { .. } => Kind::InvalidRequest,
            Self::UnknownRoute { .. } | Self::UnknownModel(_) | Self::UnknownTemplate { .. } => {
                Kind::NotFound
            }
            Self::NotSupported(_) => Kind::NotSupported,
            Self::RateLimited { .. } | Self::TooManyAtOnce { .. } => Kind::RateLimited,
            Self::QuotaExceeded(_) => Kind::QuotaExceeded,
            Self::Unavailable { .. } => Kind::Unavailable,
            Self::Upstream(error) => error.kind(),
            Self::Internal(_) => Kind::Internal,
        }
    }

    /// The HTTP status.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::IdempotencyMismatch => StatusCode::UNPROCESSABLE_ENTITY,
            Self::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyIncomplete => StatusCode::REQUEST_TIMEOUT,
            Self::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::Upstream(error) => error.status(),
            other => match other.kind() {
                Kind::InvalidRequest => StatusCode::BAD_REQUEST,
                Kind::Unauthorized => StatusCode::UNAUTHORIZED,
                Kind::Forbidden => StatusCode::FORBIDDEN,
                Kind::NotFound => StatusCode::NOT_FOUND,
                Kind::NotSupported => StatusCode::NOT_IMPLEMENTED,
                Kind::QuotaExceeded | Kind::RateLimited => StatusCode::TOO_MANY_REQUESTS,
                Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
                Kind::UpstreamRejected | Kind::UpstreamUnavailable => StatusCode::BAD_GATEWAY,
                Kind::UpstreamTimeout => StatusCode::GATEWAY_TIMEOUT,
                Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            },
        }
    }

    /// The stable code; `docs/errors.md` says cause and remedy of each.
    pub(crate) fn code(&self) -> &str {
        match self {
            Self::MissingKey => "missing_api_key",
            Self::BadKey => "invalid_api_key",
            Self::Forbidden(_) => "permission_denied",
            Self::Invalid { .. } => "invalid_request",
            Self::NotSupported(_) => "not_supported",
            Self::IdempotencyMismatch => "idempotency_mismatch",
            Self::BodyTooLarge { .. } => "request_too_large",
            Self::BodyIncomplete => "request_incomplete",
            Self::UnknownRoute { .. } => "unknown_route",
            Self::MethodNotAllowed { .. } => "method_not_allowed",
            Self::UnknownModel(_) => "model_not_found",
            Self::UnknownTemplate { .. } => "template_not_found",
            Self::UnpricedModel(_) => "model_unpriced",
            Self::RateLimited { .. } => "rate_limit_exceeded",
            Self::TooManyAtOnce { .. } => "concurrency_limit_exceeded",
            Self::QuotaExceeded(_) => "insufficient_quota",
            Self::Unavailable { .. } => "gateway_unavailable",
            Self::Upstream(error) => error.code(),
            Self::Internal(_) => "internal_error",
        }
    }

    /// When the caller may try again, where that is known.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        /// A full gateway is usually free again after a moment.
        const UNAVAILABLE_RETRY: Duration = Duration::from_secs(1);
        match self {
            Self::RateLimited { retry_after } => Some(*retry_after),
            Self::TooManyAtOnce { .. } | Self::Unavailable { .. } => Some(UNAVAILABLE_RETRY),
            Self::Upstream(UpstreamError::Rejected(rejection)) => rejection.retry_after,
            _ => None,
        }
    }

    /// Whether it is known before the request's body is read, or in the middle of it.
    pub(crate) const fn leaves_body_unread(&self) -> bool {
        matches!(
            self,
            Self::MissingKey
                | Self::BadKey
                | Self::Unavailable { .. }
                | Self::BodyTooLarge { .. }
                | Self::BodyIncomplete
                | Self::UnknownRoute { .. }
                | Self::NotSupported(_)
                | Self::MethodNotAllowed { .. }
        )
    }

    /// Whether trying again at once is useless, or would be paid for again: the period's quota is used up,
    /// or the provider was too slow for an answer that it went on making.
    pub(crate) const fn forbids_retry(&self) -> bool {
        matches!(
            self,
            Self::QuotaExceeded(_) | Self::Upstream(UpstreamError::TimedOut(_))
        )
    }

    /// The limit that is reached, where that is why.
    pub(crate) fn exceeded(&self) -> Option<&Exceeded> {
        match self {
            Self::QuotaExceeded(exceeded) => Some(exceeded),
            _ => None,
        }
    }

    /// The field the error is about.
    pub(crate) fn param(&self) -> Option<&str> {
        match self {
            Self::Invalid { param, .. } => param.as_deref(),
            Self::UnknownModel(_) | Self::UnpricedModel(_) => Some("model"),
            Self::UnknownTemplate { .. } => Some("prompt.slug"),
            Self::Upstream(UpstreamError::Rejected(rejection)) => rejection.param.as_deref(),
            _ => None,
        }
    }
}

impl UpstreamError {
    /// JSON that is not what it should be; the parser's own words may quote the answer, and are left out.
    pub(crate) fn malformed(error: &serde_json::Error) -> Self {
        let (line, column) = (error.line(), error.column());
        Self::Malformed(anyhow::anyhow!(
            "{:?} error in JSON at line {line}, column {column}",
            error.classify()
        ))
    }

    /// The class. A provider that rejects *our* credential is our fault, never the caller's.
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Rejected(rejection) => match rejection.status {
                StatusCode::TOO_MANY_REQUESTS => Kind::RateLimited,
                StatusCode::NOT_FOUND => Kind::NotFound,
                status if rejection.is_callers_fault() && status.is_client_error() => {
                    Kind::InvalidRequest
                }
                status if status.is_client_error() => Kind::UpstreamRejected,
                _ => Kind::UpstreamUnavailable,
            },
            Self::TimedOut(_) => Kind::UpstreamTimeout,
            Self::Unreachable(_) | Self::Broken(_) | Self::Malformed(_) | Self::Truncated => {
                Kind::UpstreamUnavailable
            }
        }
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Rejected(rejection) if rejection.is_callers_fault() => rejection.status,
            Self::Rejected(rejection) if rejection.is_overload() => StatusCode::SERVICE_UNAVAILABLE,
            Self::TimedOut(_) => StatusCode::GATEWAY_TIMEOUT,
            _ => StatusCode::BAD_GATEWAY,
        }
    }

    fn code(&self) -> &str {
        match self {
            Self::Rejected(rejection) => match (&rejection.code, self.kind()) {
                (Some(code), Kind::InvalidRequest | Kind::NotFound | Kind::RateLimited) => code,
                (None, Kind::RateLimited) => "rate_limit_exceeded",
                _ => "upstream_rejected",
            },
            Self::Unreachable(_) => "upstream_unreachable",
            Self::Broken(_) => "upstream_broken",
            Self::TimedOut(_) => "upstream_timeout",
            Self::Malformed(_) => "upstream_malformed",
            Self::Truncated => "upstream_truncated",
        }
    }
}

impl Rejection {
    /// Whether the provider is only too busy; Anthropic has a status of its own for that.
    pub(crate) fn is_overload(&self) -> bool {
        self.status == StatusCode::SERVICE_UNAVAILABLE || self.status.as_u16() == 529
    }

    /// Whether the caller can mend it: everything but our own credential and the provider's own failure.
    pub(crate) fn is_callers_fault(&self) -> bool {
        self.status.is_client_error()
            && !matches!(
                self.status,
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::PAYMENT_REQUIRED
            )
    }
}

impl Kind {
    /// The label in metrics and in `ai_requests.error_kind`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::NotSupported => "not_supported",
            Self::QuotaExceeded => "quota_exceeded",
            Self::RateLimited => "rate_limited",
            Self::UpstreamRejected => "upstream_rejected",
            Self::UpstreamUnavailable => "upstream_unavailable",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }
}

fn reset_text(reset_at: Option<DateTime<Utc>>) -> String {
    reset_at.map_or_else(String::new, |at| {
        format!("; it is reset at {}", at.format("%Y-%m-%dT%H:%M:%SZ"))
    })
}

fn version_text(version: Option<u32>) -> String {
    version.map_or_else(String::new, |version| format!(" with a version {version}"))
}

#[cfg(test)]
mod tests;
