//! Prices as people see and set them; how they price requests is the business of [`crate::price`].
//!
//! A price is put for the time from a moment on, and is never changed: the one before it ends there, and stays in the table for
//! the events that it priced. A moment that is past needs to be meant, because nothing that is booked changes by it: only
//! repricing ([`crate::reprice`]) goes by it.

use chrono::{DateTime, Duration, SubsecRound, Utc};
use config::prices::{Rates, Service, Tier};
use database::{Bulkhead, Database};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use types::id::{Organization, User};
use types::money::{self, UsdPerMillion};
use types::{Clock, Id, id};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::price::{Price, Terms};
use crate::store::corrections;
use crate::store::prices::{self as store, Choice, PriceRow};

/// How long before it begins a price must be put, so that every gateway knows it in time: they hear of it within two seconds.
const NOTICE: Duration = Duration::seconds(10);

/// The longest names and reasons, in characters: those of the columns, and what fits a line of an invoice's annex.
const PROVIDER_CHARS_MAX: usize = 100;
const MODEL_CHARS_MAX: usize = 255;
const SOURCE_CHARS_MAX: usize = 1_000;

/// Models without a price that are listed, a count: more are the fault of one configuration.
const UNPRICED_MAX: i64 = 1_000;

/// The most tiers of one price: four services by the few lengths that any provider tells apart.
const TIERS_MAX: usize = 40;

/// A price to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PriceSetting {
    /// The provider's name in price lists: `providers.NAME.price_provider`.
    #[schema(example = "gemini")]
    pub provider: String,
    /// The model, as the provider calls it.
    #[schema(example = "gemini-2.5-flash")]
    pub model: String,
    /// For whom alone it is to hold; absent: for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>)]
    pub organization_id: Option<Id<Organization>>,
    /// From when on, to the microsecond; absent: ten seconds from now, when every gateway knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<DateTime<Utc>>,
    /// That `from` may lie in the past. What is booked keeps its price; repricing goes by the new one.
    #[serde(default)]
    pub backdate: bool,
    /// Where the price was read, or why it is put.
    #[schema(example = "contract of 2026-11-01")]
    pub source: String,
    /// US dollars per million tokens.
    pub usd: RatesView,
    /// Other rates for other services, and for long inputs.
    #[serde(default)]
    pub tiers: Vec<TierView>,
    /// US dollars for a million web searches.
    #[serde(default, with = "rust_decimal::serde::str_option")]
    #[schema(value_type = Option<String>, example = "10000")]
    pub web_search_usd: Option<Decimal>,
}

/// US dollars per million tokens by class, as decimal texts of at most six decimals; a class that is absent costs as the one it is
/// a part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RatesView {
    /// Input tokens.
    #[serde(with = "rust_decimal::serde::str")]
    #[schema(value_type = String, example = "0.30")]
    pub input: Decimal,
    /// Output tokens.
    #[serde(with = "rust_decimal::serde::str")]
    #[schema(value_type = String, example = "2.50")]
    pub output: Decimal,
    /// Input read from the provider's cache.
    #[serde(default, with = "rust_decimal::serde::str_option")]
    #[schema(value_type = Option<String>)]
    pub cache_read: Option<Decimal>,
    /// Input written to the provider's cache for five minutes.
    #[serde(default, with = "rust_decimal::serde::str_option")]
    #[schema(value_type = Option<String>)]
    pub cache_write_5m: Option<Decimal>,
    /// Input written to the provider's cache for an hour.
    #[serde(default, with = "rust_decimal::serde::str_option")]
    #[schema(value_type = Option<String>)]
    pub cache_write_1h: Option<Decimal>,
    /// Output spent on reasoning.
    #[serde(default, with = "rust_decimal::serde::str_option")]
    #[schema(value_type = Option<String>)]
    pub reasoning: Option<Decimal>,
    /// Audio that goes in.
    #[serde(default, with = "rust_decimal::serde::str_option")]
    #[schema(value_type = Option<String>)]
    pub audio_input: Option<Decimal>,
    /// Audio that comes out.
    #[serde(default, with = "rust_decimal::serde::str_option")]
    #[schema(value_type = Option<String>)]
    pub audio_output: Option<Decimal>,
    /// Images that go in.
    #[serde(default, with = "rust_decimal::serde::str_option")]
    #[schema(value_type = Option<String>)]
    pub image_input: Option<Decimal>,
}

