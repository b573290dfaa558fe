//! `GET /api/v1/focus`: a month's charges in FOCUS 1.2, as CSV or Parquet.

use ::api::{Authorized, Code, Problem, Query};
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use super::Finance;
use super::reports::{self, FocusQuery};
use crate::focus::{self, FocusError};
use crate::sheet::Encoding;

/// Export charges in FOCUS 1.2
///
/// One row for each organization, day, model, token class and price, of the billing period that takes it. In every row quantity ×
/// unit price is the cost, exactly; the rows add up to the period's exact total, and with the row of its rounding to the invoice.
/// `Accept: application/vnd.apache.parquet` answers Parquet, anything else CSV.
#[utoipa::path(
    get,
    path = "/api/v1/focus",
    tag = "Usage",
    params(FocusQuery),
    responses((status = OK, description = "The export", content(
        (String = "text/csv"), (Vec<u8> = "application/vnd.apache.parquet"),
    ))),
)]
pub(crate) async fn export_focus(
    State(finance): State<Finance>,
    authorized: Authorized,
    Query(query): Query<FocusQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let scope = reports::scope(authorized, query.organization_id, query.all_organizations)?;
    let today = finance.clock.now().date_naive();
    let period = reports::month(query.month.as_deref(), today)?;
    let sheet = focus::export(&finance.database, scope, period, &finance.operator_name).await?;
    reports::answer(sheet, reports::wanted(&headers).unwrap_or(Encoding::Csv)).await
}

impl From<FocusError> for Problem {
    fn from(error: FocusError) -> Self {
        match error {
            FocusError::TooLong => Self::new(Code::InvalidParameter).detail(error.to_string()),
            FocusError::DoesNotAddUp { .. } => Self::internal(error),
            FocusError::Database(error) => error.into(),
        }
    }
}
