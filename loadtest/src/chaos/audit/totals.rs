//! Every total is the sum of the events, to the last decimal: by period, by day, by dimension, by request, and against quotas.

use std::collections::BTreeMap;

use chrono::{Datelike, NaiveDate};
use sqlx::PgPool;
use uuid::Uuid;

use super::{Audit, Evidence};
use crate::store::{self, Dimensions, Event, Sums};

pub(super) async fn check(
    pool: &PgPool,
    evidence: &Evidence,
    audit: &mut Audit,
) -> anyhow::Result<()> {
    let (events, organizations) = (&evidence.events, evidence.organizations.as_slice());
    let by_day = sums(events, |event| event.created_at.date_naive());
    let by_month = sums(events, |event| {
        first_of_month(event.created_at.date_naive())
    });

    let periods = store::periods(pool, organizations).await?;
    audit.same("billing_usage and the events", &periods, &by_month);
    let days = store::days(pool, organizations).await?;
    audit.same("daily_metrics and the events", &days, &by_day);
    let requests = store::requests(pool, organizations).await?;
    audit.same("ai_requests and the events", &requests, &by_day);
    let rollup = store::rollup(pool, organizations).await?;
    audit.same("the roll-up and the events", &rollup, &by_dimension(events));
    quotas(pool, evidence, audit).await
}

/// What is used is what is booked; nothing stays reserved; no limit is exceeded.
async fn quotas(pool: &PgPool, evidence: &Evidence, audit: &mut Audit) -> anyhow::Result<()> {
    let organizations = evidence.organizations.as_slice();
    for quota in store::quotas(pool, organizations).await? {
        let kind = match quota.resource.as_str() {
            "ai_tokens" => "ai_request",
            _ => "api_call",
        };
        let own = evidence
            .events
            .iter()
            .filter(|event| event.organization == quota.organization && event.kind == kind);
        let booked: u64 = own.map(|event| event.quantity).sum();
        audit.same(
            &format!("used of {quota:?} and the events"),
            &quota.used,
            &booked,
        );
        audit.same(&format!("reserved of {quota:?}"), &quota.reserved, &0);
        if quota.limit.is_some_and(|limit| quota.used > limit) {
            audit.finding(format!("more is used than allowed: {quota:?}"));
        }
    }
    let open = store::open_leases(pool, organizations).await?;
    audit.same("leases left open", &open, &0);
    Ok(())
}

fn sums(events: &[Event], day: impl Fn(&Event) -> NaiveDate) -> BTreeMap<(Uuid, NaiveDate), Sums> {
    let mut sums = BTreeMap::<_, Sums>::new();
    for event in events {
        let sum = sums.entry((event.organization, day(event))).or_default();
        match event.kind.as_str() {
            "ai_request" => sum.tokens += event.quantity,
            _ => sum.calls += event.quantity,
        }
        sum.cost += &event.cost;
    }
    sums
}

fn by_dimension(events: &[Event]) -> BTreeMap<Dimensions, Sums> {
    let mut sums = BTreeMap::<Dimensions, Sums>::new();
    for event in events.iter().filter(|event| event.kind == "ai_request") {
        let key = (
            event.organization,
            event.created_at.date_naive(),
            event.provider.clone(),
            event.model.clone(),
            event.source.clone(),
        );
        let sum = sums.entry(key).or_default();
        sum.calls += 1;
        sum.tokens += event.quantity;
        sum.cost += &event.cost;
    }
    sums
}

fn first_of_month(day: NaiveDate) -> NaiveDate {
    day.with_day(1).unwrap_or(day)
}
