//! The endpoints of usage and cost.

pub mod report;

use ::api::{Code, Problem};
use chrono::NaiveDate;
use serde::Deserialize;
use types::Id;
use types::id::{ApiKey, Organization};
use utoipa::IntoParams;

use crate::report::Error;

/// Which usage.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct UsageQuery {
    /// The first day, by UTC; absent: the first of this month.
    pub from: Option<NaiveDate>,
    /// The day after the last one; absent: a month after `from`.
    pub until: Option<NaiveDate>,
    /// What gets rows of its own, separated by commas: organization, month, day, provider, model, `api_key`.
    #[serde(default)]
    #[param(example = "month,model")]
    pub group_by: String,
    /// One provider only.
    pub provider: Option<String>,
    /// One model only, as the provider names it.
    pub model: Option<String>,
    /// One key only.
    #[param(value_type = Option<Uuid>)]
    pub api_key_id: Option<Id<ApiKey>>,
    /// For the operator: whose usage. Others leave it out; it is their own organization's.
    #[param(value_type = Option<Uuid>)]
    pub organization_id: Option<Id<Organization>>,
    /// For the operator: the usage of all organizations.
    #[serde(default)]
    pub all_organizations: bool,
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Span | Error::MonthAndDay | Error::TooLong => {
                Self::new(Code::InvalidParameter).detail(error.to_string())
            }
            Error::Database(error) => error.into(),
        }
    }
}
