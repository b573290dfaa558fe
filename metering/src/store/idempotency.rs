//! `metering.idempotent_calls`: who runs a call with an idempotency key, and what was answered.

use database::{Bulkhead, Database, Error};
use types::Id;
use types::id::Organization;

use crate::idempotency::{Answer, CLAIM, Claim, Claimed, LIFETIME};

/// Claims a key, or says who has it or what was answered.
pub(crate) async fn claim(
    database: &Database,
    organization: Id<Organization>,
    claim: &Claim,
) -> Result<Claimed, Error> {
    let claiming = database.tenant("idempotency: claim", Bulkhead::Hot, organization, |tx| {
        Box::pin(async move {
            let claimed = sqlx::query!(
                "
                INSERT INTO metering.idempotent_calls AS call
                       (organization_id, key, request_hash, request_id, claimed_until, expires_at)
                VALUES ($1, $2, $3, $4, now() + $5::bigint * interval '1 second', now() + $6::bigint * interval '1 second')
                    ON CONFLICT (organization_id, key) DO UPDATE
                   SET request_hash = EXCLUDED.request_hash
                     , request_id = EXCLUDED.request_id
                     , claimed_until = EXCLUDED.claimed_until
                     , body = NULL
                     , created_at = EXCLUDED.created_at
                     , expires_at = EXCLUDED.expires_at
                 WHERE call.expires_at <= now()
                    OR (call.body IS NULL AND call.claimed_until <= now() AND call.request_hash = EXCLUDED.request_hash)
                RETURNING request_id
                ",
                organization.uuid(),
                claim.key,
                claim.request_hash,
                claim.request.uuid(),
                seconds(CLAIM),
                seconds(LIFETIME),
            )
            .fetch_optional(tx.connection())
            .await?;
            if claimed.is_some() {
                return Ok(Claimed::Mine);
            }
            let row = sqlx::query!(
                "
                SELECT request_hash
                     , is_stream
                     , provider
                     , model
                     , body
                  FROM metering.idempotent_calls
                 WHERE organization_id = $1
                   AND key = $2
                ",
                organization.uuid(),
                claim.key,
            )
            .fetch_optional(tx.connection())
            .await?;
            Ok(match row {
                Some(row) if row.request_hash != claim.request_hash => Claimed::OtherCall,
                Some(row) => row.body.map_or(Claimed::Running, |body| {
                    Claimed::Answered(Answer {
                        is_stream: row.is_stream,
                        provider: row.provider.unwrap_or_default(),
                        model: row.model.unwrap_or_default(),
                        body: body.into(),
                    })
                }),
                // It was given up in between.
                None => Claimed::Running,
            })
        })
    });
    claiming.await
}

/// Says that the call still runs. Whether the claim is still this request's.
pub(crate) async fn renew(
    database: &Database,
    organization: Id<Organization>,
    claim: &Claim,
) -> Result<bool, Error> {
    let renewing = database.tenant(
        "idempotency: renew",
        Bulkhead::Workers,
        organization,
        |tx| {
            Box::pin(async move {
                let renewed = sqlx::query!(
                    "
                UPDATE metering.idempotent_calls
                   SET claimed_until = now() + $4::bigint * interval '1 second'
                 WHERE organization_id = $1
                   AND key = $2
                   AND request_id = $3
                   AND body IS NULL
                ",
                    organization.uuid(),
                    claim.key,
                    claim.request.uuid(),
                    seconds(CLAIM),
                )
                .execute(tx.connection())
                .await?;
                Ok(renewed.rows_affected() == 1)
            })
        },
    );
    renewing.await
}

/// Keeps what was answered.
pub(crate) async fn keep(
    database: &Database,
    organization: Id<Organization>,
    claim: &Claim,
    answer: &Answer,
) -> Result<(), Error> {
    let keeping = database.tenant("idempotency: keep", Bulkhead::Workers, organization, |tx| {
        Box::pin(async move {
            sqlx::query!(
                "
                UPDATE metering.idempotent_calls
                   SET body = $4
                     , is_stream = $5
                     , provider = left($6, 100)
                     , model = left($7, 255)
                 WHERE organization_id = $1
                   AND key = $2
                   AND request_id = $3
                   AND body IS NULL
                ",
                organization.uuid(),
                claim.key,
                claim.request.uuid(),
                answer.body.as_ref(),
                answer.is_stream,
                answer.provider,
                answer.model,
            )
            .execute(tx.connection())
            .await?;
            Ok(())
        })
    });
    keeping.await
}

/// Gives a claim up: the call did not end well, and may be run anew.
pub(crate) async fn release(
    database: &Database,
    organization: Id<Organization>,
    claim: &Claim,
) -> Result<(), Error> {
    let releasing = database.tenant(
        "idempotency: release",
        Bulkhead::Workers,
        organization,
        |tx| {
            Box::pin(async move {
                sqlx::query!(
                    "
                DELETE FROM metering.idempotent_calls
                 WHERE organization_id = $1
                   AND key = $2
                   AND request_id = $3
                   AND body IS NULL
                ",
                    organization.uuid(),
                    claim.key,
                    claim.request.uuid(),
                )
                .execute(tx.connection())
                .await?;
                Ok(())
            })
        },
    );
    releasing.await
}

/// Deletes what is over. How much that was.
pub(crate) async fn sweep(database: &Database) -> Result<u64, Error> {
    let sweeping = database.worker("idempotency: sweep", Bulkhead::Workers, |tx| {
        Box::pin(async move {
            let swept =
                sqlx::query!("DELETE FROM metering.idempotent_calls WHERE expires_at <= now()",)
                    .execute(tx.connection())
                    .await?;
            Ok(swept.rows_affected())
        })
    });
    sweeping.await
}

fn seconds(duration: std::time::Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}
