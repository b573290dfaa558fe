//! A usage event as the roll-ups see it, whether it is being booked or is read back.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use types::{Usage, Usd};
use uuid::Uuid;

use super::{Actor, ActorKind};
use crate::record::ChargeTo;
use crate::shipper::booking::{EventKind, EventRow};
use crate::store::ledger::{MODEL_MAX, PROVIDER_MAX};
use crate::text::fit;

/// A usage event; texts are as wide as their columns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fact<'a> {
    pub(crate) organization: Uuid,
    /// By UTC.
    pub(crate) day: NaiveDate,
    /// The first day of the billing period that takes it.
    pub(crate) billed_period: NaiveDate,
    /// As in `usage_events.event_type`.
    pub(crate) event_type: &'a str,
    pub(crate) provider: &'a str,
    pub(crate) model: &'a str,
    pub(crate) api_key: Option<Uuid>,
    pub(crate) user: Option<Uuid>,
    pub(crate) department: Option<Uuid>,
    pub(crate) workflow: Option<Uuid>,
    pub(crate) price: Option<Uuid>,
    pub(crate) service: Option<&'a str>,
    pub(crate) usage_source: Option<&'a str>,
    pub(crate) outcome: Option<&'a str>,
    pub(crate) charge_to: &'a str,
    pub(crate) quantity: i64,
    pub(crate) usage: Usage,
    pub(crate) cost: Usd,
    pub(crate) saved_cost: Usd,
    pub(crate) tags: &'a BTreeMap<String, String>,
}

impl<'a> Fact<'a> {
    /// An event that is being booked.
    pub(crate) fn booked(event: &'a EventRow<'a>, billed_period: NaiveDate) -> Self {
        let subject = event.subject;
        Self {
            organization: subject.organization,
            day: subject.created_at().date_naive(),
            billed_period,
            event_type: event.kind.as_str(),
            provider: fit(&subject.provider, PROVIDER_MAX),
            model: fit(event.provider_model, MODEL_MAX),
            api_key: subject.api_key,
            user: Some(subject.user),
            department: subject.department,
            workflow: subject.workflow,
            price: event.price,
            service: event.service,
            usage_source: event.usage_source,
            outcome: Some(event.outcome),
            charge_to: event.charge_to,
            quantity: event.quantity,
            usage: event.usage,
            cost: event.cost,
            saved_cost: event.saved_cost,
            tags: &subject.tags,
        }
    }

    /// Whether it is an attempt at a provider, or an answer from the cache.
    pub(crate) fn is_ai_request(&self) -> bool {
        self.event_type == EventKind::AiRequest.as_str()
    }

    /// Whether it counts a request.
    pub(crate) fn is_api_call(&self) -> bool {
        self.event_type == EventKind::ApiCall.as_str()
    }

    /// Whether it is what the operator adds to a provider's price.
    pub(crate) fn is_markup(&self) -> bool {
        self.event_type == "markup"
    }

    /// Whether an organization pays for it.
    pub(crate) fn is_billed(&self) -> bool {
        self.charge_to == ChargeTo::Tenant.as_str()
    }

    /// Who was active, going by it.
    pub(super) fn actors(&self) -> impl Iterator<Item = Actor> + use<> {
        let (organization, day) = (self.organization, self.day);
        let user = self.user.map(|id| (ActorKind::User, id));
        let workflow = self.workflow.map(|id| (ActorKind::Workflow, id));
        let actors = [user, workflow].into_iter().flatten();
        actors.map(move |(kind, id)| Actor {
            organization,
            day,
            kind,
            id,
        })
    }
}
