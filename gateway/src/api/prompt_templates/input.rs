//! What a template is to be, as it is written by people, and what has to hold of it.

use ::api::Problem;
use serde::Deserialize;
use types::Id;
use types::id::Organization;
use utoipa::ToSchema;

use crate::template::manage::Draft;
use crate::template::variables::{self, Variable};
use crate::template::{OtherDefaults, Stopped, Templates};

/// The longest name, in characters: the width of its column.
const NAME_CHARS_MAX: usize = 255;
/// The longest slug, in characters: the width of its column.
const SLUG_CHARS_MAX: usize = 100;
/// The longest description, in characters.
const DESCRIPTION_CHARS_MAX: usize = 2000;
/// The longest name of a model, in characters: the width of its column.
const MODEL_CHARS_MAX: usize = 255;
/// The highest temperature that any provider takes.
const TEMPERATURE_MAX: f64 = 2.0;

/// What a version of a prompt template is to be.
#[derive(Debug, Clone, Deserialize, ToSchema)]
pub(crate) struct PromptTemplateInput {
    /// What people call it.
    #[schema(example = "Answer for support", min_length = 1, max_length = 255)]
    name: String,
    /// What it is for.
    #[serde(default)]
    #[schema(max_length = 2000)]
    description: Option<String>,
    /// Its source: Jinja, with `{# system #}`, `{# user #}` or `{# assistant #}` alone on a line to begin a message.
    /// Without any such line it is one message of the user.
    #[schema(example = "{# system #}\nBe brief.\n{# user #}\n{{ question }}")]
    template_text: String,
    /// What it takes: names, or objects with `name`, `type`, `required`, `default` and `description`. Left out: what
    /// the source uses, all of it required.
    #[serde(default)]
    variables: Option<Vec<Variable>>,
    /// The model of calls that name none.
    #[serde(default)]
    #[schema(example = "default")]
    model: Option<String>,
    /// The temperature of calls that set none, from 0 to 2.
    #[serde(default)]
    #[schema(example = 0.2, minimum = 0, maximum = 2)]
    temperature: Option<f64>,
    /// Further parameters of calls that do not set them.
    #[serde(default)]
    parameters: OtherDefaults,
}

impl PromptTemplateInput {
    /// Everything that has to hold, or which field it does not hold of.
    pub(super) async fn check(
        self,
        templates: &Templates,
        organization: Id<Organization>,
    ) -> Result<Draft, Problem> {
        let name = text("name", &self.name, NAME_CHARS_MAX)?;
        let description = self.description.as_deref().unwrap_or_default();
        if description.chars().count() > DESCRIPTION_CHARS_MAX {
            let message = format!("has at most {DESCRIPTION_CHARS_MAX} characters");
            return Err(Problem::invalid_field("description", message));
        }
        let model = self.model.as_deref();
        let model = model
            .map(|model| text("model", model, MODEL_CHARS_MAX))
            .transpose()?;
        if self
            .temperature
            .is_some_and(|t| !(0.0..=TEMPERATURE_MAX).contains(&t))
        {
            return Err(Problem::invalid_field("temperature", "lies from 0 to 2"));
        }
        check_parameters(&self.parameters)?;
        let max = templates.options().source_bytes_max;
        if self.template_text.len() > max {
            let message = format!("has at most {max} bytes");
            return Err(Problem::invalid_field("template_text", message));
        }
        let used = templates.inspect(organization, &self.template_text).await;
        let used = used.map_err(refused)?;
        let variables = match self.variables {
            Some(declared) => declared,
            None => used.iter().map(Variable::named).collect(),
        };
        variables::check(&variables).map_err(|wrong| {
            Problem::invalid_field(format!("variables[{}]", wrong.index), wrong.message)
        })?;
        let declared = |name: &&String| variables.iter().any(|one| one.name == **name);
        if let Some(name) = used.iter().find(|name| !declared(name)) {
            let message = format!("lacks `{name}`, which the source uses");
            return Err(Problem::invalid_field("variables", message));
        }
        Ok(Draft {
            name,
            description: self.description,
            template_text: self.template_text,
            variables,
            model,
            temperature: self.temperature,
            parameters: self.parameters,
        })
    }
}

fn check_parameters(parameters: &OtherDefaults) -> Result<(), Problem> {
    let top_p = parameters
        .top_p
        .as_ref()
        .and_then(serde_json::Number::as_f64);
    if top_p.is_some_and(|p| !(p > 0.0 && p <= 1.0)) {
        let message = "lies above 0 and is at most 1";
        return Err(Problem::invalid_field("parameters.top_p", message));
    }
    if parameters.output_tokens_max == Some(0) {
        let message = "must be more than 0";
        return Err(Problem::invalid_field(
            "parameters.output_tokens_max",
            message,
        ));
    }
    Ok(())
}

/// A slug, if it can be one.
pub(super) fn slug(slug: &str) -> Result<&str, Problem> {
    let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if slug.is_empty() || slug.len() > SLUG_CHARS_MAX || !slug.chars().all(valid) {
        let message = "has 1 to 100 small letters, digits, hyphens and underscores";
        return Err(Problem::invalid_field("slug", message));
    }
    Ok(slug)
}

/// A line of text without white space around it.
fn text(field: &str, text: &str, chars_max: usize) -> Result<String, Problem> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > chars_max || text.chars().any(char::is_control) {
        let message = format!("has 1 to {chars_max} characters, none of them a control character");
        return Err(Problem::invalid_field(field, message));
    }
    Ok(text.to_owned())
}

/// A source that cannot be read or rendered is the field's fault; a full queue is not.
pub(super) fn refused(stopped: Stopped) -> Problem {
    use ::api::Code;
    /// A render takes milliseconds.
    const RETRY_AFTER: std::time::Duration = std::time::Duration::from_secs(1);
    match stopped {
        Stopped::Fault(fault) => Problem::invalid_field("template_text", fault.to_string()),
        Stopped::Busy | Stopped::Broken => Problem::new(Code::Unavailable)
            .detail(stopped.to_string())
            .retry_after(RETRY_AFTER),
    }
}
