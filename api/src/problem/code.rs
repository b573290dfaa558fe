//! The closed list of problem codes: stable words that a program may branch on.
//!
//! # Adding a code
//!
//! Add it here, then a row (code, status, cause, remedy) in `docs/errors.md`; a test fails until both agree.

use std::fmt;

use http::StatusCode;
use serde::Serialize;

/// Declares the codes once: the variant, its word, its status, and its title.
macro_rules! codes {
    ($($variant:ident $word:literal $status:ident $title:literal),* $(,)?) => {
        /// What went wrong, as a stable word. `docs/errors.md` tells cause and remedy of each.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
        #[non_exhaustive]
        pub enum Code {
            $(#[doc = $title] #[serde(rename = $word)] $variant),*
        }

        impl Code {
            /// Every code, in the order of `docs/errors.md`.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The word on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }

            /// The status it is answered with.
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status),* }
            }

            /// The short text for people; the same for every occurrence.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title),* }
            }
        }
    };
}

codes! {
    MalformedBody "malformed_body" BAD_REQUEST "The body is not valid JSON",
    InvalidParameter "invalid_parameter" BAD_REQUEST "A path or query parameter is not valid",
    InvalidHeader "invalid_header" BAD_REQUEST "A header is not valid",
    InvalidCursor "invalid_cursor" BAD_REQUEST "The page cursor is not valid",
    KeyMissing "key_missing" UNAUTHORIZED "No API key was presented",
    KeyUnknown "key_unknown" UNAUTHORIZED "The API key is not known",
    KeyExpired "key_expired" UNAUTHORIZED "The API key has expired",
    PermissionDenied "permission_denied" FORBIDDEN "The API key does not allow this",
    NotFound "not_found" NOT_FOUND "There is no such thing",
    RouteNotFound "route_not_found" NOT_FOUND "There is no such endpoint",
    MethodNotAllowed "method_not_allowed" METHOD_NOT_ALLOWED "The endpoint does not have this method",
    AlreadyExists "already_exists" CONFLICT "It exists already",
    Conflict "conflict" CONFLICT "Its present state does not allow this",
    RequestInFlight "request_in_flight" CONFLICT "A request with the same idempotency key is still running",
    PreconditionFailed "precondition_failed" PRECONDITION_FAILED "It has changed since it was read",
    BodyTooLarge "body_too_large" PAYLOAD_TOO_LARGE "The body is too large",
    UnsupportedMediaType "unsupported_media_type" UNSUPPORTED_MEDIA_TYPE "The body is not JSON",
    InvalidFields "invalid_fields" UNPROCESSABLE_ENTITY "One or more fields are not valid",
    IdempotencyMismatch "idempotency_mismatch" UNPROCESSABLE_ENTITY "The idempotency key was used for another request",
    PreconditionRequired "precondition_required" PRECONDITION_REQUIRED "The request must say what it changes",
    RateLimited "rate_limited" TOO_MANY_REQUESTS "Too many requests in a short time",
    QuotaExceeded "quota_exceeded" TOO_MANY_REQUESTS "The quota of the period is used up",
    Internal "internal" INTERNAL_SERVER_ERROR "Internal error",
    Unavailable "unavailable" SERVICE_UNAVAILABLE "Temporarily not available",
    Timeout "timeout" GATEWAY_TIMEOUT "It took too long",
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
