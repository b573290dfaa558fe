//! `PUT /api/v1/prices`: a price for the time from a moment on.

use ::api::{Authorized, Json, Problem};
use axum::extract::State;

use crate::api::Finance;
use crate::prices::{self, PriceSetting, PriceView};

/// Put a price
///
/// For the operator. It holds from `from` on, for all or for one organization, and comes before the price list; what was put
/// for that time before ends there. Gateways know it within two seconds. What is booked keeps its price.
#[utoipa::path(
    put,
    path = "/api/v1/prices",
    tag = "Prices",
    request_body = PriceSetting,
    responses(
        (status = OK, description = "The price", body = PriceView),
        (status = NOT_FOUND, description = "No such organization"),
    ),
)]
pub(crate) async fn put_price(
    State(finance): State<Finance>,
    authorized: Authorized,
    Json(setting): Json<PriceSetting>,
) -> Result<axum::Json<PriceView>, Problem> {
    let by = Some(authorized.0.user());
    let put = prices::put(&finance.database, &*finance.clock, &setting, by);
    Ok(axum::Json(put.await?))
}
