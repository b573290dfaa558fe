//! Taking entries away, telling every gateway, and counting what is there.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use types::id::{CacheEntry, Organization};
use types::{Clock, Id};
use uuid::Uuid;

use super::first_id_of;

/// The note that a purge leaves for all gateways.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Purge {
    id: Uuid,
    at: DateTime<Utc>,
}

/// Which entries are purged; what is absent does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Which {
    /// Those of this model.
    pub model: Option<String>,
    /// Those that this key had stored.
    pub producer: Option<Id<types::id::ApiKey>>,
    /// Those whose question begins like this.
    pub prefix: Option<String>,
}

/// What an organization has in the cache.
pub(crate) struct Counts {
    pub(crate) entries: i64,
    pub(crate) semantic_entries: i64,
    pub(crate) quarantined: i64,
    pub(crate) hits: i64,
}

/// What audits found about one model.
pub(crate) struct Audited {
    pub(crate) model: String,
    pub(crate) audits: i64,
    pub(crate) wrong: i64,
    pub(crate) complaints: i64,
}

impl Purge {
    pub(crate) fn new(clock: &dyn Clock) -> Self {
        Self {
            id: Id::<CacheEntry>::new(clock).uuid(),
            at: clock.now(),
        }
    }
}

/// Deletes entries and says how many they were.
pub(crate) async fn purge(
    connection: &mut PgConnection,
    organization: Id<Organization>,
    which: &Which,
    purge: Purge,
) -> Result<u64, database::Error> {
    let deleted = sqlx::query!(
        "DELETE FROM semantic_cache
          WHERE organization_id = $1
            AND ($2::text IS NULL OR model = $2)
            AND ($3::uuid IS NULL OR producer_api_key_id = $3)
            AND ($4::text IS NULL OR starts_with(prompt_text, $4))",
        organization.uuid(),
        which.model.as_deref(),
        which.producer.map(|id| id.uuid()),
        which.prefix.as_deref(),
    )
    .execute(&mut *connection)
    .await?;
    note(connection, organization, purge).await?;
    Ok(deleted.rows_affected())
}

/// Takes an entry and all entries of the same answer out of service, notes the complaint, and says how many they were.
pub(crate) async fn quarantine(
    connection: &mut PgConnection,
    organization: Id<Organization>,
    entry: Id<CacheEntry>,
    purge: Purge,
) -> Result<u64, database::Error> {
    let quarantined = sqlx::query!(
        "UPDATE semantic_cache
            SET quarantined_at = $3
          WHERE organization_id = $1
            AND (id = $2 OR answer_id = (
                    SELECT answer_id FROM semantic_cache WHERE organization_id = $1 AND id = $2
                ))",
        organization.uuid(),
        entry.uuid(),
        purge.at,
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query!(
        "INSERT INTO cache.audits (id, organization_id, model, entry_id, score, is_right, source, created_at)
         SELECT $3, organization_id, model, id, 0, false, 'feedback', $4
           FROM semantic_cache
          WHERE organization_id = $1
            AND id = $2",
        organization.uuid(),
        entry.uuid(),
        purge.id,
        purge.at,
    )
    .execute(&mut *connection)
    .await?;
    note(connection, organization, purge).await?;
    Ok(quarantined.rows_affected())
}

async fn note(
    connection: &mut PgConnection,
    organization: Id<Organization>,
    purge: Purge,
) -> Result<(), database::Error> {
    sqlx::query!(
        "INSERT INTO cache.purges (id, organization_id, created_at) VALUES ($1, $2, $3)",
        purge.id,
        organization.uuid(),
        purge.at,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The purges since then: their ids and whose they were.
pub(crate) async fn purges_since(
    connection: &mut PgConnection,
    since: DateTime<Utc>,
) -> Result<Vec<(Uuid, Id<Organization>)>, database::Error> {
    let rows = sqlx::query!(
        "SELECT id, organization_id FROM cache.purges WHERE id >= $1",
        first_id_of(since),
    )
    .fetch_all(connection)
    .await?;
    let purges = rows
        .into_iter()
        .map(|row| (row.id, Id::from_uuid(row.organization_id)));
    Ok(purges.collect())
}

/// Counts an organization's entries.
pub(crate) async fn counts(
    connection: &mut PgConnection,
    organization: Id<Organization>,
    now: DateTime<Utc>,
) -> Result<Counts, database::Error> {
    // Aggregates are never known to be not null.
    let counts = sqlx::query_as!(
        Counts,
        r#"SELECT count(*) AS "entries!",
                  count(*) FILTER (WHERE prompt_embedding IS NOT NULL) AS "semantic_entries!",
                  count(*) FILTER (WHERE quarantined_at IS NOT NULL) AS "quarantined!",
                  coalesce(sum(hit_count), 0) AS "hits!"
             FROM semantic_cache
            WHERE organization_id = $1
              AND expires_at > $2"#,
        organization.uuid(),
        now,
    )
    .fetch_one(connection)
    .await?;
    Ok(counts)
}

/// What audits and people found, by model.
pub(crate) async fn audited(
    connection: &mut PgConnection,
    organization: Id<Organization>,
) -> Result<Vec<Audited>, database::Error> {
    // Aggregates are never known to be not null.
    let audited = sqlx::query_as!(
        Audited,
        r#"SELECT model,
                  count(*) FILTER (WHERE source = 'audit') AS "audits!",
                  count(*) FILTER (WHERE source = 'audit' AND NOT is_right) AS "wrong!",
                  count(*) FILTER (WHERE source = 'feedback') AS "complaints!"
             FROM cache.audits
            WHERE organization_id = $1
            GROUP BY model
            ORDER BY model"#,
        organization.uuid(),
    )
    .fetch_all(connection)
    .await?;
    Ok(audited)
}
