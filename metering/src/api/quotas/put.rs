//! `PUT /api/v1/quotas/{resource_type}`: sets what an organization may use.

use ::api::{Authorized, ETag, IfMatch, IfMatchHeader, Json, Path, Problem, Query};
use axum::extract::{FromRequestParts, State};
use database::Bulkhead;

use super::{ResourcePath, tag};
use crate::api::ActingFor;
use crate::api::Finance;
use crate::quotas::{self, QuotaSetting, QuotaView};

/// Which quota of whom.
#[derive(Debug, FromRequestParts)]
pub(crate) struct Meant {
    #[from_request(via(Path))]
    path: ResourcePath,
    #[from_request(via(Query))]
    acting_for: ActingFor,
}

/// Set a quota
///
/// For the operator. What is used of it stays; gateways notice within two seconds. A quota that is there already is
/// changed only with `If-Match`; a new one needs none. A limit below what is used refuses everything until the period ends.
#[utoipa::path(
    put,
    path = "/api/v1/quotas/{resource_type}",
    tag = "Quotas",
    params(ResourcePath, ActingFor, IfMatchHeader),
    request_body = QuotaSetting,
    responses(
        (status = OK, description = "The quota", body = QuotaView),
        (status = NOT_FOUND, description = "No such resource, or no such organization"),
    ),
)]
pub(crate) async fn put_quota(
    State(finance): State<Finance>,
    authorized: Authorized,
    meant: Meant,
    if_match: Result<IfMatch, Problem>,
    Json(setting): Json<QuotaSetting>,
) -> Result<(ETag, axum::Json<QuotaView>), Problem> {
    let organization = authorized.organization(meant.acting_for.organization_id)?;
    let (resource_type, if_match) = (meant.path.resource_type.as_str(), &if_match);
    let (database, clock) = (&finance.database, finance.clock.as_ref());
    let put = database.tenant("quotas: put", Bulkhead::Control, organization, |tx| {
        let allowed = move |present: Option<&QuotaView>| match present {
            None => Ok(()),
            Some(present) => if_match.clone()?.check(&tag(present)?),
        };
        Box::pin(quotas::put(tx, clock, (resource_type, setting), allowed))
    });
    let quota = put.await?;
    Ok((tag(&quota)?, axum::Json(quota)))
}
