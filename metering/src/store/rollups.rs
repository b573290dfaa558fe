//! Adds to the roll-ups, one statement for each, in the order of their rows; and empties a day of them to be made anew.

use chrono::NaiveDate;
use database::{Error, ensure_affected};
use sqlx::PgConnection;
use types::id::Organization;
use types::{Id, Usd};
use uuid::Uuid;

use crate::rollup::Additions;

/// Adds what events come to, in the transaction that books them.
pub(crate) async fn add(
    connection: &mut PgConnection,
    additions: &Additions<'_>,
) -> Result<(), Error> {
    let newly_active = add_actors(connection, additions).await?;
    add_days(connection, additions, &newly_active).await?;
    add_usage(connection, additions).await?;
    add_tags(connection, additions).await?;
    add_charges(connection, additions).await
}

/// How many users and workflows were seen for the first time on a day.
struct NewlyActive {
    organizations: Vec<Uuid>,
    days: Vec<NaiveDate>,
    users: Vec<i64>,
    workflows: Vec<i64>,
}

async fn add_actors(
    connection: &mut PgConnection,
    additions: &Additions<'_>,
) -> Result<NewlyActive, Error> {
    let rows = &additions.actors;
    let new = sqlx::query!(
        r#"
        WITH new AS (
            INSERT INTO metering.daily_actors (organization_id, day, kind, actor_id)
            SELECT organization_id, day, kind, actor_id
              FROM unnest($1::uuid[], $2::date[], $3::text[], $4::uuid[]) AS seen (organization_id, day, kind, actor_id)
                ON CONFLICT DO NOTHING
            RETURNING organization_id, day, kind
        )
        SELECT organization_id
             , day
             -- Counts, which are never null.
             , count(*) FILTER (WHERE kind = 'user') AS "users!"
             , count(*) FILTER (WHERE kind = 'workflow') AS "workflows!"
          FROM new
         GROUP BY organization_id, day
        "#,
        &column!(rows, row => row.organization),
        &column!(rows, row => row.day),
        &column!(rows, row => row.kind.as_str()) as _,
        &column!(rows, row => row.id),
    )
    .fetch_all(connection)
    .await?;
    Ok(NewlyActive {
        organizations: column!(new, row => row.organization_id),
        days: column!(new, row => row.day),
        users: column!(new, row => row.users),
        workflows: column!(new, row => row.workflows),
    })
}

async fn add_days(
    connection: &mut PgConnection,
    additions: &Additions<'_>,
    newly_active: &NewlyActive,
) -> Result<(), Error> {
    let rows = &additions.days;
    let added = sqlx::query!(
        "
        INSERT INTO daily_metrics
               ( organization_id, metric_date, total_ai_requests, total_ai_tokens, total_ai_cost_usd, total_api_calls
               , active_users, active_workflows )
        SELECT new.organization_id, new.day, requests, tokens, cost, calls
             , COALESCE(users, 0)::integer, COALESCE(workflows, 0)::integer
          FROM unnest($1::uuid[], $2::date[], $3::bigint[], $4::bigint[], $5::numeric[], $6::bigint[])
               AS new (organization_id, day, requests, tokens, cost, calls)
          LEFT JOIN unnest($7::uuid[], $8::date[], $9::bigint[], $10::bigint[])
               AS active (organization_id, day, users, workflows)
            ON active.organization_id = new.organization_id
           AND active.day = new.day
         ORDER BY new.organization_id, new.day
            ON CONFLICT (organization_id, metric_date) DO UPDATE
           SET total_ai_requests = daily_metrics.total_ai_requests + EXCLUDED.total_ai_requests
             , total_ai_tokens = daily_metrics.total_ai_tokens + EXCLUDED.total_ai_tokens
             , total_ai_cost_usd = daily_metrics.total_ai_cost_usd + EXCLUDED.total_ai_cost_usd
             , total_api_calls = daily_metrics.total_api_calls + EXCLUDED.total_api_calls
             , active_users = daily_metrics.active_users + EXCLUDED.active_users
             , active_workflows = daily_metrics.active_workflows + EXCLUDED.active_workflows
        ",
        &column!(rows, ((organization, _), _) => *organization),
        &column!(rows, ((_, day), _) => *day),
        &column!(rows, (_, sum) => sum.requests),
        &column!(rows, (_, sum) => sum.tokens),
        &column!(rows, (_, sum) => sum.cost.decimal()),
        &column!(rows, (_, sum) => sum.calls),
        &newly_active.organizations,
        &newly_active.days,
        &newly_active.users,
        &newly_active.workflows,
    )
    .execute(connection)
    .await?;
    ensure_affected(added.rows_affected(), rows.len() as u64)
}

