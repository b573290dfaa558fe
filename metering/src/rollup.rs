//! What the roll-ups hold: usage events summed by day, under every dimension that finance asks for.
//!
//! `Additions::add` is the one place that says what an event adds to which row. The shipper calls it for events that were
//! really inserted, and the recomputation for events that it reads back, so the two cannot come to different sums.
//! Nothing is rounded, and nothing is left out: the costs of `usage` and of `charges` each add up to those of the events.

mod charge;
mod fact;
mod recompute;
#[cfg(test)]
mod tests;
mod usage;

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use uuid::Uuid;

use crate::price::PriceBook;

pub(crate) use charge::{ChargeKey, ChargeSum};
pub(crate) use fact::Fact;
pub use recompute::{RecomputeError, Recomputed, recompute};
pub(crate) use usage::{TagKey, UsageKey, UsageSum};

/// The rows that some events add to, each with what is added; in the order in which every node locks them.
#[derive(Debug, Default)]
pub(crate) struct Additions<'a> {
    /// `metering.usage_rollup`.
    pub(crate) usage: BTreeMap<UsageKey<'a>, UsageSum>,
    /// `metering.tag_rollup`.
    pub(crate) tags: BTreeMap<TagKey<'a>, UsageSum>,
    /// `metering.charge_rollup`.
    pub(crate) charges: BTreeMap<ChargeKey<'a>, ChargeSum>,
    /// `daily_metrics`, but for who was active.
    pub(crate) days: BTreeMap<(Uuid, NaiveDate), DaySum>,
    /// `metering.daily_actors`.
    pub(crate) actors: BTreeSet<Actor>,
}

/// What an organization's events of a day, or of a billing period, come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct DaySum {
    pub(crate) requests: i64,
    pub(crate) tokens: i64,
    pub(crate) calls: i64,
    pub(crate) cost: types::Usd,
}

/// Who was active on a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Actor {
    pub(crate) organization: Uuid,
    pub(crate) day: NaiveDate,
    pub(crate) kind: ActorKind,
    pub(crate) id: Uuid,
}

/// `metering.daily_actors.kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum ActorKind {
    User,
    Workflow,
}

impl ActorKind {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Workflow => "workflow",
        }
    }
}

impl<'a> Additions<'a> {
    /// Adds an event to every row that it belongs to.
    pub(crate) fn add(&mut self, fact: &Fact<'a>, prices: &PriceBook) {
        self.usage.entry(UsageKey::of(fact)).or_default().add(fact);
        if !fact.is_api_call() {
            for (key, value) in fact.tags {
                let key = TagKey::of(fact, key, value);
                self.tags.entry(key).or_default().add_tagged(fact);
            }
        }
        for (key, sum) in charge::charges(fact, prices) {
            self.charges.entry(key).or_default().add(sum);
        }
        if fact.is_billed() {
            let day = (fact.organization, fact.day);
            self.days.entry(day).or_default().add(fact);
            self.actors.extend(fact.actors());
        }
    }

    /// Whether nothing was added.
    pub(crate) fn is_empty(&self) -> bool {
        self.usage.is_empty()
    }
}

impl DaySum {
    /// Adds an event.
    pub(crate) fn add(&mut self, fact: &Fact<'_>) {
        self.cost = self.cost + fact.cost;
        if fact.is_ai_request() {
            self.requests += 1;
            self.tokens = self.tokens.saturating_add(fact.quantity);
        } else if fact.is_api_call() {
            self.calls = self.calls.saturating_add(fact.quantity);
        }
    }
}
