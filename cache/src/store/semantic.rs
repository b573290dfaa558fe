//! The rows by meaning: loading a partition, finding an answer, and what was learnt.

use chrono::{DateTime, Utc};
use embedding::Vector;
use pgvector::Vector as Column;
use sqlx::PgConnection;
use types::Id;
use types::id::{CacheAnswer, CacheEntry, Organization};
use uuid::Uuid;

use super::{EntryRow, first_id_of};
use crate::Key;
use crate::entry::Stored;
use crate::key::Hash;
use crate::semantic::Partition;

/// A question as the table holds it.
pub(crate) struct QuestionRow {
    pub(crate) id: Id<CacheEntry>,
    pub(crate) answer: Id<CacheAnswer>,
    pub(crate) vector: Vector,
    pub(crate) answer_vector: Option<Vector>,
    pub(crate) hash: Hash,
    pub(crate) text: String,
    pub(crate) response: String,
    pub(crate) expires_at: DateTime<Utc>,
}

/// An audit on its way to the table.
#[derive(Debug, Clone)]
pub(crate) struct AuditRow {
    pub(crate) id: Uuid,
    pub(crate) organization: Id<Organization>,
    pub(crate) model: String,
    pub(crate) entry: Id<CacheEntry>,
    pub(crate) score: f32,
    pub(crate) right: bool,
    pub(crate) source: &'static str,
    pub(crate) created_at: DateTime<Utc>,
}

struct Raw {
    id: Uuid,
    answer_id: Option<Uuid>,
    prompt_embedding: Option<Column>,
    answer_embedding: Option<Column>,
    prompt_hash: String,
    prompt_text: String,
    response_text: String,
    expires_at: DateTime<Utc>,
}

/// The questions of a partition that were stored since then, the latest first.
pub(crate) async fn questions(
    connection: &mut PgConnection,
    partition: Partition,
    embedder: &str,
    since: Option<DateTime<Utc>>,
    count_max: i64,
) -> Result<Vec<QuestionRow>, database::Error> {
    let rows = sqlx::query_as!(
        Raw,
        r#"SELECT id,
                  answer_id,
                  prompt_embedding AS "prompt_embedding: Column",
                  answer_embedding AS "answer_embedding: Column",
                  prompt_hash,
                  prompt_text,
                  response_text,
                  expires_at
             FROM semantic_cache
            WHERE organization_id = $1
              AND fingerprint = $2
              AND embedder = $3
              AND id >= $4
              AND prompt_embedding IS NOT NULL
              AND quarantined_at IS NULL
            ORDER BY id DESC
            LIMIT $5"#,
        partition.organization.uuid(),
        partition.fingerprint.to_string(),
        embedder,
        since.map_or(Uuid::nil(), first_id_of),
        count_max,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().filter_map(Raw::into_question).collect())
}

/// The nearest questions of a partition, by the index: for partitions that do not fit into memory.
///
/// The scan goes on until enough rows have passed the filter; without that, a small partition in a large table is
/// hardly ever reached.
pub(crate) async fn nearest(
    connection: &mut PgConnection,
    partition: Partition,
    embedder: &str,
    to: &Vector,
    now: DateTime<Utc>,
) -> Result<Vec<QuestionRow>, database::Error> {
    sqlx::query!("SELECT set_config('hnsw.iterative_scan', 'strict_order', true) AS scan, set_config('hnsw.ef_search', '100', true) AS breadth")
        .fetch_one(&mut *connection)
        .await?;
    let rows = sqlx::query_as!(
        Raw,
        r#"SELECT id,
                  answer_id,
                  prompt_embedding AS "prompt_embedding: Column",
                  answer_embedding AS "answer_embedding: Column",
                  prompt_hash,
                  prompt_text,
                  response_text,
                  expires_at
             FROM semantic_cache
            WHERE organization_id = $1
              AND fingerprint = $2
              AND embedder = $3
              AND expires_at > $4
              AND prompt_embedding IS NOT NULL
              AND quarantined_at IS NULL
            ORDER BY prompt_embedding <=> $5
            LIMIT 40"#,
        partition.organization.uuid(),
        partition.fingerprint.to_string(),
        embedder,
        now,
        Column::from(to.padded()) as Column,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().filter_map(Raw::into_question).collect())
}

/// Finds an entry by its id, within what the key's organization may be answered with.
pub(crate) async fn find_entry(
    connection: &mut PgConnection,
    key: &Key,
    entry: Id<CacheEntry>,
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
            AND id = $2
            AND fingerprint = $3
            AND expires_at > $4
            AND quarantined_at IS NULL",
        key.organization().uuid(),
        entry.uuid(),
        key.fingerprint().to_string(),
        now,
    )
    .fetch_optional(connection)
    .await?;
    row.map(|row| row.into_stored(key)).transpose()
}

/// Finds the latest entry whose call differs in politeness at most.
pub(crate) async fn find_normalized(
    connection: &mut PgConnection,
    key: &Key,
    normalized: Hash,
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
            AND normalized_hash = $2
            AND model = $3
            AND expires_at > $4
            AND quarantined_at IS NULL
          ORDER BY id DESC
          LIMIT 1",
        key.organization().uuid(),
        normalized.to_string(),
        key.model(),
        now,
    )
    .fetch_optional(connection)
    .await?;
    row.map(|row| row.into_stored(key)).transpose()
}

/// Makes one answer of several, in the rows that are there.
pub(crate) async fn join_answers(
    connection: &mut PgConnection,
    organization: Id<Organization>,
    answer: Id<CacheAnswer>,
    joined: &[Id<CacheAnswer>],
) -> Result<(), database::Error> {
    let joined: Vec<Uuid> = joined.iter().map(Id::uuid).collect();
    sqlx::query!(
        "UPDATE semantic_cache
            SET answer_id = $2
          WHERE organization_id = $1
            AND answer_id = ANY ($3)",
        organization.uuid(),
        answer.uuid(),
        &joined,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes what an audit found.
pub(crate) async fn insert_audit(
    connection: &mut PgConnection,
    audit: &AuditRow,
) -> Result<(), database::Error> {
    sqlx::query!(
        "INSERT INTO cache.audits (id, organization_id, model, entry_id, score, is_right, source, created_at)
         SELECT $1, id, $3, $4, $5, $6, $7, $8
           FROM organizations
          WHERE id = $2
         ON CONFLICT (id) DO NOTHING",
        audit.id,
        audit.organization.uuid(),
        audit.model,
        audit.entry.uuid(),
        audit.score,
        audit.right,
        audit.source,
        audit.created_at,
    )
    .execute(connection)
    .await?;
    Ok(())
}

impl Raw {
    /// A row that the semantic tier did not write is not one of its questions.
    fn into_question(self) -> Option<QuestionRow> {
        let vector = |column: Column| Vector::new(trimmed(column.to_vec()));
        Some(QuestionRow {
            id: Id::from_uuid(self.id),
            answer: Id::from_uuid(self.answer_id?),
            vector: vector(self.prompt_embedding?)?,
            answer_vector: self.answer_embedding.and_then(vector),
            hash: Hash::from_hex(&self.prompt_hash)?,
            text: self.prompt_text,
            response: self.response_text,
            expires_at: self.expires_at,
        })
    }
}

/// Takes away the padding: a model's own last number is hardly ever exactly zero, and then nothing is lost but a zero.
fn trimmed(mut values: Vec<f32>) -> Vec<f32> {
    let length = values
        .iter()
        .rposition(|value| *value != 0.0)
        .map_or(0, |last| last + 1);
    values.truncate(length.next_multiple_of(64));
    values
}
