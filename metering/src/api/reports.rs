//! What the endpoints of reports share: who may see what, which form is wanted, and how a sheet is answered.

use ::api::{Authorized, Code, Problem};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use types::Id;
use types::id::Organization;

use crate::report::{Error, Scope};
use crate::sheet::{EncodeError, Encoding, Sheet};

/// Whose report it is: the operator may ask for anybody's and for everybody's.
pub(crate) fn scope(
    authorized: Authorized,
    organization: Option<Id<Organization>>,
    all: bool,
) -> Result<Scope, Problem> {
    if !all {
        return authorized
            .organization(organization)
            .map(Scope::Organization);
    }
    if authorized.0.is_operator() {
        return Ok(Scope::All);
    }
    let detail = "all organizations are the operator's to see";
    Err(Problem::new(Code::PermissionDenied).detail(detail))
}

/// The encoding that is asked for, if JSON is not.
pub(crate) fn wanted(headers: &HeaderMap) -> Option<Encoding> {
    let accept = headers.get(header::ACCEPT);
    let accept = accept.and_then(|accept| accept.to_str().ok())?;
    let types = accept
        .split(',')
        .filter_map(|range| range.split(';').next());
    types.map(str::trim).find_map(|wanted| {
        let encodings = [Encoding::Csv, Encoding::Parquet];
        encodings.into_iter().find(|encoding| {
            let media_type = encoding.media_type().split(';').next();
            media_type.is_some_and(|known| known.eq_ignore_ascii_case(wanted))
        })
    })
}

/// Answers a sheet.
pub(crate) async fn answer(sheet: Sheet, encoding: Encoding) -> Result<Response, Problem> {
    let bytes = sheet.encode(encoding).await?;
    let content_type = (header::CONTENT_TYPE, encoding.media_type());
    Ok(([content_type], bytes).into_response())
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Database(error) => error.into(),
            wrong => Self::new(Code::InvalidParameter).detail(wrong.to_string()),
        }
    }
}

impl From<EncodeError> for Problem {
    fn from(error: EncodeError) -> Self {
        Self::internal(error)
    }
}
