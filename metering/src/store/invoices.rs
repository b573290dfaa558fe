//! `metering.invoices`, their lines and their numbers.

use chrono::{DateTime, NaiveDate, Utc};
use database::{Error, ensure_affected};
use rust_decimal::Decimal;
use sqlx::PgConnection;
use types::id::Organization;
use types::{Id, Usd};
use uuid::Uuid;

use super::periods::PeriodRow;

/// An invoice as it stands.
#[derive(Debug, Clone)]
pub(crate) struct InvoiceRow {
    pub(crate) id: Uuid,
    pub(crate) organization: Uuid,
    pub(crate) number: String,
    pub(crate) period_start: NaiveDate,
    pub(crate) period_end: NaiveDate,
    pub(crate) exact: Usd,
    pub(crate) carry_in: Usd,
    pub(crate) carry_out: Usd,
    pub(crate) total: Decimal,
    pub(crate) tokens: i64,
    pub(crate) calls: i64,
    pub(crate) issued_at: DateTime<Utc>,
    pub(crate) paid_at: Option<DateTime<Utc>>,
    pub(crate) payment_reference: Option<String>,
}

/// A line of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LineRow {
    pub(crate) breakdown: String,
    pub(crate) kind: String,
    pub(crate) department: Option<Uuid>,
    pub(crate) provider: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) service: Option<String>,
    pub(crate) token_class: Option<String>,
    pub(crate) quantity: Option<i64>,
    pub(crate) unit_price: Option<Decimal>,
    pub(crate) exact: Usd,
    pub(crate) amount: Decimal,
}

/// Which invoices are listed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Choice {
    pub(crate) organization: Option<Uuid>,
    pub(crate) number: Option<String>,
    pub(crate) period_start: Option<NaiveDate>,
    /// Those before this one.
    pub(crate) before: Option<Uuid>,
    pub(crate) rows_max: i64,
}

/// What the period charges, by model, service, class and unit price; late events and corrections apart.
pub(crate) async fn charges(
    connection: &mut PgConnection,
    organization: Id<Organization>,
    period: &PeriodRow,
) -> Result<Vec<LineRow>, Error> {
    let rows = sqlx::query!(
        r#"
        WITH charge AS (
            SELECT provider, model, service, token_class, quantity, cost_usd
                 , CASE WHEN token_class = 'undivided' THEN NULL ELSE unit_price_usd END AS unit_price_usd
                 , CASE WHEN provider = 'markup' THEN 'markup'
                        WHEN token_class = 'undivided' OR day < $2 THEN 'correction'
                        ELSE 'usage'
                   END AS kind
              FROM metering.charge_rollup
             WHERE organization_id = $1
               AND billed_period = $2
               AND charge_to = 'tenant'
        )
        SELECT kind AS "kind!" -- of a CASE with an ELSE
             , provider, model, service, token_class, unit_price_usd
             , sum(quantity)::bigint AS "quantity!" -- of columns that are never null
             , sum(cost_usd) AS "cost!"
          FROM charge
         GROUP BY kind, provider, model, service, token_class, unit_price_usd
        HAVING sum(cost_usd) <> 0
         ORDER BY array_position(ARRAY['usage', 'correction', 'markup'], kind), provider, model, service, token_class
             , unit_price_usd
        "#,
        organization.uuid(),
        period.start,
    )
    .fetch_all(connection)
    .await?;
    let lines = rows.into_iter().map(|row| LineRow {
        breakdown: "charge".to_owned(),
        kind: row.kind,
        department: None,
        provider: Some(row.provider),
        model: Some(row.model),
        service: row.service,
        token_class: Some(row.token_class),
        quantity: Some(row.quantity),
        unit_price: row.unit_price_usd,
        exact: Usd::new(row.cost),
        amount: Decimal::ZERO,
    });
    Ok(lines.collect())
}

/// The next number of a year. Taken last in its transaction, because everybody who closes waits for it.
pub(crate) async fn next_number(connection: &mut PgConnection, year: i32) -> Result<i64, Error> {
    let number = sqlx::query_scalar!(
        "
        INSERT INTO metering.invoice_numbers AS taken (year, last_number)
        VALUES ($1, 1)
            ON CONFLICT (year) DO UPDATE
           SET last_number = taken.last_number + 1
        RETURNING last_number
        ",
        year,
    )
    .fetch_one(connection)
    .await?;
    Ok(number)
}

/// Issues an invoice.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    invoice: &InvoiceRow,
    (period, by): (Uuid, Option<Uuid>),
    lines: &[LineRow],
) -> Result<(), Error> {
    sqlx::query!(
        "
        INSERT INTO metering.invoices
               ( id, organization_id, billing_usage_id, number, period_start, period_end, exact_usd, carry_in_usd
               , carry_out_usd, total_usd, total_tokens, total_calls, issued_at, issued_by )
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
        ",
        invoice.id,
        invoice.organization,
        period,
        invoice.number,
        invoice.period_start,
        invoice.period_end,
        invoice.exact.decimal(),
        invoice.carry_in.decimal(),
        invoice.carry_out.decimal(),
        invoice.total,
        invoice.tokens,
        invoice.calls,
        invoice.issued_at,
        by,
    )
    .execute(&mut *connection)
    .await?;
    insert_lines(connection, invoice, lines).await
}

