//! SQL of the keys in memory: `tenants.active_keys`, `tenants.key_changes`, `last_used_at`.
//!
//! What a revocation waits for goes through the hot pool, which no report and no batch fills.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use database::{Bulkhead, Database, Error};
use types::id::Organization;
use types::{Caller, Id, Permissions, Principal};
use uuid::Uuid;

use super::format::KeyHash;
use super::memory::{Known, Use};
use crate::scopes;

/// A row of the log of changes.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) number: i64,
    pub(super) transaction: i64,
    pub(super) organization: Id<Organization>,
    /// `None`: all keys of the organization.
    pub(super) hash: Option<KeyHash>,
}

/// A row of `tenants.active_keys`.
struct Row {
    id: Uuid,
    organization_id: Uuid,
    user_id: Uuid,
    department_id: Option<Uuid>,
    key_hash: String,
    scopes: Vec<String>,
    expires_at: Option<DateTime<Utc>>,
    is_operator: bool,
}

impl TryFrom<Row> for Arc<Known> {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let hash = KeyHash::from_hex(&row.key_hash).ok_or_else(|| Error::Inconsistent {
            table: "api_keys",
            column: "key_hash",
            id: row.id.to_string(),
        })?;
        let (id, user) = (row.id.into(), row.user_id.into());
        let (principal, permissions) = if row.is_operator {
            (Principal::Operator { id, user }, Permissions::all())
        } else {
            (Principal::Key { id, user }, scopes::read(&row.scopes))
        };
        let caller = Caller {
            organization: row.organization_id.into(),
            principal,
            permissions,
            department: row.department_id.map(Id::from),
        };
        Ok(Known::new(hash, caller, row.expires_at))
    }
}

/// The keys with these hashes, as far as they may be used.
pub(super) async fn find(
    database: &Database,
    hashes: &[KeyHash],
) -> Result<Vec<Arc<Known>>, Error> {
    let hashes: Vec<_> = hashes.iter().map(KeyHash::to_string).collect();
    let hashes = hashes.as_slice();
    let rows = database.worker("keys: find", Bulkhead::Hot, |tx| {
        Box::pin(async move {
            // A view's columns are nullable to sqlx; these are not null in its tables.
            let rows = sqlx::query_as!(
                Row,
                r#"SELECT id AS "id!"
                        , organization_id AS "organization_id!"
                        , user_id AS "user_id!"
                        , department_id
                        , key_hash AS "key_hash!"
                        , scopes AS "scopes!"
                        , expires_at
                        , is_operator AS "is_operator!"
                   FROM tenants.active_keys
                   WHERE key_hash = ANY ($1)"#,
                hashes,
            );
            Ok::<_, Error>(rows.fetch_all(tx.connection()).await?)
        })
    });
    known(rows.await?)
}

/// All keys that may be used, those used last first, up to a limit.
pub(super) async fn list(database: &Database, limit: usize) -> Result<Vec<Arc<Known>>, Error> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = database.worker("keys: list", Bulkhead::Workers, |tx| {
        Box::pin(async move {
            let rows = sqlx::query_as!(
                Row,
                r#"SELECT id AS "id!"
                        , organization_id AS "organization_id!"
                        , user_id AS "user_id!"
                        , department_id
                        , key_hash AS "key_hash!"
                        , scopes AS "scopes!"
                        , expires_at
                        , is_operator AS "is_operator!"
                   FROM tenants.active_keys
                   ORDER BY coalesce(last_used_at, created_at) DESC
                   LIMIT $1"#,
                limit,
            );
            Ok::<_, Error>(rows.fetch_all(tx.connection()).await?)
        })
    });
    known(rows.await?)
}

/// The keys of an organization that may be used, up to a limit.
pub(super) async fn list_of(
    database: &Database,
    organization: Id<Organization>,
    limit: usize,
) -> Result<Vec<Arc<Known>>, Error> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    // A deactivated organization's keys have to die as quickly as a revoked one: background work is not in the way.
    let rows = database.worker("keys: list of organization", Bulkhead::Hot, |tx| {
        Box::pin(async move {
            let rows = sqlx::query_as!(
                Row,
                r#"SELECT id AS "id!"
                        , organization_id AS "organization_id!"
                        , user_id AS "user_id!"
                        , department_id
                        , key_hash AS "key_hash!"
                        , scopes AS "scopes!"
                        , expires_at
                        , is_operator AS "is_operator!"
                   FROM tenants.active_keys
                   WHERE organization_id = $1
                   ORDER BY coalesce(last_used_at, created_at) DESC
                   LIMIT $2"#,
                organization.uuid(),
                limit,
            );
            Ok::<_, Error>(rows.fetch_all(tx.connection()).await?)
        })
    });
    known(rows.await?)
}

