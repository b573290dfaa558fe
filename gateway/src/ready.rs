//! Makes one attempt ready: a place at a deployment, its price, the tokens it may use, and the request that is sent.

use std::sync::Arc;
use std::time::Instant;

use config::section::Unpriced;
use metering::{CacheStatus, Intent, Metering, Price, Reservation};

use crate::error::Error;
use crate::meter;
use crate::pipeline::Settings;
use crate::prompt::Prompt;
use crate::reserve::reserve;
use crate::route::{Choice, Running};
use crate::upstream::{self, Prepared};

/// Everything one attempt starts with. Dropped, it gives everything back: nobody was asked.
#[derive(Debug)]
pub(crate) struct Ready {
    /// What is asked, and of whom.
    pub(crate) prompt: Arc<Prompt>,
    /// The record of it.
    pub(crate) intent: Intent,
    /// The tokens it may use. Each attempt has its own: one that failed may have used some of them.
    pub(crate) tokens: Reservation,
    /// Its place at the deployment.
    pub(crate) running: Running,
    /// The request.
    pub(crate) request: Prepared,
}

/// Makes the next attempt of a request ready, at the deployment that its choice stands at or at another that has room.
pub(crate) async fn ready(
    metering: &Metering,
    settings: &Settings,
    choice: &mut Choice,
    prompt: Arc<Prompt>,
    cache: CacheStatus,
) -> Result<Ready, Error> {
    let running = choice.begin(Instant::now()).ok_or(Error::Unavailable {
        reason: "every deployment of the model is at its limit",
    })?;
    let prompt = match choice.deployment() {
        Some(deployment) => Prompt::at(prompt, deployment),
        None => prompt,
    };
    let price = price(settings, &prompt)?;
    let config = &settings.config;
    let reserved = reserve(metering.quota(), &prompt, price.as_deref(), config).await?;
    let request = upstream::prepare(&prompt, reserved.cap)?;
    let intent = meter::intent(&prompt, price, reserved.estimate, cache, &config.privacy);
    Ok(Ready {
        intent: Intent {
            attempt: choice.attempts(),
            ..intent
        },
        tokens: reserved.reservation,
        running,
        request,
        prompt,
    })
}

/// A price, or the operator's permission to go on without one.
pub(crate) fn price(settings: &Settings, prompt: &Prompt) -> Result<Option<Arc<Price>>, Error> {
    let organization = prompt.caller.organization;
    let price = settings
        .routes
        .price(organization, &prompt.deployment, prompt.at);
    if price.is_some() {
        return Ok(price);
    }
    let refuses = settings.config.metering.unpriced == Unpriced::Refuse;
    let outcome = if refuses { "refused" } else { "quarantined" };
    metrics::counter!("flowpilot_unpriced_requests_total", "outcome" => outcome).increment(1);
    tracing::warn!(
        provider = prompt.deployment.provider.price_provider,
        model = prompt.deployment.model,
        outcome,
        "a model without a price is being asked for"
    );
    if refuses {
        return Err(Error::UnpricedModel(prompt.call.model.clone()));
    }
    Ok(None)
}
