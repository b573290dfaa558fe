//! What models cost: the shipped list and the user's own, by provider, model and date.
//!
//! Prices are exact decimals from text to ledger; a number in the file that is not text is refused, as it might have been a
//! float. A model is found by its exact name: a price is never guessed from a similar one.

mod file;
mod rates;

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, Utc};
use types::money::UsdPerMillion;

pub use file::PriceProblems;
pub use rates::{Rates, Service, Tier};

/// The file that the shipped prices stand in.
const PRICES_TOML: &str = include_str!("../prices.toml");

/// What models cost. Cloning is cheap.
#[derive(Debug, Clone, Default)]
pub struct PriceList {
    providers: Arc<BTreeMap<String, Models>>,
}

/// The prices of one provider by model; each history oldest first and never empty.
type Models = BTreeMap<String, Vec<Arc<Price>>>;

/// What a model costs from a date on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Price {
    /// The provider's name in the list: `providers.NAME.price_provider`.
    pub provider: String,
    /// The model, as the provider calls it.
    pub model: String,
    /// The day from whose beginning, in UTC, it holds; none: it is the first known price, and since when is not known.
    pub effective_from: Option<NaiveDate>,
    /// The standard prices.
    pub rates: Rates,
    /// The prices for other services and for long inputs.
    pub tiers: Vec<Tier>,
    /// What a million web searches cost.
    pub web_search: Option<UsdPerMillion>,
    /// The most input tokens the model takes.
    pub input_tokens_max: Option<u64>,
    /// The most output tokens it gives.
    pub output_tokens_max: Option<u64>,
    /// When the provider means to withdraw it.
    pub deprecates: Option<NaiveDate>,
    /// Where the price was read.
    pub source: String,
    /// When it was read there.
    pub source_date: Option<NaiveDate>,
    /// Whether a second source says the same; none: it does not know the model.
    pub sources_agree: Option<bool>,
}

impl PriceList {
    /// The prices that come with this version.
    pub fn shipped() -> Result<Self, PriceProblems> {
        Self::parse(PRICES_TOML)
    }

    /// Reads a list in the form of `prices.toml`; tells all that is wrong with it at once.
    pub fn parse(text: &str) -> Result<Self, PriceProblems> {
        file::parse(text).map(Self::of)
    }

    /// The price of a model at a time.
    pub fn find(&self, provider: &str, model: &str, at: DateTime<Utc>) -> Option<Arc<Price>> {
        let day = Some(at.date_naive());
        let mut history = self.history(provider, model).iter();
        history.rfind(|price| price.effective_from <= day).cloned()
    }

    /// Whether a model has a price at any time.
    pub fn knows(&self, provider: &str, model: &str) -> bool {
        !self.history(provider, model).is_empty()
    }

    /// All prices of a model, oldest first.
    pub fn history(&self, provider: &str, model: &str) -> &[Arc<Price>] {
        let models = self.providers.get(provider);
        let history = models.and_then(|models| models.get(model));
        history.map_or(&[], Vec::as_slice)
    }

    /// All prices, by provider, model and date.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Price>> {
        self.providers.values().flat_map(BTreeMap::values).flatten()
    }

    /// How many models have a price.
    pub fn len(&self) -> usize {
        self.providers.values().map(BTreeMap::len).sum()
    }

    /// Whether there is no price at all.
    pub fn is_empty(&self) -> bool {
        self.providers.is_empty()
    }

    /// Takes another list's models, with their whole history, in place of its own.
    pub(crate) fn replace(&mut self, other: &Self) {
        let providers = Arc::make_mut(&mut self.providers);
        for (provider, models) in other.providers.iter() {
            let own = providers.entry(provider.clone()).or_default();
            own.extend(
                models
                    .iter()
                    .map(|(model, history)| (model.clone(), history.clone())),
            );
        }
    }

    fn of(prices: Vec<Price>) -> Self {
        let mut providers = BTreeMap::<String, Models>::new();
        for price in prices {
            let models = providers.entry(price.provider.clone()).or_default();
            models
                .entry(price.model.clone())
                .or_default()
                .push(Arc::new(price));
        }
        for history in providers.values_mut().flat_map(BTreeMap::values_mut) {
            history.sort_by_key(|price| price.effective_from);
        }
        Self {
            providers: Arc::new(providers),
        }
    }
}

impl Price {
    /// The prices of a request: by the service tier the provider says it used, and by the length of the input.
    ///
    /// Beyond a tier's threshold the whole request costs the tier's price, not only the tokens above it. A service
    /// without prices of its own costs the standard ones.
    pub fn rates(&self, service: Service, input_tokens: u64) -> &Rates {
        self.tier(service, input_tokens)
            .or_else(|| self.tier(Service::Standard, input_tokens))
            .unwrap_or(&self.rates)
    }

    fn tier(&self, service: Service, input_tokens: u64) -> Option<&Rates> {
        let of_service = self.tiers.iter().filter(|tier| tier.service == service);
        of_service
            .filter(|tier| tier.holds_for(input_tokens))
            .max_by_key(|tier| tier.input_tokens_over)
            .map(|tier| &tier.rates)
    }
}

#[cfg(test)]
mod tests;
