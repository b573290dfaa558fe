//! `POST /api/v1/prompt-templates/{slug}/render`: what a template makes of variables, without asking a model.

use ::api::{Authorized, Json, Path, Problem, Query};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use types::call::Role;
use utoipa::ToSchema;

use super::input::refused;
use super::{SlugPath, Whose, found, transaction};
use crate::api::Prompting;
use crate::template::manage::{self, PromptTemplateVersion};
use crate::template::variables::{self, Bound, Variable};

/// What to render with.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RenderPromptTemplate {
    /// The values of the variables, by name.
    #[serde(default)]
    #[schema(value_type = Object, example = json!({ "question": "Where is my parcel?" }))]
    variables: Map<String, Value>,
    /// Which version. Left out: the one in force.
    #[serde(default)]
    version: Option<u32>,
}

/// What a template renders to.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RenderedPromptTemplate {
    /// The version that was rendered.
    version: u32,
    /// The messages; null while a variable is missing, unknown or of another type, for which a call is refused.
    messages: Option<Vec<RenderedMessage>>,
    /// What it takes, and how that compares with what was given.
    variables: VariablesReport,
}

/// A rendered message.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RenderedMessage {
    /// Who speaks: `system`, `user` or `assistant`.
    #[schema(value_type = String, example = "user")]
    role: Role,
    /// What is said.
    content: String,
}

/// The variables of a render.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct VariablesReport {
    /// What is declared.
    declared: Vec<Variable>,
    /// Declared as required and not given.
    missing: Vec<String>,
    /// Given and not declared.
    unknown: Vec<String>,
    /// Given, but of another type than declared.
    wrong_type: Vec<String>,
    /// Declared and not used by the source.
    unused: Vec<String>,
}

/// Try a prompt template out
///
/// No model is asked and nothing is booked. A mistake of the template is told with its line and column.
#[utoipa::path(
    post,
    path = "/api/v1/prompt-templates/{slug}/render",
    tag = "Prompt templates",
    params(SlugPath, Whose),
    request_body = RenderPromptTemplate,
    responses(
        (status = OK, description = "The messages", body = RenderedPromptTemplate),
        (status = NOT_FOUND, description = "No such template, or no such version"),
    ),
)]
pub(crate) async fn render_prompt_template(
    State(prompting): State<Prompting>,
    authorized: Authorized,
    Path(path): Path<SlugPath>,
    Query(whose): Query<Whose>,
    Json(body): Json<RenderPromptTemplate>,
) -> Result<axum::Json<RenderedPromptTemplate>, Problem> {
    let version = meant(&prompting, &authorized, (&path, whose), body.version).await?;
    let (own, source) = (authorized.0.organization, &version.template_text);
    let used = prompting
        .templates
        .inspect(own, source)
        .await
        .map_err(refused)?;
    let bound = variables::bind(&version.variables, body.variables);
    let messages = if is_complete(&bound) {
        let rendered = prompting.templates.preview(own, source, &bound.values);
        let rendered = rendered.await.map_err(refused)?.into_iter();
        let messages = rendered.map(|one| RenderedMessage {
            role: one.role,
            content: one.text,
        });
        Some(messages.collect())
    } else {
        None
    };
    let names = version.variables.iter().map(|variable| &variable.name);
    let unused = names
        .filter(|name| !used.contains(*name))
        .cloned()
        .collect();
    Ok(axum::Json(RenderedPromptTemplate {
        version: version.version,
        messages,
        variables: VariablesReport {
            missing: bound.missing,
            unknown: bound.unknown,
            wrong_type: bound.wrong.into_iter().map(|(name, _)| name).collect(),
            unused,
            declared: version.variables,
        },
    }))
}

/// The version that is to be rendered.
async fn meant(
    prompting: &Prompting,
    authorized: &Authorized,
    (path, whose): (&SlugPath, Whose),
    version: Option<u32>,
) -> Result<PromptTemplateVersion, Problem> {
    let owner = whose.owner(authorized)?;
    let template = found(&prompting.database, owner, &path.slug).await?;
    let Some(version) = version.filter(|version| *version != template.version) else {
        return Ok(template.in_force());
    };
    let (template, name) = (&template, "prompt templates: find a version");
    transaction::run(&prompting.database, name, owner, |scope| {
        Box::pin(async move { Ok(manage::version(scope.connection, template, version).await?) })
    })
    .await
}

fn is_complete(bound: &Bound) -> bool {
    bound.missing.is_empty() && bound.unknown.is_empty() && bound.wrong.is_empty()
}
