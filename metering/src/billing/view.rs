//! Invoices as people see them, and their payment.

use chrono::{DateTime, NaiveDate, Utc};
use database::{Bulkhead, Database};
use rust_decimal::Decimal;
use serde::Serialize;
use types::id::Organization;
use types::{Clock, Id, Usd};
use utoipa::ToSchema;
use uuid::Uuid;

use super::Error;
use crate::store::invoices::{self as store, Choice, InvoiceRow, LineRow};
use crate::store::periods;

/// The longest reference of a payment, in characters: that of the column.
const REFERENCE_CHARS_MAX: usize = 200;

/// A closed month.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Invoice {
    /// What it is known by here.
    pub id: Uuid,
    /// What it is known by to people; each year's are numbered without a gap.
    #[schema(example = "INV-2026-000042")]
    pub number: String,
    /// Whose.
    pub organization_id: Uuid,
    /// The month's first day, by UTC.
    pub period_start: NaiveDate,
    /// The first day after it.
    pub period_end: NaiveDate,
    /// `invoiced` or `paid`.
    pub status: &'static str,
    /// US dollars: the unrounded sum of all that the month bills, mark-ups included.
    #[schema(value_type = String, example = "12.345678")]
    pub exact_usd: Usd,
    /// US dollars that earlier months left over.
    #[schema(value_type = String, example = "-0.0012")]
    pub carry_in_usd: Usd,
    /// US dollars that are left to later months: what rounding left over, or a credit.
    #[schema(value_type = String, example = "0.004478")]
    pub carry_out_usd: Usd,
    /// US dollars to be paid, in whole cents.
    #[serde(with = "rust_decimal::serde::str")]
    #[schema(value_type = String, example = "12.34")]
    pub total_usd: Decimal,
    /// Input and output tokens.
    pub total_tokens: i64,
    /// Requests.
    pub total_calls: i64,
    /// When the month was closed.
    pub issued_at: DateTime<Utc>,
    /// When it was paid.
    pub paid_at: Option<DateTime<Utc>>,
    /// How it was paid, in the operator's words.
    pub payment_reference: Option<String>,
    /// What was charged: models by token class, corrections, mark-ups, and what is carried. Adds up to the total. Left out in lists.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub charges: Vec<InvoiceLine>,
    /// The total by who used it. Adds up to the total. Left out in lists.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub departments: Vec<InvoiceLine>,
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct InvoiceLine {
    /// `usage`, `correction`, `markup`, `carry_in`, `carry_out` or `department`.
    pub kind: String,
    /// Whose share; absent in a share that is of no department.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub department_id: Option<Uuid>,
    /// The provider's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The model, or the mark-up's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The provider's service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The class of tokens; `undivided`: events that have no classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_class: Option<String>,
    /// Tokens, searches, or events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantity: Option<i64>,
    /// US dollars for a million.
    #[serde(
        with = "rust_decimal::serde::str_option",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<String>, example = "0.3")]
    pub unit_price_usd: Option<Decimal>,
    /// US dollars, unrounded.
    #[schema(value_type = String, example = "1.234567")]
    pub exact_usd: Usd,
    /// US dollars, in whole cents.
    #[serde(with = "rust_decimal::serde::str")]
    #[schema(value_type = String, example = "1.23")]
    pub amount_usd: Decimal,
}

/// Which invoices are listed.
#[derive(Debug, Clone, Copy)]
pub struct Page {
    /// One organization's; none: everybody's, for the operator.
    pub organization: Option<Id<Organization>>,
    /// Of the month with this first day.
    pub month: Option<NaiveDate>,
    /// Those before this one.
    pub before: Option<Uuid>,
    /// The most of them.
    pub rows_max: u16,
}

/// Invoices without their lines, latest first.
pub async fn list(database: &Database, page: Page) -> Result<Vec<Invoice>, Error> {
    let choice = Choice {
        organization: page.organization.map(|id| id.uuid()),
        number: None,
        period_start: page.month,
        before: page.before,
        rows_max: page.rows_max.into(),
    };
    let rows = read(database, page.organization, choice).await?;
    let invoices = rows.into_iter().map(|row| invoice_of(row, Vec::new()));
    Ok(invoices.collect())
}

