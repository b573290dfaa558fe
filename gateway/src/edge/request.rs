//! What every AI route reads of a request: the credential, and a body within its limit.

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, header};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use percent_encoding::percent_decode_str;
use std::time::Duration;
use tokio::time::timeout;

use crate::error::Error;

/// How long a client may take to send its body: even 20 MB over a slow line are there by then.
const BODY_TIMEOUT: Duration = Duration::from_mins(1);

/// Headers that may hold the key besides `Authorization`, for clients of other dialects and of Azure's.
const KEY_HEADERS: [&str; 3] = ["x-api-key", "api-key", "x-goog-api-key"];

/// The key a client presents. It may contain spaces: keys from elsewhere do.
pub(crate) fn presented_key<'a>(
    headers: &'a HeaderMap,
    query: Option<&'a str>,
) -> Result<Cow<'a, str>, Error> {
    let bearer = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok());
    let bearer = bearer.and_then(|value| value.split_once(' '));
    let bearer = bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let other = || {
        KEY_HEADERS
            .iter()
            .find_map(|name| headers.get(*name)?.to_str().ok())
    };
    let key = bearer.map(|(_, key)| key.trim()).or_else(other);
    let key = key.map(Cow::Borrowed).or_else(|| key_in_query(query));
    key.filter(|key| !key.is_empty()).ok_or(Error::MissingKey)
}

/// The key in the address, where Gemini's clients may put it. It is never passed on, nor logged with the address.
pub(crate) fn key_in_query(query: Option<&str>) -> Option<Cow<'_, str>> {
    let key = query_value(query?, "key")?;
    percent_decode_str(key).decode_utf8().ok()
}

/// A value in the address, as it stands there.
pub(crate) fn query_value<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query
        .split('&')
        .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

/// The whole body, if it is no larger than allowed and comes in time.
pub(crate) async fn read_body(mut body: Incoming, bytes_max: usize) -> Result<Bytes, Error> {
    let too_large = || Error::BodyTooLarge {
        limit_bytes: u64::try_from(bytes_max).unwrap_or(u64::MAX),
    };
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > bytes_max {
        return Err(too_large());
    }
    let read = async {
        let mut first = Bytes::new();
        let mut whole = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| Error::BodyIncomplete)?.into_data() else {
                continue;
            };
            if first.is_empty() {
                // Most bodies come in one piece, which is then not copied.
                first = data;
                continue;
            }
            if whole.is_empty() {
                whole.reserve(announced);
                whole.extend_from_slice(&first);
            }
            if whole.len() + data.len() > bytes_max {
                return Err(too_large());
            }
            whole.extend_from_slice(&data);
        }
        Ok(if whole.is_empty() {
            first
        } else {
            whole.freeze()
        })
    };
    let body: Bytes = timeout(BODY_TIMEOUT, read)
        .await
        .map_err(|_| Error::BodyIncomplete)??;
    if body.len() > bytes_max {
        return Err(too_large());
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(
            header::HeaderName::from_static(name),
            value.parse().unwrap(),
        )])
    }

    #[test]
    fn a_key_may_contain_spaces_and_stand_in_any_of_the_known_headers() {
        assert_eq!(
            presented_key(&headers("authorization", "Bearer My API Key"), None).unwrap(),
            "My API Key"
        );
        assert_eq!(
            presented_key(&headers("authorization", "bearer x"), None).unwrap(),
            "x"
        );
        assert_eq!(
            presented_key(&headers("x-api-key", "y"), None).unwrap(),
            "y"
        );
    }

    #[test]
    fn a_key_in_the_address_is_decoded_and_comes_last() {
        let query = Some("alt=sse&key=fp_a%2Bb");
        assert_eq!(presented_key(&HeaderMap::new(), query).unwrap(), "fp_a+b");
        assert_eq!(
            presented_key(&headers("x-api-key", "y"), query).unwrap(),
            "y"
        );
        assert!(presented_key(&HeaderMap::new(), Some("monkey=1")).is_err());
    }

    #[test]
    fn nothing_and_other_schemes_are_no_key() {
        assert!(matches!(
            presented_key(&HeaderMap::new(), None),
            Err(Error::MissingKey)
        ));
        assert!(matches!(
            presented_key(&headers("authorization", "Basic abc"), None),
            Err(Error::MissingKey)
        ));
        assert!(matches!(
            presented_key(&headers("authorization", "Bearer "), None),
            Err(Error::MissingKey)
        ));
    }
}
