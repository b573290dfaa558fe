//! Whether the gateway booked what the provider charges: tokens and dollars, model by model.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use serde::Serialize;

use super::price::{self, Prices, Usd};
use super::report::{self, Row};
use crate::loopback::Target;
use crate::mock;
use crate::output::{self, Verdict};
use crate::provider::books::Call;

/// What to compare.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// The mock provider, for its books.
    #[arg(
        long,
        visible_alias = "books",
        value_name = "URL",
        default_value = "http://127.0.0.1:9090"
    )]
    pub provider: Target,
    /// The price list.
    #[arg(long, value_name = "FILE", default_value = "config/prices.toml")]
    pub prices: PathBuf,
    /// What `flowpilot report usage --format json` wrote; `-` for standard input.
    #[arg(long, value_name = "FILE")]
    pub report: PathBuf,
    /// The provider's name in the price list; by default that of the call's dialect.
    #[arg(long, value_name = "NAME")]
    pub price_provider: Option<String>,
}

/// Sums for one model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Sums {
    requests: u64,
    input_tokens: u64,
    cache_read_tokens: u64,
    output_tokens: u64,
    reasoning_tokens: u64,
    cost: Usd,
}

/// Where the two differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The model.
    pub model: String,
    /// The sum that differs.
    pub what: &'static str,
    /// As the provider has it.
    pub provider: String,
    /// As the report has it.
    pub report: String,
}

#[derive(Serialize)]
struct Answer {
    equal: bool,
    models: usize,
    requests: u64,
    cost_usd: String,
    differences: Vec<Difference>,
}

/// Compares, and holds only when nothing differs.
pub async fn run(options: Options) -> anyhow::Result<Verdict> {
    let prices = std::fs::read_to_string(&options.prices)
        .with_context(|| format!("cannot read {}", options.prices.display()))?;
    let prices = Prices::parse(&prices)?;
    let rows = report::read(&options.report)?;
    let calls = mock::books(&options.provider).await?.calls;

    let charged = charged(&calls, &prices, options.price_provider.as_deref())?;
    let differences = compare(&charged, &booked(&rows)?);
    let cost: Usd = charged.values().map(|sums| &sums.cost).sum();
    output::json(&Answer {
        equal: differences.is_empty(),
        models: charged.len(),
        requests: charged.values().map(|sums| sums.requests).sum(),
        cost_usd: price::display(&cost),
        differences: differences.clone(),
    })?;
    Ok(Verdict::when(differences.is_empty()))
}

/// What the provider charges for: every call it took is a request, and a refusal costs nothing.
fn charged(
    calls: &[Call],
    prices: &Prices,
    price_provider: Option<&str>,
) -> anyhow::Result<BTreeMap<String, Sums>> {
    let mut charged = BTreeMap::<String, Sums>::new();
    for call in calls {
        let cost = match call.status {
            200 => prices.cost(price_provider.unwrap_or(&call.dialect), call)?,
            _ => Usd::default(),
        };
        let sums = charged.entry(call.model.clone()).or_default();
        sums.add(Sums {
            requests: 1,
            input_tokens: call.input_tokens,
            cache_read_tokens: call.cache_read_tokens,
            output_tokens: call.output_tokens,
            reasoning_tokens: call.reasoning_tokens,
            cost,
        });
    }
    Ok(charged)
}

/// What the gateway booked; what it answered from its cache is no call of the provider's.
fn booked(rows: &[Row]) -> anyhow::Result<BTreeMap<String, Sums>> {
    let mut booked = BTreeMap::<String, Sums>::new();
    for row in rows {
        booked.entry(row.model.clone()).or_default().add(Sums {
            requests: row.requests.saturating_sub(row.hits),
            input_tokens: row.input_tokens,
            cache_read_tokens: row.cache_read_tokens,
            output_tokens: row.output_tokens,
            reasoning_tokens: row.reasoning_tokens,
            cost: price::decimal(&row.cost_usd)?,
        });
    }
    Ok(booked)
}

fn compare(charged: &BTreeMap<String, Sums>, booked: &BTreeMap<String, Sums>) -> Vec<Difference> {
    let none = Sums::default();
    let models: BTreeSet<&String> = charged.keys().chain(booked.keys()).collect();
    let differences = models.into_iter().flat_map(|model| {
        let provider = charged.get(model).unwrap_or(&none).named();
        let report = booked.get(model).unwrap_or(&none).named();
        let pairs = provider.into_iter().zip(report);
        let unequal = pairs.filter(|((_, provider), (_, report))| provider != report);
        unequal.map(|((what, provider), (_, report))| Difference {
            model: model.clone(),
            what,
            provider,
            report,
        })
    });
    differences.collect()
}

impl Sums {
    fn add(&mut self, other: Self) {
        self.requests += other.requests;
        self.input_tokens += other.input_tokens;
        self.cache_read_tokens += other.cache_read_tokens;
        self.output_tokens += other.output_tokens;
        self.reasoning_tokens += other.reasoning_tokens;
        self.cost += other.cost;
    }

    fn named(&self) -> [(&'static str, String); 6] {
        [
            ("requests", self.requests.to_string()),
            ("input_tokens", self.input_tokens.to_string()),
            ("cache_read_tokens", self.cache_read_tokens.to_string()),
            ("output_tokens", self.output_tokens.to_string()),
            ("reasoning_tokens", self.reasoning_tokens.to_string()),
            ("cost_usd", price::display(&self.cost)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::plan::Tokens;

    const PRICES: &str = r#"
date = "2020-01-01"
price = [{ provider = "openai", model = "m", usd = { input = "1", output = "2" } }]
"#;

    fn differences(report: &str) -> Vec<Difference> {
        let tokens = Tokens {
            input: 3,
            output: 5,
            ..Tokens::default()
        };
        let call = Call::new(String::new(), "openai", "m", tokens);
        let refused = Call {
            status: 500,
            ..Call::new(String::new(), "openai", "m", Tokens::default())
        };
        let prices = Prices::parse(PRICES).unwrap();
        let charged = charged(&[call, refused], &prices, None).unwrap();
        compare(&charged, &booked(&report::parse(report).unwrap()).unwrap())
    }

    #[test]
    fn the_same_tokens_and_dollars_are_equal_however_the_report_splits_them() {
        let report = r#"[
            {"model": "m", "requests": 2, "input_tokens": 3, "output_tokens": 4, "cost_usd": "0.000011"},
            {"model": "m", "requests": 2, "hits": 2, "output_tokens": 1, "cost_usd": "0.000002000000"}
        ]"#;
        assert_eq!(differences(report), []);
    }

    #[test]
    fn a_trillionth_of_a_dollar_and_an_unknown_model_are_differences() {
        let report = r#"{"rows": [
            {"model": "m", "requests": 2, "input_tokens": 3, "output_tokens": 5, "cost_usd": "0.000013000001"},
            {"model": "n", "requests": 1}
        ]}"#;
        let found = differences(report);
        let found: Vec<_> = found
            .iter()
            .map(|one| (one.model.as_str(), one.what))
            .collect();
        assert_eq!(found, [("m", "cost_usd"), ("n", "requests")]);
    }
}
