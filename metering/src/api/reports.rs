//! What the endpoints of reports share: who may see what, which form is wanted, and how a sheet is answered.

use ::api::{Authorized, Code, Problem};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use chrono::{Datelike, NaiveDate};
use serde::Deserialize;
use types::Id;
use types::id::Organization;
use utoipa::IntoParams;

use crate::report::{Error, Scope};
use crate::sheet::{EncodeError, Encoding, Sheet};

/// Which month, and whose.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct FocusQuery {
    /// The billing period's month, such as 2026-11; absent: the current one.
    #[param(example = "2026-11")]
    pub month: Option<String>,
    /// For the operator: whose charges. Others leave it out; it is their own organization's.
    #[param(value_type = Option<Uuid>)]
    pub organization_id: Option<Id<Organization>>,
    /// For the operator: the charges of all organizations.
    #[serde(default)]
    pub all_organizations: bool,
}

/// Whose.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ForecastQuery {
    /// For the operator: whose forecast. Others leave it out; it is their own organization's.
    #[param(value_type = Option<Uuid>)]
    pub organization_id: Option<Id<Organization>>,
    /// For the operator: the forecasts of all organizations.
    #[serde(default)]
    pub all_organizations: bool,
}

/// Whose bill, and of when.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct BillQuery {
    /// The provider, by its name in the configuration.
    #[param(example = "gemini")]
    pub provider: String,
    /// The month, such as 2026-11; absent: the current one.
    #[param(example = "2026-11")]
    pub month: Option<String>,
}

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

/// A month as its first day, from `2026-11`; the current one where none is named.
pub(crate) fn month(named: Option<&str>, today: NaiveDate) -> Result<NaiveDate, Problem> {
    let Some(named) = named else {
        return Ok(today.with_day(1).unwrap_or(today));
    };
    let first = NaiveDate::parse_from_str(&format!("{named}-01"), "%Y-%m-%d");
    first.map_err(|_| {
        let detail = "`month` is written like 2026-11";
        Problem::new(Code::InvalidParameter).detail(detail)
    })
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
