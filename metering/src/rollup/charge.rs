//! Costs taken apart by token class and unit price, so that quantity × unit price is the cost in every row.
//!
//! The unit prices are those of the price that the event names. Where that price is not to be had any more, or does not
//! come to what was booked (a correction, say), the event is one row's unit and its cost the unit price: exact, if coarse.

use chrono::NaiveDate;
use rust_decimal::Decimal;
use types::Usd;
use types::money::{PRICE_SCALE, USD_SCALE};
use uuid::Uuid;

use super::Fact;
use crate::price::{self, Charge, PriceBook, Service, TokenClass};

/// A row of `metering.charge_rollup`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ChargeKey<'a> {
    pub(crate) organization: Uuid,
    pub(crate) day: NaiveDate,
    /// None for what no organization pays.
    pub(crate) billed_period: Option<NaiveDate>,
    pub(crate) model: &'a str,
    pub(crate) provider: &'a str,
    pub(crate) price: Option<Uuid>,
    pub(crate) service: Option<&'a str>,
    pub(crate) class: TokenClass,
    /// US dollars for a million.
    pub(crate) unit_price: Decimal,
    pub(crate) usage_source: Option<&'a str>,
    pub(crate) outcome: Option<&'a str>,
    pub(crate) charge_to: &'a str,
}

/// What the events of a row come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ChargeSum {
    pub(crate) events: i64,
    pub(crate) quantity: i64,
    pub(crate) cost: Usd,
}

/// What an event adds to which rows; nothing for one that used and cost nothing.
pub(super) fn charges<'a>(
    fact: &Fact<'a>,
    prices: &PriceBook,
) -> impl Iterator<Item = (ChargeKey<'a>, ChargeSum)> + use<'a> {
    let fact = *fact;
    let parts = taken_apart(&fact, prices).unwrap_or_else(|| undivided(&fact));
    parts.into_iter().map(move |part| {
        let sum = ChargeSum {
            events: 1,
            quantity: part.quantity,
            cost: part.cost,
        };
        (ChargeKey::of(&fact, &part), sum)
    })
}

/// A part of an event's cost.
struct Part {
    class: TokenClass,
    quantity: i64,
    unit_price: Decimal,
    cost: Usd,
}

/// Class by class, if that comes to what was booked.
fn taken_apart(fact: &Fact<'_>, prices: &PriceBook) -> Option<Vec<Part>> {
    let parts: Option<Vec<_>> = match fact.price {
        Some(id) => {
            let service = fact.service.map_or(Some(Service::Standard), Service::parse);
            let charges = prices.by_id(id)?.charges_at(service?, &fact.usage);
            charges.ok()?.map(Part::of).collect()
        }
        None => price::unpriced(&fact.usage).map(Part::of).collect(),
    };
    parts.filter(|parts| parts.iter().map(|part| part.cost).sum::<Usd>() == fact.cost)
}

/// The event itself at its cost: minus one event where it gives back.
fn undivided(fact: &Fact<'_>) -> Vec<Part> {
    let cost = fact.cost;
    let class = if fact.is_markup() {
        TokenClass::Markup
    } else {
        TokenClass::Undivided
    };
    let amount = cost.decimal().normalize();
    let quantity = if amount.is_sign_negative() { -1 } else { 1 };
    // The decimal point moves by six places, as an amount has twelve decimals at most.
    let per_million = Decimal::from(10_i64.pow(USD_SCALE - PRICE_SCALE));
    vec![Part {
        class,
        quantity,
        unit_price: (amount.abs() * per_million).normalize(),
        cost,
    }]
}

impl Part {
    fn of(charge: Charge) -> Option<Self> {
        Some(Self {
            class: charge.class,
            quantity: i64::try_from(charge.quantity).ok()?,
            unit_price: charge.unit_price.decimal(),
            cost: charge.cost().ok()?,
        })
    }
}

impl<'a> ChargeKey<'a> {
    fn of(fact: &Fact<'a>, part: &Part) -> Self {
        Self {
            organization: fact.organization,
            day: fact.day,
            billed_period: fact.is_billed().then_some(fact.billed_period),
            model: fact.model,
            provider: fact.provider,
            price: fact.price,
            service: fact.service,
            class: part.class,
            unit_price: part.unit_price,
            usage_source: fact.usage_source,
            outcome: fact.outcome,
            charge_to: fact.charge_to,
        }
    }
}

impl ChargeSum {
    pub(super) fn add(&mut self, other: Self) {
        self.events += other.events;
        self.quantity = self.quantity.saturating_add(other.quantity);
        self.cost = self.cost + other.cost;
    }
}
