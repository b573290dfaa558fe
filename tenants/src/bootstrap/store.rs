//! SQL of the first start: `users`, `organization_members`, `tenants.operator_keys`, the demo key.

use chrono::{DateTime, Utc};
use database::Error;
use sqlx::PgConnection;
use types::Id;
use types::id::{self, Organization, User};

use crate::keys::format::NewKey;

/// The name that the demo key has in the list of keys.
const DEMO_KEY_NAME: &str = "Demo key";

/// A key that belongs to the owner, but for its text.
pub(super) struct OwnedKey {
    pub(super) id: Id<id::ApiKey>,
    pub(super) organization: Id<Organization>,
    pub(super) user: Id<User>,
    pub(super) created_at: DateTime<Utc>,
}

/// Waits until no other gateway is starting for the first time.
pub(super) async fn lock(connection: &mut PgConnection) -> Result<(), Error> {
    let lock = sqlx::query!(
        "SELECT pg_advisory_xact_lock(hashtextextended('flowpilot: bootstrap', 0))::text",
    );
    lock.fetch_one(connection).await?;
    Ok(())
}

pub(super) async fn find_user(
    connection: &mut PgConnection,
    email: &str,
) -> Result<Option<Id<User>>, Error> {
    let id = sqlx::query_scalar!("SELECT id FROM users WHERE email = $1", email);
    Ok(id.fetch_optional(connection).await?.map(Id::from))
}

/// The owner. Without a password, so that nobody can sign in as it.
pub(super) async fn insert_user(
    connection: &mut PgConnection,
    id: Id<User>,
    email: &str,
) -> Result<Id<User>, Error> {
    let insert = sqlx::query!(
        "INSERT INTO users (id, email, first_name, last_name, is_staff, is_superuser)
         VALUES ($1, $2, 'Platform', 'Owner', true, true)",
        id.uuid(),
        email,
    );
    let done = insert.execute(connection).await?;
    database::ensure_affected(done.rows_affected(), 1)?;
    Ok(id)
}

/// Makes a user an owner of an organization.
pub(super) async fn insert_owner(
    connection: &mut PgConnection,
    organization: Id<Organization>,
    user: Id<User>,
) -> Result<(), Error> {
    let insert = sqlx::query!(
        "INSERT INTO organization_members (organization_id, user_id, role_id)
         SELECT $1, $2, id
         FROM roles
         WHERE slug = 'owner'
           AND is_system_role",
        organization.uuid(),
        user.uuid(),
    );
    let done = insert.execute(connection).await?;
    database::ensure_affected(done.rows_affected(), 1)
}

/// The hashes of the operator's keys that work.
pub(super) async fn operator_key_hashes(
    connection: &mut PgConnection,
) -> Result<Vec<String>, Error> {
    let hashes =
        sqlx::query_scalar!("SELECT key_hash FROM tenants.operator_keys WHERE revoked_at IS NULL",);
    Ok(hashes.fetch_all(connection).await?)
}

pub(super) async fn revoke_operator_keys(
    connection: &mut PgConnection,
    at: DateTime<Utc>,
) -> Result<(), Error> {
    let update = sqlx::query!(
        "UPDATE tenants.operator_keys SET revoked_at = $1 WHERE revoked_at IS NULL",
        at,
    );
    update.execute(connection).await?;
    Ok(())
}

pub(super) async fn insert_operator_key(
    connection: &mut PgConnection,
    operator: &OwnedKey,
    key: &NewKey,
) -> Result<(), Error> {
    let insert = sqlx::query!(
        "INSERT INTO tenants.operator_keys
            (id, organization_id, user_id, key_hash, key_prefix, created_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
        operator.id.uuid(),
        operator.organization.uuid(),
        operator.user.uuid(),
        key.hash.to_string(),
        key.prefix,
        operator.created_at,
    );
    let done = insert.execute(connection).await?;
    database::ensure_affected(done.rows_affected(), 1)
}

/// The hashes of the demo keys that work.
pub(super) async fn demo_key_hashes(
    connection: &mut PgConnection,
    demo: Id<Organization>,
) -> Result<Vec<String>, Error> {
    let hashes = sqlx::query_scalar!(
        "SELECT key_hash
         FROM api_keys
         WHERE organization_id = $1
           AND name = $2
           AND is_active
           AND revoked_at IS NULL",
        demo.uuid(),
        DEMO_KEY_NAME,
    );
    Ok(hashes.fetch_all(connection).await?)
}

pub(super) async fn revoke_demo_keys(
    connection: &mut PgConnection,
    demo: Id<Organization>,
    by: Id<User>,
    at: DateTime<Utc>,
) -> Result<(), Error> {
    let update = sqlx::query!(
        "UPDATE api_keys
         SET is_active = false
           , revoked_at = $4
           , revoked_by = $3
         WHERE organization_id = $1
           AND name = $2
           AND revoked_at IS NULL",
        demo.uuid(),
        DEMO_KEY_NAME,
        by.uuid(),
        at,
    );
    update.execute(connection).await?;
    Ok(())
}

pub(super) async fn insert_demo_key(
    connection: &mut PgConnection,
    demo: &OwnedKey,
    key: &NewKey,
    scopes: &[String],
) -> Result<(), Error> {
    let insert = sqlx::query!(
        "INSERT INTO api_keys
            (id, organization_id, name, key_hash, key_prefix, scopes, created_by, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        demo.id.uuid(),
        demo.organization.uuid(),
        DEMO_KEY_NAME,
        key.hash.to_string(),
        key.prefix,
        scopes,
        demo.user.uuid(),
        demo.created_at,
    );
    let done = insert.execute(connection).await?;
    database::ensure_affected(done.rows_affected(), 1)
}
