//! `POST /api/v1/api-keys/{id}/rotate`: a new secret; the old one dies at once.

use ::api::{Authorized, Origin, Path, Problem, Query};
use axum::Json;
use axum::extract::State;
use database::Bulkhead;

use super::{ApiKeyId, ApiKeyPath, NewApiKey};
use crate::Tenants;
use crate::api::ActingFor;
use crate::api_keys::{self, Error};
use crate::audit::Actor;

/// Give an API key a new secret
///
/// The key keeps its id, name and scopes, so that reports go on. The old secret is refused
/// everywhere within two seconds. Your own key must have every permission of the rotated one.
#[utoipa::path(
    post,
    path = "/api/v1/api-keys/{id}/rotate",
    tag = "API keys",
    params(ApiKeyId, ActingFor),
    responses(
        (status = OK, description = "The key and its new secret", body = NewApiKey),
        (status = NOT_FOUND, description = "No such key"),
        (status = CONFLICT, description = "The key is revoked"),
    ),
)]
pub(crate) async fn rotate_api_key(
    State(tenants): State<Tenants>,
    authorized: Authorized,
    Path(id): ApiKeyPath,
    Query(acting_for): Query<ActingFor>,
    origin: Origin,
) -> Result<Json<NewApiKey>, Problem> {
    let organization = authorized.organization(acting_for.organization_id)?;
    let held = authorized.0.permissions;
    let actor = &Actor::of(&authorized.0, origin);
    let (database, clock) = (&tenants.database, tenants.clock.as_ref());
    let rotate = database.tenant("api keys: rotate", Bulkhead::Control, organization, |tx| {
        Box::pin(async move { api_keys::rotate(tx, clock, actor, held, id).await })
    });
    let (api_key, key) = rotate.await.map_err(|error: Error| error)?;
    Ok(Json(NewApiKey::shown(api_key, &key)))
}
