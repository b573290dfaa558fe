//! `metering.prices` and `metering.price_rates`: every price by its id.

use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use config::prices::{Rates, Service, Tier};
use database::{Bulkhead, Database, Error};
use rust_decimal::Decimal;
use sqlx::PgConnection;
use types::Id;
use types::money::UsdPerMillion;
use uuid::Uuid;

use super::leases::bigint;
use crate::price::{Price, TablePrice, Terms};

/// The operator's; the others stand in the table only to be found by their ids.
pub(crate) const OPERATOR: &str = "operator";
const LIST: &str = "list";

/// A price as people see it.
#[derive(Debug, Clone)]
pub(crate) struct PriceRow {
    pub(crate) price: Price,
    pub(crate) origin: String,
    /// Withdrawn: it holds at no moment.
    pub(crate) is_empty: bool,
    pub(crate) created_by: Option<Uuid>,
    pub(crate) created_at: DateTime<Utc>,
}

/// Which prices are listed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Choice {
    pub(crate) id: Option<Uuid>,
    pub(crate) organization: Option<Uuid>,
    pub(crate) provider: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) origin: Option<&'static str>,
    /// Those that hold at some moment after it.
    pub(crate) after: Option<DateTime<Utc>>,
}

/// One set of rates with the price it belongs to.
struct Row {
    id: Uuid,
    organization_id: Option<Uuid>,
    origin: String,
    provider: String,
    model: String,
    begins_at: Option<DateTime<Utc>>,
    ends_at: Option<DateTime<Utc>>,
    is_empty: bool,
    web_search_usd: Option<Decimal>,
    source: String,
    source_date: Option<NaiveDate>,
    created_by: Option<Uuid>,
    created_at: DateTime<Utc>,
    service: String,
    input_tokens_over: i64,
    input_usd: Decimal,
    output_usd: Decimal,
    cache_read_usd: Option<Decimal>,
    cache_write_5m_usd: Option<Decimal>,
    cache_write_1h_usd: Option<Decimal>,
    reasoning_usd: Option<Decimal>,
    audio_input_usd: Option<Decimal>,
    audio_output_usd: Option<Decimal>,
    image_input_usd: Option<Decimal>,
}

/// How often prices changed.
pub(crate) async fn epoch(database: &Database) -> Result<i64, Error> {
    database
        .worker("prices: look", Bulkhead::Workers, |tx| {
            Box::pin(async move {
                let epoch = sqlx::query_scalar!("SELECT epoch FROM metering.price_epoch");
                Ok(epoch.fetch_one(tx.connection()).await?)
            })
        })
        .await
}

/// All prices for the book.
pub(crate) async fn table(database: &Database) -> Result<Vec<TablePrice>, Error> {
    let rows = database
        .worker("prices: read", Bulkhead::Workers, |tx| {
            Box::pin(async move { list(tx.connection(), &Choice::default()).await })
        })
        .await?;
    let prices = rows.into_iter().map(|row| TablePrice {
        in_force: row.origin == OPERATOR && !row.is_empty,
        price: Arc::new(row.price),
    });
    Ok(prices.collect())
}

/// The prices that were chosen, by provider, model and beginning.
pub(crate) async fn list(
    connection: &mut PgConnection,
    choice: &Choice,
) -> Result<Vec<PriceRow>, Error> {
    let rows = sqlx::query_as!(
        Row,
        r#"
        SELECT price.id, price.organization_id, price.origin, price.provider, price.model
             , lower(price.valid) AS begins_at
             , upper(price.valid) AS ends_at
             , isempty(price.valid) AS "is_empty!" -- of a column that is never null
             , price.web_search_usd, price.source, price.source_date, price.created_by, price.created_at
             , rates.service, rates.input_tokens_over, rates.input_usd, rates.output_usd, rates.cache_read_usd
             , rates.cache_write_5m_usd, rates.cache_write_1h_usd, rates.reasoning_usd, rates.audio_input_usd
             , rates.audio_output_usd, rates.image_input_usd
          FROM metering.prices AS price
          JOIN metering.price_rates AS rates ON rates.price_id = price.id
         WHERE ($1::uuid IS NULL OR price.id = $1)
           AND ($2::uuid IS NULL OR price.organization_id = $2)
           AND ($3::text IS NULL OR price.provider = $3)
           AND ($4::text IS NULL OR price.model = $4)
           AND ($5::text IS NULL OR price.origin = $5)
           AND ($6::timestamptz IS NULL OR price.valid && tstzrange($6, NULL))
         ORDER BY price.provider, price.model, lower(price.valid) NULLS FIRST, price.created_at, price.id
             , rates.service, rates.input_tokens_over
        "#,
        choice.id,
        choice.organization,
        choice.provider,
        choice.model,
        choice.origin,
        choice.after,
    )
    .fetch_all(connection)
    .await?;
    rows.chunk_by(|one, other| one.id == other.id)
        .map(price_of)
        .collect()
}

