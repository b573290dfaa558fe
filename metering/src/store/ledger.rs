//! Posting: requests, usage events, totals and quotas in one transaction, from the rows that were really inserted.
//!
//! The order of the steps is the order of the locks, the same on every node: billing periods, then who was active, then days, then roll-ups,
//! then quotas, each sorted by organization. Quotas come last, because the request path waits for them.

use std::collections::{BTreeMap, HashSet};

use chrono::NaiveDate;
use database::{Bulkhead, Database, Error};
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use super::leases::{self, Alert, bigint};
use super::totals::{self, Totals};
use super::watermarks::{self, Report};
use crate::failpoint;
use crate::price::PriceBook;
use crate::shipper::booking::{Booking, EventRow, RequestRow};
use crate::text::fit;

/// Widths of the columns, in characters; longer texts are cut rather than refused.
pub(crate) const MODEL_MAX: usize = 255;
pub(crate) const PROVIDER_MAX: usize = 100;
const ERROR_KIND_MAX: usize = 50;

/// Books what is not booked yet. How many usage events were new.
pub(crate) async fn post(
    database: &Database,
    bookings: &[Booking],
    prices: &PriceBook,
    report: &Report,
) -> Result<usize, Error> {
    // Sorted before they become rows, which are large to move.
    let mut bookings: Vec<_> = bookings.iter().collect();
    bookings.sort_by_key(|booking| booking.place());
    let mut requests = Vec::with_capacity(bookings.len());
    requests.extend(bookings.iter().filter_map(|it| it.request_row()));
    let mut events = Vec::with_capacity(bookings.len() * 2);
    events.extend(bookings.iter().flat_map(|it| it.event_rows()));
    let (requests, events) = (requests.as_slice(), events.as_slice());

    let posted = database.worker("ledger: post", Bulkhead::Workers, |tx| {
        let rows = (requests, events);
        Box::pin(post_in(tx.connection(), rows, prices, report))
    });
    let (events, alerts) = posted.await?;
    alerts.iter().for_each(Alert::raise);
    Ok(events)
}

async fn post_in(
    connection: &mut PgConnection,
    (requests, events): (&[RequestRow<'_>], &[EventRow<'_>]),
    prices: &PriceBook,
    report: &Report,
) -> Result<(usize, Vec<Alert>), Error> {
    let months = totals::months(events);
    let billed = totals::open_periods(connection, &months).await?;
    insert_requests(connection, requests).await?;
    let known = insert_events(connection, events, &billed).await?;
    sum_attempts(connection, requests).await?;

    let new: Vec<_> = events
        .iter()
        .filter(|event| !known.contains(&event.id.uuid()))
        .collect();
    let totals = Totals::of(&new, &billed, prices);
    totals.post(connection).await?;
    let alerts = leases::settle(connection, &new).await?;
    watermarks::put_in(connection, report).await?;
    failpoint::pass("shipper.posting");
    Ok((new.len(), alerts))
}

