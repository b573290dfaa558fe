//! Says to metering what a prompt intends and how it ended; the only place where the two vocabularies meet.

use std::sync::Arc;

use cache::Hit;
use config::section::{Privacy, PromptStorage};
use metering::price::Service;
use metering::{CacheStatus, ChargeTo, Failure, Intent, Price, Replay, Settlement};
use sha2::{Digest, Sha256};
use types::call::Role;
use types::{Clock, Outcome, Usage, UsageSource, Usd};

use crate::error::UpstreamError;
use crate::measure::{self, Measure};
use crate::prompt::Prompt;

/// What to write about a prompt before its provider is called.
pub(crate) fn intent(
    prompt: &Prompt,
    price: Option<Arc<Price>>,
    estimate: metering::Estimate,
    cache: CacheStatus,
    privacy: &Privacy,
) -> Intent {
    Intent {
        request_id: prompt.request,
        attempt: 1,
        caller: prompt.caller,
        attribution: prompt.attribution.clone(),
        endpoint: prompt.call.endpoint,
        dialect: prompt.call.dialect,
        model: prompt.call.model.clone(),
        provider: prompt.deployment.provider.name.clone(),
        provider_model: prompt.deployment.model.clone(),
        stream: prompt.call.delivery.is_stream(),
        created_at: prompt.at,
        prompt_text: stored_prompt(prompt, privacy),
        temperature: prompt
            .call
            .parameters
            .temperature
            .as_ref()
            .map(ToString::to_string),
        estimate,
        price,
        cache_status: Some(cache),
        charge_to: ChargeTo::Tenant,
    }
}

/// The cache's part in a hit.
pub(crate) const fn status(tier: cache::Tier) -> CacheStatus {
    match tier {
        cache::Tier::Exact => CacheStatus::Exact,
        cache::Tier::Normalized => CacheStatus::Normalized,
        cache::Tier::Semantic { .. } => CacheStatus::Semantic,
    }
}

/// How an answer ended that was read to its end, or to where its client or its provider left.
pub(crate) fn settlement(
    prompt: &Prompt,
    measure: &Measure,
    end: End<'_>,
    privacy: &Privacy,
    clock: &dyn Clock,
) -> Settlement {
    let (usage, usage_source) = measure.usage(prompt);
    let model = &measure.answer().model;
    let differs = !model.is_empty() && *model != prompt.deployment.model;
    Settlement {
        usage,
        usage_source,
        service: service(measure.answer().service_tier.as_deref()),
        time_to_first_token: measure
            .first_at()
            .map(|at| at.duration_since(prompt.received)),
        completion_text: stored_text(measure.answer().first_text(), privacy),
        provider_model: differs.then(|| model.clone()),
        ..ended(prompt, end, clock)
    }
}

/// How an attempt ended whose answer never began.
pub(crate) fn failed(prompt: &Prompt, error: &UpstreamError, clock: &dyn Clock) -> Settlement {
    let (usage, usage_source) = match error {
        // A provider that refuses, or was never reached, charges nothing.
        UpstreamError::Rejected(_) | UpstreamError::Unreachable(_) => {
            (Usage::default(), UsageSource::Provider)
        }
        UpstreamError::Broken(_)
        | UpstreamError::TimedOut(_)
        | UpstreamError::Malformed(_)
        | UpstreamError::Truncated => (measure::input_estimate(prompt), UsageSource::Estimated),
    };
    Settlement {
        usage,
        usage_source,
        ..ended(prompt, End::Failed(error), clock)
    }
}

/// How an attempt ended that another one overtook: its provider may charge for what it has read.
pub(crate) fn overtaken(prompt: &Prompt, clock: &dyn Clock) -> Settlement {
    Settlement {
        usage: measure::input_estimate(prompt),
        usage_source: UsageSource::Estimated,
        ..ended(prompt, End::Cancelled, clock)
    }
}

