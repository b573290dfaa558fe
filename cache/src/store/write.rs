//! Writing entries, a batch in one statement.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use embedding::Vector;

use crate::entry::{Meaning, Row};

/// The batch, turned from rows to columns.
#[derive(Default)]
struct Columns<'a> {
    ids: Vec<Uuid>,
    organizations: Vec<Uuid>,
    models: Vec<&'a str>,
    hashes: Vec<String>,
    fingerprints: Vec<String>,
    prompts: Vec<&'a str>,
    texts: Vec<&'a str>,
    responses: Vec<String>,
    usages: Vec<String>,
    endpoints: Vec<&'a str>,
    providers: Vec<&'a str>,
    producers: Vec<Option<Uuid>>,
    creations: Vec<DateTime<Utc>>,
    expirations: Vec<DateTime<Utc>>,
    normalized: Vec<Option<String>>,
    embedders: Vec<Option<&'a str>>,
    answers: Vec<Option<Uuid>>,
    vectors: Vec<Option<String>>,
    answer_vectors: Vec<Option<String>>,
}

/// Inserts the entries, or replaces the answers that their keys had.
///
/// A replaced answer gets the new id and starts counting anew, so that feedback about the old answer does not
/// fall on the new one. Entries of an organization that is gone by now are left out.
pub(crate) async fn upsert(
    connection: &mut PgConnection,
    rows: &[Row],
) -> Result<(), database::Error> {
    let columns = Columns::of(rows);
    sqlx::query!(
        "INSERT INTO semantic_cache (
             id, organization_id, model, prompt_hash, fingerprint, prompt_text, response_text,
             response, usage, endpoint, provider, producer_api_key_id, created_at,
             last_accessed_at, expires_at, hit_count, normalized_hash, embedder, answer_id,
             prompt_embedding, answer_embedding
         )
         SELECT new.id, new.organization_id, new.model, new.prompt_hash, new.fingerprint,
                new.prompt_text, new.response_text, new.response::jsonb, new.usage::jsonb,
                new.endpoint, new.provider, new.producer_api_key_id, new.created_at,
                new.created_at, new.expires_at, 0, new.normalized_hash, new.embedder, new.answer_id,
                new.prompt_embedding::vector, new.answer_embedding::vector
           FROM UNNEST(
                    $1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
                    $8::text[], $9::text[], $10::text[], $11::text[], $12::uuid[], $13::timestamptz[],
                    $14::timestamptz[], $15::text[], $16::text[], $17::uuid[], $18::text[], $19::text[]
                ) AS new (
                    id, organization_id, model, prompt_hash, fingerprint, prompt_text, response_text,
                    response, usage, endpoint, provider, producer_api_key_id, created_at, expires_at,
                    normalized_hash, embedder, answer_id, prompt_embedding, answer_embedding
                )
          WHERE EXISTS (SELECT 1 FROM organizations WHERE organizations.id = new.organization_id)
         ON CONFLICT (organization_id, model, prompt_hash) DO UPDATE
            SET id = excluded.id,
                fingerprint = excluded.fingerprint,
                prompt_text = excluded.prompt_text,
                response_text = excluded.response_text,
                response = excluded.response,
                usage = excluded.usage,
                endpoint = excluded.endpoint,
                provider = excluded.provider,
                producer_api_key_id = excluded.producer_api_key_id,
                expires_at = excluded.expires_at,
                hit_count = excluded.hit_count,
                created_at = excluded.created_at,
                last_accessed_at = excluded.last_accessed_at,
                normalized_hash = excluded.normalized_hash,
                embedder = excluded.embedder,
                answer_id = excluded.answer_id,
                prompt_embedding = excluded.prompt_embedding,
                answer_embedding = excluded.answer_embedding,
                quarantined_at = NULL",
        &columns.ids,
        &columns.organizations,
        &columns.models as &[&str],
        &columns.hashes,
        &columns.fingerprints,
        &columns.prompts as &[&str],
        &columns.texts as &[&str],
        &columns.responses,
        &columns.usages,
        &columns.endpoints as &[&str],
        &columns.providers as &[&str],
        &columns.producers as &[Option<Uuid>],
        &columns.creations,
        &columns.expirations,
        &columns.normalized as &[Option<String>],
        &columns.embedders as &[Option<&str>],
        &columns.answers as &[Option<Uuid>],
        &columns.vectors as &[Option<String>],
        &columns.answer_vectors as &[Option<String>],
    )
    .execute(connection)
    .await?;
    Ok(())
}

impl<'a> Columns<'a> {
    /// One statement cannot touch a row twice, so the last entry of a key wins; and all writers take their
    /// row locks in the order of the keys, so that two of them do not wait for each other.
    fn of(rows: &'a [Row]) -> Self {
        let by_key: BTreeMap<_, _> = rows.iter().map(|row| (row.key.hash(), row)).collect();
        let mut columns = Self::default();
        for row in by_key.into_values() {
            columns.push(row);
        }
        columns
    }

    fn push(&mut self, row: &'a Row) {
        let stored = &row.stored;
        // Neither can fail: all their map keys are strings.
        let response = serde_json::to_string(&*stored.answer).unwrap_or_default();
        let usage = serde_json::to_string(&stored.usage).unwrap_or_default();
        self.ids.push(stored.id.uuid());
        self.organizations.push(stored.organization.uuid());
        self.models.push(&stored.model);
        self.hashes.push(row.key.hash().to_string());
        self.fingerprints.push(row.key.fingerprint().to_string());
        self.prompts.push(&row.prompt_text);
        self.texts.push(stored.answer.first_text());
        self.responses.push(response);
        self.usages.push(usage);
        self.endpoints.push(row.endpoint.as_str());
        self.providers.push(&stored.provider);
        self.producers.push(row.producer.map(|id| id.uuid()));
        self.creations.push(stored.created_at);
        self.expirations.push(stored.expires_at);
        self.normalized
            .push(row.normalized.map(|hash| hash.to_string()));
        self.push_meaning(row.meaning.as_ref());
    }

    /// Vectors travel as text: there is no array type of theirs that a parameter could have.
    fn push_meaning(&mut self, meaning: Option<&'a Meaning>) {
        let text = |vector: &Vector| format!("{:?}", vector.padded());
        self.embedders.push(meaning.map(|it| &*it.embedder));
        self.answers.push(meaning.map(|it| it.answer.uuid()));
        self.vectors.push(meaning.map(|it| text(&it.vector)));
        let answer = meaning.and_then(|it| it.answer_vector.as_ref());
        self.answer_vectors.push(answer.map(text));
    }
}
