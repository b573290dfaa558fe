//! SQL of `api.idempotency_keys`.

use bytes::Bytes;
use database::{Bulkhead, Database};
use http::StatusCode;
use sqlx::PgConnection;
use types::Id;
use types::id::Organization;

use super::{Answer, Claim};

/// Rows deleted per statement, so that a sweep never holds many locks.
const SWEEP_ROWS_MAX: i64 = 1000;

/// An answer that was given before.
pub(super) struct Kept {
    pub(super) request_hash: String,
    status: i16,
    body: String,
}

impl Kept {
    pub(super) fn into_answer(self) -> Answer {
        let status = u16::try_from(self.status).unwrap_or_default();
        let body = Bytes::from(self.body);
        Answer {
            // The column's CHECK allows nothing else.
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::OK),
            kept: body.clone(),
            body,
            replayed: true,
        }
    }
}

/// Takes the lock of a key until the transaction ends; false when another one holds it.
pub(super) async fn lock(
    connection: &mut PgConnection,
    organization: Id<Organization>,
    claim: &Claim,
) -> Result<bool, database::Error> {
    let name = format!(
        "idempotency {organization} {} {}",
        claim.principal, claim.key
    );
    let locked = sqlx::query_scalar!(
        // A function's result is nullable to sqlx; this one never is.
        r#"SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0)) AS "locked!""#,
        name,
    );
    Ok(locked.fetch_one(connection).await?)
}

/// The answer kept for a key, unless its time is over.
pub(super) async fn find(
    connection: &mut PgConnection,
    organization: Id<Organization>,
    claim: &Claim,
) -> Result<Option<Kept>, database::Error> {
    let kept = sqlx::query_as!(
        Kept,
        "SELECT request_hash
              , status
              , body
         FROM api.idempotency_keys
         WHERE organization_id = $1
           AND principal_id = $2
           AND key = $3
           AND expires_at > now()",
        organization.uuid(),
        claim.principal,
        claim.key,
    );
    Ok(kept.fetch_optional(connection).await?)
}

/// Keeps an answer; takes the place of one whose time is over.
pub(super) async fn insert(
    connection: &mut PgConnection,
    organization: Id<Organization>,
    claim: &Claim,
    answer: &Answer,
) -> Result<(), database::Error> {
    let status = i16::try_from(answer.status.as_u16()).unwrap_or_default();
    let body = String::from_utf8_lossy(&answer.kept);
    let insert = sqlx::query!(
        "INSERT INTO api.idempotency_keys
            (organization_id, principal_id, key, request_hash, status, body, created_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, now(), now() + interval '24 hours')
         ON CONFLICT (organization_id, principal_id, key) DO UPDATE
         SET request_hash = excluded.request_hash
           , status = excluded.status
           , body = excluded.body
           , created_at = excluded.created_at
           , expires_at = excluded.expires_at",
        organization.uuid(),
        claim.principal,
        claim.key,
        claim.request_hash,
        status,
        body.as_ref(),
    );
    let done = insert.execute(connection).await?;
    database::ensure_affected(done.rows_affected(), 1)
}

/// Deletes kept answers whose time is over, of all organizations.
pub(super) async fn sweep(database: &Database) -> Result<u64, database::Error> {
    let mut deleted = 0;
    loop {
        let sweep = database.worker("idempotency keys: sweep", Bulkhead::Workers, |tx| {
            Box::pin(async move {
                let delete = sqlx::query!(
                    "DELETE FROM api.idempotency_keys
                     WHERE ctid = ANY (ARRAY(
                         SELECT ctid
                         FROM api.idempotency_keys
                         WHERE expires_at <= now()
                         LIMIT $1))",
                    SWEEP_ROWS_MAX,
                );
                let done = delete.execute(tx.connection()).await?;
                Ok::<_, database::Error>(done.rows_affected())
            })
        });
        let rows = sweep.await?;
        deleted += rows;
        if rows < u64::try_from(SWEEP_ROWS_MAX).unwrap_or(u64::MAX) {
            return Ok(deleted);
        }
    }
}
