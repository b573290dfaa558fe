//! `GET /api/v1/forecast`: what this month will have cost at its end.

use ::api::{Authorized, Problem, Query};
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::Finance;
use super::reports::{self, ForecastQuery};
use crate::forecast::{self, Row};

/// The forecast.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Forecast {
    /// One row for each organization that had usage lately.
    pub data: Vec<Row>,
}

/// Forecast a month's cost
///
/// Days ahead are expected to cost what their weekday cost on average in the last eight weeks; the interval holds about 95 %.
/// With fewer than seven days of usage there is no forecast, and it says so. `Accept: text/csv` or
/// `application/vnd.apache.parquet` answers these.
#[utoipa::path(
    get,
    path = "/api/v1/forecast",
    tag = "Usage",
    params(ForecastQuery),
    responses((status = OK, description = "The forecast", content(
        (Forecast = "application/json"), (String = "text/csv"), (Vec<u8> = "application/vnd.apache.parquet"),
    ))),
)]
pub(crate) async fn forecast_costs(
    State(finance): State<Finance>,
    authorized: Authorized,
    Query(query): Query<ForecastQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let scope = reports::scope(authorized, query.organization_id, query.all_organizations)?;
    let today = finance.clock.now().date_naive();
    let data = forecast::forecast(&finance.database, scope, today).await?;
    match reports::wanted(&headers) {
        Some(encoding) => reports::answer(forecast::sheet(data), encoding).await,
        None => Ok(Json(Forecast { data }).into_response()),
    }
}
