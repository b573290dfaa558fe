//! `ETag` and `If-Match`: a change says which version it changes, so that no one's is lost.

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, IntoResponseParts, Response, ResponseParts};
use http::request::Parts;
use http::{HeaderValue, header};
use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::IntoParams;

use crate::problem::{Code, Problem};

/// The bytes of the digest that make a tag: 128 bits, far beyond collisions by chance.
const DIGEST_BYTES: usize = 16;

/// The strong tag of a representation. Put it into an answer as `(etag, Json(body))`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ETag(HeaderValue);

/// The version a change is meant for. An extractor: without the header the request is refused
/// with 428.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IfMatch(String);

/// The header `If-Match`, for `params(…)` of an operation.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
pub struct IfMatchHeader {
    /// The `ETag` of the version that is changed, or `*` for whichever it is.
    #[param(rename = "If-Match")]
    pub if_match: String,
}

impl ETag {
    /// The tag of what is answered; equal exactly when its JSON is.
    pub fn of(representation: &impl Serialize) -> Result<Self, Problem> {
        let json = serde_json::to_vec(representation).map_err(Problem::internal)?;
        let digest = Sha256::digest(&json);
        let digest: String = hex::encode(digest).chars().take(2 * DIGEST_BYTES).collect();
        let value = HeaderValue::from_str(&format!("\"{digest}\""));
        value.map(Self).map_err(Problem::internal)
    }
}

impl IfMatch {
    /// Refuses with 412 unless the present version is the one that is meant.
    pub fn check(&self, present: &ETag) -> Result<(), Problem> {
        let mut tags = self.0.split(',').map(str::trim);
        // Strong comparison (RFC 9110, section 13.1.1): a weak tag is never equal.
        if tags.any(|tag| tag == "*" || tag.as_bytes() == present.0.as_bytes()) {
            return Ok(());
        }
        let detail = "read it again, and send the new `ETag` as `If-Match`";
        Err(Problem::new(Code::PreconditionFailed).detail(detail))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Some(value) = parts.headers.get(header::IF_MATCH) else {
            let detail = "send the `ETag` of the version you change as `If-Match`";
            return Err(Problem::new(Code::PreconditionRequired).detail(detail));
        };
        let text = value.to_str().map_err(|_| {
            Problem::new(Code::InvalidHeader).detail("`If-Match` is not an entity tag")
        })?;
        Ok(Self(text.to_owned()))
    }
}

impl IntoResponseParts for ETag {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
        parts.headers_mut().insert(header::ETAG, self.0);
        Ok(parts)
    }
}

impl IntoResponse for ETag {
    fn into_response(self) -> Response {
        (self, ()).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_meant_for_another_version_is_refused() {
        let (old, new) = (ETag::of(&1).unwrap(), ETag::of(&2).unwrap());
        let meant = IfMatch(old.0.to_str().unwrap().to_owned());

        assert!(meant.check(&old).is_ok());
        let problem = meant.check(&new).unwrap_err();
        assert_eq!(problem.code(), Code::PreconditionFailed);
        assert!(IfMatch("*".to_owned()).check(&new).is_ok());

        let weak = IfMatch(format!("W/{}", meant.0));
        assert!(weak.check(&old).is_err());
    }
}
