//! The endpoints of invoices: everybody reads their own, the operator closes, credits and marks as paid.

pub mod close;
pub mod credit;
pub mod find;
pub mod list;
pub mod pay;

use ::api::{Code, Problem};
use chrono::NaiveDate;
use serde::Deserialize;
use types::{Id, id};
use utoipa::IntoParams;
use uuid::Uuid;

use crate::billing::Error;

/// Which invoice.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct InvoicePath {
    /// Its number.
    #[param(example = "INV-2026-000042")]
    pub number: String,
}

/// Which invoices.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct InvoicesQuery {
    /// For the operator: whose; absent: everybody's. Others leave it out; it is their own organization.
    #[param(value_type = Option<Uuid>)]
    pub organization_id: Option<Id<id::Organization>>,
    /// Those of the month with this first day.
    pub month: Option<NaiveDate>,
    /// The `next` of the page before.
    pub after: Option<Uuid>,
    /// The most of them, 1 to 200; 50 if absent.
    pub limit: Option<u16>,
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Field { field, why } => Self::invalid_field(field, why),
            Error::NoMonth => Self::invalid_field("month", "must be the first day of a month"),
            Error::OrganizationNotFound => Self::not_found("organization"),
            Error::InvoiceNotFound => {
                Self::new(Code::NotFound).detail("no invoice has this number")
            }
            Error::Database(error) => error.into(),
            error @ (Error::TooEarly { .. }
            | Error::NodesBehind { .. }
            | Error::EarlierOpen { .. }
            | Error::Differs(_)
            | Error::NoPeriod
            | Error::NotExact(_)
            | Error::Paid) => Self::new(Code::Conflict).detail(error.to_string()),
        }
    }
}
