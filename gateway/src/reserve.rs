//! What is reserved for an attempt before its provider is asked: the most that it can use and cost.
//!
//! The reservation holds because the answer is capped: at what the caller said, or at the configuration's default. Where a
//! limit has less left than that, `[quota] near_limit` decides: the request is refused, or its cap is lowered to what is left.

use config::Config;
use config::section::NearLimit;
use metering::{Estimate, Exceeded, Price, Quota, Refusal, Reservation, Resource};
use rust_decimal::prelude::ToPrimitive;
use types::Usd;

use crate::error::Error;
use crate::prompt::Prompt;

/// Below so many tokens an answer is of no use, and some providers refuse to give one.
const LOWERED_CAP_MIN: u64 = 16;
/// Several limits may be near: each refusal lowers the cap to what that one has left.
const LOWERINGS_MAX: usize = 4;

/// A reservation, and what keeps the attempt within it.
#[derive(Debug)]
pub(crate) struct Reserved {
    /// What is held.
    pub(crate) reservation: Reservation,
    /// What it was made for.
    pub(crate) estimate: Estimate,
    /// The cap of each answer that has to be sent along, in tokens, where the caller's own is missing or too high.
    pub(crate) cap: Option<u64>,
}

/// Reserves, or says which limit refuses.
pub(crate) async fn reserve(
    quota: &Quota,
    prompt: &Prompt,
    price: Option<&Price>,
    config: &Config,
) -> Result<Reserved, Error> {
    let default = config.models.default_output_tokens_max;
    let mut estimate = prompt.estimate(default);
    let mut lowered = None;
    for _ in 0..=LOWERINGS_MAX {
        let cost_max = || cost_max(prompt, price, &estimate);
        let refusal = match quota.reserve(prompt.spender(), estimate, cost_max).await {
            Ok(reservation) => {
                let missing = prompt.missing_cap(default);
                let missing = missing.filter(|_| reservation.is_limited());
                return Ok(Reserved {
                    cap: lowered.or(missing),
                    reservation,
                    estimate,
                });
            }
            Err(refusal) => refusal,
        };
        let left = left(&refusal, prompt, price, &estimate, config.quota.near_limit);
        let Some(cap) = left else {
            return Err(refusal.into());
        };
        lowered = Some(cap);
        estimate.output_tokens_max = cap.saturating_mul(prompt.answers());
    }
    Err(Error::Unavailable {
        reason: "its limits change too quickly",
    })
}

/// The most that the attempt can cost; without a price, nothing.
fn cost_max(prompt: &Prompt, price: Option<&Price>, estimate: &Estimate) -> Usd {
    price.map_or(Usd::ZERO, |price| {
        price.cost_max(estimate, prompt.web_searches_max())
    })
}

/// The cap of one answer with which the refusing limit would let the attempt pass, if that is of any use.
fn left(
    refusal: &Refusal,
    prompt: &Prompt,
    price: Option<&Price>,
    estimate: &Estimate,
    near_limit: NearLimit,
) -> Option<u64> {
    let (NearLimit::LowerCap, Refusal::Exceeded(exceeded)) = (near_limit, refusal) else {
        return None;
    };
    let Exceeded {
        limit,
        used,
        resource,
        ..
    } = **exceeded;
    let left = limit.checked_sub(used)?;
    let output = match resource {
        Resource::AiTokens => left.to_u64()?.checked_sub(estimate.input_tokens_max)?,
        Resource::Usd => {
            let input = Estimate {
                output_tokens_max: 0,
                ..*estimate
            };
            let input = cost_max(prompt, price, &input);
            price?.output_tokens_for(Usd::new(left.checked_sub(input.decimal())?), estimate)?
        }
        Resource::ApiCalls => return None,
    };
    let cap = output / prompt.answers().max(1);
    let is_lower = output < estimate.output_tokens_max;
    (is_lower && cap >= LOWERED_CAP_MIN).then_some(cap)
}
