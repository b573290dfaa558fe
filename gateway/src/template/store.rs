//! SQL of prompt templates: what a render reads, and what their management writes.

mod manage;

use database::{Bulkhead, Database, Error};
use sqlx::types::Json;
use types::Id;
use types::id::{Organization, Template};
use uuid::Uuid;

pub(super) use manage::{
    archive, count, delete, exists, find, find_version, insert, insert_version, list,
    list_versions, lock, update,
};

use super::stored::{Defaults, OtherDefaults, Version};
use super::variables::Variable;

/// A version as both tables have it.
struct Row {
    id: Uuid,
    template_text: String,
    variables: Json<Vec<Variable>>,
    model: Option<String>,
    temperature: Option<f64>,
    parameters: Json<OtherDefaults>,
}

impl From<Row> for Version {
    fn from(row: Row) -> Self {
        Self {
            id: row.id.into(),
            template_text: row.template_text,
            variables: row.variables.0,
            model: row.model,
            defaults: Defaults::new(row.temperature, row.parameters.0),
        }
    }
}

/// The version of an organization's template that a call means; its own comes before a system template of that slug.
pub(super) async fn find_for_call(
    database: &Database,
    organization: Id<Organization>,
    slug: &str,
    version: Option<u32>,
) -> Result<Option<Version>, Error> {
    let name = "templates: find for a call";
    let found = database.tenant(name, Bulkhead::Hot, organization, |tx| {
        Box::pin(async move {
            let organization = organization.uuid();
            let row = match version {
                None => find_active(tx.connection(), organization, slug).await?,
                Some(version) => {
                    find_numbered(tx.connection(), organization, slug, version).await?
                }
            };
            Ok::<_, Error>(row.map(Version::from))
        })
    });
    found.await
}

async fn find_active(
    connection: &mut sqlx::PgConnection,
    organization: Uuid,
    slug: &str,
) -> Result<Option<Row>, Error> {
    let row = sqlx::query_as!(
        Row,
        r#"SELECT id
                , template_text
                , variables AS "variables: Json<Vec<Variable>>"
                , model
                , temperature::float8 AS temperature
                , parameters AS "parameters: Json<OtherDefaults>"
           FROM prompt_templates
           WHERE slug = $2
             AND (organization_id = $1 OR organization_id IS NULL)
           ORDER BY organization_id NULLS LAST
           LIMIT 1"#,
        organization,
        slug,
    );
    Ok(row.fetch_optional(connection).await?)
}

async fn find_numbered(
    connection: &mut sqlx::PgConnection,
    organization: Uuid,
    slug: &str,
    version: u32,
) -> Result<Option<Row>, Error> {
    let row = sqlx::query_as!(
        Row,
        r#"SELECT meant.id
                , versions.template_text
                , versions.variables AS "variables: Json<Vec<Variable>>"
                , versions.model
                , versions.temperature::float8 AS temperature
                , versions.parameters AS "parameters: Json<OtherDefaults>"
           FROM (
               SELECT id
               FROM prompt_templates
               WHERE slug = $2
                 AND (organization_id = $1 OR organization_id IS NULL)
               ORDER BY organization_id NULLS LAST
               LIMIT 1
           ) AS meant
           JOIN gateway.prompt_template_versions AS versions ON versions.template_id = meant.id
           WHERE versions.version = $3"#,
        organization,
        slug,
        i32::try_from(version).unwrap_or(i32::MAX),
    );
    Ok(row.fetch_optional(connection).await?)
}

/// Counts the changes of templates.
pub(super) async fn epoch(database: &Database) -> Result<i64, Error> {
    database
        .worker("templates: epoch", Bulkhead::Workers, |tx| {
            Box::pin(async move {
                let row = sqlx::query!("SELECT epoch FROM gateway.template_epoch")
                    .fetch_one(tx.connection())
                    .await?;
                Ok(row.epoch)
            })
        })
        .await
}

/// Adds to what templates were used; those that are gone meanwhile are passed over.
pub(super) async fn add_uses(
    database: &Database,
    uses: &[(Id<Template>, u32)],
) -> Result<(), Error> {
    // In one order everywhere, so that two gateways do not wait for each other.
    let mut uses = uses.to_vec();
    uses.sort_unstable_by_key(|(id, _)| id.uuid());
    let ids: Vec<_> = uses.iter().map(|(id, _)| id.uuid()).collect();
    let counts: Vec<_> = uses.iter().map(|(_, count)| i64::from(*count)).collect();
    let (ids, counts) = (ids.as_slice(), counts.as_slice());
    database
        .worker("templates: add uses", Bulkhead::Workers, |tx| {
            Box::pin(async move {
                let update = sqlx::query!(
                    "UPDATE prompt_templates
                     SET usage_count = LEAST(usage_count + uses.count, 2147483647)
                     FROM unnest($1::uuid[], $2::bigint[]) AS uses (id, count)
                     WHERE prompt_templates.id = uses.id",
                    ids,
                    counts,
                );
                update.execute(tx.connection()).await?;
                Ok(())
            })
        })
        .await
}