/// An invoice with its lines; `organization`: only if it is theirs.
pub async fn find(
    database: &Database,
    organization: Option<Id<Organization>>,
    number: &str,
) -> Result<Invoice, Error> {
    let choice = Choice {
        organization: organization.map(|id| id.uuid()),
        number: Some(number.to_owned()),
        rows_max: 1,
        ..Choice::default()
    };
    let row = read(database, organization, choice).await?.pop();
    let row = row.ok_or(Error::InvoiceNotFound)?;
    let owner = Id::from_uuid(row.organization);
    let lines = database
        .tenant("billing: read lines", Bulkhead::Control, owner, |tx| {
            let (organization, invoice) = (row.organization, row.id);
            Box::pin(async move {
                let lines = store::lines(tx.connection(), organization, invoice);
                Ok::<_, Error>(lines.await?)
            })
        })
        .await?;
    Ok(invoice_of(row, lines))
}

/// A tenant's invoices are read as that tenant, so that the database sees to it that they are.
async fn read(
    database: &Database,
    organization: Option<Id<Organization>>,
    choice: Choice,
) -> Result<Vec<InvoiceRow>, Error> {
    const NAME: &str = "billing: read invoices";
    match organization {
        Some(organization) => {
            database
                .tenant(NAME, Bulkhead::Control, organization, |tx| {
                    let choice = choice.clone();
                    Box::pin(async move { Ok(store::list(tx.connection(), &choice).await?) })
                })
                .await
        }
        None => {
            database
                .worker(NAME, Bulkhead::Control, |tx| {
                    let choice = choice.clone();
                    Box::pin(async move { Ok(store::list(tx.connection(), &choice).await?) })
                })
                .await
        }
    }
}

/// Says that an invoice is paid; once.
pub async fn pay(
    database: &Database,
    clock: &dyn Clock,
    number: &str,
    reference: &str,
) -> Result<Invoice, Error> {
    let chars = reference.chars().count();
    if chars == 0 || chars > REFERENCE_CHARS_MAX || reference.contains('\0') {
        return Err(Error::Field {
            field: "reference",
            why: format!("must have 1 to {REFERENCE_CHARS_MAX} characters"),
        });
    }
    let at = clock.now();
    database
        .worker("billing: pay", Bulkhead::Control, |tx| {
            Box::pin(async move {
                let connection = tx.connection();
                if store::lock(connection, number).await?.is_none() {
                    return Err(Error::InvoiceNotFound);
                }
                if store::pay(connection, number, at, reference).await? == 0 {
                    return Err(Error::Paid);
                }
                database::ensure_affected(periods::pay(connection, number).await?, 1)?;
                Ok(())
            })
        })
        .await?;
    find(database, None, number).await
}

/// An invoice with what lines are known of it.
pub(super) fn invoice_of(row: InvoiceRow, lines: Vec<LineRow>) -> Invoice {
    let (charges, departments) = lines
        .into_iter()
        .partition::<Vec<_>, _>(|line| line.breakdown == "charge");
    let lines = |lines: Vec<LineRow>| lines.into_iter().map(InvoiceLine::from).collect();
    Invoice {
        id: row.id,
        number: row.number,
        organization_id: row.organization,
        period_start: row.period_start,
        period_end: row.period_end,
        status: if row.paid_at.is_some() {
            "paid"
        } else {
            "invoiced"
        },
        exact_usd: row.exact,
        carry_in_usd: row.carry_in,
        carry_out_usd: row.carry_out,
        total_usd: row.total,
        total_tokens: row.tokens,
        total_calls: row.calls,
        issued_at: row.issued_at,
        paid_at: row.paid_at,
        payment_reference: row.payment_reference,
        charges: lines(charges),
        departments: lines(departments),
    }
}

impl From<LineRow> for InvoiceLine {
    fn from(row: LineRow) -> Self {
        Self {
            kind: row.kind,
            department_id: row.department,
            provider: row.provider,
            model: row.model,
            service: row.service,
            token_class: row.token_class,
            quantity: row.quantity,
            unit_price_usd: row.unit_price.map(|usd| usd.normalize()),
            exact_usd: row.exact,
            amount_usd: row.amount,
        }
    }
}
