//! Cost against an oracle of its own: whole numbers of pico-dollars, token by token class.

mod lists;

use config::PriceList;
use num_bigint::BigInt;
use proptest::prelude::*;
use types::{Usage, Usd};

use super::*;
use crate::quota::Estimate;

const LIST: &str = r#"
date = "2026-11-22"
source = "test"
[[price]]
provider = "p"
model = "m"
usd = { input = "1.25", output = "10", cache_read = "0.125", cache_write = "1.5625", cache_write_1h = "2.5", reasoning = "12.000001", audio_input = "0.7", audio_output = "20", image_input = "0.33" }
tier = [
    { input_tokens_over = 200000, usd = { input = "2.5", output = "15" } },
    { service = "batch", usd = { input = "0.625", output = "5" } },
]
web_search = "0.01"
[[price]]
provider = "p"
model = "m"
effective_from = "2026-12-01"
usd = { input = "1", output = "2" }
"#;

fn book() -> PriceBook {
    PriceBook::new(&PriceList::parse(LIST).unwrap())
}

fn price_at(time: &str) -> Arc<Price> {
    book().find("p", "m", time.parse().unwrap()).unwrap()
}

#[track_caller]
fn check(usage: Usage, expected: &str) {
    let cost = price_at("2026-11-22T00:00:00Z").cost(&usage).unwrap();
    assert_eq!(cost.to_string(), expected);
}

#[test]
fn every_token_is_priced_once_in_its_own_class() {
    check(
        Usage {
            input_tokens: 1_000_000,
            cache_read_tokens: 400_000,
            ..Usage::default()
        },
        // Beyond 200,000 the whole request costs the tier's price; cached input has none there.
        "2.5",
    );
    check(
        Usage {
            input_tokens: 100,
            cache_read_tokens: 60,
            audio_input_tokens: 100,
            output_tokens: 10,
            reasoning_tokens: 4,
            web_searches: 2,
            ..Usage::default()
        },
        // 60 × 0.125 + 40 × 0.7 + 6 × 10 + 4 × 12.000001 per million, and two searches.
        "0.020143500004",
    );
}

#[test]
fn the_tier_begins_after_its_threshold() {
    let of = |input_tokens| Usage {
        input_tokens,
        ..Usage::default()
    };
    check(of(200_000), "0.25");
    check(of(200_001), "0.5000025");
}

#[test]
fn a_price_holds_from_its_day_on_and_keeps_its_id() {
    let before = price_at("2026-11-30T23:59:59Z");
    let after = price_at("2026-12-01T00:00:00Z");
    assert_ne!(before.id(), after.id());
    assert_eq!(after.id(), price_at("2027-05-01T00:00:00Z").id());
    assert!(book().find("p", "unknown", DateTime::UNIX_EPOCH).is_none());
}

#[test]
fn a_usage_that_contradicts_itself_has_no_cost() {
    let usage = Usage {
        input_tokens: 1,
        cache_read_tokens: 2,
        ..Usage::default()
    };
    assert_eq!(
        price_at("2026-11-22T00:00:00Z").cost(&usage),
        Err(Error::Inconsistent)
    );
}

#[test]
fn another_rate_is_another_price_and_a_remark_is_not() {
    let id = |list: &str| {
        let list = PriceList::parse(list).unwrap();
        Price::of(Arc::clone(list.iter().next().unwrap())).id()
    };
    let cheaper = LIST.replace("input = \"0.625\"", "input = \"0.624\"");
    let written_otherwise = LIST.replace("input = \"0.625\"", "input = \"0.6250\"");
    let from_elsewhere = LIST.replace("source = \"test\"", "source = \"elsewhere\"");
    assert_ne!(id(&cheaper), id(LIST));
    assert_eq!(id(&written_otherwise), id(LIST));
    assert_eq!(id(&from_elsewhere), id(LIST));
}

fn micros(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).unwrap()
}

