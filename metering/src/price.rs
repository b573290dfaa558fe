//! What tokens cost: the price list by provider, model and time, and exact arithmetic on it.
//!
//! A price is found for the moment of the INTENT and prices the settlement too, so that a price change
//! never touches a request under way. Every class of tokens is priced once: [`types::Usage`] counts cached, audio and image
//! tokens inside the input and reasoning tokens inside the output, and [`Price::cost`] takes them apart first.

mod class;
mod cost;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use config::PriceList;
use uuid::Uuid;

use crate::journal::service_word;

pub use class::{Charge, TokenClass};
pub use config::prices::Service;
pub use cost::Error;
pub(crate) use cost::unpriced;

/// The namespace of price ids, made once for this purpose.
const PRICE_IDS: Uuid = Uuid::from_u128(0x0199_37c5_3f5e_7b0a_9f0d_51e6_1a5c_2d84);

/// The price list of one moment, arranged for look-ups; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct PriceBook {
    providers: Arc<HashMap<String, HashMap<String, History>>>,
    by_id: Arc<HashMap<Uuid, Arc<Price>>>,
}

/// A model's prices, oldest first, each with the day from which it holds.
type History = Vec<Arc<Price>>;

/// What one model costs from one day on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    id: Uuid,
    /// The first moment it holds for: the beginning of its day, in UTC.
    begins_at: DateTime<Utc>,
    listed: Arc<config::Price>,
}

impl PriceBook {
    /// The book of a list.
    pub fn new(list: &PriceList) -> Self {
        let mut providers: HashMap<String, HashMap<String, History>> = HashMap::new();
        for listed in list.iter() {
            let models = providers.entry(listed.provider.clone()).or_default();
            let history = models.entry(listed.model.clone()).or_default();
            history.push(Arc::new(Price::of(Arc::clone(listed))));
        }
        let all = providers.values().flat_map(HashMap::values).flatten();
        let by_id = all.map(|price| (price.id, Arc::clone(price))).collect();
        Self {
            providers: Arc::new(providers),
            by_id: Arc::new(by_id),
        }
    }

    /// The price of an id, if it is still in the list.
    pub fn by_id(&self, id: Uuid) -> Option<&Arc<Price>> {
        self.by_id.get(&id)
    }

    /// The price that holds at a moment; `provider` is the name in the price list (`providers.NAME.price_provider`).
    pub fn find(&self, provider: &str, model: &str, at: DateTime<Utc>) -> Option<Arc<Price>> {
        let history = self.providers.get(provider)?.get(model)?;
        let past = history.iter().rfind(|price| price.begins_at <= at);
        past.cloned()
    }
}

impl Price {
    /// A price of the list.
    pub fn of(listed: Arc<config::Price>) -> Self {
        let day = listed.effective_from;
        let from = day.map_or_else(String::new, |day| day.to_string());
        let begins_at = day.and_then(|day| day.and_hms_opt(0, 0, 0));
        let name = format!("{}\0{}\0{from}", listed.provider, listed.model);
        Self {
            id: Uuid::new_v5(&PRICE_IDS, name.as_bytes()),
            begins_at: begins_at.map_or(DateTime::<Utc>::MIN_UTC, |time| time.and_utc()),
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

/// The service of a word in the books.
pub(crate) fn service(word: &str) -> Option<Service> {
    let known = [
        Service::Standard,
        Service::Batch,
        Service::Flex,
        Service::Priority,
    ];
    known.into_iter().find(|known| service_word(*known) == word)
}
