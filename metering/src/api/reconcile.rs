//! `POST /api/v1/reconciliations`: compares a provider's bill with the books; nothing is stored.

use ::api::{Authorized, Problem, Query};
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use chrono::Months;
use serde::Serialize;
use utoipa::ToSchema;

use super::Finance;
use super::reports::{self, BillQuery};
use crate::reconcile::{self, Bill, BillError, Error, Row};

/// The comparison.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Reconciliation {
    /// One row for each day, model and token class that either side has.
    pub data: Vec<Row>,
}

/// Compare a provider's bill with the books
///
/// For the operator. The body is CSV with the header `day,model,token_class,quantity,cost_usd`. Each difference is divided, without
/// a rest, into price mismatch, what requests of unknown usage, usage counted here and failed attempts may explain, and what
/// nothing explains. `Accept: text/csv` or `application/vnd.apache.parquet` answers these.
#[utoipa::path(
    post,
    path = "/api/v1/reconciliations",
    tag = "Usage",
    params(BillQuery),
    request_body(content = String, content_type = "text/csv", description = "The bill"),
    responses((status = OK, description = "The comparison", content(
        (Reconciliation = "application/json"), (String = "text/csv"), (Vec<u8> = "application/vnd.apache.parquet"),
    ))),
)]
pub(crate) async fn reconcile_bill(
    State(finance): State<Finance>,
    _: Authorized,
    Query(query): Query<BillQuery>,
    headers: HeaderMap,
    body: String,
) -> Result<Response, Problem> {
    let today = finance.clock.now().date_naive();
    let from = reports::month(query.month.as_deref(), today)?;
    let until = from.checked_add_months(Months::new(1)).unwrap_or(from);
    let bill = Bill::parse(&body)?;
    let compared = reconcile::reconcile(&finance.database, &query.provider, (from, until), &bill);
    let data = compared.await?;
    match reports::wanted(&headers) {
        Some(encoding) => reports::answer(reconcile::sheet(data), encoding).await,
        None => Ok(Json(Reconciliation { data }).into_response()),
    }
}

impl From<BillError> for Problem {
    fn from(error: BillError) -> Self {
        Self::invalid_field("bill", error.to_string())
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Bill(error) => error.into(),
            Error::Database(error) => error.into(),
        }
    }
}
