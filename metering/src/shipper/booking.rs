//! What one record of the journal becomes in the books: the request's row and the usage events.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};
use types::id::{Event, Request};
use types::{Id, Outcome, Usage, UsageSource, Usd};
use uuid::Uuid;

use crate::journal::{Intent, Record, Replayed, STANDARD, Settle, Subject, Tokens};
use crate::quota::Resource;
use crate::record::ChargeTo;
use crate::store::leases::bigint;

/// A complete record.
#[derive(Debug)]
pub(crate) enum Booking {
    /// An attempt with its end.
    Attempt(Box<Intent>, Box<Settle>),
    /// An answer from the cache.
    Hit(Box<Replayed>),
}

/// A row of `ai_requests`, but for what stands in the record's [`Subject`].
#[derive(Debug)]
pub(crate) struct RequestRow<'a> {
    pub(crate) subject: &'a Subject,
    pub(crate) usage: Usage,
    pub(crate) completion_text: Option<&'a str>,
    pub(crate) temperature: Option<Decimal>,
    pub(crate) status: &'static str,
    pub(crate) error_kind: Option<&'a str>,
    pub(crate) error_message: Option<&'a str>,
    pub(crate) latency_ms: Option<i64>,
    pub(crate) time_to_first_token_ms: Option<i64>,
    pub(crate) cost: Usd,
    pub(crate) saved_cost: Usd,
    pub(crate) completed_at: DateTime<Utc>,
    pub(crate) attempts: i32,
    pub(crate) usage_source: &'a str,
    pub(crate) provider_model: &'a str,
}

/// A row of `usage_events`, likewise.
#[derive(Debug)]
pub(crate) struct EventRow<'a> {
    pub(crate) id: Id<Event>,
    pub(crate) subject: &'a Subject,
    pub(crate) kind: EventKind,
    pub(crate) quantity: i64,
    pub(crate) cost: Usd,
    pub(crate) saved_cost: Usd,
    pub(crate) metadata: Map<String, Value>,
    pub(crate) attempt: Option<i32>,
    pub(crate) outcome: &'a str,
    pub(crate) provider_model: &'a str,
    pub(crate) usage: Usage,
    pub(crate) price: Option<Uuid>,
    pub(crate) service: Option<&'a str>,
    pub(crate) usage_source: Option<&'a str>,
    pub(crate) charge_to: &'a str,
    pub(crate) lease: Option<Uuid>,
}

/// `usage_events.event_type`, as far as requests have them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum EventKind {
    AiRequest,
    ApiCall,
}

impl EventKind {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::AiRequest => "ai_request",
            Self::ApiCall => "api_call",
        }
    }

    /// What its quantity counts against.
    pub(crate) const fn resource(self) -> Resource {
        match self {
            Self::AiRequest => Resource::AiTokens,
            Self::ApiCall => Resource::ApiCalls,
        }
    }
}

impl Booking {
    const fn subject(&self) -> &Subject {
        match self {
            Self::Attempt(intent, _) => &intent.subject,
            Self::Hit(hit) => &hit.subject,
        }
    }

    pub(crate) const fn request_id(&self) -> Id<Request> {
        self.subject().request()
    }

    pub(crate) fn created_at(&self) -> DateTime<Utc> {
        self.subject().created_at()
    }

    /// Where its rows belong among those of a batch: by organization, then by time.
    pub(crate) const fn place(&self) -> (Uuid, i64) {
        let subject = self.subject();
        (subject.organization, subject.created_at)
    }

    /// The records it was made of.
    pub(crate) fn records(&self) -> Vec<Record> {
        match self {
            Self::Attempt(intent, settle) => vec![
                Record::Intent(intent.clone()),
                Record::Settle(settle.clone()),
            ],
            Self::Hit(hit) => vec![Record::Replayed(hit.clone())],
        }
    }

    /// The request's row; none for an attempt that another follows, or that is no request of the organization.
    pub(crate) fn request_row(&self) -> Option<RequestRow<'_>> {
        match self {
            Self::Attempt(intent, settle) => {
                let row = settle.last_attempt && is_tenants(intent);
                row.then(|| attempt_row(intent, settle))
            }
            Self::Hit(hit) => Some(hit_row(hit)),
        }
    }

    /// The usage events: one for the attempt or hit, one for the call with the first of them.
    pub(crate) fn event_rows(&self) -> Vec<EventRow<'_>> {
        match self {
            Self::Attempt(intent, settle) => {
                let mut events = vec![attempt_event(intent, settle)];
                if intent.attempt == 1 && is_tenants(intent) {
                    events.push(call_event(&intent.subject, &settle.outcome));
                }
                events
            }
            Self::Hit(hit) => vec![
                hit_event(hit),
                call_event(&hit.subject, Outcome::Replayed.as_str()),
            ],
        }
    }
}

fn is_tenants(intent: &Intent) -> bool {
    intent.charge_to == ChargeTo::Tenant.as_str()
}

