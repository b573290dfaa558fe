//! The keys of an organization: made, imported, rotated, revoked and listed.
//!
//! Functions here run inside the caller's transaction, and write the audit trail with it.
//! The triggers of `api_keys` tell every gateway; see [`crate::keys`].
//!
//! Nobody can give a key more than they hold: neither by making one nor by rotating one, since
//! whoever rotates a key holds it afterwards.

mod store;

use chrono::{DateTime, Utc};
use database::TenantTransaction;
use serde::{Deserialize, Serialize};
use serde_json::json;
use types::id::{self, User};
use types::{Clock, Id, Permission, Permissions};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::audit::{self, Actor, Entry};
use crate::keys::format::{ImportError, NewKey};
use crate::scopes;
use crate::text::{self, NameError};

/// The longest name, in characters: the width of its column.
const NAME_CHARS_MAX: usize = 255;

/// A key as it can be seen by people: everything but its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ApiKey {
    /// Its id.
    #[schema(value_type = Uuid)]
    pub id: Id<id::ApiKey>,
    /// What people call it.
    #[schema(example = "Invoice assistant")]
    pub name: String,
    /// The eight public characters after `fp_`; of an imported key, the first of its hash.
    #[schema(example = "Zk3b90Qa")]
    pub prefix: String,
    /// What it may do.
    #[schema(value_type = Vec<String>, example = json!(["ai:invoke", "usage:read"]))]
    pub scopes: Vec<Permission>,
    /// Whether it works, its expiry aside.
    pub active: bool,
    /// When it was used last, to within a minute.
    pub last_used_at: Option<DateTime<Utc>>,
    /// When it stops working; null: never.
    pub expires_at: Option<DateTime<Utc>>,
    /// Who made it.
    #[schema(value_type = Uuid)]
    pub created_by: Id<User>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
}

/// A key that is to be made.
#[derive(Debug, Clone)]
pub struct Draft {
    /// What people call it.
    pub name: String,
    /// What it may do.
    pub permissions: Permissions,
    /// When it stops working.
    pub expires_at: Option<DateTime<Utc>>,
}

/// The sort key of a list: newest first.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Position {
    created_at: DateTime<Utc>,
    id: Uuid,
}

