//! Usage events by the thousand, as requests would have left them.

use chrono::{Days, NaiveDate, NaiveTime};
use sqlx::PgPool;

/// A day's events: spread over organizations, and in each of them over keys, users, models and outcomes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Day {
    pub(crate) date: NaiveDate,
    pub(crate) events: i64,
    pub(crate) keys: i64,
    pub(crate) models: i64,
}

/// Inserts them. Ids of keys and users are made of the organization's, so that they are the same every day.
pub(crate) async fn insert(admin: &PgPool, day: Day) -> Result<(), sqlx::Error> {
    sqlx::query(
        "
        WITH organization AS (
            SELECT id, row_number() OVER (ORDER BY id) - 1 AS number, count(*) OVER () AS count
              FROM organizations
        )
        INSERT INTO usage_events
               ( id, created_at, organization_id, event_type, quantity, cost_usd, request_id, attempt, outcome, provider, model
               , api_key_id, user_id, department_id, input_tokens, output_tokens, usage_source, tags )
        SELECT gen_random_uuid()
             , $1 + n * interval '1 day' / ($2::bigint + 1)
             , organization.id
             , 'ai_request'
             , 100 + n % 900
             , (100 + n % 900) * 0.000001
             , gen_random_uuid()
             , 1
             , CASE WHEN n % 50 = 0 THEN 'failed' ELSE 'completed' END
             , 'provider-' || n / 7 % $4::bigint % 3
             , 'model-' || n / 7 % $4::bigint
             , md5(organization.id || 'key' || n / 11 % $3::bigint)::uuid
             , md5(organization.id || 'user' || n / 11 % $3::bigint)::uuid
             , md5(organization.id || 'department' || n / 11 % $3::bigint % 5)::uuid
             , 60
             , 40 + n % 900
             , 'provider'
             , jsonb_build_object('team', 'team-' || n / 11 % 8)
          FROM generate_series(1, $2::bigint) AS n
          JOIN organization
            ON organization.number = n % organization.count
        ",
    )
    .bind(day.date.and_time(NaiveTime::MIN).and_utc())
    .bind(day.events)
    .bind(day.keys)
    .bind(day.models)
    .execute(admin)
    .await?;
    Ok(())
}

/// Removes a day's events once they are summed: reports never read them, and ten million would fill the memory.
pub(crate) async fn forget(admin: &PgPool, day: NaiveDate) -> Result<(), sqlx::Error> {
    let next = day + Days::new(1);
    sqlx::query("DELETE FROM usage_events WHERE created_at >= $1 AND created_at < $2")
        .bind(day.and_time(NaiveTime::MIN).and_utc())
        .bind(next.and_time(NaiveTime::MIN).and_utc())
        .execute(admin)
        .await?;
    Ok(())
}

/// How many rows the sums have, and statistics of them, as autovacuum would have them.
pub(crate) async fn analyze(admin: &PgPool) -> Result<i64, sqlx::Error> {
    sqlx::query(
        "VACUUM ANALYZE metering.usage_rollup, metering.tag_rollup, metering.charge_rollup",
    )
    .execute(admin)
    .await?;
    sqlx::query_scalar("SELECT count(*) FROM metering.usage_rollup")
        .fetch_one(admin)
        .await
}
