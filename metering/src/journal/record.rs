//! The records as they are stored: versions 1 and 2, whose bytes stay readable for ever.
//!
//! A payload is one version byte and then postcard, which stores fields by position. Version 1 is therefore frozen:
//! nothing is added, removed or reordered here; a new field means a new version beside it, from which version 1 converts.
//! Version 2 is a record of version 1 and after it the budgets it counts against. It is written only where there are
//! any, so that whoever uses none can go back to an earlier program.
//! The types are our own down to the counters, so that no change in another crate can change a stored byte;
//! what is an enum elsewhere is a word here.

use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use types::id::Request;
use types::{Caller, Id, Usage, Usd};
use uuid::Uuid;

use crate::quota::{self, CallPermit, Reservation, Resource};
use crate::record;
use crate::text;

/// The version of records that count against no budget.
const VERSION: u8 = 1;
/// The version of those that do.
const VERSION_WITH_CLAIMS: u8 = 2;

/// Everything the journal can hold. Boxed, because the shipper gathers thousands of them, and moves them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Record {
    /// An attempt is about to be made.
    Intent(Box<Intent>),
    /// It ended.
    Settle(Box<Settle>),
    /// The cache answered.
    Replayed(Box<Replayed>),
}

impl From<Intent> for Record {
    fn from(intent: Intent) -> Self {
        Self::Intent(Box::new(intent))
    }
}

impl From<Settle> for Record {
    fn from(settle: Settle) -> Self {
        Self::Settle(Box::new(settle))
    }
}

impl From<Replayed> for Record {
    fn from(replayed: Replayed) -> Self {
        Self::Replayed(Box::new(replayed))
    }
}

/// Who asked for what; the part that intents and replays share.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Subject {
    pub(crate) request_id: Uuid,
    pub(crate) organization: Uuid,
    pub(crate) api_key: Option<Uuid>,
    pub(crate) user: Uuid,
    pub(crate) department: Option<Uuid>,
    pub(crate) workflow: Option<Uuid>,
    pub(crate) execution: Option<Uuid>,
    pub(crate) step: Option<Uuid>,
    pub(crate) endpoint: Word,
    pub(crate) dialect: Word,
    pub(crate) model: String,
    pub(crate) provider: String,
    pub(crate) provider_model: String,
    pub(crate) stream: bool,
    /// Microseconds since 1970, UTC.
    pub(crate) created_at: i64,
    pub(crate) prompt_text: String,
    pub(crate) temperature: Option<String>,
    pub(crate) cache_status: Option<Word>,
    pub(crate) call_lease: Option<Uuid>,
    pub(crate) tags: BTreeMap<String, String>,
    /// The budgets it counts against; of version 2, stored after the record.
    #[serde(skip)]
    pub(crate) claims: Vec<Claim>,
}

