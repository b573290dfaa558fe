//! `DELETE /api/v1/api-keys/{id}`: the key is refused everywhere within two seconds.

use ::api::{Authorized, Origin, Path, Problem, Query};
use axum::extract::State;
use database::Bulkhead;
use http::StatusCode;

use super::{ApiKeyId, ApiKeyPath};
use crate::Tenants;
use crate::api::ActingFor;
use crate::api_keys::{self, Error};
use crate::audit::Actor;

/// Revoke an API key
///
/// For good: it is refused everywhere within two seconds. It stays in the list, since reports
/// name it. Revoking it again changes nothing.
#[utoipa::path(
    delete,
    path = "/api/v1/api-keys/{id}",
    tag = "API keys",
    params(ApiKeyId, ActingFor),
    responses(
        (status = NO_CONTENT, description = "The key is revoked"),
        (status = NOT_FOUND, description = "No such key"),
    ),
)]
pub(crate) async fn revoke_api_key(
    State(tenants): State<Tenants>,
    authorized: Authorized,
    Path(id): ApiKeyPath,
    Query(acting_for): Query<ActingFor>,
    origin: Origin,
) -> Result<StatusCode, Problem> {
    let organization = authorized.organization(acting_for.organization_id)?;
    let actor = &Actor::of(&authorized.0, origin);
    let (database, clock) = (&tenants.database, tenants.clock.as_ref());
    let revoke = database.tenant("api keys: revoke", Bulkhead::Control, organization, |tx| {
        Box::pin(async move { api_keys::revoke(tx, clock, actor, id).await })
    });
    revoke.await.map_err(|error: Error| error)?;
    Ok(StatusCode::NO_CONTENT)
}
