//! Usage by who and what: the wide roll-up, and the one by tag.

use chrono::NaiveDate;
use types::Usd;
use uuid::Uuid;

use super::Fact;
use crate::store::leases::bigint;
use crate::text::fit;

/// Widths of the tag columns, in characters; the whole tags stand in the events.
const TAG_KEY_MAX: usize = 64;
const TAG_VALUE_MAX: usize = 128;

/// A row of `metering.usage_rollup`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct UsageKey<'a> {
    pub(crate) organization: Uuid,
    pub(crate) day: NaiveDate,
    pub(crate) event_type: &'a str,
    pub(crate) model: Option<&'a str>,
    pub(crate) api_key: Option<Uuid>,
    pub(crate) user: Option<Uuid>,
    pub(crate) department: Option<Uuid>,
    pub(crate) workflow: Option<Uuid>,
    pub(crate) provider: Option<&'a str>,
    pub(crate) price: Option<Uuid>,
    pub(crate) service: Option<&'a str>,
    pub(crate) usage_source: Option<&'a str>,
    pub(crate) outcome: Option<&'a str>,
    pub(crate) charge_to: &'a str,
}

/// A row of `metering.tag_rollup`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TagKey<'a> {
    pub(crate) organization: Uuid,
    pub(crate) day: NaiveDate,
    pub(crate) key: &'a str,
    pub(crate) value: &'a str,
    pub(crate) model: &'a str,
    pub(crate) provider: &'a str,
    pub(crate) usage_source: Option<&'a str>,
    pub(crate) outcome: Option<&'a str>,
    pub(crate) charge_to: &'a str,
}

/// What the events of a row come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct UsageSum {
    pub(crate) events: i64,
    pub(crate) quantity: i64,
    pub(crate) input_tokens: i64,
    pub(crate) cache_read_tokens: i64,
    pub(crate) cache_write_tokens: i64,
    pub(crate) audio_input_tokens: i64,
    pub(crate) image_tokens: i64,
    pub(crate) output_tokens: i64,
    pub(crate) reasoning_tokens: i64,
    pub(crate) audio_output_tokens: i64,
    pub(crate) web_searches: i64,
    pub(crate) cost: Usd,
    pub(crate) saved_cost: Usd,
}

impl<'a> UsageKey<'a> {
    pub(super) fn of(fact: &Fact<'a>) -> Self {
        // A call is of the request, not of the attempts that it took.
        let of_attempt = !fact.is_api_call();
        let told_apart = |word: Option<&'a str>| word.filter(|_| of_attempt);
        Self {
            organization: fact.organization,
            day: fact.day,
            event_type: fact.event_type,
            model: of_attempt.then_some(fact.model),
            api_key: fact.api_key,
            user: fact.user,
            department: fact.department,
            workflow: fact.workflow,
            provider: of_attempt.then_some(fact.provider),
            price: fact.price,
            service: told_apart(fact.service),
            usage_source: fact.usage_source,
            outcome: told_apart(fact.outcome),
            charge_to: fact.charge_to,
        }
    }
}

impl<'a> TagKey<'a> {
    pub(super) fn of(fact: &Fact<'a>, key: &'a str, value: &'a str) -> Self {
        Self {
            organization: fact.organization,
            day: fact.day,
            key: fit(key, TAG_KEY_MAX),
            value: fit(value, TAG_VALUE_MAX),
            model: fact.model,
            provider: fact.provider,
            usage_source: fact.usage_source,
            outcome: fact.outcome,
            charge_to: fact.charge_to,
        }
    }
}

impl UsageSum {
    pub(super) fn add(&mut self, fact: &Fact<'_>) {
        self.events += 1;
        self.add_amounts(fact);
    }

    /// By tag, where kinds of events share a row, only requests are counted; what a correction costs belongs to the tag as well.
    pub(super) fn add_tagged(&mut self, fact: &Fact<'_>) {
        self.events += i64::from(fact.is_ai_request());
        self.add_amounts(fact);
    }

    fn add_amounts(&mut self, fact: &Fact<'_>) {
        let usage = &fact.usage;
        let add = |sum: &mut i64, count: u64| *sum = sum.saturating_add(bigint(count));
        self.quantity = self.quantity.saturating_add(fact.quantity);
        add(&mut self.input_tokens, usage.input_tokens);
        add(&mut self.cache_read_tokens, usage.cache_read_tokens);
        add(&mut self.cache_write_tokens, usage.cache_write_5m_tokens);
        add(&mut self.cache_write_tokens, usage.cache_write_1h_tokens);
        add(&mut self.audio_input_tokens, usage.audio_input_tokens);
        add(&mut self.image_tokens, usage.image_tokens);
        add(&mut self.output_tokens, usage.output_tokens);
        add(&mut self.reasoning_tokens, usage.reasoning_tokens);
        add(&mut self.audio_output_tokens, usage.audio_output_tokens);
        add(&mut self.web_searches, usage.web_searches);
        self.cost = self.cost + fact.cost;
        self.saved_cost = self.saved_cost + fact.saved_cost;
    }
}
