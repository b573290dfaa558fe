//! The audit trail: one row per write, in the transaction that writes.
//!
//! `audit_logs` is append-only for everyone. Values never hold secrets: no key, no hash.

mod store;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use types::id::{ApiKey, Organization, User};
use types::{Caller, Id};
use uuid::Uuid;

/// Who does something, and from where.
#[derive(Debug, Clone)]
pub struct Actor {
    /// The person behind it.
    pub user: Id<User>,
    /// The key that was presented; none on the command line.
    pub key: Option<Id<ApiKey>>,
    /// Where the request came from.
    pub origin: ::api::Origin,
}

/// What was done.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The tenant whose thing it is.
    pub organization: Id<Organization>,
    /// `<noun>.<verb>`, as in `api_key.revoke`.
    pub action: &'static str,
    /// The noun: `api_key`.
    pub resource_type: &'static str,
    /// Which one.
    pub resource: Uuid,
    /// What it was before, as far as it changed.
    pub old: Option<Value>,
    /// What it is now, as far as it changed.
    pub new: Option<Value>,
    /// When, which is also the time of the change itself.
    pub at: DateTime<Utc>,
}

impl Actor {
    /// The caller of an operation.
    pub fn of(caller: &Caller, origin: ::api::Origin) -> Self {
        Self {
            user: caller.user(),
            key: caller.api_key(),
            origin,
        }
    }

    /// Someone at the command line of the server.
    pub fn command(user: Id<User>) -> Self {
        Self {
            user,
            key: None,
            origin: ::api::Origin::default(),
        }
    }
}

/// Adds a row to the trail.
pub async fn record(
    connection: &mut PgConnection,
    actor: &Actor,
    entry: &Entry,
) -> Result<(), database::Error> {
    store::insert(connection, actor, entry).await
}
