//! `billing_usage` as it is closed: locked, compared with its events, and frozen.

use chrono::{DateTime, Months, NaiveDate, NaiveTime, Utc};
use database::{Error, ensure_affected};
use rust_decimal::Decimal;
use sqlx::PgConnection;
use types::id::{Node, Organization};
use types::{Id, Usd};
use uuid::Uuid;

/// A billing period, locked.
#[derive(Debug, Clone)]
pub(crate) struct PeriodRow {
    pub(crate) id: Uuid,
    pub(crate) start: NaiveDate,
    pub(crate) end: NaiveDate,
    pub(crate) invoice_id: Option<String>,
    pub(crate) tokens: i64,
    pub(crate) calls: i64,
    pub(crate) exact: Usd,
    pub(crate) carry_in: Usd,
}

/// What a period's events come to, by department.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DepartmentSum {
    pub(crate) department: Option<Uuid>,
    pub(crate) cost: Usd,
    /// Mark-ups among the cost: nobody used them.
    pub(crate) markups: Usd,
    pub(crate) tokens: i64,
    pub(crate) calls: i64,
}

/// Sums of one month that ought to be the same, as the events have them and as a roll-up has them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RollupSums {
    /// All events of the month, in `metering.usage_rollup`.
    pub(crate) usage: (Usd, Usd),
    /// How many they are.
    pub(crate) events: (i64, i64),
    /// Those that somebody pays for, in `daily_metrics`.
    pub(crate) days: (Usd, Usd),
    /// What the period bills, in `metering.charge_rollup`.
    pub(crate) charges: (Usd, Usd),
}

/// A node that may still have events of the past.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NodeBehind {
    pub(crate) node: Id<Node>,
    pub(crate) booked_until: Option<DateTime<Utc>>,
}

pub(crate) fn midnight(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::MIN).and_utc()
}

/// The nodes that are not known to have booked everything before a moment.
pub(crate) async fn nodes_behind(
    connection: &mut PgConnection,
    until: DateTime<Utc>,
    without: &[Uuid],
) -> Result<Vec<NodeBehind>, Error> {
    let rows = sqlx::query!(
        "
        SELECT node_id, booked_until
          FROM metering.journal_watermarks
         WHERE NOT is_complete
           AND (booked_until IS NULL OR booked_until < $1)
           AND node_id <> ALL ($2)
         ORDER BY node_id
        ",
        until,
        without,
    )
    .fetch_all(connection)
    .await?;
    let nodes = rows.into_iter().map(|row| NodeBehind {
        node: Id::from_uuid(row.node_id),
        booked_until: row.booked_until,
    });
    Ok(nodes.collect())
}

/// Every organization that a month can be closed for, but for those that did not exist yet.
pub(crate) async fn organizations(
    connection: &mut PgConnection,
    (start, end): (NaiveDate, NaiveDate),
) -> Result<Vec<Id<Organization>>, Error> {
    let ids = sqlx::query_scalar!(
        "
        SELECT id
          FROM organizations
         WHERE created_at < $1
            OR EXISTS (
                SELECT
                  FROM billing_usage
                 WHERE billing_usage.organization_id = organizations.id
                   AND billing_usage.billing_period_start = $2
               )
         ORDER BY id
        ",
        midnight(end),
        start,
    )
    .fetch_all(connection)
    .await?;
    Ok(ids.into_iter().map(Id::from_uuid).collect())
}

/// Makes the period if nothing was ever booked in it, and locks it against postings.
pub(crate) async fn lock(
    connection: &mut PgConnection,
    organization: Id<Organization>,
    start: NaiveDate,
) -> Result<Option<PeriodRow>, Error> {
    create(connection, organization, start).await?;
    let row = sqlx::query!(
        "
        SELECT id, billing_period_start, billing_period_end, invoice_id, total_ai_tokens, total_api_calls
             , total_cost_usd_exact, carry_in_usd
          FROM billing_usage
         WHERE organization_id = $1
           AND billing_period_start = $2
           FOR UPDATE
        ",
        organization.uuid(),
        start,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| PeriodRow {
        id: row.id,
        start: row.billing_period_start,
        end: row.billing_period_end,
        invoice_id: row.invoice_id,
        tokens: row.total_ai_tokens,
        calls: row.total_api_calls,
        exact: Usd::new(row.total_cost_usd_exact),
        carry_in: Usd::new(row.carry_in_usd),
    }))
}

