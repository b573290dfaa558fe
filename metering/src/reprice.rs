//! Reprices what is booked: the difference to the prices of now, appended as corrections; no event is changed.
//!
//! What an event costs is the sum of itself and its corrections. A run reckons what it would cost by the prices that hold for its
//! moment, and books the difference, in the event's own month while that is open and in the first open one otherwise. The next
//! correction of an event has the id that its number gives: two runs at the same time, or one after the other, book it once.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use database::{Bulkhead, Database};
use serde::Serialize;
use serde_json::json;
use thiserror::Error;
use types::id::{Event, Organization};
use types::{Id, Usd};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::price::{Price, PriceBook, Service};
use crate::store::adjustments::{self, AdjustedSubject, Adjustment, AdjustmentKind};
use crate::store::corrections::{self, Booked, Cursor};

/// Events of one transaction: it holds up the shipper for some milliseconds.
const PAGE_ROWS: i64 = 1_000;

/// What is to be repriced.
#[derive(Debug, Clone)]
pub struct Repricing {
    /// The first moment of admission.
    pub from: DateTime<Utc>,
    /// The moment after the last one.
    pub until: DateTime<Utc>,
    /// One organization's events alone.
    pub organization: Option<Id<Organization>>,
    /// One provider's, by its name in the configuration.
    pub provider: Option<String>,
    /// One model's, as the provider calls it.
    pub model: Option<String>,
    /// Only see the difference.
    pub dry_run: bool,
    /// The names that providers of the configuration have in price lists, where that is another one.
    pub price_providers: BTreeMap<String, String>,
}

/// What a run found, and booked if it was to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Repriced {
    /// Events that were looked at.
    pub events: u64,
    /// Events whose cost differs.
    pub differing: u64,
    /// Corrections that were booked; fewer than differ where another run was first, none in a dry run.
    pub booked: u64,
    /// Events that have no price now: they stay what they are.
    pub without_price: u64,
    /// By organization, month and model.
    pub differences: Vec<Difference>,
}

/// What one organization's events of a model and month come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Difference {
    /// Whose.
    pub organization_id: Uuid,
    /// The month's first day, by UTC.
    pub month: NaiveDate,
    /// The provider's name in the configuration.
    pub provider: String,
    /// The model, as the provider calls it.
    pub model: String,
    /// Events that differ.
    pub events: u64,
    /// US dollars, as booked until now.
    #[schema(value_type = String)]
    pub before_usd: Usd,
    /// US dollars, by the prices of now.
    #[schema(value_type = String)]
    pub after_usd: Usd,
}

/// Why nothing more was repriced; what was booked before stays booked, and the next run goes on from there.
#[derive(Debug, Error)]
pub enum Error {
    /// The end does not lie after the beginning.
    #[error("the span must end after it begins")]
    Span,
    /// The database failed.
    #[error("the events could not be repriced")]
    Database(#[from] database::Error),
}

type Key = (Uuid, NaiveDate, String, String);

/// Reprices a span of events; the book is the one of now.
pub async fn reprice(
    database: &Database,
    prices: &PriceBook,
    repricing: &Repricing,
) -> Result<Repriced, Error> {
    if repricing.from >= repricing.until {
        return Err(Error::Span);
    }
    let mut repriced = Repriced::default();
    let mut differences = BTreeMap::new();
    let mut after: Option<Cursor> = None;
    loop {
        let (page, booked) = database
            .worker("reprice: page", Bulkhead::Workers, |tx| {
                Box::pin(async move {
                    let connection = tx.connection();
                    let page = corrections::page(connection, repricing, after, PAGE_ROWS).await?;
                    if repricing.dry_run {
                        return Ok::<_, database::Error>((page, 0));
                    }
                    let corrected = page
                        .iter()
                        .filter_map(|event| correction(event, prices, repricing));
                    let corrected: Vec<_> = corrected.map(|(correction, _)| correction).collect();
                    if corrected.is_empty() {
                        return Ok((page, 0));
                    }
                    let (booked, _) = adjustments::post(connection, &corrected, prices).await?;
                    Ok((page, booked))
                })
            })
            .await?;
        repriced.booked += booked as u64;
        for event in &page {
            tell(&mut repriced, &mut differences, event, prices, repricing);
        }
        let Some(last) = page.last() else {
            repriced.differences = differences.into_values().collect();
            return Ok(repriced);
        };
        after = Some(last.cursor());
    }
}

/// Adds an event to what the run found.
fn tell(
    repriced: &mut Repriced,
    differences: &mut BTreeMap<Key, Difference>,
    event: &Booked,
    prices: &PriceBook,
    repricing: &Repricing,
) {
    repriced.events += 1;
    if price_of(event, prices, repricing).is_none() {
        repriced.without_price += 1;
    }
    let Some((_, cost)) = correction(event, prices, repricing) else {
        return;
    };
    repriced.differing += 1;
    let key = (
        event.organization.uuid(),
        event.month(),
        event.provider.clone(),
        event.model.clone(),
    );
    let difference = differences.entry(key).or_insert_with(|| Difference {
        organization_id: event.organization.uuid(),
        month: event.month(),
        provider: event.provider.clone(),
        model: event.model.clone(),
        events: 0,
        before_usd: Usd::ZERO,
        after_usd: Usd::ZERO,
    });
    difference.events += 1;
    difference.before_usd = difference.before_usd + event.cost;
    difference.after_usd = difference.after_usd + cost;
}

/// The correction of an event, and what it costs with it; none where the cost is right, or there is no price.
fn correction(
    event: &Booked,
    prices: &PriceBook,
    repricing: &Repricing,
) -> Option<(Adjustment, Usd)> {
    let price = price_of(event, prices, repricing)?;
    let service = event
        .service
        .as_deref()
        .map_or(Some(Service::Standard), Service::parse)?;
    let cost = price.cost_at(service, &event.usage).ok()?;
    if cost == event.cost {
        return None;
    }
    let number = event.corrections + 1;
    let adjustment = Adjustment {
        id: Id::<Event>::from_uuid(event.id).derive(&format!("correction/{number}")),
        created_at: event.created_at,
        organization: event.organization,
        kind: AdjustmentKind::Correction,
        cost: cost - event.cost,
        metadata: json!({ "reason": "reprice", "price": price.id(), "price_before": event.price }),
        subject: AdjustedSubject {
            corrects: Some(event.id),
            price: Some(price.id()),
            ..event.subject.clone()
        },
    };
    Some((adjustment, cost))
}

/// The price that holds for the event's moment now.
fn price_of(
    event: &Booked,
    prices: &PriceBook,
    repricing: &Repricing,
) -> Option<std::sync::Arc<Price>> {
    let listed = event.price.and_then(|id| prices.by_id(id));
    let configured = repricing.price_providers.get(&event.provider);
    let provider = listed.map(|price| &price.listed().provider).or(configured);
    let model = (
        provider.unwrap_or(&event.provider).as_str(),
        event.model.as_str(),
    );
    prices.find_for(event.organization, model, event.created_at)
}
