//! The price list, read independently of the gateway, and the cost of a call by it.
//!
//! Per million tokens: input without cache reads and writes at `input`, cache reads at `cache_read`, writes at
//! `cache_write` and `cache_write_1h`, output without reasoning at `output`, reasoning at `reasoning`; a class without a price of its own costs what its whole costs. A standard tier
//! whose `input_tokens_over` the input exceeds prices the whole call.

use std::collections::BTreeMap;

use anyhow::{Context, ensure};
use chrono::NaiveDate;
use num_bigint::BigInt;
use num_rational::BigRational;
use serde::Deserialize;

use crate::provider::books::Call;

/// An amount of US dollars, exact.
pub type Usd = BigRational;

/// The prices of a list.
#[derive(Debug)]
pub struct Prices {
    /// By provider and model; oldest first.
    by_model: BTreeMap<(String, String), Vec<Price>>,
}

#[derive(Debug)]
struct Price {
    effective_from: NaiveDate,
    /// Whether it holds before that day too, because no earlier price is known.
    open_start: bool,
    rates: Rates,
    /// By the input above which they hold; the standard service's only.
    tiers: Vec<(u64, Rates)>,
}

#[derive(Debug)]
struct Rates {
    input: Usd,
    output: Usd,
    cache_read: Option<Usd>,
    cache_write: Option<Usd>,
    cache_write_1h: Option<Usd>,
    reasoning: Option<Usd>,
}

#[derive(Deserialize)]
struct WrittenList {
    date: Option<NaiveDate>,
    #[serde(default)]
    price: Vec<WrittenPrice>,
}

#[derive(Deserialize)]
struct WrittenPrice {
    provider: String,
    model: String,
    effective_from: Option<NaiveDate>,
    usd: WrittenRates,
    #[serde(default)]
    tier: Vec<WrittenTier>,
}

#[derive(Deserialize)]
struct WrittenTier {
    service: Option<String>,
    #[serde(default)]
    input_tokens_over: u64,
    usd: WrittenRates,
}

#[derive(Deserialize)]
struct WrittenRates {
    input: String,
    output: Option<String>,
    cache_read: Option<String>,
    cache_write: Option<String>,
    cache_write_1h: Option<String>,
    reasoning: Option<String>,
}

impl Prices {
    /// Reads a list in the form of `config/prices.toml`.
    pub fn parse(text: &str) -> anyhow::Result<Self> {
        let list: WrittenList = toml::from_str(text).context("not a price list")?;
        let mut by_model = BTreeMap::<_, Vec<Price>>::new();
        for written in list.price {
            let name = (written.provider.clone(), written.model.clone());
            let price = Price::read(written, list.date)
                .with_context(|| format!("the price of {}/{}", name.0, name.1))?;
            by_model.entry(name).or_default().push(price);
        }
        for history in by_model.values_mut() {
            history.sort_by_key(|price| price.effective_from);
        }
        Ok(Self { by_model })
    }

    /// What a call costs with this provider, by the price of its day in UTC.
    pub fn cost(&self, provider: &str, call: &Call) -> anyhow::Result<Usd> {
        let model = &call.model;
        let price = self
            .find(provider, model, call.at.date_naive())
            .with_context(|| format!("{provider}/{model} has no price on {}", call.at))?;
        price.rates(call.input_tokens).cost(call)
    }

    fn find(&self, provider: &str, model: &str, day: NaiveDate) -> Option<&Price> {
        let history = self
            .by_model
            .get(&(provider.to_owned(), model.to_owned()))?;
        let in_force = history.iter().rfind(|price| price.effective_from <= day);
        in_force.or_else(|| history.first().filter(|price| price.open_start))
    }
}

impl Price {
    fn read(written: WrittenPrice, date: Option<NaiveDate>) -> anyhow::Result<Self> {
        let mut tiers = Vec::new();
        for tier in written.tier {
            let standard = tier.service.is_none_or(|service| service == "standard");
            if standard {
                tiers.push((tier.input_tokens_over, Rates::read(&tier.usd)?));
            }
        }
        tiers.sort_by_key(|(over, _)| *over);
        let effective_from = written.effective_from.or(date).context("it has no date")?;
        Ok(Self {
            effective_from,
            open_start: written.effective_from.is_none(),
            rates: Rates::read(&written.usd)?,
            tiers,
        })
    }

    fn rates(&self, input_tokens: u64) -> &Rates {
        let tier = self.tiers.iter().rfind(|(over, _)| input_tokens > *over);
        tier.map_or(&self.rates, |(_, rates)| rates)
    }
}

