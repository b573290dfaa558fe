//! What tokens cost: the price list by provider, model and time, and exact arithmetic on it.
//!
//! A price is found for the moment of the INTENT and prices the settlement too, so that a price change
//! never touches a request under way. Every class of tokens is priced once: [`types::Usage`] counts cached, audio and image
//! tokens inside the input and reasoning tokens inside the output, and [`Price::cost`] takes them apart first.

mod cost;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use config::PriceList;
use uuid::Uuid;

pub use config::prices::Service;
pub use cost::Error;

/// The namespace of price ids, made once for this purpose.
const PRICE_IDS: Uuid = Uuid::from_u128(0x0199_37c5_3f5e_7b0a_9f0d_51e6_1a5c_2d84);

/// The price list of one moment; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct PriceBook {
    list: PriceList,
}

/// What one model costs from one day on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    id: Uuid,
    listed: Arc<config::Price>,
}

impl PriceBook {
    /// The book of a list.
    pub const fn new(list: PriceList) -> Self {
        Self { list }
    }

    /// The price that holds at a moment; `provider` is the name in the price list (`providers.NAME.price_provider`).
    pub fn find(&self, provider: &str, model: &str, at: DateTime<Utc>) -> Option<Arc<Price>> {
        let listed = self.list.find(provider, model, at)?;
        Some(Arc::new(Price::of(listed)))
    }
}

impl Price {
    /// A price of the list.
    pub fn of(listed: Arc<config::Price>) -> Self {
        let from = listed.effective_from;
        let from = from.map_or_else(String::new, |day| day.to_string());
        let name = format!("{}\0{}\0{from}", listed.provider, listed.model);
        Self {
            id: Uuid::new_v5(&PRICE_IDS, name.as_bytes()),
            listed,
        }
    }

    /// Always the same for the same provider, model and beginning; `usage_events.price_id`.
    pub const fn id(&self) -> Uuid {
        self.id
    }

    /// What the list says.
    pub fn listed(&self) -> &config::Price {
        &self.listed
    }
}
