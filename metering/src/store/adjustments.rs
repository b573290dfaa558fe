//! Events that no request made: corrections, credits and mark-ups. They enter the books the way all events do.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use database::Error;
use rust_decimal::Decimal;
use serde_json::Value;
use sqlx::PgConnection;
use types::id::{Event, Organization};
use types::{Id, Usage, Usd};
use uuid::Uuid;

use super::totals::{self, Totals};
use crate::price::PriceBook;
use crate::record::ChargeTo;
use crate::rollup::Fact;

/// An event to be booked, if it is not booked yet.
#[derive(Debug, Clone)]
pub(crate) struct Adjustment {
    /// Made of what it adjusts, so that the same adjustment is booked once.
    pub(crate) id: Id<Event>,
    pub(crate) created_at: DateTime<Utc>,
    pub(crate) organization: Id<Organization>,
    pub(crate) kind: AdjustmentKind,
    pub(crate) cost: Usd,
    pub(crate) metadata: Value,
    pub(crate) subject: AdjustedSubject,
}

/// `usage_events.event_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AdjustmentKind {
    Correction,
    Markup,
}

/// What the adjusted event was about; of a credit or a mark-up little is said.
#[derive(Debug, Clone, Default)]
pub(crate) struct AdjustedSubject {
    pub(crate) corrects: Option<Uuid>,
    pub(crate) request: Option<Uuid>,
    pub(crate) outcome: Option<String>,
    pub(crate) provider: String,
    pub(crate) model: String,
    pub(crate) api_key: Option<Uuid>,
    pub(crate) user: Option<Uuid>,
    pub(crate) department: Option<Uuid>,
    pub(crate) workflow: Option<Uuid>,
    pub(crate) price: Option<Uuid>,
    pub(crate) service: Option<String>,
    pub(crate) usage_source: Option<String>,
    pub(crate) charge_to: Option<ChargeTo>,
    pub(crate) tags: BTreeMap<String, String>,
}

impl AdjustmentKind {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Correction => "correction",
            Self::Markup => "markup",
        }
    }
}

impl Adjustment {
    fn month(&self) -> NaiveDate {
        let day = self.created_at.date_naive();
        day.with_day(1).unwrap_or(day)
    }

    fn charge_to(&self) -> ChargeTo {
        self.subject.charge_to.unwrap_or_default()
    }

    fn fact(&self, period: NaiveDate) -> Fact<'_> {
        let subject = &self.subject;
        Fact {
            organization: self.organization.uuid(),
            day: self.created_at.date_naive(),
            billed_period: period,
            event_type: self.kind.as_str(),
            provider: &subject.provider,
            model: &subject.model,
            api_key: subject.api_key,
            user: subject.user,
            department: subject.department,
            workflow: subject.workflow,
            price: subject.price,
            service: subject.service.as_deref(),
            usage_source: subject.usage_source.as_deref(),
            outcome: subject.outcome.as_deref(),
            charge_to: self.charge_to().as_str(),
            quantity: 0,
            usage: Usage::default(),
            cost: self.cost,
            saved_cost: Usd::ZERO,
            tags: &subject.tags,
        }
    }
}

/// Books what is not booked yet, in the first open period of each; how many were new, and what they came to.
pub(crate) async fn post(
    connection: &mut PgConnection,
    adjustments: &[Adjustment],
    prices: &PriceBook,
) -> Result<(usize, Usd), Error> {
    let billed: BTreeSet<_> = adjustments
        .iter()
        .filter(|one| one.charge_to() == ChargeTo::Tenant)
        .map(|one| (one.organization.uuid(), one.month()))
        .collect();
    let periods = totals::open_periods(connection, &billed).await?;
    let period_of = |one: &Adjustment| {
        let month = (one.organization.uuid(), one.month());
        periods.get(&month).copied().unwrap_or(month.1)
    };
    let rows: Vec<_> = adjustments
        .iter()
        .map(|one| (one, period_of(one)))
        .collect();
    let inserted = insert(connection, &rows).await?;

    let new: Vec<_> = rows
        .iter()
        .filter(|(one, _)| inserted.contains(&one.id.uuid()))
        .map(|(one, period)| one.fact(*period))
        .collect();
    Totals::of_facts(&new, prices).post(connection).await?;
    Ok((new.len(), new.iter().map(|fact| fact.cost).sum()))
}

