//! `GET /api/v1/quotas`: the organization's quotas and what is used of them.

use ::api::{Authorized, Page, Problem, Query};
use axum::Json;
use axum::extract::State;
use database::Bulkhead;

use crate::api::ActingFor;
use crate::api::Finance;
use crate::quotas::{self, Error, QuotaView};

/// List quotas
///
/// All of the organization's quotas, at most one per resource, and what is used of them.
#[utoipa::path(
    get,
    path = "/api/v1/quotas",
    tag = "Quotas",
    params(ActingFor),
    responses((status = OK, description = "All quotas", body = Page<QuotaView>)),
)]
pub(crate) async fn list_quotas(
    State(finance): State<Finance>,
    authorized: Authorized,
    Query(acting_for): Query<ActingFor>,
) -> Result<Json<Page<QuotaView>>, Problem> {
    let organization = authorized.organization(acting_for.organization_id)?;
    let list = finance
        .database
        .tenant("quotas: list", Bulkhead::Control, organization, |tx| {
            Box::pin(quotas::list(tx))
        });
    let data = list.await.map_err(|error: Error| error)?;
    Ok(Json(Page { data, next: None }))
}