/// Ends what holds from a moment on of one model's prices; how many there were.
pub(crate) async fn end(connection: &mut PgConnection, price: &Price) -> Result<u64, Error> {
    let listed = price.listed();
    let ended = sqlx::query!(
        "
        UPDATE metering.prices
           SET valid = valid * tstzrange(NULL, $4)
         WHERE origin = 'operator'
           AND organization_id IS NOT DISTINCT FROM $1
           AND provider = $2
           AND model = $3
           AND valid && tstzrange($4, NULL)
        ",
        price.organization().map(|id| id.uuid()),
        listed.provider,
        listed.model,
        price.begins_at(),
    )
    .execute(connection)
    .await?;
    Ok(ended.rows_affected())
}

/// Adds a price of the operator.
pub(crate) async fn insert(
    connection: &mut PgConnection,
    price: &Price,
    created_by: Option<Uuid>,
) -> Result<(), Error> {
    insert_all(connection, &[(price, None)], OPERATOR, created_by).await
}

/// Keeps every price of a list under its id; those that are there already stay.
pub(crate) async fn keep_list(database: &Database, prices: &[Price]) -> Result<(), Error> {
    database
        .worker("prices: keep the list", Bulkhead::Workers, |tx| {
            Box::pin(keep_list_in(tx.connection(), prices))
        })
        .await
}

async fn keep_list_in(connection: &mut PgConnection, prices: &[Price]) -> Result<(), Error> {
    let ids: Vec<_> = prices.iter().map(Price::id).collect();
    let known = sqlx::query_scalar!("SELECT id FROM metering.prices WHERE id = ANY ($1)", &ids)
        .fetch_all(&mut *connection)
        .await?;
    let known: std::collections::HashSet<_> = known.into_iter().collect();
    // A history is in its order: the next one of the same model ends what is before it.
    let next = prices.iter().skip(1).map(Some).chain([None]);
    let missing: Vec<_> = prices
        .iter()
        .zip(next)
        .filter(|(price, _)| !known.contains(&price.id()))
        .map(|(price, next)| {
            let next = next.filter(|next| is_same_model(price, next));
            (price, next.and_then(Price::begins_at))
        })
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    insert_all(connection, &missing, LIST, None).await
}

fn is_same_model(one: &Price, other: &Price) -> bool {
    let (one, other) = (one.listed(), other.listed());
    one.provider == other.provider && one.model == other.model
}

/// Inserts prices, each with its end, and then their rates.
async fn insert_all(
    connection: &mut PgConnection,
    prices: &[(&Price, Option<DateTime<Utc>>)],
    origin: &str,
    created_by: Option<Uuid>,
) -> Result<(), Error> {
    let inserted = sqlx::query_scalar!(
        "
        INSERT INTO metering.prices
               (id, organization_id, origin, provider, model, valid, web_search_usd, source, source_date, created_by)
        SELECT new.id, new.organization_id, $10, new.provider, new.model, tstzrange(new.begins_at, new.ends_at)
             , new.web_search_usd, new.source, new.source_date, $11
          FROM unnest( $1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[], $7::numeric[]
                     , $8::text[], $9::date[] )
               AS new (id, organization_id, provider, model, begins_at, ends_at, web_search_usd, source, source_date)
         ORDER BY new.id
            ON CONFLICT (id) DO NOTHING
        RETURNING id
        ",
        &column!(prices, row => row.0.id()) as _,
        &column!(prices, row => row.0.organization().map(|id| id.uuid())) as _,
        &column!(prices, row => row.0.listed().provider.as_str()) as _,
        &column!(prices, row => row.0.listed().model.as_str()) as _,
        &column!(prices, row => row.0.begins_at()) as _,
        &column!(prices, row => row.1) as _,
        &column!(prices, row => row.0.listed().web_search.map(|usd| usd.decimal())) as _,
        &column!(prices, row => row.0.listed().source.as_str()) as _,
        &column!(prices, row => row.0.listed().source_date) as _,
        origin,
        created_by,
    )
    .fetch_all(&mut *connection)
    .await?;
    // Another gateway that starts at the same time may have been first; then its rates are there too.
    let rates: Vec<_> = prices
        .iter()
        .filter(|(price, _)| inserted.contains(&price.id()))
        .flat_map(|(price, _)| tiers(price).into_iter().map(|tier| (price.id(), tier)))
        .collect();
    insert_rates(connection, &rates).await
}