/// Prices that follow one another without a gap, from each of these moments on.
fn table_of(organization: Option<Id<Organization>>, begins: &[i64]) -> Vec<TablePrice> {
    let ends = begins.iter().skip(1).copied().map(Some).chain([None]);
    let spans = begins.iter().zip(ends).enumerate();
    let prices = spans.map(|(number, (begin, end))| {
        let terms = Terms {
            id: Uuid::from_u128(number as u128),
            organization,
            begins_at: Some(micros(*begin)),
            ends_at: end.map(micros),
        };
        let listed = price_at("2026-11-22T00:00:00Z").listed().clone();
        TablePrice {
            price: Arc::new(Price::of_table(terms, listed)),
            in_force: true,
        }
    });
    prices.collect()
}

proptest! {
    /// At the very microsecond: one before belongs to the price before, and before all of them to the list.
    #[test]
    fn a_price_begins_at_its_microsecond(
        begins in proptest::collection::btree_set(1_700_000_000_000_000_i64..1_900_000_000_000_000, 1..6),
    ) {
        let begins: Vec<_> = begins.into_iter().collect();
        let organization = Id::from_uuid(Uuid::from_u128(7));
        let stranger = Id::from_uuid(Uuid::from_u128(8));
        let list = PriceList::parse(LIST).unwrap();
        let book = PriceBook::with_table(&list, &table_of(Some(organization), &begins));
        let number = |at| {
            let price = book.find_for(organization, ("p", "m"), micros(at)).unwrap();
            price.organization().map(|_| price.id().as_u128())
        };
        for (at, begin) in begins.iter().enumerate() {
            prop_assert_eq!(number(*begin), Some(at as u128));
            let before = at.checked_sub(1).map(|before| before as u128);
            prop_assert_eq!(number(begin - 1), before);
            let of_others = book.find_for(stranger, ("p", "m"), micros(*begin)).unwrap();
            prop_assert_eq!(of_others.organization(), None);
        }
    }

    /// More tokens never cost less, within the rates of one tier.
    #[test]
    fn cost_is_monotone(usage in usages(), more in 0_u64..1_000) {
        let price = price_at("2026-11-22T00:00:00Z");
        let cost = |usage: &Usage| price.cost(usage).unwrap();
        let grown = [
            Usage { input_tokens: usage.input_tokens + more, ..usage },
            Usage { output_tokens: usage.output_tokens + more, ..usage },
            Usage { web_searches: usage.web_searches + more, ..usage },
        ];
        for grown in grown {
            prop_assert!(cost(&grown) >= cost(&usage));
        }
    }
}

prop_compose! {
    /// Usages whose parts fit into their totals, however they overlap.
    fn usages()(
        plain in 0_u64..300_000, read in 0_u64..100_000, short in 0_u64..100_000, long in 0_u64..100_000,
        written in 0_u64..300_000, reasoning in 0_u64..100_000, spoken in 0_u64..400_000,
        audio in 0_u64..300_000, image in 0_u64..300_000, searches in 0_u64..50,
    ) -> Usage {
        let input = plain + read + short + long;
        let output = written + reasoning;
        let audio = audio.min(input);
        Usage {
            input_tokens: input,
            cache_read_tokens: read,
            cache_write_5m_tokens: short,
            cache_write_1h_tokens: long,
            audio_input_tokens: audio,
            image_tokens: image.min(input - audio),
            output_tokens: output,
            reasoning_tokens: reasoning,
            audio_output_tokens: spoken.min(output),
            web_searches: searches,
        }
    }
}

/// Millionths of a dollar per million tokens: whole numbers of pico-dollars per token.
fn oracle(usage: &Usage) -> BigInt {
    let long = usage.input_tokens > 200_000;
    let (input, output) = if long {
        (2_500_000, 15_000_000)
    } else {
        (1_250_000, 10_000_000)
    };
    let own = |price: u64, otherwise: u64| if long { otherwise } else { price };
    let cached =
        usage.cache_read_tokens + usage.cache_write_5m_tokens + usage.cache_write_1h_tokens;
    let mut uncached = usage.input_tokens - cached;
    let mut take = |wanted: u64| {
        let taken = wanted.min(uncached);
        uncached -= taken;
        taken
    };
    let audio = take(usage.audio_input_tokens);
    let image = take(usage.image_tokens);
    let mut rest = usage.output_tokens - usage.reasoning_tokens;
    let spoken = usage.audio_output_tokens.min(rest);
    rest -= spoken;
    let lines = [
        (uncached, input),
        (audio, own(700_000, input)),
        (image, own(330_000, input)),
        (usage.cache_read_tokens, own(125_000, input)),
        (usage.cache_write_5m_tokens, own(1_562_500, input)),
        (usage.cache_write_1h_tokens, own(2_500_000, input)),
        (rest, output),
        (usage.reasoning_tokens, own(12_000_001, output)),
        (spoken, own(20_000_000, output)),
        (usage.web_searches, 10_000_000_000),
    ];
    lines
        .iter()
        .map(|(count, pico)| BigInt::from(*count) * BigInt::from(*pico))
        .sum()
}

