//! `DELETE /api/v1/cache/entries`: entries are given to nobody any more, on any gateway.

use ::api::{Authorized, Problem, Query};
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Answers, PurgeParameters};
use crate::Which;

/// What was purged.
#[derive(Debug, Serialize, ToSchema)]
pub struct Purged {
    /// Entries that were deleted.
    #[schema(example = 12)]
    pub entries: u64,
}

/// Purge the cache
///
/// Deletes entries: here at once, on other gateways within about two seconds.
#[utoipa::path(
    delete,
    path = "/api/v1/cache/entries",
    tag = "Cache",
    params(PurgeParameters),
    responses((status = OK, description = "How many entries were deleted", body = Purged)),
)]
pub(crate) async fn purge_cache(
    State(answers): State<Answers>,
    authorized: Authorized,
    Query(parameters): Query<PurgeParameters>,
) -> Result<Json<Purged>, Problem> {
    let organization = authorized.organization(parameters.organization_id)?;
    let which = Which {
        model: parameters.model,
        producer: parameters.api_key_id,
        prefix: parameters.prefix,
    };
    let entries = answers.cache.purge(organization, &which).await?;
    Ok(Json(Purged { entries }))
}
