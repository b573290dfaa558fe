//! `GET /api/v1/prompt-templates`: the organization's templates and the platform's.

use ::api::{Authorized, Page, PageQuery, Problem, Query};
use axum::Json;
use axum::extract::State;
use tenants::api::ActingFor;

use super::transaction;
use crate::api::Prompting;
use crate::template::manage::{self, Owner, Position, PromptTemplate};

/// List prompt templates
///
/// By slug, with the platform's among them. Where both have a slug, calls mean the organization's own.
#[utoipa::path(
    get,
    path = "/api/v1/prompt-templates",
    tag = "Prompt templates",
    params(PageQuery, ActingFor),
    responses((status = OK, description = "A page of templates", body = Page<PromptTemplate>)),
)]
pub(crate) async fn list_prompt_templates(
    State(prompting): State<Prompting>,
    authorized: Authorized,
    page: PageQuery,
    Query(acting_for): Query<ActingFor>,
) -> Result<Json<Page<PromptTemplate>>, Problem> {
    let organization = authorized.organization(acting_for.organization_id)?;
    let (after, limit) = (page.after::<Position>()?, page.rows_to_fetch());
    let (after, owner) = (after.as_ref(), Owner::Organization(organization));
    let name = "prompt templates: list";
    let list = transaction::run(&prompting.database, name, owner, |scope| {
        Box::pin(
            async move { Ok(manage::list(scope.connection, organization, after, limit).await?) },
        )
    });
    Ok(Json(Page::of(
        list.await?,
        &page,
        PromptTemplate::position,
    )?))
}
