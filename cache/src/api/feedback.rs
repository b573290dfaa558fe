//! `POST /api/v1/cache/feedback`: an answer of the cache was wrong.

use ::api::{Authorized, Code, Json, Problem};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use types::{Id, id};
use utoipa::ToSchema;

use super::Answers;

/// Which answer was wrong.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CacheFeedback {
    /// The entry, as the header `x-flowpilot-cache-entry` named it.
    #[schema(value_type = Uuid)]
    entry_id: Id<id::CacheEntry>,
    /// For the operator: whose entry. Others leave it out; it is their own organization.
    #[serde(default)]
    #[schema(value_type = Option<Uuid>)]
    organization_id: Option<Id<id::Organization>>,
}

/// What was done about it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Quarantined {
    /// Entries that are given to nobody any more: the one that was named, and those that say the same.
    #[schema(example = 3)]
    pub entries: u64,
}

/// Say that an answer was wrong
///
/// The entry and all that say the same are given to nobody any more. Saying it again changes nothing.
#[utoipa::path(
    post,
    path = "/api/v1/cache/feedback",
    tag = "Cache",
    request_body = CacheFeedback,
    responses(
        (status = OK, description = "How many entries are out of service", body = Quarantined),
        (status = NOT_FOUND, description = "No such entry"),
    ),
)]
pub(crate) async fn give_cache_feedback(
    State(answers): State<Answers>,
    authorized: Authorized,
    Json(feedback): Json<CacheFeedback>,
) -> Result<axum::Json<Quarantined>, Problem> {
    let organization = authorized.organization(feedback.organization_id)?;
    let entries = answers
        .cache
        .quarantine(organization, feedback.entry_id)
        .await?;
    if entries == 0 {
        return Err(Problem::new(Code::NotFound));
    }
    Ok(axum::Json(Quarantined { entries }))
}
