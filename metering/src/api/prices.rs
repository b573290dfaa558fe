//! The endpoints of prices, all of them the operator's.

pub mod list;
pub mod put;
pub mod reprice;
pub mod unpriced;

use ::api::{Code, Problem};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use types::{Id, id};
use utoipa::IntoParams;

use crate::prices::Error;

/// Which prices.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct PricesQuery {
    /// One provider's, by its name in price lists.
    pub provider: Option<String>,
    /// One model's, as the provider calls it.
    pub model: Option<String>,
    /// One organization's own.
    #[param(value_type = Option<Uuid>)]
    pub organization_id: Option<Id<id::Organization>>,
    /// Those of price lists, too; without it the operator's alone.
    #[serde(default)]
    pub with_lists: bool,
    /// Those that hold at some moment after this one.
    pub after: Option<DateTime<Utc>>,
}

/// Which span.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct UnpricedQuery {
    /// The first moment; absent: 31 days ago.
    pub from: Option<DateTime<Utc>>,
    /// The moment after the last one; absent: now.
    pub until: Option<DateTime<Utc>>,
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Field { field, why } => Self::invalid_field(field, why),
            Error::OrganizationNotFound => Self::not_found("organization"),
            Error::Overlap => Self::new(Code::Conflict)
                .detail("another price for the same time was put at the same moment"),
            Error::Database(error) => error.into(),
        }
    }
}
