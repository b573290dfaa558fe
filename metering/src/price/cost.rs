//! Exact cost of a usage: disjoint classes, each multiplied by its price, summed without rounding.

use config::prices::{Rates, Service};
use thiserror::Error;
use types::money::{self, UsdPerMillion};
use types::{Usage, Usd};

use super::{Charge, Price, TokenClass};

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
        let mut total = Usd::ZERO;
        for charge in self.charges_at(service, usage)? {
            total = total.checked_add(charge.cost()?)?;
        }
        Ok(total)
    }

    /// The same, class by class; classes that were not used are left out.
    pub fn charges_at(
        &self,
        service: Service,
        usage: &Usage,
    ) -> Result<impl Iterator<Item = Charge> + use<>, Error> {
        if !usage.is_consistent() {
            return Err(Error::Inconsistent);
        }
        let listed = self.listed();
        let rates = listed.rates(service, usage.input_tokens);
        Ok(classes(usage, rates, listed.web_search.unwrap_or_default()))
    }
}

/// The charges of a usage that has no price: all of it, for nothing.
pub(crate) fn unpriced(usage: &Usage) -> impl Iterator<Item = Charge> + use<> {
    let free = Rates {
        input: UsdPerMillion::default(),
        output: UsdPerMillion::default(),
        cache_read: None,
        cache_write: None,
        cache_write_1h: None,
        reasoning: None,
        audio_input: None,
        audio_output: None,
        image_input: None,
    };
    classes(usage, &free, UsdPerMillion::default())
}

/// The usage taken apart, every token in exactly one class.
///
/// A token that is cached *and* audio or image is priced as cached: providers name the cached part of the whole input only.
/// The modality therefore counts against what is left of the input, audio first; reasoning likewise comes before audio output.
fn classes(
    usage: &Usage,
    rates: &Rates,
    web_search: UsdPerMillion,
) -> impl Iterator<Item = Charge> + use<> {
    let cached =
        usage.cache_read_tokens + usage.cache_write_5m_tokens + usage.cache_write_1h_tokens;
    let uncached = usage.input_tokens.saturating_sub(cached);
    let audio = usage.audio_input_tokens.min(uncached);
    let image = usage.image_tokens.min(uncached - audio);
    let reasoning = usage.reasoning_tokens.min(usage.output_tokens);
    let spoken = usage
        .audio_output_tokens
        .min(usage.output_tokens - reasoning);
    let text = usage.output_tokens - reasoning - spoken;

    let all = [
        (TokenClass::Input, uncached - audio - image, rates.input),
        (TokenClass::AudioInput, audio, rates.audio_input()),
        (TokenClass::ImageInput, image, rates.image_input()),
        (
            TokenClass::CacheRead,
            usage.cache_read_tokens,
            rates.cache_read(),
        ),
        (
            TokenClass::CacheWrite5m,
            usage.cache_write_5m_tokens,
            rates.cache_write(),
        ),
        (
            TokenClass::CacheWrite1h,
            usage.cache_write_1h_tokens,
            rates.cache_write_1h(),
        ),
        (TokenClass::Output, text, rates.output),
        (TokenClass::Reasoning, reasoning, rates.reasoning()),
        (TokenClass::AudioOutput, spoken, rates.audio_output()),
        (TokenClass::WebSearch, usage.web_searches, web_search),
    ];
    let used = all.into_iter().filter(|(_, quantity, _)| *quantity > 0);
    used.map(|(class, quantity, unit_price)| Charge {
        class,
        quantity,
        unit_price,
    })
}
