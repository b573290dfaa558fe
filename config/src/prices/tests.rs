//! The shipped list is exact; a list that is not is refused, with everything that is wrong with it.

use rust_decimal::Decimal;
use types::money::PRICE_SCALE;

use super::*;

fn day(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// Every text of the file against every number of the list, by arithmetic on the digits alone.
#[test]
fn every_shipped_price_is_what_the_file_says() {
    let list = PriceList::shipped().unwrap();
    let file: toml::Table = PRICES_TOML.parse().unwrap();
    let written = file["price"].as_array().unwrap();
    assert_eq!(list.iter().count(), written.len());
    for entry in written {
        let text = |key: &str| entry[key].as_str().unwrap();
        let history = list.history(text("provider"), text("model"));
        let from = entry.get("effective_from").map(|day| day.as_str().unwrap());
        let price = history
            .iter()
            .find(|price| price.effective_from.map(|day| day.to_string()).as_deref() == from)
            .unwrap();
        assert_exact(&price.rates, &entry["usd"]);
        let no_tiers = Vec::new();
        let tiers = entry
            .get("tier")
            .map_or(&no_tiers, |tiers| tiers.as_array().unwrap());
        assert_eq!(price.tiers.len(), tiers.len());
        for (tier, written) in price.tiers.iter().zip(tiers) {
            assert_exact(&tier.rates, &written["usd"]);
        }
    }
}

fn assert_exact(rates: &Rates, written: &toml::Value) {
    let classes = [
        ("input", Some(rates.input)),
        ("output", Some(rates.output)),
        ("cache_read", rates.cache_read),
        ("cache_write", rates.cache_write),
        ("cache_write_1h", rates.cache_write_1h),
        ("reasoning", rates.reasoning),
        ("audio_input", rates.audio_input),
        ("audio_output", rates.audio_output),
        ("image_input", rates.image_input),
    ];
    for (class, price) in classes {
        let digits = written
            .get(class)
            .map(|text| micros(text.as_str().unwrap()));
        let price = price.map(|price| {
            let mut price: Decimal = price.decimal();
            price.rescale(PRICE_SCALE);
            price.mantissa()
        });
        assert_eq!(
            price.unwrap_or_default(),
            digits.unwrap_or_default(),
            "{class}"
        );
    }
}

/// Millionths of a dollar, from the digits.
fn micros(text: &str) -> i128 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    assert!(fraction.len() <= 6, "{text}");
    format!("{whole}{fraction:0<6}").parse().unwrap()
}

#[test]
fn the_price_of_a_time_is_the_one_in_force_then() {
    let list = PriceList::shipped().unwrap();
    let input = |at| {
        list.find("openai", "o3", day(at))
            .unwrap()
            .rates
            .input
            .decimal()
    };
    assert_eq!(input("2025-06-09T23:59:59Z"), Decimal::from(10));
    assert_eq!(input("2025-06-10T00:00:00Z"), Decimal::from(2));
}

#[test]
fn a_long_input_costs_the_tier_as_a_whole() {
    let list = PriceList::shipped().unwrap();
    let price = list
        .find("gemini", "gemini-2.5-pro", day("2026-11-22T00:00:00Z"))
        .unwrap();
    let input = |service, tokens| price.rates(service, tokens).input.decimal().to_string();
    assert_eq!(input(Service::Standard, 200_000), "1.25");
    assert_eq!(input(Service::Standard, 200_001), "2.5");
    assert_eq!(input(Service::Priority, 1), "2.25");
    assert_eq!(input(Service::Priority, 200_001), "4.5");
}

#[test]
fn all_that_is_wrong_with_a_list_is_told_at_once() {
    let entry = |model: &str, input: &str| {
        format!(
            "[[price]]\nprovider = \"p\"\nmodel = \"{model}\"\nusd = {{ input = {input}, output = \"1\" }}\n"
        )
    };
    let text = [
        entry("float", "0.1"),
        entry("fine", "\"0.0000001\""),
        entry("negative", "\"-1\""),
        entry("twice", "\"1\""),
        entry("twice", "\"2\""),
    ];
    let problems = PriceList::parse(&text.concat()).unwrap_err();
    let models: Vec<_> = problems
        .messages()
        .iter()
        .map(|message| message.split(':').next().unwrap())
        .collect();
    assert_eq!(models, ["p/float", "p/fine", "p/negative", "p/twice"]);
}
