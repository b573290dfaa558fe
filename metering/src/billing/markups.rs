//! What an organization pays on top of providers' prices: an event and an invoice line of its own, never part of a price.
//!
//! A mark-up is reckoned once, from the sums of the whole period when it is closed, to the smallest part of a dollar that the
//! books have (a millionth of a millionth); half of that goes up.

use chrono::{Datelike, Duration, NaiveDate};
use database::{Bulkhead, Database};
use rust_decimal::{Decimal, RoundingStrategy};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::PgConnection;
use types::id::{Event, Organization, User};
use types::money::{PRICE_SCALE, USD_SCALE};
use types::{Clock, Id, Usd, id};
use utoipa::ToSchema;
use uuid::Uuid;

use super::credit::{field, text};
use super::{Error, NotExact};
use crate::price::PriceBook;
use crate::store::adjustments::{self, AdjustedSubject, Adjustment, AdjustmentKind};
use crate::store::markups::{self as store, MarkupRow};
use crate::store::periods::{PeriodRow, midnight};

/// The longest name, in characters: that of the column.
const NAME_CHARS_MAX: usize = 100;

/// A mark-up to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MarkupSetting {
    /// Who pays it.
    #[schema(value_type = Uuid)]
    pub organization_id: Id<Organization>,
    /// What the invoice calls it; one organization can have several.
    #[schema(example = "Platform fee")]
    pub name: String,
    /// Of what it is reckoned.
    pub kind: MarkupKind,
    /// Per cent, or US dollars for a million tokens; at most six decimals; a discount is below zero, and 0 ends it.
    #[serde(with = "rust_decimal::serde::str")]
    #[schema(value_type = String, example = "7.5")]
    pub rate: Decimal,
    /// The first day of the first month that it is in.
    pub first_period: NaiveDate,
}

/// Of what a mark-up is reckoned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MarkupKind {
    /// Of the period's cost at providers' prices.
    Percent,
    /// Of the period's input and output tokens.
    PerMillionTokens,
}

/// A mark-up as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct MarkupView {
    /// What its events refer to.
    pub id: Uuid,
    /// Who pays it.
    pub organization_id: Uuid,
    /// What the invoice calls it.
    pub name: String,
    /// `percent` or `per_million_tokens`.
    pub kind: String,
    /// Per cent, or US dollars for a million tokens.
    #[serde(with = "rust_decimal::serde::str")]
    #[schema(value_type = String, example = "7.5")]
    pub rate: Decimal,
    /// The first day of the first month that it is in.
    pub first_period: NaiveDate,
    /// The first day of the first month that it is no longer in.
    pub end_period: Option<NaiveDate>,
}

/// An organization's mark-ups, or everybody's.
pub async fn list(
    database: &Database,
    organization: Option<Id<Organization>>,
) -> Result<Vec<MarkupView>, Error> {
    let rows = database
        .worker("markups: list", Bulkhead::Control, |tx| {
            Box::pin(async move {
                Ok::<_, Error>(store::list(tx.connection(), organization, None).await?)
            })
        })
        .await?;
    Ok(rows.into_iter().map(MarkupView::from).collect())
}

/// Puts a mark-up from a month on; what it was until now ends there. Closed months keep what they were closed with.
pub async fn put(
    database: &Database,
    clock: &dyn Clock,
    setting: &MarkupSetting,
    by: Option<Id<User>>,
) -> Result<MarkupView, Error> {
    setting.check()?;
    let row = MarkupRow {
        id: Id::<id::Markup>::new(clock).uuid(),
        organization: setting.organization_id.uuid(),
        name: setting.name.clone(),
        kind: setting.kind.as_str().to_owned(),
        rate: setting.rate,
        first_period: setting.first_period,
        end_period: None,
    };
    database
        .worker("markups: put", Bulkhead::Control, |tx| {
            let row = row.clone();
            Box::pin(async move {
                store::end(tx.connection(), &row).await?;
                store::insert(tx.connection(), &row, by.map(|by| by.uuid())).await?;
                Ok(MarkupView::from(row))
            })
        })
        .await
}

/// Books the mark-ups of a period that is being closed; how many there were.
pub(super) async fn book(
    connection: &mut PgConnection,
    prices: &PriceBook,
    organization: Id<Organization>,
    period: &PeriodRow,
) -> Result<usize, Error> {
    let markups = store::list(connection, Some(organization), Some(period.start)).await?;
    let adjustments = markups.iter().map(|markup| {
        let cost = amount(markup, period)?;
        Ok(Adjustment {
            id: Id::<Event>::from_uuid(period.id).derive(&format!("markup/{}", markup.id)),
            created_at: midnight(period.end) - Duration::microseconds(1),
            organization,
            kind: AdjustmentKind::Markup,
            cost,
            metadata: json!({
                "markup": markup.id,
                "kind": markup.kind,
                "rate": markup.rate.normalize().to_string(),
            }),
            subject: AdjustedSubject {
                provider: "markup".to_owned(),
                model: markup.name.clone(),
                ..AdjustedSubject::default()
            },
        })
    });
    let adjustments: Vec<Adjustment> = adjustments.collect::<Result<_, NotExact>>()?;
    let adjustments: Vec<_> = adjustments
        .into_iter()
        .filter(|one| one.cost != Usd::ZERO)
        .collect();
    if adjustments.is_empty() {
        return Ok(0);
    }
    let (new, _) = adjustments::post(connection, &adjustments, prices).await?;
    Ok(new)
}

/// What a mark-up comes to: a product, and the decimal point moved; only then to the smallest part.
fn amount(markup: &MarkupRow, period: &PeriodRow) -> Result<Usd, NotExact> {
    let (base, places) = if markup.kind == MarkupKind::Percent.as_str() {
        (period.exact.decimal(), PERCENT_SCALE)
    } else {
        (Decimal::from(period.tokens), PRICE_SCALE)
    };
    let rate = markup.rate.normalize();
    let mut amount = rate.checked_mul(base.normalize()).ok_or(NotExact)?;
    amount
        .set_scale(amount.scale() + places)
        .map_err(|_| NotExact)?;
    let amount = amount.round_dp_with_strategy(USD_SCALE, RoundingStrategy::MidpointAwayFromZero);
    Ok(Usd::new(amount))
}

/// A per cent is two places of the decimal point.
const PERCENT_SCALE: u32 = 2;

impl MarkupSetting {
    fn check(&self) -> Result<(), Error> {
        /// What the column holds, and more than any mark-up.
        const RATE_MAX: i64 = 1_000_000_000;
        text("name", &self.name, NAME_CHARS_MAX)?;
        if self.rate.normalize().scale() > PRICE_SCALE || self.rate.abs() > Decimal::from(RATE_MAX)
        {
            return Err(field(
                "rate",
                format!("must have at most {PRICE_SCALE} decimals, and be at most {RATE_MAX}"),
            ));
        }
        if self.first_period.day() != 1 {
            return Err(field(
                "first_period",
                "must be the first day of a month".to_owned(),
            ));
        }
        Ok(())
    }
}

impl MarkupKind {
    /// The word in `metering.markups.kind`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Percent => "percent",
            Self::PerMillionTokens => "per_million_tokens",
        }
    }
}

impl From<MarkupRow> for MarkupView {
    fn from(row: MarkupRow) -> Self {
        Self {
            id: row.id,
            organization_id: row.organization,
            name: row.name,
            kind: row.kind,
            rate: row.rate.normalize(),
            first_period: row.first_period,
            end_period: row.end_period,
        }
    }
}