/// Inserts what is not there yet, and says which that was.
async fn insert(
    connection: &mut PgConnection,
    rows: &[(&Adjustment, NaiveDate)],
) -> Result<HashSet<Uuid>, Error> {
    let later = |(one, period): &(&Adjustment, NaiveDate)| {
        Some(*period).filter(|period| *period > one.month())
    };
    let inserted = sqlx::query_scalar!(
        "
        INSERT INTO usage_events
               ( id, created_at, organization_id, event_type, quantity, cost_usd, metadata, request_id, outcome, provider, model
               , api_key_id, user_id, department_id, workflow_id, price_id, usage_source, charge_to, tags, billed_period
               , corrects_id )
        SELECT id, created_at, organization_id, event_type, 0, cost_usd, metadata, request_id, outcome, provider, model
             , api_key_id, user_id, department_id, workflow_id, price_id, usage_source, charge_to, tags, billed_period
             , corrects_id
          FROM unnest( $1::uuid[], $2::timestamptz[], $3::uuid[], $4::text[], $5::numeric[], $6::jsonb[], $7::uuid[], $8::text[]
                     , $9::text[], $10::text[], $11::uuid[], $12::uuid[], $13::uuid[], $14::uuid[], $15::uuid[], $16::text[]
                     , $17::text[], $18::jsonb[], $19::date[], $20::uuid[] )
               AS new ( id, created_at, organization_id, event_type, cost_usd, metadata, request_id, outcome, provider, model
                      , api_key_id, user_id, department_id, workflow_id, price_id, usage_source, charge_to, tags, billed_period
                      , corrects_id )
            ON CONFLICT DO NOTHING
        RETURNING id
        ",
        &column!(rows, row => row.0.id.uuid()) as _,
        &column!(rows, row => row.0.created_at) as _,
        &column!(rows, row => row.0.organization.uuid()) as _,
        &column!(rows, row => row.0.kind.as_str()) as _,
        &column!(rows, row => row.0.cost.decimal()) as _,
        &column!(rows, row => row.0.metadata.clone()) as _,
        &column!(rows, row => row.0.subject.request) as _,
        &column!(rows, row => row.0.subject.outcome.as_deref()) as _,
        &column!(rows, row => row.0.subject.provider.as_str()) as _,
        &column!(rows, row => row.0.subject.model.as_str()) as _,
        &column!(rows, row => row.0.subject.api_key) as _,
        &column!(rows, row => row.0.subject.user) as _,
        &column!(rows, row => row.0.subject.department) as _,
        &column!(rows, row => row.0.subject.workflow) as _,
        &column!(rows, row => row.0.subject.price) as _,
        &column!(rows, row => row.0.subject.usage_source.as_deref()) as _,
        &column!(rows, row => row.0.charge_to().as_str()) as _,
        &column!(rows, row => serde_json::json!(row.0.subject.tags)) as _,
        &column!(rows, row => later(row)) as _,
        &column!(rows, row => row.0.subject.corrects) as _,
    )
    .fetch_all(connection)
    .await?;
    Ok(inserted.into_iter().collect())
}

/// What was given back of an invoice already, by other credits than one.
pub(crate) async fn credited(
    connection: &mut PgConnection,
    organization: Id<Organization>,
    number: &str,
    without: Id<Event>,
) -> Result<Decimal, Error> {
    let credited = sqlx::query_scalar!(
        r#"
        SELECT COALESCE(-sum(cost_usd), 0) AS "credited!" -- of an aggregate, which is one row
          FROM usage_events
         WHERE organization_id = $1
           AND billed_period IS NOT NULL
           AND event_type = 'correction'
           AND metadata ->> 'invoice' = $2
           AND id <> $3
        "#,
        organization.uuid(),
        number,
        without.uuid(),
    )
    .fetch_one(connection)
    .await?;
    Ok(credited)
}
