//! `DELETE /api/v1/prompt-templates/{slug}`: deletes a template with its versions.

use ::api::{Authorized, IfMatch, IfMatchHeader, Problem};
use axum::extract::State;
use http::StatusCode;
use tenants::audit::Actor;

use super::{Meant, SlugPath, Whose, change, tag, transaction};
use crate::api::Prompting;
use crate::template::manage;

/// Delete a prompt template
///
/// With all its versions. Calls that name it are refused within two seconds, or mean the platform's template of that
/// slug where there is one.
#[utoipa::path(
    delete,
    path = "/api/v1/prompt-templates/{slug}",
    tag = "Prompt templates",
    params(SlugPath, Whose, IfMatchHeader),
    responses(
        (status = NO_CONTENT, description = "The template is deleted"),
        (status = FORBIDDEN, description = "The template is the platform's"),
        (status = NOT_FOUND, description = "No such template"),
    ),
)]
pub(crate) async fn delete_prompt_template(
    State(prompting): State<Prompting>,
    authorized: Authorized,
    meant: Meant,
    if_match: Result<IfMatch, Problem>,
) -> Result<StatusCode, Problem> {
    let owner = meant.whose.owner(&authorized)?;
    let slug = meant.path.slug.as_str();
    let actor = &Actor::of(&authorized.0, meant.origin);
    let change = change(owner, &authorized, actor, prompting.clock.as_ref());
    let (if_match, name) = (&if_match, "prompt templates: delete");
    transaction::run(&prompting.database, name, owner, |scope| {
        Box::pin(async move {
            let connection = scope.connection;
            let template = manage::lock(connection, owner, slug).await?;
            if_match.clone()?.check(&tag(&template)?)?;
            Ok(manage::delete(connection, change, &template).await?)
        })
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}