/// How an answer ended.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End<'a> {
    /// As it should.
    Complete,
    /// The client went away.
    Cancelled,
    /// The provider failed.
    Failed(&'a UpstreamError),
}

fn ended(prompt: &Prompt, end: End<'_>, clock: &dyn Clock) -> Settlement {
    let (outcome, failure) = match end {
        End::Complete => (Outcome::Completed, None),
        End::Cancelled => (Outcome::Cancelled, None),
        End::Failed(error) => (Outcome::Failed, Some(failure(error))),
    };
    Settlement {
        outcome,
        usage: Usage::default(),
        usage_source: UsageSource::Provider,
        service: Service::Standard,
        latency: prompt.received.elapsed(),
        time_to_first_token: None,
        completion_text: None,
        failure,
        provider_model: None,
        completed_at: clock.now(),
        last_attempt: true,
    }
}

/// The price list for a provider's word; what we do not know is priced as the ordinary service.
fn service(tier: Option<&str>) -> Service {
    match tier {
        Some("batch") => Service::Batch,
        Some("flex") => Service::Flex,
        Some("priority") => Service::Priority,
        _ => Service::Standard,
    }
}

/// The kind, and a sentence of ours: a provider's own message may quote the prompt.
fn failure(error: &UpstreamError) -> Failure {
    let message = match error {
        UpstreamError::Rejected(rejection) => format!("the provider answered {}", rejection.status),
        other => other.to_string(),
    };
    Failure {
        kind: error.kind().as_str().to_owned(),
        message,
    }
}

/// What to write about a request that the cache answered.
pub(crate) fn replay(
    prompt: &Prompt,
    hit: &Hit,
    price: Option<&Price>,
    privacy: &Privacy,
) -> Replay {
    let saved = price.and_then(|price| price.cost(&hit.usage).ok());
    Replay {
        request_id: prompt.request,
        caller: prompt.caller,
        attribution: prompt.attribution.clone(),
        endpoint: prompt.call.endpoint,
        dialect: prompt.call.dialect,
        model: prompt.call.model.clone(),
        provider: hit.provider.to_string(),
        provider_model: prompt.deployment.model.clone(),
        stream: prompt.call.delivery.is_stream(),
        created_at: prompt.at,
        prompt_text: stored_prompt(prompt, privacy),
        completion_text: stored_text(hit.answer.first_text(), privacy),
        temperature: prompt
            .call
            .parameters
            .temperature
            .as_ref()
            .map(ToString::to_string),
        cache_status: status(hit.tier),
        saved_cost: saved.unwrap_or(Usd::ZERO),
        latency: prompt.received.elapsed(),
    }
}

/// The last text of the user, as far as it may be kept beside a stored answer.
pub(crate) fn last_user_text(prompt: &Prompt, privacy: &Privacy) -> String {
    let messages = prompt.call.messages.iter();
    let last = messages.rev().find(|message| message.role == Role::User);
    let text = last
        .map(types::call::Message::joined_text)
        .unwrap_or_default();
    stored_text(&text, privacy).unwrap_or_default()
}

fn stored_prompt(prompt: &Prompt, privacy: &Privacy) -> String {
    match privacy.prompt_storage {
        PromptStorage::None => String::new(),
        PromptStorage::Text => cut(
            prompt.text(privacy.prompt_bytes_max),
            privacy.prompt_bytes_max,
        ),
        PromptStorage::Hash => hash(&prompt.text(usize::MAX)),
    }
}

fn stored_text(text: &str, privacy: &Privacy) -> Option<String> {
    match privacy.prompt_storage {
        PromptStorage::None => None,
        PromptStorage::Text => Some(cut(text.to_owned(), privacy.prompt_bytes_max)),
        PromptStorage::Hash => Some(hash(text)),
    }
}

fn hash(text: &str) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(text)))
}

/// Ends a stored text that was cut.
const CUT_MARK: &str = "…[cut]";

fn cut(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        text.truncate(text.floor_char_boundary(bytes_max));
        text.push_str(CUT_MARK);
    }
    text
}
