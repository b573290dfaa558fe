//! Totals that grow with every posting: billing periods, days, and the roll-up that reports read.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Datelike, Months, NaiveDate};
use database::{Error, ensure_affected};
use rust_decimal::Decimal;
use sqlx::PgConnection;
use types::Usd;
use uuid::Uuid;

use crate::record::ChargeTo;
use crate::shipper::booking::{EventKind, EventRow};
use crate::text::fit;

/// Closed periods in a row after which something is wrong: a century.
const PERIODS_MAX: usize = 1_200;

/// The sums of some events.
#[derive(Debug, Default)]
pub(super) struct Totals<'a> {
    periods: BTreeMap<(Uuid, NaiveDate), Sum>,
    days: BTreeMap<(Uuid, NaiveDate), Sum>,
    rollup: BTreeMap<Dimensions<'a>, Counts>,
}

#[derive(Debug, Default)]
struct Sum {
    requests: i64,
    tokens: i64,
    calls: i64,
    cost: Usd,
}

/// A row of `metering.usage_rollup`.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Dimensions<'a> {
    organization: Uuid,
    day: NaiveDate,
    kind: EventKind,
    provider: Option<&'a str>,
    model: Option<&'a str>,
    api_key: Option<Uuid>,
    usage_source: Option<&'a str>,
    charge_to: &'a str,
}

#[derive(Debug, Default)]
struct Counts {
    events: i64,
    quantity: i64,
    input_tokens: i64,
    cache_read_tokens: i64,
    cache_write_tokens: i64,
    output_tokens: i64,
    reasoning_tokens: i64,
    cost: Usd,
    saved_cost: Usd,
}

/// The first day of an event's month, by UTC.
pub(super) fn month_of(event: &EventRow<'_>) -> NaiveDate {
    let day = event.subject.created_at().date_naive();
    day.with_day(1).unwrap_or(day)
}