/// One row that does not convert must not lock everyone out: it is said, and left out.
fn known(rows: Vec<Row>) -> Result<Vec<Arc<Known>>, Error> {
    let mut all = Vec::with_capacity(rows.len());
    for row in rows {
        match row.try_into() {
            Ok(known) => all.push(known),
            Err(error @ Error::Inconsistent { .. }) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "a key is left out");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

/// The oldest transaction that is still running: all older ones can be seen.
pub(super) async fn horizon(database: &Database) -> Result<i64, Error> {
    let horizon = database.worker("keys: horizon", Bulkhead::Hot, |tx| {
        Box::pin(async move {
            let horizon = sqlx::query_scalar!(
                // A function's result is nullable to sqlx; this one never is.
                r#"SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS "horizon!""#,
            );
            Ok(horizon.fetch_one(tx.connection()).await?)
        })
    });
    horizon.await
}

/// The changes by transactions from `since` on that were not applied yet, up to a limit, and,
/// when these are all, the next `since`.
pub(super) async fn changes(
    database: &Database,
    since: i64,
    applied: &[i64],
    limit: usize,
) -> Result<(i64, Vec<Change>), Error> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let read = database.worker("keys: changes", Bulkhead::Hot, |tx| {
        Box::pin(async move {
            // Before the rows: what ends between the two statements is then read twice, not never.
            let horizon = sqlx::query_scalar!(
                r#"SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS "horizon!""#,
            );
            let horizon = horizon.fetch_one(tx.connection()).await?;
            let rows = sqlx::query!(
                "SELECT id
                      , organization_id
                      , key_hash
                      , transaction_id
                 FROM tenants.key_changes
                 WHERE transaction_id >= $1
                   AND id <> ALL ($2)
                 ORDER BY transaction_id, id
                 LIMIT $3",
                since,
                applied,
                limit,
            );
            let rows = rows.fetch_all(tx.connection()).await?;
            let changes = rows.into_iter().map(|row| Change {
                number: row.id,
                transaction: row.transaction_id,
                organization: row.organization_id.into(),
                hash: row.key_hash.as_deref().and_then(KeyHash::from_hex),
            });
            Ok::<_, Error>((horizon, changes.collect()))
        })
    });
    read.await
}

/// Deletes what is older than a day from the log of changes: no gateway is that far behind.
pub(super) async fn prune(database: &Database) -> Result<(), Error> {
    let prune = database.worker("keys: prune changes", Bulkhead::Workers, |tx| {
        Box::pin(async move {
            let delete = sqlx::query!(
                "DELETE FROM tenants.key_changes WHERE changed_at < now() - interval '1 day'",
            );
            delete.execute(tx.connection()).await?;
            Ok(())
        })
    });
    prune.await
}

/// Writes down when keys were used; never moves the time back.
pub(super) async fn note_uses(database: &Database, uses: &[Use]) -> Result<(), Error> {
    let of = |operator: bool| {
        let uses = uses.iter().filter(move |used| used.is_operator == operator);
        uses.map(|used| (used.key.uuid(), used.at)).unzip()
    };
    let (keys, times): (Vec<_>, Vec<_>) = of(false);
    let (operator_keys, operator_times): (Vec<_>, Vec<_>) = of(true);
    let (keys, times) = (keys.as_slice(), times.as_slice());
    let (operator_keys, operator_times) = (operator_keys.as_slice(), operator_times.as_slice());
    let update = database.worker("keys: note uses", Bulkhead::Workers, |tx| {
        Box::pin(async move {
            let update = sqlx::query!(
                "UPDATE api_keys AS k
                 SET last_used_at = greatest(k.last_used_at, u.used_at)
                 FROM unnest($1::uuid[], $2::timestamptz[]) AS u (id, used_at)
                 WHERE k.id = u.id",
                keys,
                times,
            );
            update.execute(tx.connection()).await?;
            let update = sqlx::query!(
                "UPDATE tenants.operator_keys AS k
                 SET last_used_at = greatest(k.last_used_at, u.used_at)
                 FROM unnest($1::uuid[], $2::timestamptz[]) AS u (id, used_at)
                 WHERE k.id = u.id",
                operator_keys,
                operator_times,
            );
            update.execute(tx.connection()).await?;
            Ok(())
        })
    });
    update.await
}
