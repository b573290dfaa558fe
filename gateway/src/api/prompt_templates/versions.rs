//! `GET /api/v1/prompt-templates/{slug}/versions`: all versions of a template.

use ::api::{Authorized, Page, PageQuery, Path, Problem, Query};
use axum::Json;
use axum::extract::State;

use super::{SlugPath, Whose, found, transaction};
use crate::api::Prompting;
use crate::template::manage::{self, PromptTemplateVersion};

/// List the versions of a prompt template
///
/// Newest first.
#[utoipa::path(
    get,
    path = "/api/v1/prompt-templates/{slug}/versions",
    tag = "Prompt templates",
    params(SlugPath, Whose, PageQuery),
    responses(
        (status = OK, description = "A page of versions", body = Page<PromptTemplateVersion>),
        (status = NOT_FOUND, description = "No such template"),
    ),
)]
pub(crate) async fn list_prompt_template_versions(
    State(prompting): State<Prompting>,
    authorized: Authorized,
    Path(path): Path<SlugPath>,
    Query(whose): Query<Whose>,
    page: PageQuery,
) -> Result<Json<Page<PromptTemplateVersion>>, Problem> {
    let owner = whose.owner(&authorized)?;
    let (before, limit) = (page.after::<u32>()?, page.rows_to_fetch());
    let template = &found(&prompting.database, owner, &path.slug).await?;
    let name = "prompt templates: list versions";
    let list = transaction::run(&prompting.database, name, owner, |scope| {
        Box::pin(
            async move { Ok(manage::versions(scope.connection, template, before, limit).await?) },
        )
    });
    Ok(Json(Page::of(list.await?, &page, |version| {
        version.version
    })?))
}
