//! Keeping the table: which keys it has, how often they were hit, and what has expired.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;
use sqlx::PgConnection;
use types::Id;
use types::id::CacheEntry;

use super::first_id_of;
use crate::hits::Count;

/// The first 64 bits of all keys that have not expired, or of one more than `keys_max` of them.
pub(crate) async fn all_keys(
    connection: &mut PgConnection,
    keys_max: usize,
    now: DateTime<Utc>,
) -> Result<HashSet<u64>, database::Error> {
    let limit = i64::try_from(keys_max)
        .unwrap_or(i64::MAX)
        .saturating_add(1);
    let keys = sqlx::query_scalar!(
        r#"SELECT ('x' || left(hash, 16))::bit(64)::bigint AS "short!" -- an expression is never known to be not null
             FROM semantic_cache
            CROSS JOIN LATERAL unnest(ARRAY[prompt_hash, normalized_hash]) AS hash
            WHERE expires_at > $1
              AND hash IS NOT NULL
            LIMIT $2"#,
        now,
        limit,
    )
    .fetch(connection)
    .map_ok(i64::cast_unsigned)
    .try_collect()
    .await?;
    Ok(keys)
}

/// The first 64 bits of the keys of all entries made since then.
///
/// An entry's id begins with the time it was made, so that the primary key finds the new ones.
pub(crate) async fn keys_since(
    connection: &mut PgConnection,
    since: DateTime<Utc>,
) -> Result<HashSet<u64>, database::Error> {
    // One array instead of a row each: this machine's own entries are among them, and there may be thousands a second.
    let keys = sqlx::query_scalar!(
        r#"SELECT array_agg(('x' || left(hash, 16))::bit(64)::bigint)
             FROM semantic_cache
            CROSS JOIN LATERAL unnest(ARRAY[prompt_hash, normalized_hash]) AS hash
            WHERE id >= $1
              AND hash IS NOT NULL"#,
        first_id_of(since),
    )
    .fetch_one(connection)
    .await?;
    Ok(keys
        .unwrap_or_default()
        .into_iter()
        .map(i64::cast_unsigned)
        .collect())
}

/// Adds what was counted; entries that are gone are passed over.
pub(crate) async fn add_hits(
    connection: &mut PgConnection,
    counts: &HashMap<Id<CacheEntry>, Count>,
) -> Result<(), database::Error> {
    let ids: Vec<_> = counts.keys().map(Id::uuid).collect();
    let hits: Vec<_> = counts.values().map(|count| count.hits).collect();
    let times: Vec<_> = counts.values().map(|count| count.last_at).collect();
    sqlx::query!(
        "UPDATE semantic_cache
            SET hit_count = semantic_cache.hit_count + counted.hits,
                last_accessed_at = greatest(semantic_cache.last_accessed_at, counted.last_at)
           FROM UNNEST($1::uuid[], $2::integer[], $3::timestamptz[]) AS counted (id, hits, last_at)
          WHERE semantic_cache.id = counted.id",
        &ids,
        &hits,
        &times,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Deletes at most `rows_max` expired entries and returns their keys by the first 64 bits.
///
/// Several machines may sweep at once: each passes over the rows that another one is deleting.
pub(crate) async fn delete_expired(
    connection: &mut PgConnection,
    rows_max: i64,
    now: DateTime<Utc>,
) -> Result<Vec<u64>, database::Error> {
    let keys = sqlx::query_scalar!(
        r#"DELETE FROM semantic_cache
            WHERE id IN (
                      SELECT id
                        FROM semantic_cache
                       WHERE expires_at <= $1
                       ORDER BY expires_at
                       LIMIT $2
                         FOR UPDATE SKIP LOCKED
                  )
        RETURNING ('x' || left(prompt_hash, 16))::bit(64)::bigint AS "short!" -- an expression is never known to be not null"#,
        now,
        rows_max,
    )
    .fetch_all(connection)
    .await?;
    Ok(keys.into_iter().map(i64::cast_unsigned).collect())
}
