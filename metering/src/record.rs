//! What is said about a request: the intent before the provider is called, the settlement after, the replay of a hit.
//!
//! These are the forms the gateway fills in. What is stored of them, byte by byte, is the journal's business.
//! Texts come in as the organization's privacy settings left them; NUL characters, which PostgreSQL
//! cannot store, are removed and over-long texts cut when they are encoded.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use types::call::{Dialect, Endpoint};
use types::id::{Execution, Request, Step, Workflow};
use types::{Caller, Id, Outcome, Usage, UsageSource, Usd};

use crate::price::{Price, Service};
use crate::quota::{CallPermit, Claim, Estimate, Reservation};

/// One attempt at a provider, before it is made.
#[derive(Debug, Clone)]
pub struct Intent {
    /// The admitted request.
    pub request_id: Id<Request>,
    /// Which attempt of the request this is, from 1.
    pub attempt: u32,
    /// Who asked; who pays.
    pub caller: Caller,
    /// What it is for, fixed now.
    pub attribution: Attribution,
    /// The kind of work.
    pub endpoint: Endpoint,
    /// The client's dialect.
    pub dialect: Dialect,
    /// The model as the client named it.
    pub model: String,
    /// The provider that will be called, by its name in the configuration.
    pub provider: String,
    /// The model as that provider names it; what the price belongs to.
    pub provider_model: String,
    /// Whether the client wanted a stream.
    pub stream: bool,
    /// The moment of admission; the booking's date, whatever happens later.
    pub created_at: DateTime<Utc>,
    /// The prompt, as far as the organization lets it be stored; empty where it does not.
    pub prompt_text: String,
    /// The sampling temperature as the client wrote it.
    pub temperature: Option<String>,
    /// The most the attempt can use, as the quota was asked for it.
    pub estimate: Estimate,
    /// The price at this moment, which also prices the settlement; absent where the model has none and is let through.
    pub price: Option<Arc<Price>>,
    /// How the cache took part.
    pub cache_status: Option<CacheStatus>,
    /// Who pays.
    pub charge_to: ChargeTo,
}

/// What a request is for, beside who asks: reports and budgets go by it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attribution {
    /// The workflow whose step asked, if one did.
    pub workflow: Option<Id<Workflow>>,
    /// The run of the workflow.
    pub execution: Option<Id<Execution>>,
    /// The step of the run.
    pub step: Option<Id<Step>>,
    /// Labels of the caller's own, by name.
    pub tags: BTreeMap<String, String>,
}

/// What is held for an attempt, and released or spent by its settlement.
#[derive(Debug, Default)]
pub struct Held {
    /// The API call; held by the first attempt of a request only.
    pub call: Option<CallPermit>,
    /// The tokens, and the money.
    pub tokens: Option<Reservation>,
}

impl Held {
    /// The budgets that the attempt counts against.
    pub(crate) fn claims(&self) -> impl Iterator<Item = Claim> {
        let calls = self.call.iter().flat_map(CallPermit::claims);
        let tokens = self.tokens.iter().flat_map(Reservation::claims);
        calls.chain(tokens)
    }
}

/// How an attempt ended.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// In one word.
    pub outcome: Outcome,
    /// What was used. An explicit zero is a zero.
    pub usage: Usage,
    /// Who says so.
    pub usage_source: UsageSource,
    /// The service that the provider says it used; it has prices of its own.
    pub service: Service,
    /// From admission to the last byte.
    pub latency: Duration,
    /// From admission to the first byte of the answer.
    pub time_to_first_token: Option<Duration>,
    /// The answer's text, as far as the organization lets it be stored.
    pub completion_text: Option<String>,
    /// What went wrong, if anything did.
    pub failure: Option<Failure>,
    /// The model that answered, as the provider names it, where it differs from the one asked for.
    pub provider_model: Option<String>,
    /// The end, by the clock.
    pub completed_at: DateTime<Utc>,
    /// Whether the request ends here; `false` when another attempt follows.
    pub last_attempt: bool,
}

/// How the cache took part in a request; `ai_requests.cache_status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CacheStatus {
    /// The same call was answered before.
    Exact,
    /// The same call, but for politeness and white space.
    Normalized,
    /// A call of the same meaning.
    Semantic,
    /// The same call was being answered at that moment.
    Coalesced,
    /// It had no answer.
    Miss,
    /// It was not asked.
    Bypass,
}

/// Whose invoice an attempt goes on; `usage_events.charge_to`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ChargeTo {
    /// The organization's.
    #[default]
    Tenant,
    /// Nobody's: the platform made the call for itself, as when it audits the cache. Such an attempt is booked as a usage event
    /// alone: it is no request of the organization and counts against no quota.
    Platform,
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The low-cardinality kind, as in the metrics.
    pub kind: String,
    /// For people; never a secret, never a prompt.
    pub message: String,
}

/// A request answered from the cache: booked at no cost, with what was saved.
#[derive(Debug, Clone)]
pub struct Replay {
    /// The admitted request.
    pub request_id: Id<Request>,
    /// Who asked.
    pub caller: Caller,
    /// What it is for.
    pub attribution: Attribution,
    /// The kind of work.
    pub endpoint: Endpoint,
    /// The client's dialect.
    pub dialect: Dialect,
    /// The model as the client named it.
    pub model: String,
    /// The provider that made the stored answer.
    pub provider: String,
    /// Its model.
    pub provider_model: String,
    /// Whether the client wanted a stream.
    pub stream: bool,
    /// The moment of admission.
    pub created_at: DateTime<Utc>,
    /// The prompt, as far as the organization lets it be stored; empty where it does not.
    pub prompt_text: String,
    /// The answer's text, as far as the organization lets it be stored.
    pub completion_text: Option<String>,
    /// The sampling temperature as the client wrote it.
    pub temperature: Option<String>,
    /// The tier that answered.
    pub cache_status: CacheStatus,
    /// What the stored answer's usage costs at today's price.
    pub saved_cost: Usd,
    /// From admission to the last byte.
    pub latency: Duration,
}

impl CacheStatus {
    /// The word that is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Normalized => "normalized",
            Self::Semantic => "semantic",
            Self::Coalesced => "coalesced",
            Self::Miss => "miss",
            Self::Bypass => "bypass",
        }
    }
}

impl ChargeTo {
    /// The word that is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Platform => "platform",
        }
    }
}
