//! Makes the roll-ups of a span of days anew from the events: the same sums, however often, and beside a running shipper.
//!
//! A transaction for each organization and day. It first locks the roll-ups against writers, so that an event is either
//! committed and read here, or not yet added and added later by the transaction that books it.
//! Billing periods are not touched: they are frozen once invoiced, and closing compares them with the events.

use chrono::NaiveDate;
use database::{Bulkhead, Database};
use thiserror::Error;
use types::id::Organization;
use types::{Id, Usd};

use super::{Additions, Fact};
use crate::price::PriceBook;
use crate::store::events::{self, Event};
use crate::store::rollups;

/// What a recomputation did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recomputed {
    /// Days of organizations that were made anew.
    pub days: u64,
    /// Events that were read.
    pub events: u64,
    /// What the roll-ups said these days cost.
    pub cost_before: Usd,
    /// What the events say.
    pub cost_after: Usd,
}

/// Why roll-ups were not made anew; days before the failing one were.
#[derive(Debug, Error)]
#[error("the roll-ups could not be recomputed")]
pub struct RecomputeError(#[from] database::Error);

/// Makes the roll-ups of days anew, of one organization or of all; `until` is not included.
pub async fn recompute(
    database: &Database,
    prices: &PriceBook,
    organization: Option<Id<Organization>>,
    (from, until): (NaiveDate, NaiveDate),
) -> Result<Recomputed, RecomputeError> {
    let days = database
        .worker("rollup: list days", Bulkhead::Workers, |tx| {
            Box::pin(events::days(tx.connection(), organization, (from, until)))
        })
        .await?;
    let mut done = Recomputed::default();
    for (organization, day) in days {
        let one = recompute_day(database, prices, organization, day).await?;
        done.days += 1;
        done.events += one.events;
        done.cost_before = done.cost_before + one.cost_before;
        done.cost_after = done.cost_after + one.cost_after;
    }
    Ok(done)
}

async fn recompute_day(
    database: &Database,
    prices: &PriceBook,
    organization: Id<Organization>,
    day: NaiveDate,
) -> Result<Recomputed, database::Error> {
    database
        .worker("rollup: recompute", Bulkhead::Workers, |tx| {
            Box::pin(async move {
                let connection = tx.connection();
                let cost_before = rollups::empty(connection, organization, day).await?;
                let mut done = Recomputed {
                    cost_before,
                    ..Recomputed::default()
                };
                let mut after = None;
                loop {
                    let page = events::page(connection, organization, day, after).await?;
                    let Some(last) = page.last() else {
                        return Ok(done);
                    };
                    after = Some(last.key());
                    let additions = additions_of(&page, prices);
                    rollups::add(connection, &additions).await?;
                    done.events += page.len() as u64;
                    done.cost_after = done.cost_after + page.iter().map(|event| event.cost).sum();
                }
            })
        })
        .await
}

fn additions_of<'a>(page: &'a [Event], prices: &PriceBook) -> Additions<'a> {
    let mut additions = Additions::default();
    for event in page {
        additions.add(&Fact::from(event), prices);
    }
    additions
}
