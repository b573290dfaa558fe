//! Prompt templates as people manage them: made, changed by new versions, put in force, deleted.
//!
//! Functions here run inside the caller's transaction and write the audit trail with it; a trigger tells every
//! gateway. Sources are not in the trail: its rows are kept for years, and every version stands in its own table.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::PgConnection;
use tenants::audit::{self, Actor, Entry};
use types::id::{Organization, Template, User};
use types::{Clock, Id};
use utoipa::ToSchema;
use uuid::Uuid;

use super::store;
use super::stored::OtherDefaults;
use super::variables::Variable;

/// Whose a template is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// An organization's own.
    Organization(Id<Organization>),
    /// Nobody's: every organization may use it, and the operator alone writes it.
    System,
}

/// A prompt template, with the version that is in force.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct PromptTemplate {
    /// Its id.
    #[schema(value_type = Uuid)]
    pub(crate) id: Id<Template>,
    /// Its name in calls.
    #[schema(example = "support-answer")]
    pub(crate) slug: String,
    /// What people call it.
    #[schema(example = "Answer for support")]
    pub(crate) name: String,
    /// What it is for.
    pub(crate) description: Option<String>,
    /// Its source; `{# system #}`, `{# user #}` or `{# assistant #}` alone on a line begins a message.
    #[schema(example = "{# system #}\nBe brief.\n{# user #}\n{{ question }}")]
    pub(crate) template_text: String,
    /// What it takes.
    pub(crate) variables: Vec<Variable>,
    /// The model of calls that name none.
    pub(crate) model: Option<String>,
    /// The temperature of calls that set none.
    pub(crate) temperature: Option<f64>,
    /// Further parameters of calls that do not set them.
    pub(crate) parameters: OtherDefaults,
    /// The version in force.
    #[schema(example = 2)]
    pub(crate) version: u32,
    /// The newest version, which may not be in force.
    #[schema(example = 3)]
    pub(crate) latest_version: u32,
    /// Whether it is the platform's, for every organization.
    pub(crate) is_system_template: bool,
    /// Calls rendered from it; lags by some seconds.
    pub(crate) usage_count: u32,
    /// Who made it.
    #[schema(value_type = Option<Uuid>)]
    pub(crate) created_by: Option<Id<User>>,
    /// When it was made.
    pub(crate) created_at: DateTime<Utc>,
    /// When it was changed last.
    pub(crate) updated_at: DateTime<Utc>,
}

/// A version of a prompt template; it never changes.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct PromptTemplateVersion {
    /// Its number, from 1.
    pub(crate) version: u32,
    /// Its source.
    pub(crate) template_text: String,
    /// What it takes.
    pub(crate) variables: Vec<Variable>,
    /// The model of calls that name none.
    pub(crate) model: Option<String>,
    /// The temperature of calls that set none.
    pub(crate) temperature: Option<f64>,
    /// Further parameters of calls that do not set them.
    pub(crate) parameters: OtherDefaults,
    /// Who wrote it.
    #[schema(value_type = Option<Uuid>)]
    pub(crate) created_by: Option<Id<User>>,
    /// When it was written.
    pub(crate) created_at: DateTime<Utc>,
}

/// What a version is to be; checked already.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    /// What people call it.
    pub(crate) name: String,
    /// What it is for.
    pub(crate) description: Option<String>,
    /// Its source.
    pub(crate) template_text: String,
    /// What it takes.
    pub(crate) variables: Vec<Variable>,
    /// The model of calls that name none.
    pub(crate) model: Option<String>,
    /// The temperature of calls that set none.
    pub(crate) temperature: Option<f64>,
    /// Further parameters.
    pub(crate) parameters: OtherDefaults,
}

/// Where a template stands in a list: by slug, an organization's beside the system's.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Position {
    /// The slug.
    pub(crate) slug: String,
    /// The template.
    pub(crate) id: Uuid,
}

/// Who changes what, and when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Change<'a> {
    /// Whose template it is.
    pub(crate) owner: Owner,
    /// In whose audit trail it stands: a system template's change in the operator's own.
    pub(crate) trail: Id<Organization>,
    /// Who does it.
    pub(crate) actor: &'a Actor,
    /// The time.
    pub(crate) clock: &'a dyn Clock,
}