impl Rates {
    fn read(written: &WrittenRates) -> anyhow::Result<Self> {
        let optional = |text: &Option<String>| text.as_deref().map(decimal).transpose();
        Ok(Self {
            input: decimal(&written.input)?,
            output: optional(&written.output)?.unwrap_or_default(),
            cache_read: optional(&written.cache_read)?,
            cache_write: optional(&written.cache_write)?,
            cache_write_1h: optional(&written.cache_write_1h)?,
            reasoning: optional(&written.reasoning)?,
        })
    }

    fn cost(&self, call: &Call) -> anyhow::Result<Usd> {
        let part =
            |whole: u64, part: u64| whole.checked_sub(part).context("a part exceeds its whole");
        let cache_read = self.cache_read.as_ref().unwrap_or(&self.input);
        let write = self.cache_write.as_ref().unwrap_or(&self.input);
        let long_write = self.cache_write_1h.as_ref().unwrap_or(write);
        let reasoning = self.reasoning.as_ref().unwrap_or(&self.output);
        let written = call.cache_write_5m_tokens + call.cache_write_1h_tokens;
        let lines = [
            (
                part(call.input_tokens, call.cache_read_tokens + written)?,
                &self.input,
            ),
            (call.cache_read_tokens, cache_read),
            (call.cache_write_5m_tokens, write),
            (call.cache_write_1h_tokens, long_write),
            (
                part(call.output_tokens, call.reasoning_tokens)?,
                &self.output,
            ),
            (call.reasoning_tokens, reasoning),
        ];
        let lines = lines
            .into_iter()
            .map(|(tokens, price)| price * BigInt::from(tokens));
        Ok(lines.sum::<Usd>() / BigInt::from(1_000_000))
    }
}

/// A decimal number, exact: digits over a power of ten.
pub fn decimal(text: &str) -> anyhow::Result<Usd> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let digits = format!("{whole}{fraction}");
    let numeric = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    ensure!(numeric, "{text} is not a decimal number");
    let numerator: BigInt = digits.parse().context("not a number")?;
    let places = u32::try_from(fraction.len()).context("too many decimals")?;
    Ok(Usd::new(numerator * sign, BigInt::from(10).pow(places)))
}

/// Twelve decimals, which hold any sum of prices exactly; a fraction that they do not hold stays a fraction.
pub fn display(amount: &Usd) -> String {
    let scaled = amount * BigInt::from(10).pow(DECIMALS);
    if !scaled.is_integer() {
        return amount.to_string();
    }
    let digits = scaled.to_integer().magnitude().to_string();
    let digits = format!("{digits:0>width$}", width = DECIMALS as usize + 1);
    let (whole, fraction) = digits.split_at(digits.len() - DECIMALS as usize);
    let sign = if *amount < Usd::default() { "-" } else { "" };
    format!("{sign}{whole}.{fraction}")
}

const DECIMALS: u32 = 12;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::plan::Tokens;

    const LIST: &str = r#"
date = "2026-11-22"

[[price]]
provider = "openai"
model = "m"
usd = { input = "0.15", output = "0.6", cache_read = "0.075" }
tier = [
    { service = "batch", usd = { input = "9" } },
    { input_tokens_over = 1000, usd = { input = "1", output = "2", reasoning = "3" } },
]

[[price]]
provider = "openai"
model = "m"
effective_from = "2030-01-01"
usd = { input = "7", output = "7" }
"#;

    fn cost(tokens: Tokens) -> String {
        let mut call = Call::new(String::new(), "openai", "m", tokens);
        call.at = "2026-01-01T00:00:00Z".parse().unwrap();
        let prices = Prices::parse(LIST).unwrap();
        display(&prices.cost("openai", &call).unwrap())
    }

    #[test]
    fn each_class_costs_its_price_and_nothing_is_rounded() {
        let tokens = Tokens {
            input: 100,
            cache_read: 1,
            output: 10,
            reasoning: 4,
            ..Tokens::default()
        };
        // 99 × 0.15 + 1 × 0.075 + 6 × 0.6 + 4 × 0.6, by a million.
        assert_eq!(cost(tokens), "0.000020925000");
    }

    #[test]
    fn a_long_input_is_priced_as_a_whole_by_its_tier() {
        let tokens = Tokens {
            input: 1001,
            cache_read: 1,
            output: 2,
            reasoning: 1,
            ..Tokens::default()
        };
        assert_eq!(cost(tokens), "0.001006000000");
    }

    #[test]
    fn decimals_are_read_and_shown_exactly() {
        for text in [
            "0.000000000001",
            "-1.500000000000",
            "123456789012345678901.000000000000",
        ] {
            assert_eq!(display(&decimal(text).unwrap()), text);
        }
        for text in ["", ".", "1e3", "0x1", "1,5"] {
            assert!(decimal(text).is_err(), "{text}");
        }
    }
}
