//! `GET /api/v1/prices/unpriced`: what was used without a price, and waits for one.

use ::api::{Authorized, Page, Problem, Query};
use axum::Json;
use axum::extract::State;
use chrono::Duration;

use super::UnpricedQuery;
use crate::api::Finance;
use crate::prices::{self, UnpricedView};

/// List what was used without a price
///
/// For the operator. Models that were let through by `[metering] unpriced = "quarantine"` and are booked at no cost. Put a price
/// for them and reprice: then they are no longer listed.
#[utoipa::path(
    get,
    path = "/api/v1/prices/unpriced",
    tag = "Prices",
    params(UnpricedQuery),
    responses((status = OK, description = "By model, the most used first", body = Page<UnpricedView>)),
)]
pub(crate) async fn list_unpriced(
    State(finance): State<Finance>,
    _: Authorized,
    Query(query): Query<UnpricedQuery>,
) -> Result<Json<Page<UnpricedView>>, Problem> {
    let until = query.until.unwrap_or_else(|| finance.clock.now());
    let from = query.from.unwrap_or(until - Duration::days(31));
    let data = prices::unpriced(&finance.database, (from, until)).await?;
    Ok(Json(Page { data, next: None }))
}
