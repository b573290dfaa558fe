//! Path, query, body and origin of a request, refused as problems when they are not as documented.

use std::net::{IpAddr, SocketAddr};

use axum::extract::rejection::BytesRejection;
use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, Request};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;

use crate::problem::{Code, Problem};

/// The longest user agent that is kept, in characters.
const USER_AGENT_CHARS_MAX: usize = 512;

/// The parameters in the path.
#[derive(Debug, Clone, Copy)]
pub struct Path<T>(pub T);

/// The parameters after `?`.
#[derive(Debug, Clone, Copy)]
pub struct Query<T>(pub T);

/// The body, as JSON; a field that is wrong is named by its path.
#[derive(Debug, Clone, Copy)]
pub struct Json<T>(pub T);

/// Where a request came from, for the audit trail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// The peer's address, if the server told it ([`ConnectInfo`]).
    pub address: Option<IpAddr>,
    /// The `User-Agent` header, cut to 512 characters.
    pub user_agent: Option<String>,
}

impl<T, S> FromRequestParts<S> for Path<T>
where
    T: DeserializeOwned + Send,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        path.map(|path| Self(path.0))
            .map_err(|rejection| Problem::new(Code::InvalidParameter).detail(rejection.body_text()))
    }
}

impl<T, S> FromRequestParts<S> for Query<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = axum::extract::Query::<T>::try_from_uri(&parts.uri);
        query
            .map(|query| Self(query.0))
            .map_err(|rejection| Problem::new(Code::InvalidParameter).detail(rejection.body_text()))
    }
}

impl<T, S> FromRequest<S> for Json<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let body = body(request, state).await?;
        parse(&body).map(Self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Origin {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
        let user_agent = parts.headers.get(header::USER_AGENT);
        let user_agent = user_agent.and_then(|value| value.to_str().ok());
        Ok(Self {
            address: peer.map(|peer| peer.0.ip()),
            user_agent: user_agent.map(|text| text.chars().take(USER_AGENT_CHARS_MAX).collect()),
        })
    }
}

/// The bytes of a body that says it is JSON.
pub(crate) async fn body<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Problem> {
    if !is_json(request.headers()) {
        let detail = "send the header `Content-Type: application/json`";
        return Err(Problem::new(Code::UnsupportedMediaType).detail(detail));
    }
    let bytes = Bytes::from_request(request, state).await;
    bytes.map_err(|rejection| unread(&rejection))
}

/// Reads JSON; says which field is wrong and why.
pub(crate) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let json = &mut serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut *json).map_err(|error| {
        let field = error.path().to_string();
        let error = error.into_inner();
        if error.is_data() {
            Problem::invalid_field(field, error.to_string())
        } else {
            Problem::new(Code::MalformedBody).detail(error.to_string())
        }
    })?;
    json.end()
        .map_err(|error| Problem::new(Code::MalformedBody).detail(error.to_string()))?;
    Ok(value)
}

/// `application/json`, or a type that ends in `+json`, whatever its parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE);
    let Some(value) = value.and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let media_type = value.split(';').next().unwrap_or_default().trim();
    let media_type = media_type.to_ascii_lowercase();
    media_type == "application/json"
        || (media_type.starts_with("application/") && media_type.ends_with("+json"))
}

fn unread(rejection: &BytesRejection) -> Problem {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        let detail = format!("a body has at most {} bytes", crate::BODY_BYTES_MAX);
        return Problem::new(Code::BodyTooLarge).detail(detail);
    }
    // The connection broke while the body came in; nobody will read this.
    Problem::new(Code::MalformedBody).detail("the body ended early")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Order {
        #[expect(dead_code, reason = "only its parsing is tested")]
        items: Vec<u8>,
    }

    #[track_caller]
    fn check(body: &str, code: Code) -> Problem {
        let problem = parse::<Order>(body.as_bytes()).unwrap_err();
        assert_eq!(problem.code(), code, "{problem:?}");
        problem
    }

    #[test]
    fn a_wrong_field_is_named_by_its_path_and_broken_json_by_its_place() {
        let problem = check(r#"{"items": [1, "two"]}"#, Code::InvalidFields);
        assert!(format!("{problem:?}").contains("items[1]"));

        check(r#"{"items": [], "colour": 1}"#, Code::InvalidFields);
        check(r#"{"items": ["#, Code::MalformedBody);
        check(r#"{"items": []} x"#, Code::MalformedBody);
    }

    #[test]
    fn a_body_is_json_by_its_media_type_alone() {
        for (media_type, expected) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/vnd.flowpilot+json", true),
            ("text/plain", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, media_type.parse().unwrap());
            assert_eq!(is_json(&headers), expected, "{media_type}");
        }
    }
}
