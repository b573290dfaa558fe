//! What was used and what it cost, from the roll-ups: never from the events, however long the span.
//!
//! One report with two sheets. That of [`UsageRow`]s says who used how much of what: by any of the dimensions, down to users,
//! workflows and tags. That of [`CostRow`]s says what was paid for: by token class and price. Both leave out what the platform
//! spent for itself, and both add up to the billing period's exact total. A row whose dimension has no value is the unallocated
//! part, never left out.

mod cost;
mod dimension;
mod filter;
mod line;
mod usage;

use database::{Bulkhead, Database};
use futures_util::future::BoxFuture;
use serde::Serialize;
use sqlx::PgConnection;
use thiserror::Error;
use types::Id;
use types::id::Organization;

use crate::sheet::{Cell, Column, Sheet};
use crate::store::reports;

pub use cost::CostRow;
pub use dimension::{Dimension, UnknownDimension};
pub use filter::{Filter, Paging, ROWS_MAX};
pub use line::Dimensions;
pub(crate) use line::{Line, Which};
pub use usage::UsageRow;

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

/// A row of one of the sheets: [`UsageRow`] or [`CostRow`].
pub trait ReportRow: Serialize + Sized {
    /// The sheet it stands in.
    #[doc(hidden)]
    const WHICH: Which;

    /// Whether the sheet has what is asked for.
    #[doc(hidden)]
    fn check(filter: &Filter) -> Result<(), Error>;

    /// The sheet's part of a line.
    #[doc(hidden)]
    fn of(line: Line) -> Self;

    /// The columns behind those of [`Dimensions`].
    #[doc(hidden)]
    fn own_columns() -> &'static [Column];

    /// The cells of the row, a column each.
    #[doc(hidden)]
    fn cells(self) -> impl Iterator<Item = Cell>;
}

/// What the roll-ups are asked.
#[derive(Debug)]
pub(crate) struct Question<'a> {
    pub(crate) sheet: Which,
    pub(crate) filter: &'a Filter,
    pub(crate) paging: Paging,
}

/// A page of one sheet, of an organization or of all.
pub async fn read<R: ReportRow>(
    database: &Database,
    scope: Scope,
    filter: &Filter,
    paging: Paging,
) -> Result<Rows<R>, Error> {
    R::check(filter)?;
    paging.check()?;
    let question = Question {
        sheet: R::WHICH,
        filter,
        paging,
    };
    let lines = scope.read(
        database,
        "usage: report",
        &question,
        |connection, of, question| Box::pin(reports::lines(connection, of, question)),
    );
    let rows = lines.await?.into_iter().map(R::of);
    Ok(paging.cut(rows.collect()))
}

/// Rows under their columns: always all of them, so that a program can rely on their places.
pub fn sheet<R: ReportRow>(rows: Vec<R>) -> Sheet {
    let rows = rows.into_iter().map(|row| row.cells().collect());
    Sheet {
        columns: [&Dimensions::COLUMNS, R::own_columns()].concat(),
        rows: rows.collect(),
    }
}

/// Reads what is asked for, of one organization or of all.
type Reader<Q, T> = for<'t> fn(
    &'t mut PgConnection,
    Option<Id<Organization>>,
    &'t Q,
) -> BoxFuture<'t, Result<T, database::Error>>;

impl Scope {
    /// The one organization, if it is one.
    pub const fn organization(self) -> Option<Id<Organization>> {
        match self {
            Self::Organization(id) => Some(id),
            Self::All => None,
        }
    }

    /// Reads as the one organization, which sees its own rows only, or as the worker, which sees all.
    pub(crate) async fn read<Q: Sync, T: Send>(
        self,
        database: &Database,
        name: &'static str,
        question: &Q,
        reader: Reader<Q, T>,
    ) -> Result<T, database::Error> {
        match self {
            Self::Organization(id) => {
                database
                    .tenant(name, Bulkhead::Control, id, |tx| {
                        reader(tx.connection(), Some(id), question)
                    })
                    .await
            }
            Self::All => {
                database
                    .worker(name, Bulkhead::Control, |tx| {
                        reader(tx.connection(), None, question)
                    })
                    .await
            }
        }
    }
}