/// A request that took several attempts shows what all of them used: the earlier ones are booked before the last, or with it.
async fn sum_attempts(connection: &mut PgConnection, rows: &[RequestRow<'_>]) -> Result<(), Error> {
    let several: Vec<_> = rows.iter().filter(|row| row.attempts > 1).collect();
    if several.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "
        WITH used AS (
            SELECT event.request_id
                 , event.created_at
                 , sum(event.input_tokens)::bigint AS input_tokens
                 , sum(event.output_tokens)::bigint AS output_tokens
                 , sum(event.cache_read_tokens)::bigint AS cache_read_tokens
                 , sum(event.cache_write_5m_tokens + event.cache_write_1h_tokens)::bigint AS cache_write_tokens
                 , sum(event.reasoning_tokens)::bigint AS reasoning_tokens
                 , sum(event.cost_usd) AS cost_usd
              FROM unnest($1::uuid[], $2::timestamptz[]) AS several (id, created_at)
              JOIN usage_events AS event
                ON event.request_id = several.id
               AND event.created_at = several.created_at
               AND event.event_type = 'ai_request'
             GROUP BY event.request_id, event.created_at
        )
        UPDATE ai_requests AS request
           SET prompt_tokens = used.input_tokens
             , completion_tokens = used.output_tokens
             , total_tokens = used.input_tokens + used.output_tokens
             , cache_read_tokens = used.cache_read_tokens
             , cache_write_tokens = used.cache_write_tokens
             , reasoning_tokens = used.reasoning_tokens
             , cost_usd = used.cost_usd
          FROM used
         WHERE request.id = used.request_id
           AND request.created_at = used.created_at
        ",
        &column!(several, row => row.subject.request_id) as _,
        &column!(several, row => row.subject.created_at()) as _,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Whether a row's content made PostgreSQL refuse it, so that trying again is of no use.
///
/// Everything else, a missing right or a full disk as well as a lost connection, is somebody's to repair and then succeeds.
pub(crate) fn is_fault_of_a_row(error: &Error) -> bool {
    match error {
        Error::ForeignKey { .. }
        | Error::Check { .. }
        | Error::NotNull { .. }
        | Error::Unique { .. }
        | Error::Exclusion { .. }
        | Error::Inconsistent { .. } => true,
        // Class 22 is "data exception": a text, number or date that does not fit.
        Error::Other(cause) => cause.sqlstate().is_some_and(|code| code.starts_with("22")),
        _ => false,
    }
}

async fn insert_requests(
    connection: &mut PgConnection,
    rows: &[RequestRow<'_>],
) -> Result<(), Error> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "
        INSERT INTO ai_requests
               ( id, created_at, organization_id, model, prompt_text, prompt_tokens, completion_text, completion_tokens
               , total_tokens, temperature, status, error_message, latency_ms, cost_usd, completed_at, api_key_id, user_id
               , department_id, workflow_id, execution_id, step_id, endpoint, dialect, provider, provider_model, stream
               , attempts, cache_read_tokens, cache_write_tokens, reasoning_tokens, saved_cost_usd, cache_status
               , usage_source, error_kind, time_to_first_token_ms, tags )
        SELECT *
          FROM unnest( $1::uuid[], $2::timestamptz[], $3::uuid[], $4::text[], $5::text[], $6::bigint[], $7::text[], $8::bigint[]
                     , $9::bigint[], $10::numeric[], $11::text[], $12::text[], $13::bigint[], $14::numeric[], $15::timestamptz[]
                     , $16::uuid[], $17::uuid[], $18::uuid[], $19::uuid[], $20::uuid[], $21::uuid[], $22::text[], $23::text[]
                     , $24::text[], $25::text[], $26::boolean[], $27::integer[], $28::bigint[], $29::bigint[], $30::bigint[]
                     , $31::numeric[], $32::text[], $33::text[], $34::text[], $35::bigint[], $36::jsonb[] )
            ON CONFLICT DO NOTHING
        ",
        &column!(rows, row => row.subject.request_id) as _,
        &column!(rows, row => row.subject.created_at()) as _,
        &column!(rows, row => row.subject.organization) as _,
        &column!(rows, row => fit(&row.subject.model, MODEL_MAX)) as _,
        &column!(rows, row => row.subject.prompt_text.as_str()) as _,
        &column!(rows, row => bigint(row.usage.input_tokens)) as _,
        &column!(rows, row => row.completion_text) as _,
        &column!(rows, row => bigint(row.usage.output_tokens)) as _,
        &column!(rows, row => bigint(row.usage.total_tokens())) as _,
        &column!(rows, row => row.temperature) as _,
        &column!(rows, row => row.status) as _,
        &column!(rows, row => row.error_message) as _,
        &column!(rows, row => row.latency_ms) as _,
        &column!(rows, row => row.cost.decimal()) as _,
        &column!(rows, row => row.completed_at) as _,
        &column!(rows, row => row.subject.api_key) as _,
        &column!(rows, row => row.subject.user) as _,
        &column!(rows, row => row.subject.department) as _,
        &column!(rows, row => row.subject.workflow) as _,
        &column!(rows, row => row.subject.execution) as _,
        &column!(rows, row => row.subject.step) as _,
        &column!(rows, row => &*row.subject.endpoint) as _,
        &column!(rows, row => &*row.subject.dialect) as _,
        &column!(rows, row => fit(&row.subject.provider, PROVIDER_MAX)) as _,
        &column!(rows, row => fit(row.provider_model, MODEL_MAX)) as _,
        &column!(rows, row => row.subject.stream) as _,
        &column!(rows, row => row.attempts) as _,
        &column!(rows, row => bigint(row.usage.cache_read_tokens)) as _,
        &column!(rows, row => bigint(row.usage.cache_write_5m_tokens + row.usage.cache_write_1h_tokens)) as _,
        &column!(rows, row => bigint(row.usage.reasoning_tokens)) as _,
        &column!(rows, row => row.saved_cost.decimal()) as _,
        &column!(rows, row => row.subject.cache_status.as_deref()) as _,
        &column!(rows, row => row.usage_source) as _,
        &column!(rows, row => row.error_kind.map(|kind| fit(kind, ERROR_KIND_MAX))) as _,
        &column!(rows, row => row.time_to_first_token_ms) as _,
        &column!(rows, row => Json(&row.subject.tags)) as _,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Inserts what is not there yet, and says which were known already: nearly always none, so that nothing is sent back.
async fn insert_events(
    connection: &mut PgConnection,
    rows: &[EventRow<'_>],
    billed: &BTreeMap<(Uuid, NaiveDate), NaiveDate>,
) -> Result<HashSet<Uuid>, Error> {
    let known = sqlx::query_scalar!(
        r#"
        WITH new AS (
            INSERT INTO usage_events
                   ( id, created_at, organization_id, event_type, quantity, cost_usd, metadata, request_id, attempt, outcome
                   , provider, model, api_key_id, user_id, department_id, workflow_id, input_tokens, cache_read_tokens
                   , cache_write_5m_tokens, cache_write_1h_tokens, audio_input_tokens, image_tokens, output_tokens
                   , reasoning_tokens, audio_output_tokens, web_searches, saved_cost_usd, price_id, usage_source, charge_to
                   , lease_id, tags, billed_period )
            SELECT *
              FROM unnest( $1::uuid[], $2::timestamptz[], $3::uuid[], $4::text[], $5::bigint[], $6::numeric[], $7::jsonb[], $8::uuid[]
                         , $9::integer[], $10::text[], $11::text[], $12::text[], $13::uuid[], $14::uuid[], $15::uuid[], $16::uuid[]
                         , $17::bigint[], $18::bigint[], $19::bigint[], $20::bigint[], $21::bigint[], $22::bigint[], $23::bigint[]
                         , $24::bigint[], $25::bigint[], $26::bigint[], $27::numeric[], $28::uuid[], $29::text[], $30::text[]
                         , $31::uuid[], $32::jsonb[], $33::date[] )
                ON CONFLICT DO NOTHING
            RETURNING id
        )
        SELECT sent.id AS "id!" -- of an array, which holds no nulls
          FROM unnest($1::uuid[]) AS sent (id)
         WHERE NOT EXISTS (SELECT FROM new WHERE new.id = sent.id)
        "#,
        &column!(rows, row => row.id.uuid()) as _,
        &column!(rows, row => row.subject.created_at()) as _,
        &column!(rows, row => row.subject.organization) as _,
        &column!(rows, row => row.kind.as_str()) as _,
        &column!(rows, row => row.quantity) as _,
        &column!(rows, row => row.cost.decimal()) as _,
        &column!(rows, row => Json(&row.metadata)) as _,
        &column!(rows, row => row.subject.request_id) as _,
        &column!(rows, row => row.attempt) as _,
        &column!(rows, row => row.outcome) as _,
        &column!(rows, row => fit(&row.subject.provider, PROVIDER_MAX)) as _,
        &column!(rows, row => fit(row.provider_model, MODEL_MAX)) as _,
        &column!(rows, row => row.subject.api_key) as _,
        &column!(rows, row => row.subject.user) as _,
        &column!(rows, row => row.subject.department) as _,
        &column!(rows, row => row.subject.workflow) as _,
        &column!(rows, row => bigint(row.usage.input_tokens)) as _,
        &column!(rows, row => bigint(row.usage.cache_read_tokens)) as _,
        &column!(rows, row => bigint(row.usage.cache_write_5m_tokens)) as _,
        &column!(rows, row => bigint(row.usage.cache_write_1h_tokens)) as _,
        &column!(rows, row => bigint(row.usage.audio_input_tokens)) as _,
        &column!(rows, row => bigint(row.usage.image_tokens)) as _,
        &column!(rows, row => bigint(row.usage.output_tokens)) as _,
        &column!(rows, row => bigint(row.usage.reasoning_tokens)) as _,
        &column!(rows, row => bigint(row.usage.audio_output_tokens)) as _,
        &column!(rows, row => bigint(row.usage.web_searches)) as _,
        &column!(rows, row => row.saved_cost.decimal()) as _,
        &column!(rows, row => row.price) as _,
        &column!(rows, row => row.usage_source) as _,
        &column!(rows, row => row.charge_to) as _,
        &column!(rows, row => row.lease) as _,
        &column!(rows, row => Json(&row.subject.tags)) as _,
        &column!(rows, row => billed_period(row, billed)) as _,
    )
    .fetch_all(connection)
    .await?;
    Ok(known.into_iter().collect())
}

/// The period that takes an event, where its own was closed already.
fn billed_period(
    row: &EventRow<'_>,
    billed: &BTreeMap<(Uuid, NaiveDate), NaiveDate>,
) -> Option<NaiveDate> {
    let own = totals::month_of(row);
    let period = billed.get(&(row.subject.organization, own)).copied();
    period.filter(|period| *period > own)
}