/// Why keys cannot be managed as asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No key of this organization has the id.
    #[error("no such key")]
    NotFound,
    /// The organization does not exist.
    #[error("no such organization")]
    OrganizationNotFound,
    /// A revoked key stays revoked.
    #[error("the key is revoked")]
    Revoked,
    /// The name cannot be one.
    #[error("the name is not acceptable")]
    Name(#[source] NameError),
    /// The expiry is not in the future.
    #[error("the expiry has passed")]
    Expired,
    /// A tenant's key can never hold this.
    #[error("{0} belongs to the operator")]
    OperatorOnly(Permission),
    /// The key would hold, or holds, more than whoever asks.
    #[error("{0} is not held by the caller")]
    Exceeds(Permission),
    /// A key without any permission is of no use.
    #[error("the key would have no permission")]
    NoPermissions,
    /// The text cannot be imported.
    #[error("the key cannot be imported")]
    Import(#[source] ImportError),
    /// The imported text is a key already.
    #[error("this key is known already")]
    Taken,
    /// The database failed.
    #[error("managing API keys")]
    Database(#[source] database::Error),
}

/// Makes a key. Its text is in the answer and nowhere else.
pub async fn create(
    tx: &mut TenantTransaction<'_>,
    clock: &dyn Clock,
    actor: &Actor,
    draft: &Draft,
) -> Result<(ApiKey, NewKey), Error> {
    let key = NewKey::generate(&mut rand::rng());
    let making = Making {
        draft,
        key: &key,
        action: "api_key.create",
    };
    let row = insert(tx, clock, actor, making).await?;
    Ok((row, key))
}

/// Takes over a key that was made elsewhere, for instance when moving from another gateway.
pub async fn import(
    tx: &mut TenantTransaction<'_>,
    clock: &dyn Clock,
    actor: &Actor,
    draft: &Draft,
    text: &str,
) -> Result<ApiKey, Error> {
    let key = NewKey::import(text).map_err(Error::Import)?;
    let making = Making {
        draft,
        key: &key,
        action: "api_key.import",
    };
    insert(tx, clock, actor, making).await
}

/// A key on its way into the table, and what the audit trail calls that.
struct Making<'a> {
    draft: &'a Draft,
    key: &'a NewKey,
    action: &'static str,
}

async fn insert(
    tx: &mut TenantTransaction<'_>,
    clock: &dyn Clock,
    actor: &Actor,
    Making { draft, key, action }: Making<'_>,
) -> Result<ApiKey, Error> {
    let now = clock.now();
    let row = ApiKey {
        id: Id::new(clock),
        name: text::name(&draft.name, NAME_CHARS_MAX).map_err(Error::Name)?,
        prefix: key.prefix.clone(),
        scopes: checked(draft.permissions)?,
        active: true,
        last_used_at: None,
        expires_at: draft.expires_at,
        created_by: actor.user,
        created_at: now,
        revoked_at: None,
    };
    if row.expires_at.is_some_and(|end| end <= now) {
        return Err(Error::Expired);
    }
    let organization = tx.organization();
    store::insert(tx.connection(), organization, &row, key.hash).await?;

    let entry = Entry {
        organization,
        action,
        resource_type: "api_key",
        resource: row.id.uuid(),
        old: None,
        new: Some(json!({
            "name": row.name,
            "prefix": row.prefix,
            "scopes": row.scopes,
            "expires_at": row.expires_at,
        })),
        at: now,
    };
    audit::record(tx.connection(), actor, &entry).await?;
    Ok(row)
}

/// The permissions of a tenant's key, at least one.
fn checked(permissions: Permissions) -> Result<Vec<Permission>, Error> {
    if let Some(denied) = permissions.iter().find(|p| p.is_operator_only()) {
        return Err(Error::OperatorOnly(denied));
    }
    let scopes: Vec<_> = permissions.iter().collect();
    if scopes.is_empty() {
        return Err(Error::NoPermissions);
    }
    Ok(scopes)
}

/// Gives a key a new text; the old one dies at once. `held` is what whoever asks may do.
pub async fn rotate(
    tx: &mut TenantTransaction<'_>,
    clock: &dyn Clock,
    actor: &Actor,
    held: Permissions,
    id: Id<id::ApiKey>,
) -> Result<(ApiKey, NewKey), Error> {
    let organization = tx.organization();
    let found = store::lock(tx.connection(), organization, id).await?;
    let mut row = found.ok_or(Error::NotFound)?;
    if !row.active {
        return Err(Error::Revoked);
    }
    if let Some(more) = row.scopes.iter().find(|p| !held.contains(**p)) {
        return Err(Error::Exceeds(*more));
    }

    let key = NewKey::generate(&mut rand::rng());
    store::update_hash(tx.connection(), organization, id, &key).await?;
    let old = std::mem::replace(&mut row.prefix, key.prefix.clone());
    let entry = Entry {
        organization,
        action: "api_key.rotate",
        resource_type: "api_key",
        resource: id.uuid(),
        old: Some(json!({ "prefix": old })),
        new: Some(json!({ "prefix": row.prefix })),
        at: clock.now(),
    };
    audit::record(tx.connection(), actor, &entry).await?;
    Ok((row, key))
}

/// Revokes a key for good. Revoking it again changes nothing.
pub async fn revoke(
    tx: &mut TenantTransaction<'_>,
    clock: &dyn Clock,
    actor: &Actor,
    id: Id<id::ApiKey>,
) -> Result<(), Error> {
    let organization = tx.organization();
    let found = store::lock(tx.connection(), organization, id).await?;
    let row = found.ok_or(Error::NotFound)?;
    if row.revoked_at.is_some() {
        return Ok(());
    }
    let now = clock.now();
    store::revoke(tx.connection(), organization, id, actor.user, now).await?;
    let entry = Entry {
        organization,
        action: "api_key.revoke",
        resource_type: "api_key",
        resource: id.uuid(),
        old: Some(json!({ "active": row.active })),
        new: Some(json!({ "active": false })),
        at: now,
    };
    audit::record(tx.connection(), actor, &entry).await?;
    Ok(())
}

/// The organization's keys, newest first, revoked ones too.
pub async fn list(
    tx: &mut TenantTransaction<'_>,
    after: Option<Position>,
    limit: i64,
) -> Result<Vec<ApiKey>, Error> {
    let organization = tx.organization();
    let rows = store::list(tx.connection(), organization, after, limit).await?;
    Ok(rows)
}

/// The organization's key with these public characters; `None` when none or several have them.
pub async fn find_by_prefix(
    tx: &mut TenantTransaction<'_>,
    prefix: &str,
) -> Result<Option<ApiKey>, Error> {
    let organization = tx.organization();
    let mut rows = store::find_by_prefix(tx.connection(), organization, prefix).await?;
    let row = rows.pop();
    Ok(row.filter(|_| rows.is_empty()))
}

impl ApiKey {
    /// Where it stands in a list.
    pub const fn position(&self) -> Position {
        Position {
            created_at: self.created_at,
            id: self.id.uuid(),
        }
    }
}

impl From<database::Error> for Error {
    fn from(error: database::Error) -> Self {
        match error.constraint() {
            Some("api_keys_key_hash_key") => Self::Taken,
            Some("api_keys_organization_id_fkey") => Self::OrganizationNotFound,
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

/// What a new key may do: what is asked for, or the default as far as whoever asks holds it.
pub fn permissions_for(
    asked: Option<&[Permission]>,
    held: Permissions,
) -> Result<Permissions, Error> {
    match asked {
        None => Ok(scopes::default()
            .iter()
            .filter(|p| held.contains(*p))
            .collect()),
        Some(asked) => match asked.iter().find(|p| !held.contains(**p)) {
            Some(more) => Err(Error::Exceeds(*more)),
            None => Ok(asked.iter().copied().collect()),
        },
    }
}