proptest! {
    #[test]
    fn cost_equals_whole_numbers_of_pico_dollars(usage in usages()) {
        let cost = price_at("2026-11-22T00:00:00Z").cost(&usage).unwrap();
        let mut decimal = cost.decimal();
        decimal.rescale(12);
        prop_assert_eq!(BigInt::from(decimal.mantissa()), oracle(&usage));
    }

    /// Without a tier between them, two requests cost what one of both together costs.
    #[test]
    fn cost_is_additive(one in 0_u64..100_000, other in 0_u64..100_000) {
        let price = price_at("2026-11-22T00:00:00Z");
        let cost = |tokens| price.cost(&Usage { input_tokens: tokens, output_tokens: tokens, ..Usage::default() }).unwrap();
        let sum: Usd = [cost(one), cost(other)].into_iter().sum();
        prop_assert_eq!(sum, cost(one + other));
    }
}

proptest! {
    /// What is reserved of a budget in dollars is enough, whatever the provider says it used and at which service.
    #[test]
    fn no_usage_within_the_estimate_costs_more_than_its_bound(
        input in 0_u64..400_000,
        output in 0_u64..100_000,
        used in prop::array::uniform8(0.0_f64..=1.0),
        searches in 0_u64..10,
        service in prop_oneof![Just(Service::Standard), Just(Service::Batch), Just(Service::Flex), Just(Service::Priority)],
    ) {
        let part = |of: u64, share: f64| share_of(of, share);
        let input_tokens = part(input, used[0]);
        let cached = part(input_tokens, used[1]);
        let output_tokens = part(output, used[2]);
        let usage = Usage {
            input_tokens,
            cache_read_tokens: part(cached, used[3]),
            cache_write_1h_tokens: cached - part(cached, used[3]),
            audio_input_tokens: part(input_tokens - cached, used[4]),
            image_tokens: part(input_tokens - cached - part(input_tokens - cached, used[4]), used[5]),
            output_tokens,
            reasoning_tokens: part(output_tokens, used[6]),
            audio_output_tokens: part(output_tokens - part(output_tokens, used[6]), used[7]),
            web_searches: searches,
            ..Usage::default()
        };
        let price = price_at("2026-11-22T00:00:00Z");
        let estimate = Estimate { input_tokens_max: input, output_tokens_max: output };
        let cost = price.cost_at(service, &usage).unwrap();
        prop_assert!(cost <= price.cost_max(&estimate, searches), "{cost}");
    }

    /// The cap that is lowered to what is left costs no more than that.
    #[test]
    fn as_many_tokens_as_an_amount_is_enough_for_cost_no_more(micros in 0_u64..1_000_000, input in 0_u64..400_000) {
        let price = price_at("2026-11-22T00:00:00Z");
        let left = Usd::new(rust_decimal::Decimal::from_i128_with_scale(micros.into(), 6));
        let estimate = |output| Estimate { input_tokens_max: input, output_tokens_max: output };
        let output = price.output_tokens_for(left, &estimate(0)).unwrap();
        let input_alone = price.cost_max(&estimate(0), 0);
        let cost = price.cost_max(&estimate(output), 0) - input_alone;
        prop_assert!(cost <= left);
        let more = price.cost_max(&estimate(output + 1), 0) - input_alone;
        prop_assert!(more > left);
    }
}

#[expect(
    clippy::float_arithmetic,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "only picks a part for a test"
)]
fn share_of(of: u64, share: f64) -> u64 {
    ((of as f64 * share) as u64).min(of)
}
