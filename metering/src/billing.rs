//! Closing a month: its events are compared with every sum of them, rounded once, numbered, and frozen as an invoice.
//!
//! # How a month is closed
//! 1. The month and its grace are over, and every node has booked everything that it admitted until then.
//! 2. The billing period is locked: postings wait, and go to a later period once it is closed.
//! 3. Its events are summed again and compared with the period and the roll-ups; any difference stops here.
//! 4. The organization's mark-ups become events of the period.
//! 5. `total = round(exact + carry_in)`, half a cent up; what is left goes to the next open period (`rounding`).
//! 6. The invoice gets the next number of the year, its lines, and the period becomes `invoiced`.
//!
//! All of it is one transaction: a close that fails, or that was only to be seen, leaves nothing behind, not even a number.
//! Events that come later are billed in the first open period, as is a credit; see `docs/billing.md`.

mod close;
mod credit;
mod lines;
pub mod markups;
mod rounding;
#[cfg(test)]
mod tests;
mod view;

use chrono::{DateTime, Datelike, Duration, NaiveDate, Utc};
use serde::Serialize;
use thiserror::Error;
use types::Id;
use types::id::User;
use utoipa::ToSchema;
use uuid::Uuid;

pub use close::{close, close_all};
pub use credit::{Credit, credit};
pub use rounding::{NotExact, Rounded, allocate, round, to_cents};
pub use view::{Invoice, InvoiceLine, Page, find, list, pay};

/// How a month is to be closed.
#[derive(Debug, Clone)]
pub struct Closing {
    /// The first day of the month, by UTC.
    pub month: NaiveDate,
    /// How long after its end it stays open for what comes late: `[metering] close_grace_hours`.
    pub grace: Duration,
    /// Nodes that are not waited for, because they never come back.
    pub without_nodes: Vec<Uuid>,
    /// Only see what would be.
    pub dry_run: bool,
    /// Who closes it; none from the command line.
    pub by: Option<Id<User>>,
}

/// Two places that ought to say the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Difference {
    /// What was compared, and where the second sum stands.
    pub what: &'static str,
    /// The sum of the events.
    pub events: String,
    /// What stands there instead.
    pub found: String,
}

/// Why a month is not closed.
#[derive(Debug, Error)]
pub enum Error {
    /// No first day of a month.
    #[error("a month is named by its first day")]
    NoMonth,
    /// It is not over, or its grace is not.
    #[error("the month can be closed from {from} on")]
    TooEarly {
        /// The end of its grace.
        from: DateTime<Utc>,
    },
    /// Nodes may still have events of it.
    #[error("these nodes have not booked all of the month yet: {}", list_of(nodes))]
    NodesBehind {
        /// Which, and until when each has booked everything.
        nodes: Vec<(Uuid, Option<DateTime<Utc>>)>,
    },
    /// An earlier one is open, and what it leaves over is not known.
    #[error("the period that begins on {month} must be closed first")]
    EarlierOpen {
        /// Its first day.
        month: NaiveDate,
    },
    /// Sums differ: somebody has to find out why.
    #[error("the books differ from the events: {}", differences_of(.0))]
    Differs(Vec<Difference>),
    /// A billing period that is not a calendar month is in the way.
    #[error("another billing period covers the month")]
    NoPeriod,
    /// An amount is too large, or parts do not make their whole.
    #[error(transparent)]
    NotExact(#[from] NotExact),
    /// No invoice has this number.
    #[error("no invoice has this number")]
    InvoiceNotFound,
    /// It is paid already.
    #[error("the invoice is paid already")]
    Paid,
    /// A field has a value that cannot be accepted.
    #[error("{field} {why}")]
    Field {
        /// Which one.
        field: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The organization is not there.
    #[error("no such organization")]
    OrganizationNotFound,
    /// The database failed.
    #[error("the books could not be read or written")]
    Database(#[source] database::Error),
}

fn list_of(nodes: &[(Uuid, Option<DateTime<Utc>>)]) -> String {
    let nodes = nodes.iter().map(|(node, until)| match until {
        Some(until) => format!("{node} (booked until {until})"),
        None => format!("{node} (nothing known)"),
    });
    nodes.collect::<Vec<_>>().join(", ")
}

fn differences_of(differences: &[Difference]) -> String {
    let differences = differences.iter().map(|one| {
        format!(
            "{}: {} by events, {} found",
            one.what, one.events, one.found
        )
    });
    differences.collect::<Vec<_>>().join("; ")
}

impl Closing {
    /// The month's first day and the first day after it.
    fn span(&self) -> Result<(NaiveDate, NaiveDate), Error> {
        let end = self.month.checked_add_months(chrono::Months::new(1));
        match end {
            Some(end) if self.month.day() == 1 => Ok((self.month, end)),
            _ => Err(Error::NoMonth),
        }
    }
}

impl From<database::Error> for Error {
    fn from(error: database::Error) -> Self {
        match error {
            database::Error::ForeignKey { .. } => Self::OrganizationNotFound,
            error => Self::Database(error),
        }
    }
}

impl database::AsDatabaseError for Error {
    fn as_database_error(&self) -> Option<&database::Error> {
        match self {
            Self::Database(error) => Some(error),
            _ => None,
        }
    }
}
