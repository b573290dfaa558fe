//! `GET /api/v1/prompt-templates/{slug}/versions/{version}`: one version of a template.

use ::api::{Authorized, Path, Problem, Query};
use axum::Json;
use axum::extract::State;

use super::{VersionPath, Whose, found, transaction};
use crate::api::Prompting;
use crate::template::manage::{self, PromptTemplateVersion};

/// Find a version of a prompt template
#[utoipa::path(
    get,
    path = "/api/v1/prompt-templates/{slug}/versions/{version}",
    tag = "Prompt templates",
    params(VersionPath, Whose),
    responses(
        (status = OK, description = "The version", body = PromptTemplateVersion),
        (status = NOT_FOUND, description = "No such template, or no such version"),
    ),
)]
pub(crate) async fn find_prompt_template_version(
    State(prompting): State<Prompting>,
    authorized: Authorized,
    Path(path): Path<VersionPath>,
    Query(whose): Query<Whose>,
) -> Result<Json<PromptTemplateVersion>, Problem> {
    let owner = whose.owner(&authorized)?;
    let template = &found(&prompting.database, owner, &path.slug).await?;
    let name = "prompt templates: find a version";
    let find = transaction::run(&prompting.database, name, owner, |scope| {
        Box::pin(
            async move { Ok(manage::version(scope.connection, template, path.version).await?) },
        )
    });
    Ok(Json(find.await?))
}