fn attempt_row<'a>(intent: &'a Intent, settle: &'a Settle) -> RequestRow<'a> {
    RequestRow {
        subject: &intent.subject,
        usage: settle.tokens.into(),
        completion_text: settle.completion_text.as_deref(),
        temperature: temperature(&intent.subject),
        status: status(&settle.outcome),
        error_kind: settle.error_kind.as_deref(),
        error_message: settle.error_message.as_deref(),
        latency_ms: settle.latency_ms.map(bigint),
        time_to_first_token_ms: settle.time_to_first_token_ms.map(bigint),
        cost: settle.cost,
        saved_cost: Usd::ZERO,
        completed_at: DateTime::from_timestamp_micros(settle.completed_at).unwrap_or_default(),
        attempts: i32::try_from(intent.attempt).unwrap_or(i32::MAX),
        usage_source: &settle.usage_source,
        provider_model: answered_by(intent, settle),
    }
}

fn hit_row(hit: &Replayed) -> RequestRow<'_> {
    let latency = std::time::Duration::from_millis(hit.latency_ms);
    RequestRow {
        subject: &hit.subject,
        usage: Usage::default(),
        completion_text: hit.completion_text.as_deref(),
        temperature: temperature(&hit.subject),
        status: Outcome::Replayed.request_status(),
        error_kind: None,
        error_message: None,
        latency_ms: Some(bigint(hit.latency_ms)),
        time_to_first_token_ms: None,
        cost: Usd::ZERO,
        saved_cost: hit.saved_cost,
        completed_at: hit.subject.created_at() + latency,
        attempts: 0,
        usage_source: UsageSource::Cache.as_str(),
        provider_model: &hit.subject.provider_model,
    }
}

fn attempt_event<'a>(intent: &'a Intent, settle: &'a Settle) -> EventRow<'a> {
    let usage = Usage::from(settle.tokens);
    let mut metadata = Map::new();
    if settle.service != STANDARD {
        metadata.insert("service".to_owned(), json!(settle.service));
    }
    if intent.price.is_none() && usage.total_tokens() > 0 {
        metadata.insert("unpriced".to_owned(), json!(true));
    }
    EventRow {
        id: event_id(&intent.subject, &format!("ai_request/{}", intent.attempt)),
        subject: &intent.subject,
        kind: EventKind::AiRequest,
        quantity: bigint(usage.total_tokens()),
        cost: settle.cost,
        saved_cost: Usd::ZERO,
        metadata,
        attempt: Some(i32::try_from(intent.attempt).unwrap_or(i32::MAX)),
        outcome: &settle.outcome,
        provider_model: &intent.subject.provider_model,
        usage,
        price: intent.price,
        service: Some(&settle.service),
        usage_source: Some(&settle.usage_source),
        charge_to: &intent.charge_to,
        lease: intent.lease,
    }
}

fn hit_event(hit: &Replayed) -> EventRow<'_> {
    EventRow {
        id: event_id(&hit.subject, "ai_request/hit"),
        subject: &hit.subject,
        kind: EventKind::AiRequest,
        quantity: 0,
        cost: Usd::ZERO,
        saved_cost: hit.saved_cost,
        metadata: Map::new(),
        attempt: None,
        outcome: Outcome::Replayed.as_str(),
        provider_model: &hit.subject.provider_model,
        usage: Usage::default(),
        price: None,
        service: None,
        usage_source: Some(UsageSource::Cache.as_str()),
        charge_to: ChargeTo::Tenant.as_str(),
        lease: None,
    }
}

fn call_event<'a>(subject: &'a Subject, outcome: &'a str) -> EventRow<'a> {
    EventRow {
        id: event_id(subject, "api_call"),
        subject,
        kind: EventKind::ApiCall,
        quantity: 1,
        cost: Usd::ZERO,
        saved_cost: Usd::ZERO,
        metadata: Map::new(),
        attempt: None,
        outcome,
        provider_model: &subject.provider_model,
        usage: Usage::default(),
        price: None,
        service: None,
        usage_source: None,
        charge_to: ChargeTo::Tenant.as_str(),
        lease: subject.call_lease,
    }
}

/// The same fact has the same id, however often it is shipped.
fn event_id(subject: &Subject, name: &str) -> Id<Event> {
    subject.request().derive(name)
}

fn answered_by<'a>(intent: &'a Intent, settle: &'a Settle) -> &'a str {
    let named = settle.provider_model.as_deref();
    named.unwrap_or(&intent.subject.provider_model)
}

/// As the column has it: two decimals, below ten. Anything else a client may send is not kept.
fn temperature(subject: &Subject) -> Option<Decimal> {
    let given: Decimal = subject.temperature.as_deref()?.parse().ok()?;
    let rounded = given.round_dp(2);
    (rounded.abs() < Decimal::TEN).then_some(rounded)
}

fn status(outcome: &str) -> &'static str {
    let known = [
        Outcome::Completed,
        Outcome::Replayed,
        Outcome::Rejected,
        Outcome::Failed,
        Outcome::Cancelled,
        Outcome::Unknown,
    ];
    let outcome = known.into_iter().find(|known| known.as_str() == outcome);
    outcome.unwrap_or(Outcome::Unknown).request_status()
}

impl From<Tokens> for Usage {
    fn from(tokens: Tokens) -> Self {
        Self {
            input_tokens: tokens.input,
            cache_read_tokens: tokens.cache_read,
            cache_write_5m_tokens: tokens.cache_write_5m,
            cache_write_1h_tokens: tokens.cache_write_1h,
            audio_input_tokens: tokens.audio_input,
            image_tokens: tokens.image,
            output_tokens: tokens.output,
            reasoning_tokens: tokens.reasoning,
            audio_output_tokens: tokens.audio_output,
            web_searches: tokens.web_searches,
        }
    }
}
