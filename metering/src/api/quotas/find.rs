//! `GET /api/v1/quotas/{resource_type}`: one quota and what is used of it.

use ::api::{Authorized, ETag, Path, Problem, Query};
use axum::Json;
use axum::extract::State;
use database::Bulkhead;

use super::{ResourcePath, tag};
use crate::api::ActingFor;
use crate::api::Finance;
use crate::quotas::{self, Error, QuotaView};

/// Get a quota
///
/// The `ETag` stands for what can be set: limit, period and its end.
#[utoipa::path(
    get,
    path = "/api/v1/quotas/{resource_type}",
    tag = "Quotas",
    params(ResourcePath, ActingFor),
    responses(
        (status = OK, description = "The quota", body = QuotaView),
        (status = NOT_FOUND, description = "The organization has no such quota"),
    ),
)]
pub(crate) async fn find_quota(
    State(finance): State<Finance>,
    authorized: Authorized,
    Path(path): Path<ResourcePath>,
    Query(acting_for): Query<ActingFor>,
) -> Result<(ETag, Json<QuotaView>), Problem> {
    let organization = authorized.organization(acting_for.organization_id)?;
    let resource_type = path.resource_type.as_str();
    let find = finance
        .database
        .tenant("quotas: find", Bulkhead::Control, organization, |tx| {
            Box::pin(quotas::find(tx, resource_type))
        });
    let quota = find.await?.ok_or(Error::NotFound)?;
    Ok((tag(&quota)?, Json(quota)))
}
