//! Totals that grow with every posting: billing periods, and the roll-ups in [`super::rollups`].

use std::collections::{BTreeMap, BTreeSet};

use chrono::{Datelike, Months, NaiveDate};
use database::{Error, ensure_affected};
use rust_decimal::Decimal;
use sqlx::PgConnection;
use uuid::Uuid;

use super::rollups;
use crate::price::PriceBook;
use crate::record::ChargeTo;
use crate::rollup::{Additions, DaySum, Fact};
use crate::shipper::booking::EventRow;

/// Closed periods in a row after which something is wrong: a century.
const PERIODS_MAX: usize = 1_200;

/// The sums of some events.
#[derive(Debug, Default)]
pub(super) struct Totals<'a> {
    periods: BTreeMap<(Uuid, NaiveDate), DaySum>,
    additions: Additions<'a>,
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
        prices: &PriceBook,
    ) -> Self {
        let mut totals = Self::default();
        for event in events {
            let month = (event.subject.organization, month_of(event));
            let period = billed.get(&month).copied().unwrap_or(month.1);
            totals.add(&Fact::booked(event, period), prices);
        }
        totals
    }

    /// Sums events that no request made.
    pub(super) fn of_facts(facts: &[Fact<'a>], prices: &PriceBook) -> Self {
        let mut totals = Self::default();
        for fact in facts {
            totals.add(fact, prices);
        }
        totals
    }

    fn add(&mut self, fact: &Fact<'a>, prices: &PriceBook) {
        if fact.is_billed() {
            let period = (fact.organization, fact.billed_period);
            self.periods.entry(period).or_default().add(fact);
        }
        self.additions.add(fact, prices);
    }

    pub(super) async fn post(&self, connection: &mut PgConnection) -> Result<(), Error> {
        if self.additions.is_empty() {
            return Ok(());
        }
        self.add_to_periods(connection).await?;
        rollups::add(connection, &self.additions).await
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
}