async fn add_usage(connection: &mut PgConnection, additions: &Additions<'_>) -> Result<(), Error> {
    let rows = &additions.usage;
    let added = sqlx::query!(
        "
        INSERT INTO metering.usage_rollup
               ( organization_id, day, event_type, model, api_key_id, user_id, department_id, workflow_id, provider, price_id
               , service, usage_source, outcome, charge_to
               , events, quantity, input_tokens, cache_read_tokens, cache_write_tokens, audio_input_tokens, image_tokens
               , output_tokens, reasoning_tokens, audio_output_tokens, web_searches, cost_usd, saved_cost_usd )
        SELECT *
          FROM unnest( $1::uuid[], $2::date[], $3::text[], $4::text[], $5::uuid[], $6::uuid[], $7::uuid[], $8::uuid[], $9::text[]
                     , $10::uuid[], $11::text[], $12::text[], $13::text[], $14::text[]
                     , $15::bigint[], $16::bigint[], $17::bigint[], $18::bigint[], $19::bigint[], $20::bigint[], $21::bigint[]
                     , $22::bigint[], $23::bigint[], $24::bigint[], $25::bigint[], $26::numeric[], $27::numeric[] )
            ON CONFLICT ON CONSTRAINT usage_rollup_key DO UPDATE
           SET events = usage_rollup.events + EXCLUDED.events
             , quantity = usage_rollup.quantity + EXCLUDED.quantity
             , input_tokens = usage_rollup.input_tokens + EXCLUDED.input_tokens
             , cache_read_tokens = usage_rollup.cache_read_tokens + EXCLUDED.cache_read_tokens
             , cache_write_tokens = usage_rollup.cache_write_tokens + EXCLUDED.cache_write_tokens
             , audio_input_tokens = usage_rollup.audio_input_tokens + EXCLUDED.audio_input_tokens
             , image_tokens = usage_rollup.image_tokens + EXCLUDED.image_tokens
             , output_tokens = usage_rollup.output_tokens + EXCLUDED.output_tokens
             , reasoning_tokens = usage_rollup.reasoning_tokens + EXCLUDED.reasoning_tokens
             , audio_output_tokens = usage_rollup.audio_output_tokens + EXCLUDED.audio_output_tokens
             , web_searches = usage_rollup.web_searches + EXCLUDED.web_searches
             , cost_usd = usage_rollup.cost_usd + EXCLUDED.cost_usd
             , saved_cost_usd = usage_rollup.saved_cost_usd + EXCLUDED.saved_cost_usd
        ",
        &column!(rows, (key, _) => key.organization),
        &column!(rows, (key, _) => key.day),
        &column!(rows, (key, _) => key.event_type) as _,
        &column!(rows, (key, _) => key.model) as _,
        &column!(rows, (key, _) => key.api_key) as _,
        &column!(rows, (key, _) => key.user) as _,
        &column!(rows, (key, _) => key.department) as _,
        &column!(rows, (key, _) => key.workflow) as _,
        &column!(rows, (key, _) => key.provider) as _,
        &column!(rows, (key, _) => key.price) as _,
        &column!(rows, (key, _) => key.service) as _,
        &column!(rows, (key, _) => key.usage_source) as _,
        &column!(rows, (key, _) => key.outcome) as _,
        &column!(rows, (key, _) => key.charge_to) as _,
        &column!(rows, (_, sum) => sum.events),
        &column!(rows, (_, sum) => sum.quantity),
        &column!(rows, (_, sum) => sum.input_tokens),
        &column!(rows, (_, sum) => sum.cache_read_tokens),
        &column!(rows, (_, sum) => sum.cache_write_tokens),
        &column!(rows, (_, sum) => sum.audio_input_tokens),
        &column!(rows, (_, sum) => sum.image_tokens),
        &column!(rows, (_, sum) => sum.output_tokens),
        &column!(rows, (_, sum) => sum.reasoning_tokens),
        &column!(rows, (_, sum) => sum.audio_output_tokens),
        &column!(rows, (_, sum) => sum.web_searches),
        &column!(rows, (_, sum) => sum.cost.decimal()),
        &column!(rows, (_, sum) => sum.saved_cost.decimal()),
    )
    .execute(connection)
    .await?;
    ensure_affected(added.rows_affected(), rows.len() as u64)
}

