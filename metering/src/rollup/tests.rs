//! The parts of every roll-up add up to the events, however these are divided into batches.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use config::PriceList;
use proptest::prelude::*;
use rust_decimal::Decimal;
use types::{Usage, Usd};
use uuid::Uuid;

use super::*;
use crate::price::{Service, TokenClass};
use crate::record::ChargeTo;

const LIST: &str = r#"
date = "2026-11-22"
source = "test"
[[price]]
provider = "p"
model = "m"
usd = { input = "1.25", output = "10", cache_read = "0.125", cache_write = "1.5625", cache_write_1h = "2.5", reasoning = "12.000001", audio_input = "0.7", audio_output = "20", image_input = "0.33" }
tier = [
    { input_tokens_over = 2000, usd = { input = "2.5", output = "15" } },
    { service = "batch", usd = { input = "0.625", output = "5" } },
]
web_search = "0.01"
"#;

/// What an event is drawn from; small, so that events share rows.
#[derive(Debug, Clone)]
struct Drawn {
    organization: u8,
    day: u32,
    late: bool,
    kind: u8,
    key: Option<u8>,
    workflow: Option<u8>,
    platform: bool,
    usage: Usage,
    tags: BTreeMap<String, String>,
}

fn book() -> PriceBook {
    PriceBook::new(&PriceList::parse(LIST).unwrap())
}

fn usages() -> impl Strategy<Value = Usage> {
    let input = (0_u64..1_500, 0_u64..1_500, 0_u64..900, 0_u64..900);
    let output = (0_u64..700, 0_u64..700, 0_u64..3);
    (input, output).prop_map(
        |((text, cached, written, heard), (said, thought, searched))| Usage {
            input_tokens: text + cached + 2 * written,
            cache_read_tokens: cached,
            cache_write_5m_tokens: written,
            cache_write_1h_tokens: written,
            audio_input_tokens: heard.min(text),
            image_tokens: 0,
            output_tokens: said + thought,
            reasoning_tokens: thought,
            audio_output_tokens: said / 2,
            web_searches: searched,
        },
    )
}

fn events() -> impl Strategy<Value = Vec<Drawn>> {
    let tags = prop::collection::btree_map("[ab]", "[xyz]", 0..3);
    let who = (0_u8..3, 1_u32..4, any::<bool>(), 0_u8..6);
    let what = (
        prop::option::of(0_u8..3),
        prop::option::of(0_u8..2),
        prop::bool::weighted(0.2),
    );
    let event = (who, what, usages(), tags).prop_map(|(who, what, usage, tags)| {
        let ((organization, day, late, kind), (key, workflow, platform)) = (who, what);
        Drawn {
            organization,
            day,
            late,
            kind,
            key,
            workflow,
            platform,
            usage,
            tags,
        }
    });
    prop::collection::vec(event, 0..40)
}

fn id(kind: u128, number: u8) -> Uuid {
    Uuid::from_u128(kind << 8 | u128::from(number))
}

/// 0 to 2: an attempt at a price; 3: a correction; 4: an attempt at a price that is lost; 5: one without any.
fn fact<'a>(drawn: &'a Drawn, prices: &PriceBook) -> Fact<'a> {
    let at = "2026-11-22T00:00:00Z".parse().unwrap();
    let price = prices.find("p", "m", at).unwrap();
    let service = if drawn.kind == 1 {
        Service::Batch
    } else {
        Service::Standard
    };
    let cost = price.cost_at(service, &drawn.usage).unwrap();
    let day = NaiveDate::from_ymd_opt(2026, 10, drawn.day).unwrap();
    let (price, usage, cost) = match drawn.kind {
        3 => (Some(price.id()), Usage::default(), Usd::ZERO - cost),
        4 => (Some(Uuid::nil()), drawn.usage, cost),
        5 => (None, drawn.usage, Usd::ZERO),
        _ => (Some(price.id()), drawn.usage, cost),
    };
    let charge_to = if drawn.platform {
        ChargeTo::Platform
    } else {
        ChargeTo::Tenant
    };
    let billed = NaiveDate::from_ymd_opt(2026, if drawn.late { 11 } else { 10 }, 1).unwrap();
    Fact {
        organization: id(1, drawn.organization),
        day,
        billed_period: billed,
        event_type: "ai_request",
        provider: "p",
        model: "m",
        api_key: drawn.key.map(|key| id(2, key)),
        user: drawn.key.map(|key| id(3, key)),
        department: None,
        workflow: drawn.workflow.map(|workflow| id(4, workflow)),
        price,
        service: Some(if drawn.kind == 1 { "batch" } else { "standard" }),
        usage_source: Some("provider"),
        outcome: Some("completed"),
        charge_to: charge_to.as_str(),
        quantity: i64::try_from(usage.total_tokens()).unwrap(),
        usage,
        cost,
        saved_cost: Usd::ZERO,
        tags: &drawn.tags,
    }
}