/// Rates of a service, or for inputs beyond a length.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TierView {
    /// `standard`, `batch`, `flex` or `priority`, as the provider says that it served the request.
    #[schema(example = "batch")]
    pub service: String,
    /// They hold for requests of more input tokens than this, as a whole; 0: for all.
    #[serde(default)]
    pub input_tokens_over: u64,
    /// The rates.
    pub usd: RatesView,
}

/// A price as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PriceView {
    /// What `usage_events.price_id` refers to.
    pub id: Uuid,
    /// `operator`, or `list`: the shipped list, or `[metering] prices_file`.
    pub origin: String,
    /// The provider's name in price lists.
    pub provider: String,
    /// The model, as the provider calls it.
    pub model: String,
    /// For whom alone it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization_id: Option<Uuid>,
    /// The first moment that it prices; absent: it always held.
    pub begins_at: Option<DateTime<Utc>>,
    /// The first moment that it no longer prices; absent: no end is known.
    pub ends_at: Option<DateTime<Utc>>,
    /// Whether it was taken back from its beginning on, and holds at no moment.
    pub withdrawn: bool,
    /// US dollars per million tokens.
    pub usd: RatesView,
    /// Other rates for other services, and for long inputs.
    pub tiers: Vec<TierView>,
    /// US dollars for a million web searches.
    #[serde(with = "rust_decimal::serde::str_option")]
    #[schema(value_type = Option<String>)]
    pub web_search_usd: Option<Decimal>,
    /// Where the price was read, or why it was put.
    pub source: String,
    /// Who put it; absent for a list's, and from the command line.
    pub created_by: Option<Uuid>,
    /// When it was put, or first read.
    pub created_at: DateTime<Utc>,
}

/// Which prices are asked for.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// One provider's.
    pub provider: Option<String>,
    /// One model's.
    pub model: Option<String>,
    /// One organization's own.
    pub organization: Option<Id<Organization>>,
    /// Those of lists, too.
    pub with_lists: bool,
    /// Those that hold at some moment after this one.
    pub after: Option<DateTime<Utc>>,
}

/// What was used of a model without a price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct UnpricedView {
    /// The provider's name in the configuration.
    pub provider: String,
    /// The model, as the provider calls it.
    pub model: String,
    /// Organizations that used it.
    pub organizations: i64,
    /// Attempts.
    pub requests: i64,
    /// Input and output tokens.
    pub tokens: i64,
    /// The first time.
    pub first_at: DateTime<Utc>,
    /// The last time.
    pub last_at: DateTime<Utc>,
}

