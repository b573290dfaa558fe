//! `GET /api/v1/usage`: what was used and what it cost, as JSON or CSV.

use std::collections::BTreeSet;

use ::api::{Authorized, Code, Problem, Query};
use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use chrono::{Datelike, Months, NaiveDate};
use serde::Serialize;
use utoipa::ToSchema;

use super::UsageQuery;
use crate::api::Finance;
use crate::report::{self, Dimension, Filter, Row, Scope, UnknownDimension};

const CSV: &str = "text/csv";

/// The report.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct UsageReport {
    /// The first day.
    pub from: NaiveDate,
    /// The day after the last one.
    pub until: NaiveDate,
    /// The rows.
    pub data: Vec<Row>,
}

/// Report usage and cost
///
/// Sums of days, in exact decimals. `Accept: text/csv` answers CSV with all columns; at most 10,000 rows.
#[utoipa::path(
    get,
    path = "/api/v1/usage",
    tag = "Usage",
    params(UsageQuery),
    responses((status = OK, description = "The report", content((UsageReport = "application/json"), (String = "text/csv")))),
)]
pub(crate) async fn report_usage(
    State(finance): State<Finance>,
    authorized: Authorized,
    Query(query): Query<UsageQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let scope = scope(authorized, &query)?;
    let filter = filter(query, finance.clock.now().date_naive())?;
    let data = report::usage(&finance.database, scope, &filter).await?;
    if wants_csv(&headers) {
        let content_type = (header::CONTENT_TYPE, "text/csv; charset=utf-8");
        return Ok(([content_type], report::to_csv(&data)).into_response());
    }
    let report = UsageReport {
        from: filter.from,
        until: filter.until,
        data,
    };
    Ok(Json(report).into_response())
}

fn scope(authorized: Authorized, query: &UsageQuery) -> Result<Scope, Problem> {
    if !query.all_organizations {
        let organization = authorized.organization(query.organization_id)?;
        return Ok(Scope::Organization(organization));
    }
    if authorized.0.is_operator() {
        return Ok(Scope::All);
    }
    let detail = "all organizations are the operator's to see";
    Err(Problem::new(Code::PermissionDenied).detail(detail))
}

fn filter(query: UsageQuery, today: NaiveDate) -> Result<Filter, Problem> {
    let invalid = |detail: String| Problem::new(Code::InvalidParameter).detail(detail);
    let words = query.group_by.split(',').map(str::trim);
    let group_by: Result<BTreeSet<Dimension>, UnknownDimension> = words
        .filter(|word| !word.is_empty())
        .map(str::parse)
        .collect();
    let from = query.from.or_else(|| today.with_day(1)).unwrap_or(today);
    let until = query
        .until
        .or_else(|| from.checked_add_months(Months::new(1)));
    Ok(Filter {
        from,
        until: until.unwrap_or(from),
        group_by: group_by.map_err(|error| invalid(error.to_string()))?,
        provider: query.provider,
        model: query.model,
        api_key: query.api_key_id,
    })
}

/// Whether CSV is asked for, and JSON is not.
fn wants_csv(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT);
    let accept = accept
        .and_then(|accept| accept.to_str().ok())
        .unwrap_or_default();
    accept
        .split(',')
        .filter_map(|range| range.split(';').next())
        .any(|range| range.trim().eq_ignore_ascii_case(CSV))
}