fn additions<'a>(facts: &[Fact<'a>], prices: &PriceBook) -> Additions<'a> {
    let mut additions = Additions::default();
    for fact in facts {
        additions.add(fact, prices);
    }
    additions
}

fn cost<'a>(facts: impl Iterator<Item = &'a Fact<'a>>) -> Usd {
    facts.map(|fact| fact.cost).sum()
}

proptest! {
    #[test]
    fn the_parts_of_each_roll_up_add_up_to_the_events(drawn in events()) {
        let prices = book();
        let facts: Vec<_> = drawn.iter().map(|drawn| fact(drawn, &prices)).collect();
        let additions = additions(&facts, &prices);

        let whole = cost(facts.iter());
        prop_assert_eq!(additions.usage.values().map(|sum| sum.cost).sum::<Usd>(), whole);
        prop_assert_eq!(additions.charges.values().map(|sum| sum.cost).sum::<Usd>(), whole);
        let billed = cost(facts.iter().filter(|fact| fact.is_billed()));
        prop_assert_eq!(additions.days.values().map(|sum| sum.cost).sum::<Usd>(), billed);
        let events: i64 = additions.usage.values().map(|sum| sum.events).sum();
        prop_assert_eq!(events, i64::try_from(facts.len()).unwrap());
        for tag in ["a", "b"] {
            let tagged = cost(facts.iter().filter(|fact| fact.tags.contains_key(tag)));
            let rows = additions.tags.iter().filter(|(key, _)| key.key == tag);
            prop_assert_eq!(rows.map(|(_, sum)| sum.cost).sum::<Usd>(), tagged);
        }
    }

    #[test]
    fn quantity_times_unit_price_is_the_cost_of_every_charge(drawn in events()) {
        let prices = book();
        let facts: Vec<_> = drawn.iter().map(|drawn| fact(drawn, &prices)).collect();
        for (key, sum) in additions(&facts, &prices).charges {
            let product = Decimal::from(sum.quantity) * key.unit_price;
            prop_assert_eq!(product, sum.cost.decimal() * Decimal::from(1_000_000));
            prop_assert_eq!(key.billed_period.is_some(), key.charge_to == ChargeTo::Tenant.as_str());
        }
    }

    #[test]
    fn tokens_are_in_one_class_each_unless_the_event_cannot_be_taken_apart(drawn in events()) {
        let prices = book();
        for drawn in &drawn {
            let fact = fact(drawn, &prices);
            let charges: Vec<_> = charge::charges(&fact, &prices).collect();
            let divided = charges.iter().all(|(key, _)| key.class != TokenClass::Undivided);
            prop_assert_eq!(divided, !matches!(drawn.kind, 3 | 4) || fact.cost == Usd::ZERO);
            let tokens = charges.iter().filter(|(key, _)| key.class != TokenClass::WebSearch);
            let tokens: i64 = tokens.map(|(_, sum)| sum.quantity).sum();
            prop_assert!(!divided || drawn.kind == 4 || tokens == fact.quantity);
        }
    }

    #[test]
    fn batches_however_divided_come_to_the_same(drawn in events(), cut in 0_usize..40) {
        let prices = book();
        let facts: Vec<_> = drawn.iter().map(|drawn| fact(drawn, &prices)).collect();
        let whole = additions(&facts, &prices);
        let (first, second) = facts.split_at(cut.min(facts.len()));
        let (first, second) = (additions(first, &prices), additions(second, &prices));
        for (key, sum) in &whole.charges {
            let mut both = first.charges.get(key).copied().unwrap_or_default();
            both.add(second.charges.get(key).copied().unwrap_or_default());
            prop_assert_eq!(&both, sum);
        }
        let actors: BTreeSet<_> = first.actors.union(&second.actors).copied().collect();
        prop_assert_eq!(actors, whole.actors);
    }
}
