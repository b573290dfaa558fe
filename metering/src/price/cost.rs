//! Exact cost of a usage: disjoint classes, each multiplied by its price, summed without rounding.

use config::prices::{Rates, Service};
use thiserror::Error;
use types::money::{self, UsdPerMillion};
use types::{Usage, Usd};

use super::Price;

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
    /// What the usage costs at the standard service.
    pub fn cost(&self, usage: &Usage) -> Result<Usd, Error> {
        self.cost_at(Service::Standard, usage)
    }

    /// What the usage costs at the service that the provider says it used.
    pub fn cost_at(&self, service: Service, usage: &Usage) -> Result<Usd, Error> {
        if !usage.is_consistent() {
            return Err(Error::Inconsistent);
        }
        let listed = self.listed();
        let rates = listed.rates(service, usage.input_tokens);
        let mut total = listed
            .web_search
            .unwrap_or_default()
            .cost_of(usage.web_searches)?;
        let used = classes(usage, rates)
            .into_iter()
            .filter(|(tokens, _)| *tokens > 0);
        for (tokens, rate) in used {
            total = total.checked_add(rate.cost_of(tokens)?)?;
        }
        Ok(total)
    }
}

/// The usage taken apart, every token in exactly one class.
///
/// A token that is cached *and* audio or image is priced as cached: providers name the cached part of the whole input only.
/// The modality therefore counts against what is left of the input, audio first; reasoning likewise comes before audio output.
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

    [
        (uncached - audio - image, rates.input),
        (audio, rates.audio_input()),
        (image, rates.image_input()),
        (usage.cache_read_tokens, rates.cache_read()),
        (usage.cache_write_5m_tokens, rates.cache_write()),
        (usage.cache_write_1h_tokens, rates.cache_write_1h()),
        (usage.output_tokens - reasoning - spoken, rates.output),
        (reasoning, rates.reasoning()),
        (spoken, rates.audio_output()),
    ]
}
