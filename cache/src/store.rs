//! The rows of `semantic_cache`, which this crate alone writes.
//!
//! Reading for a caller happens in a tenant transaction, where row-level security hides every other
//! organization; keeping the table happens as the worker.

mod keep;
mod purge;
mod semantic;
mod write;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use types::reply::Answer;
use types::{Id, Usage};
use uuid::Uuid;

pub(crate) use self::keep::{add_hits, all_keys, delete_expired, keys_since};
pub use self::purge::Which;
pub(crate) use self::purge::{Audited, Purge, audited, counts, purge, purges_since, quarantine};
pub(crate) use self::semantic::{
    AuditRow, QuestionRow, find_entry, find_normalized, insert_audit, join_answers, nearest,
    questions,
};
pub(crate) use self::write::upsert;

use crate::Key;
use crate::entry::Stored;

/// One entry, as the table holds it.
struct EntryRow {
    id: Uuid,
    provider: Option<String>,
    usage: Option<String>,
    response: Option<String>,
    created_at: DateTime<Utc>,
    expires_at: DateTime<Utc>,
}

/// Finds the entry of a key that has neither expired nor been quarantined.
pub(crate) async fn find(
    connection: &mut PgConnection,
    key: &Key,
    now: DateTime<Utc>,
) -> Result<Option<Stored>, database::Error> {
    let row = sqlx::query_as!(
        EntryRow,
        "SELECT id,
                provider,
                usage::text AS usage,
                response::text AS response,
                created_at,
                expires_at
           FROM semantic_cache
          WHERE organization_id = $1
            AND model = $2
            AND prompt_hash = $3
            AND expires_at > $4
            AND quarantined_at IS NULL",
        key.organization().uuid(),
        key.model(),
        key.hash().to_string(),
        now,
    )
    .fetch_optional(connection)
    .await?;
    row.map(|row| row.into_stored(key)).transpose()
}

impl EntryRow {
    fn into_stored(self, key: &Key) -> Result<Stored, database::Error> {
        let answer: Answer = self.parse(self.response.as_deref(), "response")?;
        let usage: Usage = self.parse(self.usage.as_deref(), "usage")?;
        Ok(Stored {
            id: Id::from_uuid(self.id),
            organization: key.organization(),
            model: key.model().into(),
            provider: self.provider.as_deref().unwrap_or_default().into(),
            answer: Arc::new(answer),
            usage,
            created_at: self.created_at,
            expires_at: self.expires_at,
        })
    }

    fn parse<T: serde::de::DeserializeOwned>(
        &self,
        json: Option<&str>,
        column: &'static str,
    ) -> Result<T, database::Error> {
        let value = json.and_then(|json| serde_json::from_str(json).ok());
        value.ok_or_else(|| database::Error::Inconsistent {
            table: "semantic_cache",
            column,
            id: self.id.to_string(),
        })
    }
}

/// The least `UUIDv7` of a time.
fn first_id_of(time: DateTime<Utc>) -> Uuid {
    let millis = u64::try_from(time.timestamp_millis()).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &[0; 10]).into_uuid()
}
