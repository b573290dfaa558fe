//! `PUT /api/v1/markups`: a mark-up from a month on.

use ::api::{Authorized, Json, Problem};
use axum::extract::State;

use crate::api::Finance;
use crate::billing::markups::{self, MarkupSetting, MarkupView};

/// Put a mark-up
///
/// For the operator. It is in every month from `first_period` on that is closed from now on; one of the same name ends there. A
/// rate of 0 ends it.
#[utoipa::path(
    put,
    path = "/api/v1/markups",
    tag = "Prices",
    request_body = MarkupSetting,
    responses(
        (status = OK, description = "The mark-up", body = MarkupView),
        (status = NOT_FOUND, description = "No such organization"),
    ),
)]
pub(crate) async fn put_markup(
    State(finance): State<Finance>,
    authorized: Authorized,
    Json(setting): Json<MarkupSetting>,
) -> Result<axum::Json<MarkupView>, Problem> {
    let by = Some(authorized.0.user());
    let put = markups::put(&finance.database, &*finance.clock, &setting, by);
    Ok(axum::Json(put.await?))
}
