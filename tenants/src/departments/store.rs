//! SQL of `departments`.

use chrono::{DateTime, Utc};
use database::Error;
use sqlx::PgConnection;
use types::Id;
use types::id::Organization;
use uuid::Uuid;

use super::Department;

struct Row {
    id: Uuid,
    name: String,
    parent_id: Option<Uuid>,
    description: Option<String>,
    created_at: DateTime<Utc>,
}

impl From<Row> for Department {
    fn from(row: Row) -> Self {
        Self {
            id: row.id.into(),
            name: row.name,
            parent_id: row.parent_id.map(Id::from),
            description: row.description,
            created_at: row.created_at,
        }
    }
}

pub(super) async fn insert(
    connection: &mut PgConnection,
    organization: Id<Organization>,
    department: &Department,
) -> Result<(), Error> {
    let insert = sqlx::query!(
        "INSERT INTO departments (id, organization_id, name, parent_id, description, created_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
        department.id.uuid(),
        organization.uuid(),
        department.name,
        department.parent_id.map(|id| id.uuid()),
        department.description,
        department.created_at,
    );
    let done = insert.execute(connection).await?;
    database::ensure_affected(done.rows_affected(), 1)
}

pub(super) async fn list(
    connection: &mut PgConnection,
    organization: Id<Organization>,
    after: Option<&str>,
    limit: i64,
) -> Result<Vec<Department>, Error> {
    let rows = sqlx::query_as!(
        Row,
        "SELECT id
              , name
              , parent_id
              , description
              , created_at
         FROM departments
         WHERE organization_id = $1
           AND ($2::text IS NULL OR name > $2)
         ORDER BY name
         LIMIT $3",
        organization.uuid(),
        after,
        limit,
    );
    let rows = rows.fetch_all(connection).await?;
    Ok(rows.into_iter().map(Department::from).collect())
}