async fn add_tags(connection: &mut PgConnection, additions: &Additions<'_>) -> Result<(), Error> {
    let rows = &additions.tags;
    if rows.is_empty() {
        return Ok(());
    }
    let added = sqlx::query!(
        "
        INSERT INTO metering.tag_rollup
               ( organization_id, day, tag_key, tag_value, model, provider, usage_source, outcome, charge_to
               , events, input_tokens, cache_read_tokens, output_tokens, reasoning_tokens, cost_usd, saved_cost_usd )
        SELECT *
          FROM unnest( $1::uuid[], $2::date[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[]
                     , $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::numeric[], $16::numeric[] )
            ON CONFLICT ON CONSTRAINT tag_rollup_key DO UPDATE
           SET events = tag_rollup.events + EXCLUDED.events
             , input_tokens = tag_rollup.input_tokens + EXCLUDED.input_tokens
             , cache_read_tokens = tag_rollup.cache_read_tokens + EXCLUDED.cache_read_tokens
             , output_tokens = tag_rollup.output_tokens + EXCLUDED.output_tokens
             , reasoning_tokens = tag_rollup.reasoning_tokens + EXCLUDED.reasoning_tokens
             , cost_usd = tag_rollup.cost_usd + EXCLUDED.cost_usd
             , saved_cost_usd = tag_rollup.saved_cost_usd + EXCLUDED.saved_cost_usd
        ",
        &column!(rows, (key, _) => key.organization),
        &column!(rows, (key, _) => key.day),
        &column!(rows, (key, _) => key.key) as _,
        &column!(rows, (key, _) => key.value) as _,
        &column!(rows, (key, _) => key.model) as _,
        &column!(rows, (key, _) => key.provider) as _,
        &column!(rows, (key, _) => key.usage_source) as _,
        &column!(rows, (key, _) => key.outcome) as _,
        &column!(rows, (key, _) => key.charge_to) as _,
        &column!(rows, (_, sum) => sum.events),
        &column!(rows, (_, sum) => sum.input_tokens),
        &column!(rows, (_, sum) => sum.cache_read_tokens),
        &column!(rows, (_, sum) => sum.output_tokens),
        &column!(rows, (_, sum) => sum.reasoning_tokens),
        &column!(rows, (_, sum) => sum.cost.decimal()),
        &column!(rows, (_, sum) => sum.saved_cost.decimal()),
    )
    .execute(connection)
    .await?;
    ensure_affected(added.rows_affected(), rows.len() as u64)
}

async fn add_charges(
    connection: &mut PgConnection,
    additions: &Additions<'_>,
) -> Result<(), Error> {
    let rows = &additions.charges;
    if rows.is_empty() {
        return Ok(());
    }
    let added = sqlx::query!(
        "
        INSERT INTO metering.charge_rollup
               ( organization_id, day, billed_period, model, provider, price_id, service, token_class, unit_price_usd
               , usage_source, outcome, charge_to, events, quantity, cost_usd )
        SELECT *
          FROM unnest( $1::uuid[], $2::date[], $3::date[], $4::text[], $5::text[], $6::uuid[], $7::text[], $8::text[]
                     , $9::numeric[], $10::text[], $11::text[], $12::text[], $13::bigint[], $14::bigint[], $15::numeric[] )
            ON CONFLICT ON CONSTRAINT charge_rollup_key DO UPDATE
           SET events = charge_rollup.events + EXCLUDED.events
             , quantity = charge_rollup.quantity + EXCLUDED.quantity
             , cost_usd = charge_rollup.cost_usd + EXCLUDED.cost_usd
        ",
        &column!(rows, (key, _) => key.organization),
        &column!(rows, (key, _) => key.day),
        &column!(rows, (key, _) => key.billed_period) as _,
        &column!(rows, (key, _) => key.model) as _,
        &column!(rows, (key, _) => key.provider) as _,
        &column!(rows, (key, _) => key.price) as _,
        &column!(rows, (key, _) => key.service) as _,
        &column!(rows, (key, _) => key.class.as_str()) as _,
        &column!(rows, (key, _) => key.unit_price),
        &column!(rows, (key, _) => key.usage_source) as _,
        &column!(rows, (key, _) => key.outcome) as _,
        &column!(rows, (key, _) => key.charge_to) as _,
        &column!(rows, (_, sum) => sum.events),
        &column!(rows, (_, sum) => sum.quantity),
        &column!(rows, (_, sum) => sum.cost.decimal()),
    )
    .execute(connection)
    .await?;
    ensure_affected(added.rows_affected(), rows.len() as u64)
}

/// Empties an organization's day, to be added to anew in the same transaction. What it said the day had cost.
///
/// Writers wait until the transaction ends; readers go on, with what was there.
pub(crate) async fn empty(
    connection: &mut PgConnection,
    organization: Id<Organization>,
    day: NaiveDate,
) -> Result<Usd, Error> {
    // In the order in which a posting comes to them.
    sqlx::query!(
        "
        LOCK TABLE metering.daily_actors, daily_metrics, metering.usage_rollup, metering.tag_rollup, metering.charge_rollup
          IN EXCLUSIVE MODE
        "
    )
    .execute(&mut *connection)
    .await?;
    let organization = organization.uuid();
    sqlx::query!(
        "
        UPDATE daily_metrics
           SET total_ai_requests = 0
             , total_ai_tokens = 0
             , total_ai_cost_usd = 0
             , total_api_calls = 0
             , active_users = 0
             , active_workflows = 0
         WHERE organization_id = $1
           AND metric_date = $2
        ",
        organization,
        day,
    )
    .execute(&mut *connection)
    .await?;
    let cost = sqlx::query_scalar!(
        r#"
        WITH actors AS (
            DELETE FROM metering.daily_actors WHERE organization_id = $1 AND day = $2
        ), tags AS (
            DELETE FROM metering.tag_rollup WHERE organization_id = $1 AND day = $2
        ), charges AS (
            DELETE FROM metering.charge_rollup WHERE organization_id = $1 AND day = $2
        ), usage AS (
            DELETE FROM metering.usage_rollup WHERE organization_id = $1 AND day = $2 RETURNING cost_usd
        )
        SELECT COALESCE(sum(cost_usd), 0) AS "cost!" FROM usage
        "#,
        organization,
        day,
    )
    .fetch_one(connection)
    .await?;
    Ok(Usd::new(cost))
}
