//! `GET /api/v1/prices`: the operator's prices, and those of lists.

use ::api::{Authorized, Page, Problem, Query};
use axum::Json;
use axum::extract::State;

use super::PricesQuery;
use crate::api::Finance;
use crate::prices::{self, Filter, PriceView};

/// List prices
///
/// For the operator. Prices that ended are listed too, because they priced what is booked; `after` leaves them out.
#[utoipa::path(
    get,
    path = "/api/v1/prices",
    tag = "Prices",
    params(PricesQuery),
    responses((status = OK, description = "By provider, model and beginning", body = Page<PriceView>)),
)]
pub(crate) async fn list_prices(
    State(finance): State<Finance>,
    _: Authorized,
    Query(query): Query<PricesQuery>,
) -> Result<Json<Page<PriceView>>, Problem> {
    let filter = Filter {
        provider: query.provider,
        model: query.model,
        organization: query.organization_id,
        with_lists: query.with_lists,
        after: query.after,
    };
    let data = prices::list(&finance.database, &filter).await?;
    Ok(Json(Page { data, next: None }))
}
