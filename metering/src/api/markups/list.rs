//! `GET /api/v1/markups`: what organizations pay on top of providers' prices.

use ::api::{Authorized, Page, Problem, Query};
use axum::Json;
use axum::extract::State;

use crate::api::{ActingFor, Finance};
use crate::billing::markups::{self, MarkupView};

/// List mark-ups
///
/// For the operator: one organization's, or everybody's. Those that ended are listed too.
#[utoipa::path(
    get,
    path = "/api/v1/markups",
    tag = "Prices",
    params(ActingFor),
    responses((status = OK, description = "By organization, name and month", body = Page<MarkupView>)),
)]
pub(crate) async fn list_markups(
    State(finance): State<Finance>,
    _: Authorized,
    Query(acting_for): Query<ActingFor>,
) -> Result<Json<Page<MarkupView>>, Problem> {
    let data = markups::list(&finance.database, acting_for.organization_id).await?;
    Ok(Json(Page { data, next: None }))
}
