//! What organizations are billed for, as FOCUS 1.2 (the `FinOps` cost and usage specification) has it: one row for each organization, day, model,
//! token class and price.
//!
//! In every row quantity × unit price is the cost, exactly, and the rows of an organization add up to its billing period's exact
//! total; where that is invoiced, a row of its own says what rounding to the cent made of it, so that they add up to the invoice.
//! Late usage of a month that was closed is in the period that bills it, as a correction.

mod columns;
mod publisher;
mod row;
#[cfg(test)]
mod tests;

use chrono::NaiveDate;
use database::Database;
use rust_decimal::Decimal;
use thiserror::Error;
use types::Usd;
use uuid::Uuid;

use crate::price::TokenClass;
use crate::report::Scope;
use crate::sheet::{Cell, Sheet};
use crate::store::focus as store;

/// Rows of one export: some hundred megabytes of cells. Whoever has more exports one organization at a time.
pub const ROWS_MAX: usize = 200_000;

/// A charge and the period that bills it; a period without any charge stands alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Charged {
    pub(crate) billing: Billing,
    pub(crate) charge: Option<Charge>,
}

/// A billing period of an organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Billing {
    pub(crate) organization_id: Uuid,
    pub(crate) slug: String,
    pub(crate) name: String,
    pub(crate) begins: NaiveDate,
    pub(crate) ends: NaiveDate,
    pub(crate) exact: Usd,
    /// The invoice's amount, once there is one.
    pub(crate) invoiced: Option<Usd>,
    pub(crate) invoice_id: Option<String>,
}

/// What is charged for one class at one price on one day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Charge {
    pub(crate) day: NaiveDate,
    pub(crate) provider: String,
    pub(crate) model: String,
    pub(crate) price_id: Option<Uuid>,
    pub(crate) service: Option<String>,
    pub(crate) class: TokenClass,
    /// For a million.
    pub(crate) unit_price_usd: Decimal,
    pub(crate) requests: i64,
    pub(crate) quantity: i64,
    pub(crate) cost: Usd,
    pub(crate) estimated_cost: Usd,
    pub(crate) failed_cost: Usd,
}

/// Why there is no export.
#[derive(Debug, Error)]
pub enum FocusError {
    /// More than [`ROWS_MAX`].
    #[error("the export has more than {ROWS_MAX} rows; export one organization at a time")]
    TooLong,
    /// The charges do not add up to what the period says.
    #[error(
        "the charges of {slug} come to {charged} USD and its billing period to {exact}; recompute the roll-ups of the month"
    )]
    DoesNotAddUp {
        /// Whose.
        slug: String,
        /// What the charges come to.
        charged: Usd,
        /// What the period says.
        exact: Usd,
    },
    /// The database failed.
    #[error("the charges could not be read")]
    Database(#[from] database::Error),
}

/// The export of a billing period, named by its first day; `operator` issues the invoices.
pub async fn export(
    database: &Database,
    scope: Scope,
    period: NaiveDate,
    operator: &str,
) -> Result<Sheet, FocusError> {
    let charged = scope.read(
        database,
        "focus: export",
        &period,
        |connection, of, period| Box::pin(store::charges(connection, of, *period)),
    );
    let charged = charged.await?;
    if charged.len() > ROWS_MAX {
        return Err(FocusError::TooLong);
    }
    sheet(&charged, operator)
}

/// The rows of each organization, and what rounding made of them.
fn sheet(charged: &[Charged], operator: &str) -> Result<Sheet, FocusError> {
    let mut rows: Vec<Vec<Cell>> = Vec::with_capacity(charged.len());
    for of_one in
        charged.chunk_by(|one, next| one.billing.organization_id == next.billing.organization_id)
    {
        let lines = of_one.iter().filter_map(|charged| charged.charge.as_ref());
        let Some(Charged { billing, .. }) = of_one.first() else {
            continue;
        };
        let sum: Usd = lines.clone().map(|charge| charge.cost).sum();
        if sum != billing.exact {
            return Err(FocusError::DoesNotAddUp {
                slug: billing.slug.clone(),
                charged: sum,
                exact: billing.exact,
            });
        }
        rows.extend(lines.map(|charge| row::usage(billing, charge, operator)));
        rows.extend(row::rounding(billing, operator));
    }
    Ok(Sheet {
        columns: columns::COLUMNS.to_vec(),
        rows,
    })
}
