//! Exact cost of a usage: disjoint classes, each multiplied by its price, summed without rounding.

use thiserror::Error;
use types::money::{self, UsdPerMillion};
use types::{Usage, Usd};

use super::{Price, Rates};

/// Why a usage has no cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Error {
    /// A part is larger than the total it belongs to.
    #[error("the usage contradicts itself")]
    Inconsistent,
    /// The result does not fit into 28 digits.
    #[error("the cost is too large to be exact")]
    TooLarge,
}

impl From<money::Error> for Error {
    fn from(_: money::Error) -> Self {
        Self::TooLarge
    }
}

impl Price {
    /// What the usage costs.
    pub fn cost(&self, usage: &Usage) -> Result<Usd, Error> {
        if !usage.is_consistent() {
            return Err(Error::Inconsistent);
        }
        let rates = self.rates_for(usage.input_tokens);
        let mut total = Usd::ZERO;
        for (tokens, rate) in classes(usage, rates) {
            total = total.checked_add(rate.cost_of(tokens)?)?;
        }
        let searches = self
            .web_search
            .decimal()
            .checked_mul(usage.web_searches.into())
            .ok_or(Error::TooLarge)?;
        Ok(total.checked_add(Usd::new(searches))?)
    }

    /// Crossing a threshold prices the whole request at the tier, not only the tokens above it.
    fn rates_for(&self, input_tokens: u64) -> &Rates {
        let reached = self
            .tiers
            .iter()
            .filter(|tier| input_tokens > tier.input_tokens_over)
            .max_by_key(|tier| tier.input_tokens_over);
        reached.map_or(&self.rates, |tier| &tier.rates)
    }
}

/// The usage taken apart, every token in exactly one class.
///
/// A token that is cached *and* audio or image is priced as cached: providers name the cached part of the whole input only.
/// The modality therefore counts against what is left of the input, audio first.
fn classes(usage: &Usage, rates: &Rates) -> [(u64, UsdPerMillion); 9] {
    let cached =
        usage.cache_read_tokens + usage.cache_write_5m_tokens + usage.cache_write_1h_tokens;
    let uncached = usage.input_tokens - cached;
    let audio = usage.audio_input_tokens.min(uncached);
    let image = usage.image_tokens.min(uncached - audio);
    let reasoning = usage.reasoning_tokens;
    let spoken = usage
        .audio_output_tokens
        .min(usage.output_tokens - reasoning);
    let written = usage.output_tokens - reasoning - spoken;

    let cache_write_5m = rates.cache_write_5m.unwrap_or(rates.input);
    [
        (uncached - audio - image, rates.input),
        (audio, rates.audio_input.unwrap_or(rates.input)),
        (image, rates.image.unwrap_or(rates.input)),
        (
            usage.cache_read_tokens,
            rates.cache_read.unwrap_or(rates.input),
        ),
        (usage.cache_write_5m_tokens, cache_write_5m),
        (
            usage.cache_write_1h_tokens,
            rates.cache_write_1h.unwrap_or(cache_write_5m),
        ),
        (written, rates.output),
        (reasoning, rates.reasoning.unwrap_or(rates.output)),
        (spoken, rates.audio_output.unwrap_or(rates.output)),
    ]
}