async fn insert_rates(connection: &mut PgConnection, rows: &[(Uuid, Tier)]) -> Result<(), Error> {
    sqlx::query!(
        "
        INSERT INTO metering.price_rates
               ( price_id, service, input_tokens_over, input_usd, output_usd, cache_read_usd, cache_write_5m_usd
               , cache_write_1h_usd, reasoning_usd, audio_input_usd, audio_output_usd, image_input_usd )
        SELECT *
          FROM unnest( $1::uuid[], $2::text[], $3::bigint[], $4::numeric[], $5::numeric[], $6::numeric[], $7::numeric[]
                     , $8::numeric[], $9::numeric[], $10::numeric[], $11::numeric[], $12::numeric[] )
        ",
        &column!(rows, row => row.0) as _,
        &column!(rows, row => row.1.service.as_str()) as _,
        &column!(rows, row => bigint(row.1.input_tokens_over)) as _,
        &column!(rows, row => row.1.rates.input.decimal()) as _,
        &column!(rows, row => row.1.rates.output.decimal()) as _,
        &column!(rows, row => row.1.rates.cache_read.map(|usd| usd.decimal())) as _,
        &column!(rows, row => row.1.rates.cache_write.map(|usd| usd.decimal())) as _,
        &column!(rows, row => row.1.rates.cache_write_1h.map(|usd| usd.decimal())) as _,
        &column!(rows, row => row.1.rates.reasoning.map(|usd| usd.decimal())) as _,
        &column!(rows, row => row.1.rates.audio_input.map(|usd| usd.decimal())) as _,
        &column!(rows, row => row.1.rates.audio_output.map(|usd| usd.decimal())) as _,
        &column!(rows, row => row.1.rates.image_input.map(|usd| usd.decimal())) as _,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// All rates of a price: the standard ones for every length, and its tiers.
fn tiers(price: &Price) -> Vec<Tier> {
    let listed = price.listed();
    let is_base = |tier: &Tier| tier.service == Service::Standard && tier.input_tokens_over == 0;
    let mut tiers = listed.tiers.clone();
    // A tier that holds for all leaves nothing for the standard rates to say.
    if !tiers.iter().any(is_base) {
        tiers.push(Tier {
            service: Service::Standard,
            input_tokens_over: 0,
            rates: listed.rates,
        });
    }
    tiers
}

/// The rows of one price are never none.
fn price_of(rows: &[Row]) -> Result<PriceRow, Error> {
    let tiers: Vec<Tier> = rows.iter().map(tier_of).collect::<Result<_, _>>()?;
    let base = tiers
        .iter()
        .position(|tier| tier.service == Service::Standard && tier.input_tokens_over == 0);
    let (Some(row), Some(base)) = (rows.first(), base) else {
        let id = rows.first().map(|row| row.id.to_string());
        return Err(inconsistent("service", id.unwrap_or_default()));
    };
    let mut tiers = tiers;
    let base = tiers.swap_remove(base);
    let terms = Terms {
        id: row.id,
        organization: row.organization_id.map(Id::from_uuid),
        begins_at: row.begins_at,
        ends_at: row.ends_at,
    };
    let listed = config::Price {
        provider: row.provider.clone(),
        model: row.model.clone(),
        effective_from: None,
        rates: base.rates,
        tiers,
        web_search: optional(row, "web_search_usd", row.web_search_usd)?,
        input_tokens_max: None,
        output_tokens_max: None,
        deprecates: None,
        source: row.source.clone(),
        source_date: row.source_date,
        sources_agree: None,
    };
    Ok(PriceRow {
        price: Price::of_table(terms, listed),
        origin: row.origin.clone(),
        is_empty: row.is_empty,
        created_by: row.created_by,
        created_at: row.created_at,
    })
}

fn tier_of(row: &Row) -> Result<Tier, Error> {
    let id = || row.id.to_string();
    let input_tokens_over = u64::try_from(row.input_tokens_over);
    Ok(Tier {
        service: Service::parse(&row.service).ok_or_else(|| inconsistent("service", id()))?,
        input_tokens_over: input_tokens_over
            .map_err(|_| inconsistent("input_tokens_over", id()))?,
        rates: Rates {
            input: rate(row, "input_usd", row.input_usd)?,
            output: rate(row, "output_usd", row.output_usd)?,
            cache_read: optional(row, "cache_read_usd", row.cache_read_usd)?,
            cache_write: optional(row, "cache_write_5m_usd", row.cache_write_5m_usd)?,
            cache_write_1h: optional(row, "cache_write_1h_usd", row.cache_write_1h_usd)?,
            reasoning: optional(row, "reasoning_usd", row.reasoning_usd)?,
            audio_input: optional(row, "audio_input_usd", row.audio_input_usd)?,
            audio_output: optional(row, "audio_output_usd", row.audio_output_usd)?,
            image_input: optional(row, "image_input_usd", row.image_input_usd)?,
        },
    })
}

fn rate(row: &Row, column: &'static str, usd: Decimal) -> Result<UsdPerMillion, Error> {
    UsdPerMillion::new(usd).map_err(|_| inconsistent(column, row.id.to_string()))
}

fn optional(
    row: &Row,
    column: &'static str,
    usd: Option<Decimal>,
) -> Result<Option<UsdPerMillion>, Error> {
    usd.map(|usd| rate(row, column, usd)).transpose()
}

const fn inconsistent(column: &'static str, id: String) -> Error {
    Error::Inconsistent {
        table: "metering.prices",
        column,
        id,
    }
}
