//! `GET /api/v1/usage`: what was used and what it cost, as JSON, CSV or Parquet.

use ::api::{Authorized, Problem, Query};
use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use chrono::NaiveDate;
use serde::Serialize;
use utoipa::ToSchema;

use super::{UsageQuery, next};
use crate::api::{Finance, reports};
use crate::report::{self, Row};

/// The report.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct UsageReport {
    /// The first day.
    pub from: NaiveDate,
    /// The day after the last one.
    pub until: NaiveDate,
    /// The rows.
    pub data: Vec<Row>,
    /// What to send as `after` for the next page; null on the last one.
    pub next: Option<String>,
}

/// Report usage and cost
///
/// Sums of days, in exact decimals. What belongs to no department, workflow or tag is a row of its own, marked `unallocated`.
/// `Accept: text/csv` or `application/vnd.apache.parquet` answers these, with all columns.
#[utoipa::path(
    get,
    path = "/api/v1/usage",
    tag = "Usage",
    params(UsageQuery),
    responses((status = OK, description = "The report", content(
        (UsageReport = "application/json"), (String = "text/csv"), (Vec<u8> = "application/vnd.apache.parquet"),
    ))),
)]
pub(crate) async fn report_usage(
    State(finance): State<Finance>,
    authorized: Authorized,
    Query(query): Query<UsageQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let scope = reports::scope(authorized, query.organization_id, query.all_organizations)?;
    let paging = query.paging()?;
    let filter = query.filter(finance.clock.now().date_naive())?;
    let rows = report::usage(&finance.database, scope, &filter, paging).await?;
    if let Some(encoding) = reports::wanted(&headers) {
        return reports::answer(report::usage_sheet(rows.rows), encoding).await;
    }
    let report = UsageReport {
        from: filter.from,
        until: filter.until,
        data: rows.rows,
        next: next(paging, rows.more),
    };
    Ok(Json(report).into_response())
}
