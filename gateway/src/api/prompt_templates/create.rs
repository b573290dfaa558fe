//! `POST /api/v1/prompt-templates`: makes a template.

use ::api::{Answer, Authorized, IdempotencyHeader, Once, Origin, Problem};
use axum::extract::State;
use serde::Deserialize;
use tenants::audit::Actor;
use types::{Id, id};
use utoipa::ToSchema;

use super::input::{self, PromptTemplateInput};
use super::{Whose, change, transaction};
use crate::api::Prompting;
use crate::template::manage::{self, PromptTemplate};

/// The template to make.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreatePromptTemplate {
    /// Its name in calls; unique in the organization. A system template of that slug is hidden by it.
    #[schema(
        example = "support-answer",
        pattern = "^[a-z0-9_-]+$",
        max_length = 100
    )]
    slug: String,
    /// For the operator: whose template it is. Others leave it out.
    #[serde(default)]
    #[schema(value_type = Option<Uuid>)]
    organization_id: Option<Id<id::Organization>>,
    /// For the operator: a template of the platform, which every organization may use.
    #[serde(default)]
    system: bool,
    /// What it is to be.
    #[serde(flatten)]
    input: PromptTemplateInput,
}

/// Make a prompt template
///
/// Its first version is in force at once. Calls name it by `prompt.slug`, or by the model `template:<slug>`.
#[utoipa::path(
    post,
    path = "/api/v1/prompt-templates",
    tag = "Prompt templates",
    params(IdempotencyHeader),
    request_body = CreatePromptTemplate,
    responses(
        (status = CREATED, description = "The template", body = PromptTemplate),
        (status = NOT_FOUND, description = "No such organization"),
        (status = CONFLICT, description = "The slug is taken, there are too many, or the same request is still running"),
    ),
)]
pub(crate) async fn create_prompt_template(
    State(prompting): State<Prompting>,
    authorized: Authorized,
    origin: Origin,
    once: Once<CreatePromptTemplate>,
) -> Result<Answer, Problem> {
    let body = &once.body;
    let whose = Whose {
        organization_id: body.organization_id,
        system: body.system,
    };
    let owner = whose.owner(&authorized)?;
    let slug = input::slug(&body.slug)?;
    let templates = &prompting.templates;
    let own = authorized.0.organization;
    let draft = &body.input.clone().check(templates, own).await?;
    let max = templates.options().per_organization_max;

    let actor = &Actor::of(&authorized.0, origin);
    let change = change(owner, &authorized, actor, prompting.clock.as_ref());
    let (once, trail, name) = (&once, change.trail, "prompt templates: create");
    transaction::run(&prompting.database, name, owner, |scope| {
        Box::pin(async move {
            let connection = scope.connection;
            if let Some(answer) = once.earlier(connection, trail).await? {
                return Ok(answer);
            }
            let template = manage::create(connection, change, (slug, draft), max).await?;
            let answer = Answer::created(&template);
            Ok(once.keep(connection, trail, answer).await?)
        })
    })
    .await
}
