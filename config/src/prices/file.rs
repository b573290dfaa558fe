//! Reads a price list: what was written, checked, all problems at once.

use std::collections::BTreeSet;

use chrono::NaiveDate;
use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer};
use thiserror::Error;
use types::money::UsdPerMillion;

use super::{Price, Rates, Service, Tier};

/// All that is wrong with a price list.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the price list has problems:\n  {}", self.0.join("\n  "))]
pub struct PriceProblems(Vec<String>);

impl PriceProblems {
    /// One sentence each, with the provider and the model.
    pub fn messages(&self) -> &[String] {
        &self.0
    }
}

/// A price list, as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    /// When the list was made, for every price that has no source date of its own.
    date: Option<NaiveDate>,
    /// Where the list comes from, for every price that has no source of its own.
    #[serde(default)]
    source: String,
    #[serde(default)]
    price: Vec<toml::Value>,
}

/// A price, as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    provider: String,
    model: String,
    effective_from: Option<NaiveDate>,
    usd: WrittenRates,
    #[serde(default)]
    tier: Vec<WrittenTier>,
    #[serde(default, deserialize_with = "searches")]
    web_search: Option<UsdPerMillion>,
    input_tokens_max: Option<u64>,
    output_tokens_max: Option<u64>,
    deprecates: Option<NaiveDate>,
    source: Option<String>,
    source_date: Option<NaiveDate>,
    sources_agree: Option<bool>,
}

/// Prices of one tier, as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRates {
    #[serde(deserialize_with = "price")]
    input: UsdPerMillion,
    #[serde(deserialize_with = "price")]
    output: UsdPerMillion,
    #[serde(default, deserialize_with = "some_price")]
    cache_read: Option<UsdPerMillion>,
    #[serde(default, deserialize_with = "some_price")]
    cache_write: Option<UsdPerMillion>,
    #[serde(default, deserialize_with = "some_price")]
    cache_write_1h: Option<UsdPerMillion>,
    #[serde(default, deserialize_with = "some_price")]
    reasoning: Option<UsdPerMillion>,
    #[serde(default, deserialize_with = "some_price")]
    audio_input: Option<UsdPerMillion>,
    #[serde(default, deserialize_with = "some_price")]
    audio_output: Option<UsdPerMillion>,
    #[serde(default, deserialize_with = "some_price")]
    image_input: Option<UsdPerMillion>,
}

/// A tier, as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenTier {
    #[serde(default)]
    service: Service,
    #[serde(default)]
    input_tokens_over: u64,
    usd: WrittenRates,
}

/// Every price of a list.
pub(super) fn parse(text: &str) -> Result<Vec<Price>, PriceProblems> {
    let list: List =
        toml::from_str(text).map_err(|error| PriceProblems(vec![error.message().to_owned()]))?;
    let mut problems = Vec::new();
    let mut prices = Vec::new();
    let mut seen = BTreeSet::new();
    for (index, value) in list.price.iter().enumerate() {
        let name = name(index, value);
        let price = read(value, list.date, &list.source);
        match price {
            Err(message) => problems.push(format!("{name}: {message}")),
            Ok(price)
                if !seen.insert((
                    price.provider.clone(),
                    price.model.clone(),
                    price.effective_from,
                )) =>
            {
                problems.push(twice(&name, price.effective_from));
            }
            Ok(price) => prices.push(price),
        }
    }
    if problems.is_empty() {
        return Ok(prices);
    }
    Err(PriceProblems(problems))
}

/// What to call an entry in a message, even one that cannot be read.
fn name(index: usize, value: &toml::Value) -> String {
    let text = |key| value.get(key).and_then(toml::Value::as_str);
    match (text("provider"), text("model")) {
        (Some(provider), Some(model)) => format!("{provider}/{model}"),
        _ => format!("price {}", index.saturating_add(1)),
    }
}

fn twice(name: &str, from: Option<NaiveDate>) -> String {
    match from {
        Some(day) => format!("{name}: has two prices from {day}"),
        None => format!("{name}: has two prices without effective_from"),
    }
}

fn read(value: &toml::Value, date: Option<NaiveDate>, source: &str) -> Result<Price, String> {
    let written: Written = serde_path_to_error::deserialize(value.clone())
        .map_err(|error| format!("{}: {}", error.path(), error.inner().message()))?;
    if written.provider.is_empty() || written.model.is_empty() {
        return Err("provider and model must not be empty".to_owned());
    }
    let tiers: Vec<Tier> = written.tier.into_iter().map(Tier::from).collect();
    let mut kinds = BTreeSet::new();
    if !tiers
        .iter()
        .all(|tier| kinds.insert((tier.service, tier.input_tokens_over)))
    {
        return Err("has two tiers for the same service and length".to_owned());
    }
    Ok(Price {
        provider: written.provider,
        model: written.model,
        effective_from: written.effective_from,
        rates: written.usd.into(),
        tiers,
        web_search: written.web_search,
        input_tokens_max: written.input_tokens_max,
        output_tokens_max: written.output_tokens_max,
        deprecates: written.deprecates,
        source: written.source.unwrap_or_else(|| source.to_owned()),
        source_date: written.source_date.or(date),
        sources_agree: written.sources_agree,
    })
}

impl From<WrittenRates> for Rates {
    fn from(written: WrittenRates) -> Self {
        Self {
            input: written.input,
            output: written.output,
            cache_read: written.cache_read,
            cache_write: written.cache_write,
            cache_write_1h: written.cache_write_1h,
            reasoning: written.reasoning,
            audio_input: written.audio_input,
            audio_output: written.audio_output,
            image_input: written.image_input,
        }
    }
}

impl From<WrittenTier> for Tier {
    fn from(written: WrittenTier) -> Self {
        Self {
            service: written.service,
            input_tokens_over: written.input_tokens_over,
            rates: written.usd.into(),
        }
    }
}

/// A price is a text: a TOML number would have been a float on the way.
fn price<'de, D: Deserializer<'de>>(source: D) -> Result<UsdPerMillion, D::Error> {
    use serde::de::Error as _;
    UsdPerMillion::new(decimal(source)?).map_err(D::Error::custom)
}

fn some_price<'de, D: Deserializer<'de>>(source: D) -> Result<Option<UsdPerMillion>, D::Error> {
    price(source).map(Some)
}

/// Written per search, kept per million of them.
fn searches<'de, D: Deserializer<'de>>(source: D) -> Result<Option<UsdPerMillion>, D::Error> {
    use serde::de::Error as _;
    let million = Decimal::from(1_000_000);
    let price = decimal(source)?.checked_mul(million);
    let price = price.ok_or_else(|| D::Error::custom("the price is too large"))?;
    UsdPerMillion::new(price)
        .map(Some)
        .map_err(D::Error::custom)
}

fn decimal<'de, D: Deserializer<'de>>(source: D) -> Result<Decimal, D::Error> {
    use serde::de::Error as _;
    let text = String::deserialize(source)?;
    Decimal::from_str_exact(&text)
        .map_err(|_| D::Error::custom(format!("`{text}` is not a decimal number")))
}
