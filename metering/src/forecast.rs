//! What a month will have cost at its end: the run rate, with a profile of weekdays, and an interval.
//!
//! A plain model that people can check by hand: a day is expected to cost what such a weekday cost on average lately, and the
//! spread of the days around that average gives the interval. Pure arithmetic on decimals; what it cannot know, it says.

mod estimate;
mod row;

use chrono::{Datelike, Days, Months, NaiveDate};
use database::Database;
use std::collections::{BTreeMap, BTreeSet};
use types::Usd;
use uuid::Uuid;

use crate::report::{self, Dimension, Error, Filter, Paging, Scope, UsageRow};

pub use estimate::{Estimate, estimate};
pub use row::{Row, sheet};

/// How far back the days are looked at: eight of each weekday.
pub const HISTORY_DAYS: u64 = 56;

/// Days of usage below which nothing is forecast: less than one of each weekday.
pub const DAYS_MIN: usize = 7;

/// Forecasts the month of `today` for an organization, or for each of all.
pub async fn forecast(
    database: &Database,
    scope: Scope,
    today: NaiveDate,
) -> Result<Vec<Row>, Error> {
    let month = today.with_day(1).unwrap_or(today);
    let end = month.checked_add_months(Months::new(1)).unwrap_or(today);
    let history = today.checked_sub_days(Days::new(HISTORY_DAYS));
    let from = history.unwrap_or(month).min(month);
    let days = costs_by_day(database, scope, from, end).await?;
    let rows = days.into_iter().map(|((id, slug), costs)| {
        let estimate = estimate(&costs, today);
        Row::of((id, slug), (month, end), &costs, estimate.as_ref())
    });
    Ok(rows.collect())
}

type Costs = BTreeMap<NaiveDate, Usd>;

/// Each organization's costs by day.
async fn costs_by_day(
    database: &Database,
    scope: Scope,
    from: NaiveDate,
    until: NaiveDate,
) -> Result<BTreeMap<(Uuid, String), Costs>, Error> {
    let filter = Filter {
        group_by: BTreeSet::from([Dimension::Organization, Dimension::Day]),
        ..Filter::of(from, until)
    };
    let mut paging = Paging::default();
    let mut costs: BTreeMap<(Uuid, String), Costs> = BTreeMap::new();
    loop {
        let page = report::read::<UsageRow>(database, scope, &filter, paging).await?;
        for row in page.rows {
            let (Some(id), Some(day)) = (row.by.organization_id, row.by.period) else {
                continue;
            };
            let of_one = costs.entry((id, row.by.organization.unwrap_or_default()));
            of_one.or_default().insert(day, row.cost_usd);
        }
        if !page.more {
            return Ok(costs);
        }
        paging.offset += paging.limit;
    }
}
