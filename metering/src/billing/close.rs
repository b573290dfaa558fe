//! The close of one organization's month, as one transaction.

use chrono::{DateTime, Datelike, NaiveDate, Utc};
use database::{AsDatabaseError, Bulkhead, Database};
use sqlx::PgConnection;
use types::id::Organization;
use types::{Clock, Id, Usd, id};

use super::lines::{self, Carried};
use super::view::{Invoice, invoice_of};
use super::{Closing, Difference, Error, markups, round};
use crate::price::PriceBook;
use crate::store::invoices::{self, Choice, InvoiceRow};
use crate::store::periods::{self, DepartmentSum, PeriodRow, midnight};

/// How a closing transaction ends without a commit.
enum Stop {
    /// It was only to be seen.
    Seen(Box<Invoice>),
    Failed(Error),
}

/// Closes the month of every organization that was there by its end; each by itself, in the order of their ids.
pub async fn close_all(
    database: &Database,
    prices: &PriceBook,
    clock: &dyn Clock,
    closing: &Closing,
) -> Result<Vec<(Id<Organization>, Result<Invoice, Error>)>, Error> {
    let span = closing.span()?;
    check_time(database, clock, closing).await?;
    let organizations = database
        .worker("billing: list organizations", Bulkhead::Control, |tx| {
            Box::pin(async move {
                let organizations = periods::organizations(tx.connection(), span);
                Ok::<_, Error>(organizations.await?)
            })
        })
        .await?;
    let mut closed = Vec::with_capacity(organizations.len());
    for organization in organizations {
        let invoice = close_checked(database, prices, clock, (organization, closing)).await;
        closed.push((organization, invoice));
    }
    Ok(closed)
}

/// Closes one organization's month; one that is closed already answers its invoice.
pub async fn close(
    database: &Database,
    prices: &PriceBook,
    clock: &dyn Clock,
    (organization, closing): (Id<Organization>, &Closing),
) -> Result<Invoice, Error> {
    closing.span()?;
    check_time(database, clock, closing).await?;
    close_checked(database, prices, clock, (organization, closing)).await
}

/// The month is over, its grace too, and nobody has anything of it left.
async fn check_time(
    database: &Database,
    clock: &dyn Clock,
    closing: &Closing,
) -> Result<(), Error> {
    let (_, end) = closing.span()?;
    let from = midnight(end) + closing.grace;
    if clock.now() < from {
        return Err(Error::TooEarly { from });
    }
    let behind = database
        .worker("billing: look at nodes", Bulkhead::Control, |tx| {
            Box::pin(async move {
                let without = &closing.without_nodes;
                Ok::<_, Error>(periods::nodes_behind(tx.connection(), from, without).await?)
            })
        })
        .await?;
    if behind.is_empty() {
        return Ok(());
    }
    let nodes = behind.iter().map(|one| (one.node.uuid(), one.booked_until));
    Err(Error::NodesBehind {
        nodes: nodes.collect(),
    })
}

async fn close_checked(
    database: &Database,
    prices: &PriceBook,
    clock: &dyn Clock,
    (organization, closing): (Id<Organization>, &Closing),
) -> Result<Invoice, Error> {
    // Summing a month of many millions of events takes its time: the pool of background work allows a minute.
    let closed = database
        .worker("billing: close", Bulkhead::Workers, |tx| {
            Box::pin(async move {
                let at = clock.now();
                let id = Id::<id::Invoice>::new(clock).uuid();
                let connection = tx.connection();
                let drafted = Draft { id, at, closing };
                let invoice = close_in(connection, prices, organization, &drafted).await?;
                if closing.dry_run {
                    return Err(Stop::Seen(Box::new(invoice)));
                }
                Ok(invoice)
            })
        })
        .await;
    match closed {
        Ok(invoice) => Ok(invoice),
        Err(Stop::Seen(invoice)) => Ok(*invoice),
        Err(Stop::Failed(error)) => Err(error),
    }
}

/// What is known of the invoice before the books are looked at.
struct Draft<'a> {
    id: uuid::Uuid,
    at: DateTime<Utc>,
    closing: &'a Closing,
}

