//! What tokens cost: prices by provider, model, organization and time, and exact arithmetic on them.
//!
//! A price is found for the moment of the INTENT and prices the settlement too, so that a price change
//! never touches a request under way. Every class of tokens is priced once: [`types::Usage`] counts cached, audio and image
//! tokens inside the input and reasoning tokens inside the output, and [`Price::cost`] takes them apart first.
//!
//! There is one source of prices, the [`PriceBook`] of the moment. Three layers make it, and the first that has a price in force
//! decides: the organization's own, the operator's ([`crate::prices`]), the list of the configuration.

mod book;
mod bound;
mod class;
mod cost;
pub(crate) mod follow;
#[cfg(test)]
mod tests;

use std::fmt::Write;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use config::prices::Rates;
use types::Id;
use types::id::Organization;
use types::money::UsdPerMillion;
use uuid::Uuid;

pub use book::PriceBook;
pub(crate) use book::TablePrice;
pub use class::{Charge, TokenClass};
pub use config::prices::Service;
pub use cost::Error;
pub(crate) use cost::unpriced;
pub(crate) use follow::Prices;

/// The namespace of the ids of listed prices, made once for this purpose.
const PRICE_IDS: Uuid = Uuid::from_u128(0x0199_37c5_3f5e_7b0a_9f0d_51e6_1a5c_2d84);

/// What one model costs in one span of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    id: Uuid,
    /// For whom alone it holds; none: for all.
    organization: Option<Id<Organization>>,
    /// The first moment it holds for.
    begins_at: DateTime<Utc>,
    /// The first moment it no longer holds for.
    ends_at: Option<DateTime<Utc>>,
    listed: Arc<config::Price>,
}

/// What a price of the table says beside its rates.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms {
    pub(crate) id: Uuid,
    pub(crate) organization: Option<Id<Organization>>,
    pub(crate) begins_at: Option<DateTime<Utc>>,
    pub(crate) ends_at: Option<DateTime<Utc>>,
}

impl Price {
    /// A price of a list: from the beginning of its day on, in UTC, until the list has a later one.
    pub fn of(listed: Arc<config::Price>) -> Self {
        let begins_at = listed
            .effective_from
            .and_then(|day| day.and_hms_opt(0, 0, 0));
        Self {
            id: Uuid::new_v5(&PRICE_IDS, identity(&listed).as_bytes()),
            organization: None,
            begins_at: begins_at.map_or(DateTime::<Utc>::MIN_UTC, |time| time.and_utc()),
            ends_at: None,
            listed,
        }
    }

    /// A price of the table.
    pub(crate) fn of_table(terms: Terms, listed: config::Price) -> Self {
        Self {
            id: terms.id,
            organization: terms.organization,
            begins_at: terms.begins_at.unwrap_or(DateTime::<Utc>::MIN_UTC),
            ends_at: terms.ends_at,
            listed: Arc::new(listed),
        }
    }

    /// `usage_events.price_id`; of a listed price always the same as long as the list says the same.
    pub const fn id(&self) -> Uuid {
        self.id
    }

    /// For whom alone it holds; none: for all.
    pub const fn organization(&self) -> Option<Id<Organization>> {
        self.organization
    }

    /// The first moment it holds for; none: it always held.
    pub fn begins_at(&self) -> Option<DateTime<Utc>> {
        (self.begins_at > DateTime::<Utc>::MIN_UTC).then_some(self.begins_at)
    }

    /// The first moment it no longer holds for; none: no end is known.
    pub const fn ends_at(&self) -> Option<DateTime<Utc>> {
        self.ends_at
    }

    /// What it says.
    pub fn listed(&self) -> &config::Price {
        &self.listed
    }

    /// Whether it prices what is admitted at a moment.
    fn holds_at(&self, at: DateTime<Utc>) -> bool {
        self.begins_at <= at && self.ends_at.is_none_or(|end| at < end)
    }
}

/// All that a listed price says about costs, as one text: another rate makes another price, with another id.
fn identity(listed: &config::Price) -> String {
    let from = listed.effective_from;
    let from = from.map_or_else(String::new, |day| day.to_string());
    let mut text = format!("{}\0{}\0{from}", listed.provider, listed.model);
    let base = (Service::Standard, 0, &listed.rates);
    let tiers = listed.tiers.iter();
    let tiers = tiers.map(|tier| (tier.service, tier.input_tokens_over, &tier.rates));
    for (service, over, rates) in std::iter::once(base).chain(tiers) {
        let _ = write!(text, "\0{}>{over}", service.as_str());
        for rate in classes(rates) {
            identify(&mut text, rate);
        }
    }
    identify(&mut text, listed.web_search);
    text
}

fn identify(text: &mut String, rate: Option<UsdPerMillion>) {
    let rate = rate.map(|rate| rate.decimal().normalize().to_string());
    let _ = write!(text, ",{}", rate.unwrap_or_default());
}

/// The rates in one order; none where a class has none of its own.
const fn classes(rates: &Rates) -> [Option<UsdPerMillion>; 9] {
    [
        Some(rates.input),
        Some(rates.output),
        rates.cache_read,
        rates.cache_write,
        rates.cache_write_1h,
        rates.reasoning,
        rates.audio_input,
        rates.audio_output,
        rates.image_input,
    ]
}
