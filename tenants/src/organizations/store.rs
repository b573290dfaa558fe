//! SQL of `organizations`.

use chrono::{DateTime, Utc};
use database::Error;
use sqlx::PgConnection;
use types::{Id, id};
use uuid::Uuid;

use super::{Organization, Position};

struct Row {
    id: Uuid,
    name: String,
    slug: String,
    parent_id: Option<Uuid>,
    is_active: bool,
    created_at: DateTime<Utc>,
}

impl From<Row> for Organization {
    fn from(row: Row) -> Self {
        Self {
            id: row.id.into(),
            name: row.name,
            slug: row.slug,
            parent_id: row.parent_id.map(Id::from),
            active: row.is_active,
            created_at: row.created_at,
        }
    }
}

pub(crate) async fn insert(
    connection: &mut PgConnection,
    organization: &Organization,
) -> Result<(), Error> {
    let insert = sqlx::query!(
        "INSERT INTO organizations (id, name, slug, parent_id, created_at)
         VALUES ($1, $2, $3, $4, $5)",
        organization.id.uuid(),
        organization.name,
        organization.slug,
        organization.parent_id.map(|id| id.uuid()),
        organization.created_at,
    );
    let done = insert.execute(connection).await?;
    database::ensure_affected(done.rows_affected(), 1)
}

pub(super) async fn find(
    connection: &mut PgConnection,
    id: Id<id::Organization>,
) -> Result<Option<Organization>, Error> {
    let row = sqlx::query_as!(
        Row,
        "SELECT id
              , name
              , slug
              , parent_id
              , is_active
              , created_at
         FROM organizations
         WHERE id = $1",
        id.uuid(),
    );
    let row = row.fetch_optional(connection).await?;
    Ok(row.map(Organization::from))
}

pub(crate) async fn find_by_slug(
    connection: &mut PgConnection,
    slug: &str,
) -> Result<Option<Organization>, Error> {
    let row = sqlx::query_as!(
        Row,
        "SELECT id
              , name
              , slug
              , parent_id
              , is_active
              , created_at
         FROM organizations
         WHERE slug = $1",
        slug,
    );
    let row = row.fetch_optional(connection).await?;
    Ok(row.map(Organization::from))
}

/// How many organizations stand above and including this one; 0 when it does not exist.
pub(super) async fn depth(
    connection: &mut PgConnection,
    id: Id<id::Organization>,
    depth_max: i64,
) -> Result<i64, Error> {
    let depth = sqlx::query_scalar!(
        // count(*) is never null.
        r#"WITH RECURSIVE above (id, parent_id, depth) AS (
               SELECT id, parent_id, 1::bigint FROM organizations WHERE id = $1
               UNION ALL
               SELECT o.id, o.parent_id, a.depth + 1
               FROM organizations AS o
               JOIN above AS a ON o.id = a.parent_id
               WHERE a.depth < $2
           )
           SELECT count(*) AS "depth!" FROM above"#,
        id.uuid(),
        depth_max,
    );
    Ok(depth.fetch_one(connection).await?)
}

pub(super) async fn list(
    connection: &mut PgConnection,
    after: Option<Position>,
    limit: i64,
) -> Result<Vec<Organization>, Error> {
    let rows = sqlx::query_as!(
        Row,
        "SELECT id
              , name
              , slug
              , parent_id
              , is_active
              , created_at
         FROM organizations
         WHERE $1::timestamptz IS NULL OR (created_at, id) < ($1, $2::uuid)
         ORDER BY created_at DESC, id DESC
         LIMIT $3",
        after.map(|position| position.created_at),
        after.map(|position| position.id),
        limit,
    );
    let rows = rows.fetch_all(connection).await?;
    Ok(rows.into_iter().map(Organization::from).collect())
}
