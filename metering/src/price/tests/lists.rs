//! Any list and any usage against an oracle that prices token after token, each by the word that the list has for it.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::*;

/// Micro-dollars for a million tokens, which are whole pico-dollars for one, by the list's words.
type Written = BTreeMap<&'static str, u64>;

/// A price as somebody writes it.
#[derive(Debug, Clone)]
struct List {
    base: Written,
    tiers: BTreeMap<(usize, u64), Written>,
    /// Micro-dollars for one search.
    web_search: Option<u64>,
}

/// What may have a price of its own, and what it costs otherwise.
const OWN: [(&str, &str); 7] = [
    ("cache_read", "input"),
    ("cache_write", "input"),
    ("cache_write_1h", "cache_write"),
    ("reasoning", "output"),
    ("audio_input", "input"),
    ("audio_output", "output"),
    ("image_input", "input"),
];

const PICO_PER_MICRO: u128 = 1_000_000;

fn rate() -> impl Strategy<Value = u64> {
    prop_oneof![0_u64..4, 0_u64..300_000_000]
}

fn written() -> impl Strategy<Value = Written> {
    let own = prop::collection::vec(prop::option::of(rate()), OWN.len());
    (rate(), rate(), own).prop_map(|(input, output, own)| {
        let own = OWN.iter().zip(own);
        let own = own.filter_map(|((word, _), rate)| Some((*word, rate?)));
        own.chain([("input", input), ("output", output)]).collect()
    })
}

fn lists() -> impl Strategy<Value = List> {
    let over = prop_oneof![Just(0_u64), 1_u64..300];
    let tier = (0..Service::ALL.len(), over);
    let tiers = prop::collection::btree_map(tier, written(), 0..6);
    let searches = prop::option::of(0_u64..50_000);
    (written(), tiers, searches).prop_map(|(base, tiers, web_search)| List {
        base,
        tiers,
        web_search,
    })
}

prop_compose! {
    /// Parts may exceed what is left of their whole, as audio does that was cached; a provider's cache may not.
    fn small_usages()(
        plain in 0_u64..120, read in 0_u64..60, short in 0_u64..60, long in 0_u64..60,
        audio in 0_u64..120, image in 0_u64..120, said in 0_u64..120, reasoning in 0_u64..60, spoken in 0_u64..120,
        searches in 0_u64..4,
    ) -> Usage {
        let (input, output) = (plain + read + short + long, said + reasoning);
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

impl List {
    fn to_toml(&self) -> String {
        let mut text = format!(
            "date = \"2026-11-22\"\nsource = \"test\"\n[[price]]\nprovider = \"p\"\nmodel = \"m\"\nusd = {}\ntier = [\n",
            rates_in_toml(&self.base)
        );
        for ((service, over), written) in &self.tiers {
            let service = Service::ALL[*service].as_str();
            let usd = rates_in_toml(written);
            let _ = writeln!(
                text,
                "{{ service = \"{service}\", input_tokens_over = {over}, usd = {usd} }},"
            );
        }
        text.push_str("]\n");
        if let Some(micros) = self.web_search {
            let _ = writeln!(text, "web_search = \"{}\"", dollars(micros));
        }
        text
    }

    fn price(&self) -> Arc<Price> {
        let list = PriceList::parse(&self.to_toml()).unwrap();
        let at = "2026-11-22T00:00:00Z".parse().unwrap();
        PriceBook::new(&list).find("p", "m", at).unwrap()
    }

    /// The rates that a person would point at: the service's for the longest input that this one exceeds, then the usual one's.
    fn rates(&self, service: Service, input: u64) -> &Written {
        for service in [service, Service::Standard] {
            let of_service = self.tiers.iter().rev().find(|((index, over), _)| {
                Service::ALL[*index] == service && (*over == 0 || input > *over)
            });
            if let Some((_, written)) = of_service {
                return written;
            }
        }
        &self.base
    }

    /// In pico-dollars.
    fn cost(&self, service: Service, usage: &Usage) -> u128 {
        let rates = self.rates(service, usage.input_tokens);
        let tokens = words(usage);
        let tokens: u128 = tokens
            .into_iter()
            .map(|word| u128::from(rate_of(rates, word)))
            .sum();
        let search = u128::from(self.web_search.unwrap_or_default()) * PICO_PER_MICRO;
        tokens + search * u128::from(usage.web_searches)
    }
}

fn rates_in_toml(written: &Written) -> String {
    let rates = written.iter();
    let rates: Vec<_> = rates
        .map(|(word, micros)| format!("{word} = \"{}\"", dollars(*micros)))
        .collect();
    format!("{{ {} }}", rates.join(", "))
}

fn dollars(micros: u64) -> String {
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
}

fn rate_of(rates: &Written, word: &str) -> u64 {
    let otherwise = || {
        let (_, otherwise) = OWN.iter().find(|(own, _)| *own == word).unwrap();
        rate_of(rates, otherwise)
    };
    rates.get(word).copied().unwrap_or_else(otherwise)
}

/// A word for each token: what came from the cache or went there first, then sound, then pictures; the rest is text.
fn words(usage: &Usage) -> Vec<&'static str> {
    let input = [
        ("cache_read", usage.cache_read_tokens),
        ("cache_write", usage.cache_write_5m_tokens),
        ("cache_write_1h", usage.cache_write_1h_tokens),
        ("audio_input", usage.audio_input_tokens),
        ("image_input", usage.image_tokens),
    ];
    let output = [
        ("reasoning", usage.reasoning_tokens),
        ("audio_output", usage.audio_output_tokens),
    ];
    let mut words = labelled("input", usage.input_tokens, &input);
    words.extend(labelled("output", usage.output_tokens, &output));
    words
}

fn labelled(rest: &'static str, count: u64, parts: &[(&'static str, u64)]) -> Vec<&'static str> {
    let parts = parts
        .iter()
        .flat_map(|(word, count)| (0..*count).map(|_| *word));
    let all = parts.chain(std::iter::repeat(rest));
    all.take(usize::try_from(count).unwrap()).collect()
}

proptest! {
    #[test]
    fn any_usage_costs_what_its_tokens_cost_one_by_one(list in lists(), usage in small_usages()) {
        let price = list.price();
        for service in Service::ALL {
            let mut cost = price.cost_at(service, &usage).unwrap().decimal();
            cost.rescale(12);
            let expected = i128::try_from(list.cost(service, &usage)).unwrap();
            prop_assert_eq!(cost.mantissa(), expected, "{} of {}", service.as_str(), list.to_toml());
        }
    }
}
