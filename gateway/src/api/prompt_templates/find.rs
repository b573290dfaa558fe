//! `GET /api/v1/prompt-templates/{slug}`: one template, with the version in force.

use ::api::{Authorized, ETag, Path, Problem, Query};
use axum::Json;
use axum::extract::State;

use super::{SlugPath, Whose, found, tag};
use crate::api::Prompting;
use crate::template::manage::PromptTemplate;

/// Find a prompt template
///
/// The organization's own, or else the platform's.
#[utoipa::path(
    get,
    path = "/api/v1/prompt-templates/{slug}",
    tag = "Prompt templates",
    params(SlugPath, Whose),
    responses(
        (status = OK, description = "The template", body = PromptTemplate),
        (status = NOT_FOUND, description = "No such template"),
    ),
)]
pub(crate) async fn find_prompt_template(
    State(prompting): State<Prompting>,
    authorized: Authorized,
    Path(path): Path<SlugPath>,
    Query(whose): Query<Whose>,
) -> Result<(ETag, Json<PromptTemplate>), Problem> {
    let owner = whose.owner(&authorized)?;
    let template = found(&prompting.database, owner, &path.slug).await?;
    Ok((tag(&template)?, Json(template)))
}