/// Why templates cannot be managed as asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The owner has no such template.
    #[error("no such template")]
    NotFound,
    /// There is one, but it is the platform's.
    #[error("the template is the platform's")]
    SystemOnly,
    /// The template has no such version.
    #[error("no such version")]
    VersionNotFound,
    /// The owner has a template of that slug.
    #[error("the slug is taken")]
    SlugTaken,
    /// The owner has as many as allowed.
    #[error("there are {0} templates already")]
    TooMany(u32),
    /// The organization does not exist.
    #[error("no such organization")]
    OrganizationNotFound,
    /// The database failed.
    #[error("managing prompt templates")]
    Database(#[source] database::Error),
}

/// Makes a template, whose first version is in force.
pub(crate) async fn create(
    connection: &mut PgConnection,
    change: Change<'_>,
    (slug, draft): (&str, &Draft),
    templates_max: u32,
) -> Result<PromptTemplate, Error> {
    if store::count(connection, change.owner).await? >= i64::from(templates_max) {
        return Err(Error::TooMany(templates_max));
    }
    let now = change.clock.now();
    let mut template = PromptTemplate {
        id: Id::new(change.clock),
        slug: slug.to_owned(),
        name: draft.name.clone(),
        description: draft.description.clone(),
        template_text: String::new(),
        variables: Vec::new(),
        model: None,
        temperature: None,
        parameters: OtherDefaults::default(),
        version: 1,
        latest_version: 1,
        is_system_template: change.owner == Owner::System,
        usage_count: 0,
        created_by: Some(change.actor.user),
        created_at: now,
        updated_at: now,
    };
    let version = draft.version(1, change);
    template.take(&version);
    store::insert(connection, change.owner, &template).await?;
    store::insert_version(connection, (change.owner, template.id), &version).await?;
    record(
        connection,
        change,
        "prompt_template.create",
        (&template, None),
    )
    .await?;
    Ok(template)
}

/// Writes a new version, and puts it in force if it is to be.
pub(crate) async fn update(
    connection: &mut PgConnection,
    change: Change<'_>,
    mut template: PromptTemplate,
    (draft, activate): (&Draft, bool),
) -> Result<PromptTemplate, Error> {
    let before = template.summary();
    store::archive(connection, change.owner, template.id).await?;
    template.latest_version += 1;
    template.name.clone_from(&draft.name);
    template.description.clone_from(&draft.description);
    let version = draft.version(template.latest_version, change);
    store::insert_version(connection, (change.owner, template.id), &version).await?;
    if activate {
        template.take(&version);
    }
    put(
        connection,
        change,
        template,
        ("prompt_template.update", before),
    )
    .await
}

/// Puts a version in force that was written before.
pub(crate) async fn activate(
    connection: &mut PgConnection,
    change: Change<'_>,
    mut template: PromptTemplate,
    version: u32,
) -> Result<PromptTemplate, Error> {
    let before = template.summary();
    store::archive(connection, change.owner, template.id).await?;
    let version = store::find_version(connection, template.id, version).await?;
    template.take(&version.ok_or(Error::VersionNotFound)?);
    put(
        connection,
        change,
        template,
        ("prompt_template.activate", before),
    )
    .await
}

/// Deletes a template with all its versions.
pub(crate) async fn delete(
    connection: &mut PgConnection,
    change: Change<'_>,
    template: &PromptTemplate,
) -> Result<(), Error> {
    store::delete(connection, change.owner, template.id).await?;
    let before = Some(template.summary());
    record(
        connection,
        change,
        "prompt_template.delete",
        (template, before),
    )
    .await
}

/// The owner's own template, locked; a system template is told from none.
pub(crate) async fn lock(
    connection: &mut PgConnection,
    owner: Owner,
    slug: &str,
) -> Result<PromptTemplate, Error> {
    match store::lock(connection, owner, slug).await? {
        Some(template) => Ok(template),
        None if store::exists(connection, slug).await? => Err(Error::SystemOnly),
        None => Err(Error::NotFound),
    }
}

/// The owner's own template, or the system's.
pub(crate) async fn find(
    connection: &mut PgConnection,
    owner: Owner,
    slug: &str,
) -> Result<PromptTemplate, Error> {
    let found = store::find(connection, owner, slug).await?;
    found.ok_or(Error::NotFound)
}