async fn close_in(
    connection: &mut PgConnection,
    prices: &PriceBook,
    organization: Id<Organization>,
    draft: &Draft<'_>,
) -> Result<Invoice, Error> {
    let period = lock(connection, organization, draft.closing.month).await?;
    if let Some(number) = period.invoice_id.clone() {
        return issued(connection, number).await;
    }
    if let Some(month) = periods::find_open_before(connection, organization, period.start).await? {
        return Err(Error::EarlierOpen { month });
    }
    let departments = compare(connection, organization, &period).await?;
    let booked = markups::book(connection, prices, organization, &period).await?;
    let (period, departments) = if booked == 0 {
        (period, departments)
    } else {
        let period = lock(connection, organization, draft.closing.month).await?;
        let departments = compare(connection, organization, &period).await?;
        (period, departments)
    };
    let rounded = round(period.exact, period.carry_in)?;
    let charges = invoices::charges(connection, organization, &period).await?;
    let carried = Carried {
        carry_in: period.carry_in,
        carry_out: rounded.carry_out,
    };
    let lines = lines::of(charges, &departments, rounded.total, carried)?;
    periods::carry(connection, organization, period.end, rounded.carry_out).await?;

    let year = draft.at.year();
    let number = invoices::next_number(connection, year).await?;
    let invoice = InvoiceRow {
        id: draft.id,
        organization: organization.uuid(),
        number: format!("INV-{year}-{number:06}"),
        period_start: period.start,
        period_end: period.end,
        exact: period.exact,
        carry_in: period.carry_in,
        carry_out: rounded.carry_out,
        total: rounded.total,
        tokens: period.tokens,
        calls: period.calls,
        issued_at: draft.at,
        paid_at: None,
        payment_reference: None,
    };
    periods::freeze(connection, period.id, &invoice.number, rounded.total).await?;
    let by = draft.closing.by.map(|by| by.uuid());
    invoices::insert(connection, &invoice, (period.id, by), &lines).await?;
    Ok(invoice_of(invoice, lines))
}

async fn lock(
    connection: &mut PgConnection,
    organization: Id<Organization>,
    month: NaiveDate,
) -> Result<PeriodRow, Error> {
    let period = periods::lock(connection, organization, month).await?;
    period.ok_or(Error::NoPeriod)
}

/// An invoice that was issued before.
async fn issued(connection: &mut PgConnection, number: String) -> Result<Invoice, Error> {
    let choice = Choice {
        number: Some(number),
        rows_max: 1,
        ..Choice::default()
    };
    let row = invoices::list(connection, &choice).await?.pop();
    let row = row.ok_or(Error::InvoiceNotFound)?;
    let lines = invoices::lines(connection, row.organization, row.id).await?;
    Ok(invoice_of(row, lines))
}

/// Sums the period's events again, and finds every other sum of them to be the same.
async fn compare(
    connection: &mut PgConnection,
    organization: Id<Organization>,
    period: &PeriodRow,
) -> Result<Vec<DepartmentSum>, Error> {
    let departments = periods::sums(connection, organization, period).await?;
    let rollups = periods::rollup_sums(connection, organization, period).await?;
    let cost: Usd = departments.iter().map(|one| one.cost).sum();
    let tokens: i64 = departments.iter().map(|one| one.tokens).sum();
    let calls: i64 = departments.iter().map(|one| one.calls).sum();
    let pairs = [
        usd("cost of the period in billing_usage", (cost, period.exact)),
        count("tokens in billing_usage", (tokens, period.tokens)),
        count("calls in billing_usage", (calls, period.calls)),
        usd("cost of the month in metering.usage_rollup", rollups.usage),
        count(
            "events of the month in metering.usage_rollup",
            rollups.events,
        ),
        usd("cost of the month in daily_metrics", rollups.days),
        usd(
            "cost of the period in metering.charge_rollup",
            rollups.charges,
        ),
    ];
    let differences: Vec<_> = pairs.into_iter().flatten().collect();
    if differences.is_empty() {
        return Ok(departments);
    }
    metrics::counter!("flowpilot_billing_differences_total").increment(1);
    tracing::error!(
        %organization,
        month = %period.start,
        differences = super::differences_of(&differences),
        "a month is not closed: its books differ from its events"
    );
    Err(Error::Differs(differences))
}

fn usd(what: &'static str, (events, found): (Usd, Usd)) -> Option<Difference> {
    (events != found).then(|| Difference {
        what,
        events: events.to_string(),
        found: found.to_string(),
    })
}

fn count(what: &'static str, (events, found): (i64, i64)) -> Option<Difference> {
    (events != found).then(|| Difference {
        what,
        events: events.to_string(),
        found: found.to_string(),
    })
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<database::Error> for Stop {
    fn from(error: database::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl AsDatabaseError for Stop {
    fn as_database_error(&self) -> Option<&database::Error> {
        match self {
            Self::Seen(_) => None,
            Self::Failed(error) => error.as_database_error(),
        }
    }
}
