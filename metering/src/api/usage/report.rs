//! `GET /api/v1/usage` and `GET /api/v1/costs`: the two sheets of the report, as JSON, CSV or Parquet.

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
use crate::report::{self, CostRow, ReportRow, UsageRow};

/// A page of the report.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Report<R> {
    /// The first day.
    pub from: NaiveDate,
    /// The day after the last one.
    pub until: NaiveDate,
    /// The rows.
    pub data: Vec<R>,
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
        (Report<UsageRow> = "application/json"), (String = "text/csv"), (Vec<u8> = "application/vnd.apache.parquet"),
    ))),
)]
pub(crate) async fn report_usage(
    State(finance): State<Finance>,
    authorized: Authorized,
    Query(query): Query<UsageQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    answer::<UsageRow>(finance, authorized, query, &headers).await
}

/// Report cost by token class and price
///
/// Every token is in one class; grouped by price and class, quantity × unit price ÷ 1,000,000 is the cost of each row, exactly.
/// `Accept: text/csv` or `application/vnd.apache.parquet` answers these, with all columns.
#[utoipa::path(
    get,
    path = "/api/v1/costs",
    tag = "Usage",
    params(UsageQuery),
    responses((status = OK, description = "The report", content(
        (Report<CostRow> = "application/json"), (String = "text/csv"), (Vec<u8> = "application/vnd.apache.parquet"),
    ))),
)]
pub(crate) async fn report_costs(
    State(finance): State<Finance>,
    authorized: Authorized,
    Query(query): Query<UsageQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    answer::<CostRow>(finance, authorized, query, &headers).await
}

async fn answer<R: ReportRow>(
    finance: Finance,
    authorized: Authorized,
    query: UsageQuery,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let scope = reports::scope(authorized, query.organization_id, query.all_organizations)?;
    let paging = query.paging()?;
    let filter = query.filter(finance.clock.now().date_naive())?;
    let page = report::read::<R>(&finance.database, scope, &filter, paging).await?;
    if let Some(encoding) = reports::wanted(headers) {
        return reports::answer(report::sheet(page.rows), encoding).await;
    }
    let report = Report {
        from: filter.from,
        until: filter.until,
        data: page.rows,
        next: next(paging, page.more),
    };
    Ok(Json(report).into_response())
}
