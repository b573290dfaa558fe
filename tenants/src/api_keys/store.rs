//! SQL of `api_keys`, but for what the memory of keys reads.

use chrono::{DateTime, Utc};
use database::Error;
use sqlx::PgConnection;
use types::Id;
use types::id::{self, Organization, User};
use uuid::Uuid;

use super::{ApiKey, Position};
use crate::keys::format::{KeyHash, NewKey};
use crate::scopes;

/// How many keys are read to see whether a prefix names one alone.
const AMBIGUOUS: i64 = 2;

struct Row {
    id: Uuid,
    name: String,
    key_prefix: String,
    scopes: Vec<String>,
    is_active: bool,
    last_used_at: Option<DateTime<Utc>>,
    expires_at: Option<DateTime<Utc>>,
    created_by: Uuid,
    created_at: DateTime<Utc>,
    revoked_at: Option<DateTime<Utc>>,
}

impl From<Row> for ApiKey {
    fn from(row: Row) -> Self {
        Self {
            id: row.id.into(),
            name: row.name,
            prefix: row.key_prefix,
            scopes: scopes::read(&row.scopes).iter().collect(),
            active: row.is_active && row.revoked_at.is_none(),
            last_used_at: row.last_used_at,
            expires_at: row.expires_at,
            created_by: row.created_by.into(),
            created_at: row.created_at,
            revoked_at: row.revoked_at,
        }
    }
}

pub(super) async fn insert(
    connection: &mut PgConnection,
    organization: Id<Organization>,
    key: &ApiKey,
    hash: KeyHash,
) -> Result<(), Error> {
    let scopes: Vec<_> = key.scopes.iter().map(ToString::to_string).collect();
    let insert = sqlx::query!(
        "INSERT INTO api_keys
            (id, organization_id, name, key_hash, key_prefix, scopes, expires_at, created_by, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        key.id.uuid(),
        organization.uuid(),
        key.name,
        hash.to_string(),
        key.prefix,
        &scopes,
        key.expires_at,
        key.created_by.uuid(),
        key.created_at,
    );
    let done = insert.execute(connection).await?;
    database::ensure_affected(done.rows_affected(), 1)
}

/// The key, which nobody else changes until the transaction ends.
pub(super) async fn lock(
    connection: &mut PgConnection,
    organization: Id<Organization>,
    id: Id<id::ApiKey>,
) -> Result<Option<ApiKey>, Error> {
    let row = sqlx::query_as!(
        Row,
        "SELECT id
              , name
              , key_prefix
              , scopes
              , is_active
              , last_used_at
              , expires_at
              , created_by
              , created_at
              , revoked_at
         FROM api_keys
         WHERE organization_id = $1
           AND id = $2
         FOR NO KEY UPDATE",
        organization.uuid(),
        id.uuid(),
    );
    Ok(row.fetch_optional(connection).await?.map(ApiKey::from))
}

pub(super) async fn update_hash(
    connection: &mut PgConnection,
    organization: Id<Organization>,
    id: Id<id::ApiKey>,
    key: &NewKey,
) -> Result<(), Error> {
    let update = sqlx::query!(
        "UPDATE api_keys
         SET key_hash = $3
           , key_prefix = $4
         WHERE organization_id = $1
           AND id = $2",
        organization.uuid(),
        id.uuid(),
        key.hash.to_string(),
        key.prefix,
    );
    let done = update.execute(connection).await?;
    database::ensure_affected(done.rows_affected(), 1)
}

pub(super) async fn revoke(
    connection: &mut PgConnection,
    organization: Id<Organization>,
    id: Id<id::ApiKey>,
    by: Id<User>,
    at: DateTime<Utc>,
) -> Result<(), Error> {
    let update = sqlx::query!(
        "UPDATE api_keys
         SET is_active = false
           , revoked_at = $4
           , revoked_by = $3
         WHERE organization_id = $1
           AND id = $2",
        organization.uuid(),
        id.uuid(),
        by.uuid(),
        at,
    );
    let done = update.execute(connection).await?;
    database::ensure_affected(done.rows_affected(), 1)
}

pub(super) async fn list(
    connection: &mut PgConnection,
    organization: Id<Organization>,
    after: Option<Position>,
    limit: i64,
) -> Result<Vec<ApiKey>, Error> {
    let rows = sqlx::query_as!(
        Row,
        "SELECT id
              , name
              , key_prefix
              , scopes
              , is_active
              , last_used_at
              , expires_at
              , created_by
              , created_at
              , revoked_at
         FROM api_keys
         WHERE organization_id = $1
           AND ($2::timestamptz IS NULL OR (created_at, id) < ($2, $3::uuid))
         ORDER BY created_at DESC, id DESC
         LIMIT $4",
        organization.uuid(),
        after.map(|position| position.created_at),
        after.map(|position| position.id),
        limit,
    );
    let rows = rows.fetch_all(connection).await?;
    Ok(rows.into_iter().map(ApiKey::from).collect())
}

pub(super) async fn find_by_prefix(
    connection: &mut PgConnection,
    organization: Id<Organization>,
    prefix: &str,
) -> Result<Vec<ApiKey>, Error> {
    let rows = sqlx::query_as!(
        Row,
        "SELECT id
              , name
              , key_prefix
              , scopes
              , is_active
              , last_used_at
              , expires_at
              , created_by
              , created_at
              , revoked_at
         FROM api_keys
         WHERE organization_id = $1
           AND key_prefix = $2
         LIMIT $3",
        organization.uuid(),
        prefix,
        AMBIGUOUS,
    );
    let rows = rows.fetch_all(connection).await?;
    Ok(rows.into_iter().map(ApiKey::from).collect())
}
