//! `metering.markups`: what organizations pay on top of providers' prices.

use chrono::NaiveDate;
use database::Error;
use rust_decimal::Decimal;
use sqlx::PgConnection;
use types::Id;
use types::id::Organization;
use uuid::Uuid;

/// A mark-up.
#[derive(Debug, Clone)]
pub(crate) struct MarkupRow {
    pub(crate) id: Uuid,
    pub(crate) organization: Uuid,
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) rate: Decimal,
    pub(crate) first_period: NaiveDate,
    pub(crate) end_period: Option<NaiveDate>,
}

/// Mark-ups by organization, name and month; those that are in one billing period, if one is named.
pub(crate) async fn list(
    connection: &mut PgConnection,
    organization: Option<Id<Organization>>,
    period: Option<NaiveDate>,
) -> Result<Vec<MarkupRow>, Error> {
    let rows = sqlx::query_as!(
        MarkupRow,
        "
        SELECT id, organization_id AS organization, name, kind, rate, first_period, end_period
          FROM metering.markups
         WHERE ($1::uuid IS NULL OR organization_id = $1)
           AND ($2::date IS NULL OR daterange(first_period, end_period) @> $2)
         ORDER BY organization_id, name, first_period, created_at
        ",
        organization.map(|id| id.uuid()),
        period,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

/// Ends what one of this name was to be from a month on.
pub(crate) async fn end(connection: &mut PgConnection, markup: &MarkupRow) -> Result<(), Error> {
    sqlx::query!(
        "
        UPDATE metering.markups
           SET end_period = greatest(first_period, $3)
         WHERE organization_id = $1
           AND name = $2
           AND daterange(first_period, end_period) && daterange($3, NULL)
        ",
        markup.organization,
        markup.name,
        markup.first_period,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Adds one.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    markup: &MarkupRow,
    created_by: Option<Uuid>,
) -> Result<(), Error> {
    sqlx::query!(
        "
        INSERT INTO metering.markups (id, organization_id, name, kind, rate, first_period, created_by)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        ",
        markup.id,
        markup.organization,
        markup.name,
        markup.kind,
        markup.rate,
        markup.first_period,
        created_by,
    )
    .execute(connection)
    .await?;
    Ok(())
}
