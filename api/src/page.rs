//! Lists in pages: `?limit` and `?after` in, `{"data": […], "next": …}` out.
//!
//! A cursor is the sort key of the last row of a page, so that rows that come and go elsewhere
//! neither repeat nor hide others. It is opaque: its content may change with any version.

use axum::extract::FromRequestParts;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::request::Parts;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::extract::Query;
use crate::problem::{Code, Problem};

/// How many rows a page has when the request does not say.
pub const LIMIT_DEFAULT: u16 = 50;

/// How many rows a page has at most.
pub const LIMIT_MAX: u16 = 100;

/// Which page of a list is wanted. An extractor; name it in `params(…)` of the operation.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// How many rows at most, 1 to 100.
    #[serde(default)]
    #[param(minimum = 1, maximum = 100, default = 50)]
    limit: Option<u16>,
    /// The `next` of the page before; absent for the first page.
    #[serde(default)]
    after: Option<String>,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Page<T> {
    /// The rows.
    pub data: Vec<T>,
    /// What to send as `after` for the next page; null on the last one.
    pub next: Option<String>,
}

impl PageQuery {
    /// How many rows the page has at most.
    pub fn limit(&self) -> usize {
        usize::from(self.limit.unwrap_or(LIMIT_DEFAULT))
    }

    /// How many rows to ask the database for: one more than the page has, to see whether
    /// another page follows.
    pub fn rows_to_fetch(&self) -> i64 {
        i64::from(self.limit.unwrap_or(LIMIT_DEFAULT)) + 1
    }

    /// The sort key after which the page begins, as it was given to [`Page::of`].
    pub fn after<K: DeserializeOwned>(&self) -> Result<Option<K>, Problem> {
        self.after.as_deref().map(decode).transpose()
    }
}

impl<T> Page<T> {
    /// The page of rows fetched with [`PageQuery::rows_to_fetch`]; `key` gives a row's sort key.
    pub fn of<K: Serialize>(
        mut rows: Vec<T>,
        query: &PageQuery,
        key: impl Fn(&T) -> K,
    ) -> Result<Self, Problem> {
        let more = rows.len() > query.limit();
        rows.truncate(query.limit());
        let next = match rows.last().filter(|_| more) {
            Some(last) => Some(encode(&key(last))?),
            None => None,
        };
        Ok(Self { data: rows, next })
    }
}

fn encode(key: &impl Serialize) -> Result<String, Problem> {
    let json = serde_json::to_vec(key).map_err(Problem::internal)?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(json))
}

fn decode<K: DeserializeOwned>(cursor: &str) -> Result<K, Problem> {
    let json = BASE64_URL_SAFE_NO_PAD.decode(cursor).ok();
    let key = json.and_then(|json| serde_json::from_slice(&json).ok());
    key.ok_or_else(|| {
        Problem::new(Code::InvalidCursor).detail("send the `next` of the page before, unchanged")
    })
}

impl<S: Send + Sync> FromRequestParts<S> for PageQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Query(query) = Query::<Self>::from_request_parts(parts, state).await?;
        match query.limit {
            Some(limit) if limit == 0 || limit > LIMIT_MAX => {
                let detail = format!("`limit` is a number from 1 to {LIMIT_MAX}");
                Err(Problem::new(Code::InvalidParameter).detail(detail))
            }
            _ => Ok(query),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_knows_its_next_only_when_rows_follow() {
        let query = PageQuery {
            limit: Some(2),
            after: None,
        };
        let full = Page::of(vec![1, 2, 3], &query, |row| *row).unwrap();
        let last = Page::of(vec![3], &query, |row| *row).unwrap();

        assert_eq!(full.data, [1, 2]);
        assert_eq!(last.next, None);

        let next = PageQuery {
            limit: Some(2),
            after: full.next,
        };
        assert_eq!(next.after::<i32>().unwrap(), Some(2));
    }

    #[test]
    fn a_cursor_that_was_changed_is_refused() {
        let query = PageQuery {
            limit: None,
            after: Some("not a cursor".to_owned()),
        };
        let problem = query.after::<i32>().unwrap_err();
        assert_eq!(problem.code(), Code::InvalidCursor);
    }
}