async fn insert_lines(
    connection: &mut PgConnection,
    invoice: &InvoiceRow,
    lines: &[LineRow],
) -> Result<(), Error> {
    let inserted = sqlx::query!(
        "
        INSERT INTO metering.invoice_lines
               ( invoice_id, organization_id, breakdown, position, kind, department_id, provider, model, service, token_class
               , quantity, unit_price_usd, exact_usd, amount_usd )
        SELECT $1, $2, line.*
          FROM unnest( $3::text[], $4::integer[], $5::text[], $6::uuid[], $7::text[], $8::text[], $9::text[], $10::text[]
                     , $11::bigint[], $12::numeric[], $13::numeric[], $14::numeric[] ) AS line
        ",
        invoice.id,
        invoice.organization,
        &column!(lines, line => line.breakdown.as_str()) as _,
        &(1..).take(lines.len()).collect::<Vec<i32>>() as _,
        &column!(lines, line => line.kind.as_str()) as _,
        &column!(lines, line => line.department) as _,
        &column!(lines, line => line.provider.as_deref()) as _,
        &column!(lines, line => line.model.as_deref()) as _,
        &column!(lines, line => line.service.as_deref()) as _,
        &column!(lines, line => line.token_class.as_deref()) as _,
        &column!(lines, line => line.quantity) as _,
        &column!(lines, line => line.unit_price) as _,
        &column!(lines, line => line.exact.decimal()) as _,
        &column!(lines, line => line.amount) as _,
    )
    .execute(connection)
    .await?;
    ensure_affected(inserted.rows_affected(), lines.len() as u64)
}

/// The invoices that were chosen, latest first.
pub(crate) async fn list(
    connection: &mut PgConnection,
    choice: &Choice,
) -> Result<Vec<InvoiceRow>, Error> {
    let rows = sqlx::query!(
        r#"
        SELECT id, organization_id, number, period_start, period_end, exact_usd, carry_in_usd, carry_out_usd, total_usd
             , total_tokens, total_calls, issued_at, paid_at, payment_reference
          FROM metering.invoices
         WHERE ($1::uuid IS NULL OR organization_id = $1)
           AND ($2::text IS NULL OR number = $2)
           AND ($3::date IS NULL OR period_start = $3)
           AND ($4::uuid IS NULL OR id < $4)
         ORDER BY id DESC
         LIMIT $5
        "#,
        choice.organization,
        choice.number,
        choice.period_start,
        choice.before,
        choice.rows_max,
    )
    .fetch_all(connection)
    .await?;
    let rows = rows.into_iter().map(|row| InvoiceRow {
        id: row.id,
        organization: row.organization_id,
        number: row.number,
        period_start: row.period_start,
        period_end: row.period_end,
        exact: Usd::new(row.exact_usd),
        carry_in: Usd::new(row.carry_in_usd),
        carry_out: Usd::new(row.carry_out_usd),
        total: row.total_usd,
        tokens: row.total_tokens,
        calls: row.total_calls,
        issued_at: row.issued_at,
        paid_at: row.paid_at,
        payment_reference: row.payment_reference,
    });
    Ok(rows.collect())
}

/// The lines of an invoice, in their order.
pub(crate) async fn lines(
    connection: &mut PgConnection,
    organization: Uuid,
    invoice: Uuid,
) -> Result<Vec<LineRow>, Error> {
    let rows = sqlx::query!(
        "
        SELECT breakdown, kind, department_id, provider, model, service, token_class, quantity, unit_price_usd, exact_usd
             , amount_usd
          FROM metering.invoice_lines
         WHERE organization_id = $1
           AND invoice_id = $2
         ORDER BY breakdown, position
        ",
        organization,
        invoice,
    )
    .fetch_all(connection)
    .await?;
    let lines = rows.into_iter().map(|row| LineRow {
        breakdown: row.breakdown,
        kind: row.kind,
        department: row.department_id,
        provider: row.provider,
        model: row.model,
        service: row.service,
        token_class: row.token_class,
        quantity: row.quantity,
        unit_price: row.unit_price_usd,
        exact: Usd::new(row.exact_usd),
        amount: row.amount_usd,
    });
    Ok(lines.collect())
}

/// Locks an invoice by its number; whose it is, and what it comes to.
pub(crate) async fn lock(
    connection: &mut PgConnection,
    number: &str,
) -> Result<Option<(Id<Organization>, NaiveDate, Decimal, Uuid)>, Error> {
    let row = sqlx::query!(
        "SELECT id, organization_id, period_end, total_usd FROM metering.invoices WHERE number = $1 FOR UPDATE",
        number,
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| {
        (
            Id::from_uuid(row.organization_id),
            row.period_end,
            row.total_usd,
            row.id,
        )
    }))
}

/// Says that it is paid.
pub(crate) async fn pay(
    connection: &mut PgConnection,
    number: &str,
    at: DateTime<Utc>,
    reference: &str,
) -> Result<u64, Error> {
    let paid = sqlx::query!(
        "
        UPDATE metering.invoices
           SET paid_at = $2, payment_reference = $3
         WHERE number = $1
           AND paid_at IS NULL
        ",
        number,
        at,
        reference,
    )
    .execute(connection)
    .await?;
    Ok(paid.rows_affected())
}
