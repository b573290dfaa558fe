//! `POST /api/v1/prompt-templates/{slug}/versions/{version}/activate`: puts a version in force.

use ::api::{Authorized, ETag, IfMatch, IfMatchHeader, Problem};
use axum::Json;
use axum::extract::State;
use tenants::audit::Actor;

use super::{VersionMeant, VersionPath, Whose, change, tag, transaction};
use crate::api::Prompting;
use crate::template::manage::{self, PromptTemplate};

/// Put a version of a prompt template in force
///
/// An earlier one, to go back, or one that was written without being activated. Gateways notice within two seconds.
#[utoipa::path(
    post,
    path = "/api/v1/prompt-templates/{slug}/versions/{version}/activate",
    tag = "Prompt templates",
    params(VersionPath, Whose, IfMatchHeader),
    responses(
        (status = OK, description = "The template", body = PromptTemplate),
        (status = FORBIDDEN, description = "The template is the platform's"),
        (status = NOT_FOUND, description = "No such template, or no such version"),
    ),
)]
pub(crate) async fn activate_prompt_template_version(
    State(prompting): State<Prompting>,
    authorized: Authorized,
    meant: VersionMeant,
    if_match: Result<IfMatch, Problem>,
) -> Result<(ETag, Json<PromptTemplate>), Problem> {
    let owner = meant.whose.owner(&authorized)?;
    let (slug, version) = (meant.path.slug.as_str(), meant.path.version);
    let actor = &Actor::of(&authorized.0, meant.origin);
    let change = change(owner, &authorized, actor, prompting.clock.as_ref());
    let (if_match, name) = (&if_match, "prompt templates: activate");
    let activate = transaction::run(&prompting.database, name, owner, |scope| {
        Box::pin(async move {
            let connection = scope.connection;
            let template = manage::lock(connection, owner, slug).await?;
            if_match.clone()?.check(&tag(&template)?)?;
            Ok(manage::activate(connection, change, template, version).await?)
        })
    });
    let template = activate.await?;
    Ok((tag(&template)?, Json(template)))
}
