//! The price list, arranged to be searched by provider, model and time.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::Price;

/// All prices, each model's in order of time.
#[derive(Debug, Clone, Default)]
pub struct PriceBook {
    providers: HashMap<String, HashMap<String, Vec<Arc<Price>>>>,
}

impl PriceBook {
    /// Arranges a list; of two prices of one model with the same beginning the later in the list holds.
    pub fn new(prices: impl IntoIterator<Item = Price>) -> Self {
        let mut book = Self::default();
        for price in prices {
            let models = book.providers.entry(price.provider.clone()).or_default();
            let history = models.entry(price.model.clone()).or_default();
            let end = history.partition_point(|p| p.effective_from <= price.effective_from);
            history.insert(end, Arc::new(price));
        }
        book
    }

    /// The price that holds at a moment.
    pub fn find(&self, provider: &str, model: &str, at: DateTime<Utc>) -> Option<Arc<Price>> {
        let history = self.providers.get(provider)?.get(model)?;
        let end = history.partition_point(|price| price.effective_from <= at);
        history.get(end.checked_sub(1)?).cloned()
    }

    /// Whether there is no price at all.
    pub fn is_empty(&self) -> bool {
        self.providers.is_empty()
    }
}
