//! `GET /api/v1/api-keys`: the organization's keys, never their secrets.

use ::api::{Authorized, Page, PageQuery, Problem, Query};
use axum::Json;
use axum::extract::State;
use database::Bulkhead;

use crate::Tenants;
use crate::api::ActingFor;
use crate::api_keys::{self, ApiKey, Error};

/// List API keys
///
/// Newest first, revoked and expired ones too. Secrets are not kept and cannot be listed.
#[utoipa::path(
    get,
    path = "/api/v1/api-keys",
    tag = "API keys",
    params(PageQuery, ActingFor),
    responses((status = OK, description = "A page of keys", body = Page<ApiKey>)),
)]
pub(crate) async fn list_api_keys(
    State(tenants): State<Tenants>,
    authorized: Authorized,
    page: PageQuery,
    Query(acting_for): Query<ActingFor>,
) -> Result<Json<Page<ApiKey>>, Problem> {
    let organization = authorized.organization(acting_for.organization_id)?;
    let (after, limit) = (page.after()?, page.rows_to_fetch());
    let database = &tenants.database;
    let list = database.tenant("api keys: list", Bulkhead::Control, organization, |tx| {
        Box::pin(async move { api_keys::list(tx, after, limit).await })
    });
    let rows = list.await.map_err(|error: Error| error)?;
    Ok(Json(Page::of(rows, &page, ApiKey::position)?))
}
