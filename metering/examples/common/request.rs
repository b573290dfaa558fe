//! The request that is measured: a short question and its answer.

use std::time::Duration;

use metering::price::Service;
use metering::{Attribution, CacheStatus, ChargeTo, Estimate, Intent, Settlement};
use types::call::{Dialect, Endpoint};
use types::{Caller, Clock, Id, Outcome, Permissions, Principal, SystemClock, Usage, UsageSource};

/// An attempt of somebody new, at no price.
pub(crate) fn intent() -> Intent {
    Intent {
        request_id: Id::new(&SystemClock),
        attempt: 1,
        caller: Caller {
            organization: Id::new(&SystemClock),
            principal: Principal::Key {
                id: Id::new(&SystemClock),
                user: Id::new(&SystemClock),
            },
            permissions: Permissions::NONE,
            department: None,
        },
        attribution: Attribution::default(),
        endpoint: Endpoint::Chat,
        dialect: Dialect::Openai,
        model: "default".to_owned(),
        provider: "gemini".to_owned(),
        provider_model: "gemini-3-flash".to_owned(),
        stream: true,
        created_at: SystemClock.now(),
        prompt_text: "What is the capital of France, and how many people live there today?"
            .to_owned(),
        temperature: Some("0.7".to_owned()),
        estimate: Estimate {
            input_tokens_max: 40,
            output_tokens_max: 1024,
        },
        price: None,
        cache_status: Some(CacheStatus::Miss),
        charge_to: ChargeTo::Tenant,
    }
}

/// How it ended.
pub(crate) fn settlement() -> Settlement {
    Settlement {
        outcome: Outcome::Completed,
        usage: Usage {
            input_tokens: 21,
            output_tokens: 35,
            ..Usage::default()
        },
        usage_source: UsageSource::Provider,
        service: Service::Standard,
        latency: Duration::from_millis(800),
        time_to_first_token: Some(Duration::from_millis(200)),
        completion_text: Some(
            "Paris; about two million people live in the city itself.".to_owned(),
        ),
        failure: None,
        provider_model: None,
        completed_at: SystemClock.now(),
        last_attempt: true,
    }
}