async fn create(
    connection: &mut PgConnection,
    organization: Id<Organization>,
    start: NaiveDate,
) -> Result<(), Error> {
    sqlx::query!(
        "
        INSERT INTO billing_usage (organization_id, billing_period_start, billing_period_end)
        VALUES ($1, $2, $3)
            ON CONFLICT DO NOTHING
        ",
        organization.uuid(),
        start,
        start + Months::new(1),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The first open period before a month, which has to be closed first.
pub(crate) async fn find_open_before(
    connection: &mut PgConnection,
    organization: Id<Organization>,
    start: NaiveDate,
) -> Result<Option<NaiveDate>, Error> {
    let earlier = sqlx::query_scalar!(
        "
        SELECT min(billing_period_start)
          FROM billing_usage
         WHERE organization_id = $1
           AND billing_period_start < $2
           AND status = 'active'
        ",
        organization.uuid(),
        start,
    )
    .fetch_one(connection)
    .await?;
    Ok(earlier)
}

/// What the period's events come to: those of its month that no later period bills, and late ones that it bills.
pub(crate) async fn sums(
    connection: &mut PgConnection,
    organization: Id<Organization>,
    period: &PeriodRow,
) -> Result<Vec<DepartmentSum>, Error> {
    let rows = sqlx::query!(
        r#"
        WITH billed AS (
            SELECT department_id, event_type, quantity, cost_usd
              FROM usage_events
             WHERE organization_id = $1
               AND created_at >= $2
               AND created_at < $3
               AND billed_period IS NULL
               AND charge_to = 'tenant'
             UNION ALL
            SELECT department_id, event_type, quantity, cost_usd
              FROM usage_events
             WHERE organization_id = $1
               AND billed_period = $4
               AND charge_to = 'tenant'
        )
        SELECT department_id
             , sum(cost_usd) AS "cost!" -- of columns that are never null
             , COALESCE(sum(cost_usd) FILTER (WHERE event_type = 'markup'), 0) AS "markups!"
             , COALESCE(sum(quantity) FILTER (WHERE event_type = 'ai_request'), 0)::bigint AS "tokens!"
             , COALESCE(sum(quantity) FILTER (WHERE event_type = 'api_call'), 0)::bigint AS "calls!"
          FROM billed
         GROUP BY department_id
         ORDER BY department_id NULLS LAST
        "#,
        organization.uuid(),
        midnight(period.start),
        midnight(period.end),
        period.start,
    )
    .fetch_all(connection)
    .await?;
    let sums = rows.into_iter().map(|row| DepartmentSum {
        department: row.department_id,
        cost: Usd::new(row.cost),
        markups: Usd::new(row.markups),
        tokens: row.tokens,
        calls: row.calls,
    });
    Ok(sums.collect())
}

/// What events and roll-ups say, of one moment.
pub(crate) async fn rollup_sums(
    connection: &mut PgConnection,
    organization: Id<Organization>,
    period: &PeriodRow,
) -> Result<RollupSums, Error> {
    let row = sqlx::query!(
        r#"
        WITH events AS (
            SELECT count(*) AS events
                 , COALESCE(sum(cost_usd), 0) AS cost
                 , COALESCE(sum(cost_usd) FILTER (WHERE charge_to = 'tenant'), 0) AS of_tenant
                 , COALESCE(sum(cost_usd) FILTER (WHERE charge_to = 'tenant' AND billed_period IS NULL), 0) AS own
              FROM usage_events
             WHERE organization_id = $1
               AND created_at >= $2
               AND created_at < $3
        ), late AS (
            SELECT COALESCE(sum(cost_usd), 0) AS cost
              FROM usage_events
             WHERE organization_id = $1
               AND billed_period = $4
               AND charge_to = 'tenant'
        ), usage AS (
            SELECT COALESCE(sum(events), 0)::bigint AS events, COALESCE(sum(cost_usd), 0) AS cost
              FROM metering.usage_rollup
             WHERE organization_id = $1
               AND day >= $4
               AND day < $5
        ), days AS (
            SELECT COALESCE(sum(total_ai_cost_usd), 0) AS cost
              FROM daily_metrics
             WHERE organization_id = $1
               AND metric_date >= $4
               AND metric_date < $5
        ), charges AS (
            SELECT COALESCE(sum(cost_usd), 0) AS cost
              FROM metering.charge_rollup
             WHERE organization_id = $1
               AND billed_period = $4
               AND charge_to = 'tenant'
        )
        SELECT events.events AS "events!" -- every part is an aggregate, which is one row
             , events.cost AS "cost!"
             , events.of_tenant AS "of_tenant!"
             , events.own + late.cost AS "billed!"
             , usage.events AS "usage_events!"
             , usage.cost AS "usage_cost!"
             , days.cost AS "days_cost!"
             , charges.cost AS "charges_cost!"
          FROM events, late, usage, days, charges
        "#,
        organization.uuid(),
        midnight(period.start),
        midnight(period.end),
        period.start,
        period.end,
    )
    .fetch_one(connection)
    .await?;
    Ok(RollupSums {
        usage: (Usd::new(row.cost), Usd::new(row.usage_cost)),
        events: (row.events, row.usage_events),
        days: (Usd::new(row.of_tenant), Usd::new(row.days_cost)),
        charges: (Usd::new(row.billed), Usd::new(row.charges_cost)),
    })
}

/// Freezes the period under its invoice's number.
pub(crate) async fn freeze(
    connection: &mut PgConnection,
    period: Uuid,
    number: &str,
    total: Decimal,
) -> Result<(), Error> {
    let frozen = sqlx::query!(
        "
        UPDATE billing_usage
           SET status = 'invoiced', invoice_id = $2, total_cost_usd = $3
         WHERE id = $1
           AND status = 'active'
        ",
        period,
        number,
        total,
    )
    .execute(connection)
    .await?;
    ensure_affected(frozen.rows_affected(), 1)
}

/// Takes what is left over into the first open period after one that was closed; it is made if there is none.
pub(crate) async fn carry(
    connection: &mut PgConnection,
    organization: Id<Organization>,
    closed_end: NaiveDate,
    amount: Usd,
) -> Result<(), Error> {
    let open = find_open_from(connection, organization, closed_end).await?;
    let start = if let Some(start) = open {
        start
    } else {
        let start = end_of_last(connection, organization).await?;
        let start = start.unwrap_or(closed_end);
        create(connection, organization, start).await?;
        start
    };
    let carried = sqlx::query!(
        "
        UPDATE billing_usage
           SET carry_in_usd = carry_in_usd + $3
         WHERE organization_id = $1
           AND billing_period_start = $2
           AND status = 'active'
        ",
        organization.uuid(),
        start,
        amount.decimal(),
    )
    .execute(connection)
    .await?;
    ensure_affected(carried.rows_affected(), 1)
}

async fn find_open_from(
    connection: &mut PgConnection,
    organization: Id<Organization>,
    from: NaiveDate,
) -> Result<Option<NaiveDate>, Error> {
    let open = sqlx::query_scalar!(
        "
        SELECT min(billing_period_start)
          FROM billing_usage
         WHERE organization_id = $1
           AND billing_period_start >= $2
           AND status = 'active'
        ",
        organization.uuid(),
        from,
    )
    .fetch_one(connection)
    .await?;
    Ok(open)
}

async fn end_of_last(
    connection: &mut PgConnection,
    organization: Id<Organization>,
) -> Result<Option<NaiveDate>, Error> {
    let end = sqlx::query_scalar!(
        "SELECT max(billing_period_end) FROM billing_usage WHERE organization_id = $1",
        organization.uuid(),
    )
    .fetch_one(connection)
    .await?;
    Ok(end)
}

/// Marks a period as paid.
pub(crate) async fn pay(connection: &mut PgConnection, number: &str) -> Result<u64, Error> {
    let paid = sqlx::query!(
        "UPDATE billing_usage SET status = 'paid' WHERE invoice_id = $1 AND status = 'invoiced'",
        number,
    )
    .execute(connection)
    .await?;
    Ok(paid.rows_affected())
}
