//! `GET /api/v1/invoices`: closed months, latest first.

use ::api::{Authorized, Page, Problem, Query};
use axum::Json;
use axum::extract::State;

use super::InvoicesQuery;
use crate::api::Finance;
use crate::billing::{self, Invoice};

/// The most invoices of one page.
const LIMIT_MAX: u16 = 200;

/// List invoices
///
/// Without their lines. A tenant sees its own; the operator those of one organization, or all.
#[utoipa::path(
    get,
    path = "/api/v1/invoices",
    tag = "Invoices",
    params(InvoicesQuery),
    responses((status = OK, description = "Latest first", body = Page<Invoice>)),
)]
pub(crate) async fn list_invoices(
    State(finance): State<Finance>,
    authorized: Authorized,
    Query(query): Query<InvoicesQuery>,
) -> Result<Json<Page<Invoice>>, Problem> {
    let rows_max = query.limit.unwrap_or(50);
    if !(1..=LIMIT_MAX).contains(&rows_max) {
        let detail = format!("limit must be 1 to {LIMIT_MAX}");
        return Err(Problem::new(::api::Code::InvalidParameter).detail(detail));
    }
    let organization = if authorized.0.is_operator() {
        query.organization_id
    } else {
        Some(authorized.organization(query.organization_id)?)
    };
    let page = billing::Page {
        organization,
        month: query.month,
        before: query.after,
        rows_max,
    };
    let data = billing::list(&finance.database, page).await?;
    let is_full = data.len() == usize::from(rows_max);
    let next = data
        .last()
        .filter(|_| is_full)
        .map(|last| last.id.to_string());
    Ok(Json(Page { data, next }))
}