/// The months that events belong to, by organization.
pub(super) fn months(events: &[EventRow<'_>]) -> BTreeSet<(Uuid, NaiveDate)> {
    let events = events.iter().filter(|event| is_billed(event));
    events
        .map(|event| (event.subject.organization, month_of(event)))
        .collect()
}

fn is_billed(event: &EventRow<'_>) -> bool {
    event.charge_to == ChargeTo::Tenant.as_str()
}

/// For each month the billing period that takes its events: its own, or the first later one that is not closed.
pub(super) async fn open_periods(
    connection: &mut PgConnection,
    months: &BTreeSet<(Uuid, NaiveDate)>,
) -> Result<BTreeMap<(Uuid, NaiveDate), NaiveDate>, Error> {
    create_periods(connection, months).await?;
    let mut open = find_open(connection, months).await?;
    for _ in 0..PERIODS_MAX {
        let closed: BTreeSet<_> = months
            .iter()
            .filter(|month| !open.contains_key(month))
            .copied()
            .collect();
        if closed.is_empty() {
            break;
        }
        // Rare: the month is invoiced and the next one has not begun.
        create_next_periods(connection, &closed).await?;
        open.extend(find_open(connection, &closed).await?);
    }
    Ok(open)
}

async fn create_periods(
    connection: &mut PgConnection,
    months: &BTreeSet<(Uuid, NaiveDate)>,
) -> Result<(), Error> {
    let (organizations, starts) = unzip(months);
    let ends: Vec<_> = starts.iter().map(|start| *start + Months::new(1)).collect();
    sqlx::query!(
        "
        INSERT INTO billing_usage (organization_id, billing_period_start, billing_period_end)
        SELECT organization_id, period_start, period_end
          FROM unnest($1::uuid[], $2::date[], $3::date[]) AS wanted (organization_id, period_start, period_end)
         ORDER BY organization_id, period_start
            ON CONFLICT DO NOTHING
        ",
        &organizations,
        &starts,
        &ends,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// A month after the last period of each organization.
async fn create_next_periods(
    connection: &mut PgConnection,
    months: &BTreeSet<(Uuid, NaiveDate)>,
) -> Result<(), Error> {
    let (organizations, _) = unzip(months);
    sqlx::query!(
        "
        INSERT INTO billing_usage (organization_id, billing_period_start, billing_period_end)
        SELECT organization_id
             , max(billing_period_end)
             , (max(billing_period_end) + interval '1 month')::date
          FROM billing_usage
         WHERE organization_id = ANY ($1)
         GROUP BY organization_id
         ORDER BY organization_id
            ON CONFLICT DO NOTHING
        ",
        &organizations,
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn find_open(
    connection: &mut PgConnection,
    months: &BTreeSet<(Uuid, NaiveDate)>,
) -> Result<BTreeMap<(Uuid, NaiveDate), NaiveDate>, Error> {
    let (organizations, starts) = unzip(months);
    let rows = sqlx::query!(
        r#"
        SELECT wanted.organization_id AS "organization_id!" -- of the arrays, which hold no nulls
             , wanted.month AS "month!"
             , min(billing_usage.billing_period_start) AS "period!" -- of a group, which is never empty
          FROM unnest($1::uuid[], $2::date[]) AS wanted (organization_id, month)
          JOIN billing_usage
            ON billing_usage.organization_id = wanted.organization_id
           AND billing_usage.billing_period_end > wanted.month
           AND billing_usage.status = 'active'
         GROUP BY wanted.organization_id, wanted.month
        "#,
        &organizations,
        &starts,
    )
    .fetch_all(connection)
    .await?;
    let open = rows
        .into_iter()
        .map(|row| ((row.organization_id, row.month), row.period));
    Ok(open.collect())
}

fn unzip(months: &BTreeSet<(Uuid, NaiveDate)>) -> (Vec<Uuid>, Vec<NaiveDate>) {
    months.iter().copied().unzip()
}

impl<'a> Totals<'a> {
    /// Sums events; `billed` says which period takes a month's.
    pub(super) fn of(
        events: &[&'a EventRow<'a>],
        billed: &BTreeMap<(Uuid, NaiveDate), NaiveDate>,
    ) -> Self {
        let mut totals = Self::default();
        for event in events {
            let organization = event.subject.organization;
            let day = event.subject.created_at().date_naive();
            if is_billed(event) {
                let month = (organization, month_of(event));
                let period = billed.get(&month).copied().unwrap_or(month.1);
                totals
                    .periods
                    .entry((organization, period))
                    .or_default()
                    .add(event);
                totals
                    .days
                    .entry((organization, day))
                    .or_default()
                    .add(event);
            }
            let dimensions = Dimensions::of(event, day);
            totals.rollup.entry(dimensions).or_default().add(event);
        }
        totals
    }

    pub(super) async fn post(&self, connection: &mut PgConnection) -> Result<(), Error> {
        if self.rollup.is_empty() {
            return Ok(());
        }
        self.add_to_periods(connection).await?;
        self.add_to_days(connection).await?;
        self.add_to_rollup(connection).await
    }

    async fn add_to_periods(&self, connection: &mut PgConnection) -> Result<(), Error> {
        let (organizations, starts): (Vec<_>, Vec<_>) = self.periods.keys().copied().unzip();
        // One order of locks on every node; a period that was closed meanwhile makes the transaction start over.
        let locked = sqlx::query!(
            "
            SELECT billing_usage.id
              FROM billing_usage
              JOIN unnest($1::uuid[], $2::date[]) AS wanted (organization_id, period_start)
                ON billing_usage.organization_id = wanted.organization_id
               AND billing_usage.billing_period_start = wanted.period_start
             WHERE billing_usage.status = 'active'
             ORDER BY billing_usage.organization_id, billing_usage.billing_period_start
               FOR UPDATE OF billing_usage
            ",
            &organizations,
            &starts,
        )
        .fetch_all(&mut *connection)
        .await?;
        ensure_affected(locked.len() as u64, self.periods.len() as u64)?;

        let sums = || self.periods.values();
        let updated = sqlx::query!(
            "
            UPDATE billing_usage
               SET total_ai_tokens = billing_usage.total_ai_tokens + new.tokens
                 , total_api_calls = billing_usage.total_api_calls + new.calls
                 , total_cost_usd_exact = billing_usage.total_cost_usd_exact + new.cost
              FROM unnest($1::uuid[], $2::date[], $3::bigint[], $4::bigint[], $5::numeric[])
                   AS new (organization_id, period_start, tokens, calls, cost)
             WHERE billing_usage.organization_id = new.organization_id
               AND billing_usage.billing_period_start = new.period_start
            ",
            &organizations,
            &starts,
            &sums().map(|sum| sum.tokens).collect::<Vec<_>>(),
            &sums().map(|sum| sum.calls).collect::<Vec<_>>(),
            &sums()
                .map(|sum| sum.cost.decimal())
                .collect::<Vec<Decimal>>(),
        )
        .execute(connection)
        .await?;
        ensure_affected(updated.rows_affected(), self.periods.len() as u64)
    }

    async fn add_to_days(&self, connection: &mut PgConnection) -> Result<(), Error> {
        let (organizations, days): (Vec<_>, Vec<_>) = self.days.keys().copied().unzip();
        let sums = || self.days.values();
        let added = sqlx::query!(
            "
            INSERT INTO daily_metrics
                   (organization_id, metric_date, total_ai_requests, total_ai_tokens, total_ai_cost_usd, total_api_calls)
            SELECT organization_id, day, requests, tokens, cost, calls
              FROM unnest($1::uuid[], $2::date[], $3::bigint[], $4::bigint[], $5::numeric[], $6::bigint[])
                   AS new (organization_id, day, requests, tokens, cost, calls)
             ORDER BY organization_id, day
                ON CONFLICT (organization_id, metric_date) DO UPDATE
               SET total_ai_requests = daily_metrics.total_ai_requests + EXCLUDED.total_ai_requests
                 , total_ai_tokens = daily_metrics.total_ai_tokens + EXCLUDED.total_ai_tokens
                 , total_ai_cost_usd = daily_metrics.total_ai_cost_usd + EXCLUDED.total_ai_cost_usd
                 , total_api_calls = daily_metrics.total_api_calls + EXCLUDED.total_api_calls
            ",
            &organizations,
            &days,
            &sums().map(|sum| sum.requests).collect::<Vec<_>>(),
            &sums().map(|sum| sum.tokens).collect::<Vec<_>>(),
            &sums().map(|sum| sum.cost.decimal()).collect::<Vec<Decimal>>(),
            &sums().map(|sum| sum.calls).collect::<Vec<_>>(),
        )
        .execute(connection)
        .await?;
        ensure_affected(added.rows_affected(), self.days.len() as u64)
    }

    async fn add_to_rollup(&self, connection: &mut PgConnection) -> Result<(), Error> {
        let keys = || self.rollup.keys();
        let counts = || self.rollup.values();
        let added = sqlx::query!(
            "
            INSERT INTO metering.usage_rollup
                   ( organization_id, day, event_type, provider, model, api_key_id, usage_source, charge_to
                   , events, quantity, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens
                   , cost_usd, saved_cost_usd )
            SELECT *
              FROM unnest( $1::uuid[], $2::date[], $3::text[], $4::text[], $5::text[], $6::uuid[], $7::text[], $8::text[]
                         , $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[], $14::bigint[], $15::bigint[]
                         , $16::numeric[], $17::numeric[] )
                ON CONFLICT ON CONSTRAINT usage_rollup_key DO UPDATE
               SET events = usage_rollup.events + EXCLUDED.events
                 , quantity = usage_rollup.quantity + EXCLUDED.quantity
                 , input_tokens = usage_rollup.input_tokens + EXCLUDED.input_tokens
                 , cache_read_tokens = usage_rollup.cache_read_tokens + EXCLUDED.cache_read_tokens
                 , cache_write_tokens = usage_rollup.cache_write_tokens + EXCLUDED.cache_write_tokens
                 , output_tokens = usage_rollup.output_tokens + EXCLUDED.output_tokens
                 , reasoning_tokens = usage_rollup.reasoning_tokens + EXCLUDED.reasoning_tokens
                 , cost_usd = usage_rollup.cost_usd + EXCLUDED.cost_usd
                 , saved_cost_usd = usage_rollup.saved_cost_usd + EXCLUDED.saved_cost_usd
            ",
            &keys().map(|key| key.organization).collect::<Vec<_>>(),
            &keys().map(|key| key.day).collect::<Vec<_>>(),
            &keys().map(|key| key.kind.as_str()).collect::<Vec<_>>() as _,
            &keys().map(|key| key.provider).collect::<Vec<_>>() as _,
            &keys().map(|key| key.model).collect::<Vec<_>>() as _,
            &keys().map(|key| key.api_key).collect::<Vec<_>>() as _,
            &keys().map(|key| key.usage_source).collect::<Vec<_>>() as _,
            &keys().map(|key| key.charge_to).collect::<Vec<_>>() as _,
            &counts().map(|count| count.events).collect::<Vec<_>>(),
            &counts().map(|count| count.quantity).collect::<Vec<_>>(),
            &counts().map(|count| count.input_tokens).collect::<Vec<_>>(),
            &counts().map(|count| count.cache_read_tokens).collect::<Vec<_>>(),
            &counts().map(|count| count.cache_write_tokens).collect::<Vec<_>>(),
            &counts().map(|count| count.output_tokens).collect::<Vec<_>>(),
            &counts().map(|count| count.reasoning_tokens).collect::<Vec<_>>(),
            &counts().map(|count| count.cost.decimal()).collect::<Vec<Decimal>>(),
            &counts().map(|count| count.saved_cost.decimal()).collect::<Vec<Decimal>>(),
        )
        .execute(connection)
        .await?;
        ensure_affected(added.rows_affected(), self.rollup.len() as u64)
    }
}

impl Sum {
    fn add(&mut self, event: &EventRow<'_>) {
        self.cost = self.cost + event.cost;
        match event.kind {
            EventKind::AiRequest => {
                self.requests += 1;
                self.tokens = self.tokens.saturating_add(event.quantity);
            }
            EventKind::ApiCall => self.calls += event.quantity,
        }
    }
}

impl<'a> Dimensions<'a> {
    fn of(event: &'a EventRow<'a>, day: NaiveDate) -> Self {
        let told_apart = event.kind == EventKind::AiRequest;
        Self {
            organization: event.subject.organization,
            day,
            kind: event.kind,
            provider: told_apart.then(|| fit(&event.subject.provider, super::ledger::PROVIDER_MAX)),
            model: told_apart.then(|| fit(event.provider_model, super::ledger::MODEL_MAX)),
            api_key: event.subject.api_key,
            usage_source: event.usage_source,
            charge_to: event.charge_to,
        }
    }
}

impl Counts {
    fn add(&mut self, event: &EventRow<'_>) {
        let usage = &event.usage;
        let add = |sum: &mut i64, tokens: u64| {
            *sum = sum.saturating_add(super::leases::bigint(tokens));
        };
        self.events += 1;
        self.quantity = self.quantity.saturating_add(event.quantity);
        add(&mut self.input_tokens, usage.input_tokens);
        add(&mut self.cache_read_tokens, usage.cache_read_tokens);
        add(&mut self.cache_write_tokens, usage.cache_write_5m_tokens);
        add(&mut self.cache_write_tokens, usage.cache_write_1h_tokens);
        add(&mut self.output_tokens, usage.output_tokens);
        add(&mut self.reasoning_tokens, usage.reasoning_tokens);
        self.cost = self.cost + event.cost;
        self.saved_cost = self.saved_cost + event.saved_cost;
    }
}
