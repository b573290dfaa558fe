//! SQL of the management of prompt templates; the organization is NULL for a system template.

use chrono::{DateTime, Utc};
use database::Error;
use sqlx::PgConnection;
use sqlx::types::Json;
use types::Id;
use types::id::{Organization, Template};
use uuid::Uuid;

use super::super::manage::{Owner, Position, PromptTemplate, PromptTemplateVersion};
use super::super::stored::OtherDefaults;
use super::super::variables::Variable;

struct Row {
    id: Uuid,
    slug: String,
    name: String,
    description: Option<String>,
    template_text: String,
    variables: Json<Vec<Variable>>,
    model: Option<String>,
    temperature: Option<f64>,
    parameters: Json<OtherDefaults>,
    version: i32,
    latest_version: i32,
    is_system_template: bool,
    usage_count: i32,
    created_by: Option<Uuid>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<Row> for PromptTemplate {
    fn from(row: Row) -> Self {
        Self {
            id: row.id.into(),
            slug: row.slug,
            name: row.name,
            description: row.description,
            template_text: row.template_text,
            variables: row.variables.0,
            model: row.model,
            temperature: row.temperature,
            parameters: row.parameters.0,
            version: row.version.unsigned_abs(),
            latest_version: row.latest_version.unsigned_abs(),
            is_system_template: row.is_system_template,
            usage_count: row.usage_count.unsigned_abs(),
            created_by: row.created_by.map(Id::from),
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

struct VersionRow {
    version: i32,
    template_text: String,
    variables: Json<Vec<Variable>>,
    model: Option<String>,
    temperature: Option<f64>,
    parameters: Json<OtherDefaults>,
    created_by: Option<Uuid>,
    created_at: DateTime<Utc>,
}

impl From<VersionRow> for PromptTemplateVersion {
    fn from(row: VersionRow) -> Self {
        Self {
            version: row.version.unsigned_abs(),
            template_text: row.template_text,
            variables: row.variables.0,
            model: row.model,
            temperature: row.temperature,
            parameters: row.parameters.0,
            created_by: row.created_by.map(Id::from),
            created_at: row.created_at,
        }
    }
}

/// The organization's templates and the system's, by slug.
pub(crate) async fn list(
    connection: &mut PgConnection,
    organization: Id<Organization>,
    after: Option<&Position>,
    limit: i64,
) -> Result<Vec<PromptTemplate>, Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT id, slug, name, description, template_text
                , variables AS "variables: Json<Vec<Variable>>"
                , model
                , temperature::float8 AS temperature
                , parameters AS "parameters: Json<OtherDefaults>"
                , version, latest_version, is_system_template, usage_count, created_by, created_at, updated_at
           FROM prompt_templates
           WHERE (organization_id = $1 OR organization_id IS NULL)
             AND ($2::text IS NULL OR (slug, id) > ($2, $3))
           ORDER BY slug, id
           LIMIT $4"#,
        organization.uuid(),
        after.map(|after| after.slug.as_str()),
        after.map(|after| after.id),
        limit,
    );
    let rows = rows.fetch_all(connection).await?;
    Ok(rows.into_iter().map(PromptTemplate::from).collect())
}

/// The organization's template of a slug, or the system's.
pub(crate) async fn find(
    connection: &mut PgConnection,
    owner: Owner,
    slug: &str,
) -> Result<Option<PromptTemplate>, Error> {
    let row = sqlx::query_as!(
        Row,
        r#"SELECT id, slug, name, description, template_text
                , variables AS "variables: Json<Vec<Variable>>"
                , model
                , temperature::float8 AS temperature
                , parameters AS "parameters: Json<OtherDefaults>"
                , version, latest_version, is_system_template, usage_count, created_by, created_at, updated_at
           FROM prompt_templates
           WHERE (organization_id = $1 OR organization_id IS NULL)
             AND slug = $2
           ORDER BY organization_id NULLS LAST
           LIMIT 1"#,
        owner.uuid(),
        slug,
    );
    let row = row.fetch_optional(connection).await?;
    Ok(row.map(PromptTemplate::from))
}

/// The owner's own template of a slug, which nobody else changes until the transaction ends.
pub(crate) async fn lock(
    connection: &mut PgConnection,
    owner: Owner,
    slug: &str,
) -> Result<Option<PromptTemplate>, Error> {
    let row = sqlx::query_as!(
        Row,
        r#"SELECT id, slug, name, description, template_text
                , variables AS "variables: Json<Vec<Variable>>"
                , model
                , temperature::float8 AS temperature
                , parameters AS "parameters: Json<OtherDefaults>"
                , version, latest_version, is_system_template, usage_count, created_by, created_at, updated_at
           FROM prompt_templates
           WHERE organization_id IS NOT DISTINCT FROM $1
             AND slug = $2
           FOR UPDATE"#,
        owner.uuid(),
        slug,
    );
    let row = row.fetch_optional(connection).await?;
    Ok(row.map(PromptTemplate::from))
}

/// Whether there is a system template of a slug.
pub(crate) async fn exists(connection: &mut PgConnection, slug: &str) -> Result<bool, Error> {
    let row = sqlx::query!(
        r#"SELECT EXISTS (
               SELECT FROM prompt_templates WHERE organization_id IS NULL AND slug = $1
           ) AS "exists!""#,
        slug,
    );
    Ok(row.fetch_one(connection).await?.exists)
}

/// How many templates the owner has.
pub(crate) async fn count(connection: &mut PgConnection, owner: Owner) -> Result<i64, Error> {
    let row = sqlx::query!(
        r#"SELECT count(*) AS "count!"
           FROM prompt_templates
           WHERE organization_id IS NOT DISTINCT FROM $1"#,
        owner.uuid(),
    );
    Ok(row.fetch_one(connection).await?.count)
}

pub(crate) async fn insert(
    connection: &mut PgConnection,
    owner: Owner,
    template: &PromptTemplate,
) -> Result<(), Error> {
    let insert = sqlx::query!(
        "INSERT INTO prompt_templates
            ( id, organization_id, name, slug, description, template_text, variables, model, temperature, parameters
            , version, latest_version, is_system_template, created_by, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::float8::numeric, $10, $11, $12, $13, $14, $15, $15)",
        template.id.uuid(),
        owner.uuid(),
        template.name,
        template.slug,
        template.description,
        template.template_text,
        Json(&template.variables) as _,
        template.model,
        template.temperature,
        Json(&template.parameters) as _,
        number(template.version),
        number(template.latest_version),
        template.is_system_template,
        template.created_by.map(|id| id.uuid()),
        template.created_at,
    );
    let done = insert.execute(connection).await?;
    database::ensure_affected(done.rows_affected(), 1)
}

/// Writes what the row holds now; who made it and when stay.
pub(crate) async fn update(
    connection: &mut PgConnection,
    owner: Owner,
    template: &PromptTemplate,
) -> Result<(), Error> {
    let update = sqlx::query!(
        "UPDATE prompt_templates
         SET name = $3
           , description = $4
           , template_text = $5
           , variables = $6
           , model = $7
           , temperature = $8::float8::numeric
           , parameters = $9
           , version = $10
           , latest_version = $11
         WHERE organization_id IS NOT DISTINCT FROM $1
           AND id = $2",
        owner.uuid(),
        template.id.uuid(),
        template.name,
        template.description,
        template.template_text,
        Json(&template.variables) as _,
        template.model,
        template.temperature,
        Json(&template.parameters) as _,
        number(template.version),
        number(template.latest_version),
    );
    let done = update.execute(connection).await?;
    database::ensure_affected(done.rows_affected(), 1)
}

pub(crate) async fn delete(
    connection: &mut PgConnection,
    owner: Owner,
    id: Id<Template>,
) -> Result<(), Error> {
    let delete = sqlx::query!(
        "DELETE FROM prompt_templates
         WHERE organization_id IS NOT DISTINCT FROM $1
           AND id = $2",
        owner.uuid(),
        id.uuid(),
    );
    let done = delete.execute(connection).await?;
    database::ensure_affected(done.rows_affected(), 1)
}

pub(crate) async fn insert_version(
    connection: &mut PgConnection,
    (owner, id): (Owner, Id<Template>),
    version: &PromptTemplateVersion,
) -> Result<(), Error> {
    let insert = sqlx::query!(
        "INSERT INTO gateway.prompt_template_versions
            ( template_id, version, organization_id, template_text, variables, model, temperature, parameters
            , created_by, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7::float8::numeric, $8, $9, $10)",
        id.uuid(),
        number(version.version),
        owner.uuid(),
        version.template_text,
        Json(&version.variables) as _,
        version.model,
        version.temperature,
        Json(&version.parameters) as _,
        version.created_by.map(|id| id.uuid()),
        version.created_at,
    );
    let done = insert.execute(connection).await?;
    database::ensure_affected(done.rows_affected(), 1)
}

/// Keeps the version in force of a row that somebody wrote by hand, which has no version beside it.
pub(crate) async fn archive(
    connection: &mut PgConnection,
    owner: Owner,
    id: Id<Template>,
) -> Result<(), Error> {
    let insert = sqlx::query!(
        "INSERT INTO gateway.prompt_template_versions
            ( template_id, version, organization_id, template_text, variables, model, temperature, parameters
            , created_by, created_at)
         SELECT id, version, organization_id, template_text, variables, model, temperature, parameters
              , created_by, updated_at
         FROM prompt_templates
         WHERE organization_id IS NOT DISTINCT FROM $1
           AND id = $2
         ON CONFLICT (template_id, version) DO NOTHING",
        owner.uuid(),
        id.uuid(),
    );
    insert.execute(connection).await?;
    Ok(())
}

/// The versions of a template that was found, newest first.
pub(crate) async fn list_versions(
    connection: &mut PgConnection,
    id: Id<Template>,
    before: Option<u32>,
    limit: i64,
) -> Result<Vec<PromptTemplateVersion>, Error> {
    let rows = sqlx::query_as!(
        VersionRow,
        r#"SELECT version, template_text
                , variables AS "variables: Json<Vec<Variable>>"
                , model
                , temperature::float8 AS temperature
                , parameters AS "parameters: Json<OtherDefaults>"
                , created_by, created_at
           FROM gateway.prompt_template_versions
           WHERE template_id = $1
             AND ($2::int IS NULL OR version < $2)
           ORDER BY version DESC
           LIMIT $3"#,
        id.uuid(),
        before.map(number),
        limit,
    );
    let rows = rows.fetch_all(connection).await?;
    Ok(rows.into_iter().map(PromptTemplateVersion::from).collect())
}

/// One version of a template that was found.
pub(crate) async fn find_version(
    connection: &mut PgConnection,
    id: Id<Template>,
    version: u32,
) -> Result<Option<PromptTemplateVersion>, Error> {
    let row = sqlx::query_as!(
        VersionRow,
        r#"SELECT version, template_text
                , variables AS "variables: Json<Vec<Variable>>"
                , model
                , temperature::float8 AS temperature
                , parameters AS "parameters: Json<OtherDefaults>"
                , created_by, created_at
           FROM gateway.prompt_template_versions
           WHERE template_id = $1
             AND version = $2"#,
        id.uuid(),
        number(version),
    );
    let row = row.fetch_optional(connection).await?;
    Ok(row.map(PromptTemplateVersion::from))
}

fn number(version: u32) -> i32 {
    i32::try_from(version).unwrap_or(i32::MAX)
}
