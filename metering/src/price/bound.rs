//! What an attempt can cost at most, before it is known what it uses: its reservation of a budget in dollars.

use config::prices::Rates;
use rust_decimal::prelude::ToPrimitive;
use types::Usd;
use types::money::UsdPerMillion;

use super::Price;
use crate::quota::Estimate;

impl Price {
    /// The most that a usage within the estimate can cost: every token in its dearest class, at the dearest service, in
    /// the dearest tier that so long an input can reach. Which service answers only the provider decides.
    ///
    /// What does not fit into a decimal costs more than any budget has.
    pub fn cost_max(&self, estimate: &Estimate, web_searches_max: u64) -> Usd {
        let (input, output) = self.dearest(estimate.input_tokens_max);
        let searches = self.listed().web_search.unwrap_or_default();
        let parts = [
            input.cost_of(estimate.input_tokens_max),
            output.cost_of(estimate.output_tokens_max),
            searches.cost_of(web_searches_max),
        ];
        let sum = parts
            .into_iter()
            .try_fold(Usd::ZERO, |sum, part| sum.checked_add(part?));
        sum.unwrap_or(Usd::new(rust_decimal::Decimal::MAX))
    }

    /// How many output tokens an amount is enough for, at the dearest; none where they cost nothing.
    pub fn output_tokens_for(&self, amount: Usd, estimate: &Estimate) -> Option<u64> {
        let (_, output) = self.dearest(estimate.input_tokens_max);
        let millions = amount.decimal().checked_div(output.decimal())?;
        millions.checked_mul(1_000_000.into())?.floor().to_u64()
    }

    /// The dearest prices of input and of output.
    fn dearest(&self, input_tokens_max: u64) -> (UsdPerMillion, UsdPerMillion) {
        let listed = self.listed();
        let tiers = listed.tiers.iter();
        let reached = tiers.filter(|tier| tier.input_tokens_over <= input_tokens_max);
        let rates = reached.map(|tier| &tier.rates).chain([&listed.rates]);
        rates.fold(Default::default(), |(input, output), rates| {
            let (its_input, its_output) = dearest_of(rates);
            (input.max(its_input), output.max(its_output))
        })
    }
}

fn dearest_of(rates: &Rates) -> (UsdPerMillion, UsdPerMillion) {
    let input = rates
        .input
        .max(rates.audio_input())
        .max(rates.image_input())
        .max(rates.cache_read())
        .max(rates.cache_write())
        .max(rates.cache_write_1h());
    let output = rates
        .output
        .max(rates.reasoning())
        .max(rates.audio_output());
    (input, output)
}