/// Why a price was not put.
#[derive(Debug, Error)]
pub enum Error {
    /// A field has a value that cannot be accepted.
    #[error("{field} {why}")]
    Field {
        /// Which one.
        field: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The organization is not there.
    #[error("no such organization")]
    OrganizationNotFound,
    /// Somebody else put one for the same time.
    #[error("another price for the same time was put at the same moment")]
    Overlap,
    /// The database failed.
    #[error("the prices could not be read or written")]
    Database(#[source] database::Error),
}

/// The prices that were asked for, by provider, model and beginning.
pub async fn list(database: &Database, filter: &Filter) -> Result<Vec<PriceView>, Error> {
    let choice = Choice {
        id: None,
        organization: filter.organization.map(|id| id.uuid()),
        provider: filter.provider.clone(),
        model: filter.model.clone(),
        origin: (!filter.with_lists).then_some(store::OPERATOR),
        after: filter.after,
    };
    let rows = database
        .worker("prices: list", Bulkhead::Control, |tx| {
            let choice = choice.clone();
            Box::pin(async move { Ok::<_, Error>(store::list(tx.connection(), &choice).await?) })
        })
        .await?;
    Ok(rows.into_iter().map(PriceView::from).collect())
}

/// Puts a price for the time from its beginning on; what held then until now ends there.
pub async fn put(
    database: &Database,
    clock: &dyn Clock,
    setting: &PriceSetting,
    by: Option<Id<User>>,
) -> Result<PriceView, Error> {
    let price = setting.price(clock)?;
    database
        .worker("prices: put", Bulkhead::Control, |tx| {
            let price = price.clone();
            Box::pin(async move {
                let connection = tx.connection();
                store::end(connection, &price).await?;
                store::insert(connection, &price, by.map(|by| by.uuid())).await?;
                let choice = Choice {
                    id: Some(price.id()),
                    ..Choice::default()
                };
                let put = store::list(connection, &choice).await?.pop();
                put.map(PriceView::from).ok_or_else(|| {
                    Error::Database(database::Error::Affected {
                        expected: 1,
                        actual: 0,
                    })
                })
            })
        })
        .await
}

/// What was used without a price in a span, and is not repriced since; the most used models first.
pub async fn unpriced(
    database: &Database,
    span: (DateTime<Utc>, DateTime<Utc>),
) -> Result<Vec<UnpricedView>, Error> {
    let rows = database
        .worker("prices: list what has none", Bulkhead::Control, |tx| {
            Box::pin(async move {
                let rows = corrections::unpriced(tx.connection(), span, UNPRICED_MAX);
                Ok::<_, Error>(rows.await?)
            })
        })
        .await?;
    let views = rows.into_iter().map(|row| UnpricedView {
        provider: row.provider,
        model: row.model,
        organizations: row.organizations,
        requests: row.events,
        tokens: row.tokens,
        first_at: row.first_at,
        last_at: row.last_at,
    });
    Ok(views.collect())
}

impl PriceSetting {
    /// The price, if all of it can be accepted.
    fn price(&self, clock: &dyn Clock) -> Result<Price, Error> {
        text("provider", &self.provider, PROVIDER_CHARS_MAX)?;
        text("model", &self.model, MODEL_CHARS_MAX)?;
        text("source", &self.source, SOURCE_CHARS_MAX)?;
        let soonest = clock.now() + NOTICE;
        let from = self.from.unwrap_or(soonest).trunc_subsecs(6);
        if from < soonest.trunc_subsecs(6) && !self.backdate {
            let why = "must lie at least ten seconds ahead, so that every gateway knows the price when it begins; \
                       say backdate if only repricing is to go by it";
            return Err(field("from", why));
        }
        let terms = Terms {
            id: Id::<id::Price>::new(clock).uuid(),
            organization: self.organization_id,
            begins_at: Some(from),
            ends_at: None,
        };
        Ok(Price::of_table(terms, self.listed()?))
    }

    fn listed(&self) -> Result<config::Price, Error> {
        if self.tiers.len() > TIERS_MAX {
            return Err(field("tiers", format!("must be at most {TIERS_MAX}")));
        }
        let tiers: Vec<Tier> = self
            .tiers
            .iter()
            .map(Tier::try_from)
            .collect::<Result<_, _>>()?;
        let mut kinds: Vec<_> = tiers
            .iter()
            .map(|tier| (tier.service, tier.input_tokens_over))
            .collect();
        kinds.push((Service::Standard, 0));
        kinds.sort_unstable();
        if kinds
            .windows(2)
            .any(|pair| matches!(pair, [one, other] if one == other))
        {
            let why = "must not have two for the same service and length; the standard one for all lengths is `usd`";
            return Err(field("tiers", why));
        }
        Ok(config::Price {
            provider: self.provider.clone(),
            model: self.model.clone(),
            effective_from: None,
            rates: Rates::try_from(&self.usd)?,
            tiers,
            web_search: optional("web_search_usd", self.web_search_usd)?,
            input_tokens_max: None,
            output_tokens_max: None,
            deprecates: None,
            source: self.source.clone(),
            source_date: None,
            sources_agree: None,
        })
    }
}

fn field(field: &'static str, why: impl Into<String>) -> Error {
    Error::Field {
        field,
        why: why.into(),
    }
}

fn text(name: &'static str, text: &str, chars_max: usize) -> Result<(), Error> {
    let chars = text.chars().count();
    if chars == 0 || chars > chars_max || text.contains('\0') {
        return Err(field(
            name,
            format!("must have 1 to {chars_max} characters"),
        ));
    }
    Ok(())
}

fn rate(name: &'static str, usd: Decimal) -> Result<UsdPerMillion, Error> {
    /// What the column holds: fourteen digits before the point.
    const USD_MAX: i64 = 100_000_000_000_000;
    if usd >= Decimal::from(USD_MAX) {
        return Err(field(name, "is too large"));
    }
    UsdPerMillion::new(usd).map_err(|error: money::Error| field(name, error.to_string()))
}

fn optional(name: &'static str, usd: Option<Decimal>) -> Result<Option<UsdPerMillion>, Error> {
    usd.map(|usd| rate(name, usd)).transpose()
}

impl TryFrom<&RatesView> for Rates {
    type Error = Error;

    fn try_from(view: &RatesView) -> Result<Self, Error> {
        Ok(Self {
            input: rate("usd.input", view.input)?,
            output: rate("usd.output", view.output)?,
            cache_read: optional("usd.cache_read", view.cache_read)?,
            cache_write: optional("usd.cache_write_5m", view.cache_write_5m)?,
            cache_write_1h: optional("usd.cache_write_1h", view.cache_write_1h)?,
            reasoning: optional("usd.reasoning", view.reasoning)?,
            audio_input: optional("usd.audio_input", view.audio_input)?,
            audio_output: optional("usd.audio_output", view.audio_output)?,
            image_input: optional("usd.image_input", view.image_input)?,
        })
    }
}

impl TryFrom<&TierView> for Tier {
    type Error = Error;

    fn try_from(view: &TierView) -> Result<Self, Error> {
        let service = Service::parse(&view.service);
        let service = service
            .ok_or_else(|| field("tiers.service", "must be standard, batch, flex or priority"))?;
        if i64::try_from(view.input_tokens_over).is_err() {
            return Err(field("tiers.input_tokens_over", "is too large"));
        }
        Ok(Self {
            service,
            input_tokens_over: view.input_tokens_over,
            rates: Rates::try_from(&view.usd)?,
        })
    }
}

impl From<&Rates> for RatesView {
    fn from(rates: &Rates) -> Self {
        let usd = |rate: UsdPerMillion| rate.decimal().normalize();
        Self {
            input: usd(rates.input),
            output: usd(rates.output),
            cache_read: rates.cache_read.map(usd),
            cache_write_5m: rates.cache_write.map(usd),
            cache_write_1h: rates.cache_write_1h.map(usd),
            reasoning: rates.reasoning.map(usd),
            audio_input: rates.audio_input.map(usd),
            audio_output: rates.audio_output.map(usd),
            image_input: rates.image_input.map(usd),
        }
    }
}

impl From<PriceRow> for PriceView {
    fn from(row: PriceRow) -> Self {
        let listed = row.price.listed();
        let tiers = listed.tiers.iter().map(|tier| TierView {
            service: tier.service.as_str().to_owned(),
            input_tokens_over: tier.input_tokens_over,
            usd: RatesView::from(&tier.rates),
        });
        Self {
            id: row.price.id(),
            provider: listed.provider.clone(),
            model: listed.model.clone(),
            organization_id: row.price.organization().map(|id| id.uuid()),
            begins_at: row.price.begins_at(),
            ends_at: row.price.ends_at(),
            withdrawn: row.is_empty,
            usd: RatesView::from(&listed.rates),
            tiers: tiers.collect(),
            web_search_usd: listed.web_search.map(|usd| usd.decimal().normalize()),
            source: listed.source.clone(),
            origin: row.origin,
            created_by: row.created_by,
            created_at: row.created_at,
        }
    }
}

impl From<database::Error> for Error {
    fn from(error: database::Error) -> Self {
        match error {
            database::Error::ForeignKey { .. } => Self::OrganizationNotFound,
            database::Error::Exclusion { .. } => Self::Overlap,
            error => Self::Database(error),
        }
    }
}

impl database::AsDatabaseError for Error {
    fn as_database_error(&self) -> Option<&database::Error> {
        match self {
            Self::Database(error) => Some(error),
            _ => None,
        }
    }
}
