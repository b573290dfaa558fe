//! `PUT /api/v1/prompt-templates/{slug}`: writes a new version.

use ::api::{Authorized, ETag, IfMatch, IfMatchHeader, Json, Problem};
use axum::extract::State;
use serde::Deserialize;
use tenants::audit::Actor;
use utoipa::ToSchema;

use super::input::PromptTemplateInput;
use super::{Meant, SlugPath, Whose, change, tag, transaction};
use crate::api::Prompting;
use crate::template::manage::{self, PromptTemplate};

/// The version to write.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdatePromptTemplate {
    /// Whether it is in force at once. Left out: yes.
    #[serde(default = "yes")]
    #[schema(default = true, required = false)]
    activate: bool,
    /// What it is to be; what is left out is not taken from the version before.
    #[serde(flatten)]
    input: PromptTemplateInput,
}

const fn yes() -> bool {
    true
}

/// Write a new version of a prompt template
///
/// Earlier versions stay as they are and can be put in force again. Gateways notice within two seconds.
#[utoipa::path(
    put,
    path = "/api/v1/prompt-templates/{slug}",
    tag = "Prompt templates",
    params(SlugPath, Whose, IfMatchHeader),
    request_body = UpdatePromptTemplate,
    responses(
        (status = OK, description = "The template", body = PromptTemplate),
        (status = FORBIDDEN, description = "The template is the platform's"),
        (status = NOT_FOUND, description = "No such template"),
    ),
)]
pub(crate) async fn update_prompt_template(
    State(prompting): State<Prompting>,
    authorized: Authorized,
    meant: Meant,
    if_match: Result<IfMatch, Problem>,
    Json(body): Json<UpdatePromptTemplate>,
) -> Result<(ETag, axum::Json<PromptTemplate>), Problem> {
    let owner = meant.whose.owner(&authorized)?;
    let (slug, activate) = (meant.path.slug.as_str(), body.activate);
    let own = authorized.0.organization;
    let draft = &body.input.check(&prompting.templates, own).await?;

    let actor = &Actor::of(&authorized.0, meant.origin);
    let change = change(owner, &authorized, actor, prompting.clock.as_ref());
    let (if_match, name) = (&if_match, "prompt templates: update");
    let update = transaction::run(&prompting.database, name, owner, |scope| {
        Box::pin(async move {
            let connection = scope.connection;
            let template = manage::lock(connection, owner, slug).await?;
            if_match.clone()?.check(&tag(&template)?)?;
            Ok(manage::update(connection, change, template, (draft, activate)).await?)
        })
    });
    let template = update.await?;
    Ok((tag(&template)?, axum::Json(template)))
}
