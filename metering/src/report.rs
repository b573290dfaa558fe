//! What was used and what it cost, from the roll-ups: never from the events, however long the span.
//!
//! [`usage`] says who used how much of what: by any of the dimensions, down to users, workflows and tags. [`costs`] says
//! what was paid for: by token class and price. Both leave out what the platform spent for itself, and both add up to the
//! billing period's exact total. A row whose dimension has no value is the unallocated part, never left out.

mod cost;
mod dimension;
mod filter;
mod usage;

use database::{Bulkhead, Database};
use serde::Serialize;
use thiserror::Error;
use types::Id;
use types::id::Organization;

use crate::store::reports;

pub use cost::{CostRow, costs_sheet};
pub use dimension::{Dimension, UnknownDimension};
pub use filter::{Filter, Paging, ROWS_MAX};
pub use usage::{Row, usage_sheet};

/// Whose usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// One organization's.
    Organization(Id<Organization>),
    /// Everybody's; for the operator.
    All,
}

/// Some rows of a report, in its order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rows<T> {
    /// The rows.
    pub rows: Vec<T>,
    /// Whether more follow.
    pub more: bool,
}

/// Why there is no report.
#[derive(Debug, Error)]
pub enum Error {
    /// The end does not lie after the beginning, or too far.
    #[error("the span must have 1 to {} days", filter::DAYS_MAX)]
    Span,
    /// Month and day together make no sense.
    #[error("group by month or by day, not by both")]
    MonthAndDay,
    /// The roll-up has no such combination.
    #[error("{0}")]
    Combination(&'static str),
    /// More than [`ROWS_MAX`], in a list without pages.
    #[error("the report has more than {ROWS_MAX} rows; ask for a shorter span, or group by less")]
    TooLong,
    /// More than [`ROWS_MAX`] on a page, or none.
    #[error("a page has 1 to {ROWS_MAX} rows")]
    Page,
    /// The database failed.
    #[error("the report could not be read")]
    Database(#[from] database::Error),
}

/// The usage of an organization, or of all.
pub async fn usage(
    database: &Database,
    scope: Scope,
    filter: &Filter,
    paging: Paging,
) -> Result<Rows<Row>, Error> {
    filter.check_usage()?;
    paging.check()?;
    let organization = scope.organization();
    let rows = match organization {
        Some(id) => {
            database
                .tenant("usage: report", Bulkhead::Control, id, |tx| {
                    Box::pin(reports::usage(
                        tx.connection(),
                        organization,
                        filter,
                        paging,
                    ))
                })
                .await?
        }
        None => {
            database
                .worker("usage: report", Bulkhead::Control, |tx| {
                    Box::pin(reports::usage(tx.connection(), None, filter, paging))
                })
                .await?
        }
    };
    Ok(paging.cut(rows))
}

/// The cost of an organization, or of all, by token class and price.
pub async fn costs(
    database: &Database,
    scope: Scope,
    filter: &Filter,
    paging: Paging,
) -> Result<Rows<CostRow>, Error> {
    filter.check_costs()?;
    paging.check()?;
    let organization = scope.organization();
    let rows = match organization {
        Some(id) => {
            database
                .tenant("costs: report", Bulkhead::Control, id, |tx| {
                    Box::pin(reports::costs(
                        tx.connection(),
                        organization,
                        filter,
                        paging,
                    ))
                })
                .await?
        }
        None => {
            database
                .worker("costs: report", Bulkhead::Control, |tx| {
                    Box::pin(reports::costs(tx.connection(), None, filter, paging))
                })
                .await?
        }
    };
    Ok(paging.cut(rows))
}

impl Scope {
    /// The one organization, if it is one.
    pub const fn organization(self) -> Option<Id<Organization>> {
        match self {
            Self::Organization(id) => Some(id),
            Self::All => None,
        }
    }
}