/// The organization's templates and the system's, by slug.
pub(crate) async fn list(
    connection: &mut PgConnection,
    organization: Id<Organization>,
    after: Option<&Position>,
    limit: i64,
) -> Result<Vec<PromptTemplate>, Error> {
    Ok(store::list(connection, organization, after, limit).await?)
}

/// The versions of a template, newest first.
pub(crate) async fn versions(
    connection: &mut PgConnection,
    template: &PromptTemplate,
    before: Option<u32>,
    limit: i64,
) -> Result<Vec<PromptTemplateVersion>, Error> {
    Ok(store::list_versions(connection, template.id, before, limit).await?)
}

/// One version of a template.
pub(crate) async fn version(
    connection: &mut PgConnection,
    template: &PromptTemplate,
    version: u32,
) -> Result<PromptTemplateVersion, Error> {
    let found = store::find_version(connection, template.id, version).await?;
    found.ok_or(Error::VersionNotFound)
}

/// Writes a changed template, and that it was changed.
async fn put(
    connection: &mut PgConnection,
    change: Change<'_>,
    template: PromptTemplate,
    (action, before): (&'static str, Value),
) -> Result<PromptTemplate, Error> {
    store::update(connection, change.owner, &template).await?;
    record(connection, change, action, (&template, Some(before))).await?;
    // With what the database sets itself.
    lock(connection, change.owner, &template.slug).await
}

async fn record(
    connection: &mut PgConnection,
    change: Change<'_>,
    action: &'static str,
    (template, before): (&PromptTemplate, Option<Value>),
) -> Result<(), Error> {
    let entry = Entry {
        organization: change.trail,
        action,
        resource_type: "prompt_template",
        resource: template.id.uuid(),
        old: before,
        new: (action != "prompt_template.delete").then(|| template.summary()),
        at: change.clock.now(),
    };
    audit::record(connection, change.actor, &entry).await?;
    Ok(())
}

impl Draft {
    fn version(&self, number: u32, change: Change<'_>) -> PromptTemplateVersion {
        PromptTemplateVersion {
            version: number,
            template_text: self.template_text.clone(),
            variables: self.variables.clone(),
            model: self.model.clone(),
            temperature: self.temperature,
            parameters: self.parameters.clone(),
            created_by: Some(change.actor.user),
            created_at: change.clock.now(),
        }
    }
}

impl PromptTemplate {
    /// Where it stands in a list.
    pub(crate) fn position(&self) -> Position {
        Position {
            slug: self.slug.clone(),
            id: self.id.uuid(),
        }
    }

    /// The version in force.
    pub(crate) fn in_force(self) -> PromptTemplateVersion {
        PromptTemplateVersion {
            version: self.version,
            template_text: self.template_text,
            variables: self.variables,
            model: self.model,
            temperature: self.temperature,
            parameters: self.parameters,
            created_by: self.created_by,
            created_at: self.updated_at,
        }
    }

    /// Puts a version in force.
    fn take(&mut self, version: &PromptTemplateVersion) {
        self.version = version.version;
        self.template_text.clone_from(&version.template_text);
        self.variables.clone_from(&version.variables);
        self.model.clone_from(&version.model);
        self.temperature = version.temperature;
        self.parameters = version.parameters.clone();
    }

    /// What the audit trail says of it.
    fn summary(&self) -> Value {
        json!({
            "slug": self.slug,
            "name": self.name,
            "version": self.version,
            "latest_version": self.latest_version,
            "is_system_template": self.is_system_template,
        })
    }
}

impl Owner {
    /// The organization's id; none of the system.
    pub(crate) fn uuid(self) -> Option<Uuid> {
        match self {
            Self::Organization(organization) => Some(organization.uuid()),
            Self::System => None,
        }
    }
}

impl From<database::Error> for Error {
    fn from(error: database::Error) -> Self {
        match error.constraint() {
            Some("unique_org_template_slug") => Self::SlugTaken,
            Some("prompt_templates_organization_id_fkey") => Self::OrganizationNotFound,
            _ => Self::Database(error),
        }
    }
}

impl database::AsDatabaseError for Error {
    fn as_database_error(&self) -> Option<&database::Error> {
        match self {
            Self::Database(error) => Some(error),
            _ => None,
        }
    }
}