/// A budget that a request counts against.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claim {
    pub(crate) budget: Uuid,
    pub(crate) resource: Word,
    pub(crate) lease: Option<Uuid>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Intent {
    pub(crate) subject: Subject,
    pub(crate) attempt: u32,
    pub(crate) charge_to: Word,
    pub(crate) input_tokens_max: u64,
    pub(crate) output_tokens_max: u64,
    pub(crate) lease: Option<Uuid>,
    pub(crate) reserved_tokens: u64,
    pub(crate) price: Option<Uuid>,
    /// What recovery books where no settlement follows: the cost of the input estimate.
    pub(crate) unknown_cost: Usd,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Settle {
    pub(crate) request_id: Uuid,
    pub(crate) attempt: u32,
    pub(crate) last_attempt: bool,
    pub(crate) outcome: Word,
    pub(crate) tokens: Tokens,
    pub(crate) usage_source: Word,
    pub(crate) service: Word,
    pub(crate) cost: Usd,
    pub(crate) latency_ms: Option<u64>,
    pub(crate) time_to_first_token_ms: Option<u64>,
    pub(crate) completion_text: Option<String>,
    pub(crate) error_kind: Option<String>,
    pub(crate) error_message: Option<String>,
    pub(crate) provider_model: Option<String>,
    /// Microseconds since 1970, UTC.
    pub(crate) completed_at: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Replayed {
    pub(crate) subject: Subject,
    pub(crate) completion_text: Option<String>,
    pub(crate) saved_cost: Usd,
    pub(crate) latency_ms: u64,
}

/// [`Usage`] with its order of fields frozen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tokens {
    pub(crate) input: u64,
    pub(crate) cache_read: u64,
    pub(crate) cache_write_5m: u64,
    pub(crate) cache_write_1h: u64,
    pub(crate) audio_input: u64,
    pub(crate) image: u64,
    pub(crate) output: u64,
    pub(crate) reasoning: u64,
    pub(crate) audio_output: u64,
    pub(crate) web_searches: u64,
}

/// A word of a closed list: borrowed when written, owned when read.
pub(crate) type Word = Cow<'static, str>;

/// Why a payload cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DecodeError {
    /// Written by a later program.
    #[error("version {0} of the journal's records is not known to this program")]
    Version(u8),
    /// The checksum held, and yet it is none of our records.
    #[error("the journal holds a record that cannot be decoded")]
    Malformed(#[source] postcard::Error),
    /// No version byte.
    #[error("the journal holds an empty record")]
    Empty,
}

impl Record {
    /// Appends the payload to a buffer.
    pub(crate) fn encode(&self, buffer: &mut Vec<u8>) -> Result<(), postcard::Error> {
        let Some(claims) = self.claims().filter(|claims| !claims.is_empty()) else {
            buffer.push(VERSION);
            return postcard::to_io(self, buffer).map(|_| ());
        };
        buffer.push(VERSION_WITH_CLAIMS);
        postcard::to_io(self, &mut *buffer)?;
        postcard::to_io(claims, buffer).map(|_| ())
    }

    /// Reads a payload of any version.
    pub(crate) fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        match payload.split_first() {
            Some((&VERSION, body)) => postcard::from_bytes(body).map_err(DecodeError::Malformed),
            Some((&VERSION_WITH_CLAIMS, body)) => {
                Self::decode_with_claims(body).map_err(DecodeError::Malformed)
            }
            Some((&version, _)) => Err(DecodeError::Version(version)),
            None => Err(DecodeError::Empty),
        }
    }

    fn decode_with_claims(body: &[u8]) -> Result<Self, postcard::Error> {
        let (mut record, rest) = postcard::take_from_bytes::<Self>(body)?;
        let claims = postcard::from_bytes(rest)?;
        match &mut record {
            Self::Intent(intent) => intent.subject.claims = claims,
            Self::Replayed(replayed) => replayed.subject.claims = claims,
            Self::Settle(_) => {}
        }
        Ok(record)
    }

    /// What is stored after a record of version 1.
    fn claims(&self) -> Option<&[Claim]> {
        match self {
            Self::Intent(intent) => Some(&intent.subject.claims),
            Self::Replayed(replayed) => Some(&replayed.subject.claims),
            Self::Settle(_) => None,
        }
    }
}

impl Claim {
    /// What is counted; none that this program knows, if a later one wrote it.
    pub(crate) fn resource(&self) -> Option<Resource> {
        Resource::of(&self.resource)
    }
}

impl From<quota::Claim> for Claim {
    fn from(claim: quota::Claim) -> Self {
        Self {
            budget: claim.budget.uuid(),
            resource: claim.resource.as_str().into(),
            lease: claim.lease.map(Into::into),
        }
    }
}

impl Record {
    /// When the request was admitted; a settlement does not say.
    pub(crate) fn admitted_at(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Intent(intent) => Some(intent.subject.created_at()),
            Self::Replayed(replayed) => Some(replayed.subject.created_at()),
            Self::Settle(_) => None,
        }
    }
}

impl Subject {
    fn who(&mut self, caller: &Caller) {
        self.organization = caller.organization.uuid();
        self.api_key = caller.api_key().map(Into::into);
        self.user = caller.user().uuid();
        self.department = caller.department.map(Into::into);
    }

    /// The admission's moment.
    pub(crate) fn created_at(&self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.created_at).unwrap_or_default()
    }

    /// The request.
    pub(crate) const fn request(&self) -> Id<Request> {
        Id::from_uuid(self.request_id)
    }
}

impl Intent {
    pub(crate) fn new(intent: record::Intent, held: &record::Held, unknown_cost: Usd) -> Self {
        let mut subject = Subject {
            request_id: intent.request_id.uuid(),
            organization: Uuid::nil(),
            api_key: None,
            user: Uuid::nil(),
            department: None,
            workflow: intent.attribution.workflow.map(Into::into),
            execution: intent.attribution.execution.map(Into::into),
            step: intent.attribution.step.map(Into::into),
            endpoint: intent.endpoint.as_str().into(),
            dialect: intent.dialect.as_str().into(),
            model: text::clean(intent.model),
            provider: text::clean(intent.provider),
            provider_model: text::clean(intent.provider_model),
            stream: intent.stream,
            created_at: intent.created_at.timestamp_micros(),
            prompt_text: text::clean(intent.prompt_text),
            temperature: intent.temperature.map(text::clean),
            cache_status: intent.cache_status.map(|status| status.as_str().into()),
            call_lease: held
                .call
                .as_ref()
                .and_then(CallPermit::lease_id)
                .map(Into::into),
            tags: text::clean_tags(intent.attribution.tags),
            claims: held.claims().map(Claim::from).collect(),
        };
        subject.who(&intent.caller);
        Self {
            subject,
            attempt: intent.attempt,
            charge_to: intent.charge_to.as_str().into(),
            input_tokens_max: intent.estimate.input_tokens_max,
            output_tokens_max: intent.estimate.output_tokens_max,
            lease: held
                .tokens
                .as_ref()
                .and_then(Reservation::lease_id)
                .map(Into::into),
            reserved_tokens: held.tokens.as_ref().map_or(0, Reservation::tokens),
            price: intent.price.map(|price| price.id()),
            unknown_cost,
        }
    }
}

impl Replayed {
    pub(crate) fn new(replay: record::Replay, call: Option<&CallPermit>) -> Self {
        let mut subject = Subject {
            request_id: replay.request_id.uuid(),
            organization: Uuid::nil(),
            api_key: None,
            user: Uuid::nil(),
            department: None,
            workflow: replay.attribution.workflow.map(Into::into),
            execution: replay.attribution.execution.map(Into::into),
            step: replay.attribution.step.map(Into::into),
            endpoint: replay.endpoint.as_str().into(),
            dialect: replay.dialect.as_str().into(),
            model: text::clean(replay.model),
            provider: text::clean(replay.provider),
            provider_model: text::clean(replay.provider_model),
            stream: replay.stream,
            created_at: replay.created_at.timestamp_micros(),
            prompt_text: text::clean(replay.prompt_text),
            temperature: replay.temperature.map(text::clean),
            cache_status: Some(replay.cache_status.as_str().into()),
            call_lease: call.and_then(CallPermit::lease_id).map(Into::into),
            tags: text::clean_tags(replay.attribution.tags),
            claims: call
                .into_iter()
                .flat_map(CallPermit::claims)
                .map(Claim::from)
                .collect(),
        };
        subject.who(&replay.caller);
        Self {
            subject,
            completion_text: replay.completion_text.map(text::clean),
            saved_cost: replay.saved_cost,
            latency_ms: millis(replay.latency),
        }
    }
}

impl Settle {
    pub(crate) fn new(
        (request_id, attempt): (Id<Request>, u32),
        settlement: record::Settlement,
        cost: Usd,
    ) -> Self {
        let (error_kind, error_message) = settlement
            .failure
            .map(|failure| (text::clean(failure.kind), text::clean(failure.message)))
            .unzip();
        Self {
            request_id: request_id.uuid(),
            attempt,
            last_attempt: settlement.last_attempt,
            outcome: settlement.outcome.as_str().into(),
            tokens: settlement.usage.into(),
            usage_source: settlement.usage_source.as_str().into(),
            service: settlement.service.as_str().into(),
            cost,
            latency_ms: Some(millis(settlement.latency)),
            time_to_first_token_ms: settlement.time_to_first_token.map(millis),
            completion_text: settlement.completion_text.map(text::clean),
            error_kind,
            error_message,
            provider_model: settlement.provider_model.map(text::clean),
            completed_at: settlement.completed_at.timestamp_micros(),
        }
    }
}

impl From<Usage> for Tokens {
    fn from(usage: Usage) -> Self {
        Self {
            input: usage.input_tokens,
            cache_read: usage.cache_read_tokens,
            cache_write_5m: usage.cache_write_5m_tokens,
            cache_write_1h: usage.cache_write_1h_tokens,
            audio_input: usage.audio_input_tokens,
            image: usage.image_tokens,
            output: usage.output_tokens,
            reasoning: usage.reasoning_tokens,
            audio_output: usage.audio_output_tokens,
            web_searches: usage.web_searches,
        }
    }
}

/// The service that has no word of its own in the books.
pub(crate) const STANDARD: &str = "standard";

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
