//! The endpoints of budgets.

pub mod create;
pub mod delete;
pub mod find;
pub mod list;
pub mod put;

use ::api::{Authorized, ETag, IfMatch, Problem};
use axum::extract::FromRequestParts;
use serde::Deserialize;
use types::id::Budget;
use types::{Id, Permission};
use utoipa::IntoParams;

use super::ActingFor;
use crate::budgets::{BUDGETS_MAX, BudgetScope, BudgetView, Error};
use crate::quotas::Refused;

/// Which budget.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct BudgetPath {
    /// The budget's id.
    #[param(value_type = Uuid)]
    pub id: Id<Budget>,
}

/// Which budget of whom.
#[derive(Debug, FromRequestParts)]
pub(crate) struct Meant {
    #[from_request(via(::api::Path))]
    path: BudgetPath,
    #[from_request(via(::api::Query))]
    acting_for: ActingFor,
}

/// The tag of what can be changed; what is used of the budget changes all the time and is no part of it.
pub(crate) fn tag(budget: &BudgetView) -> Result<ETag, Problem> {
    ETag::of(&budget.setting)
}

/// Budgets of whole organizations are the operator's, as quotas are; all others the organization's own affair.
pub(crate) fn may_set(authorized: &Authorized, scope: &BudgetScope) -> Result<(), Error> {
    if *scope == BudgetScope::Organization && !authorized.0.may(Permission::QuotasWrite) {
        return Err(Error::OperatorOnly);
    }
    Ok(())
}

/// Whether this caller may change this version.
pub(crate) fn may_change(
    authorized: &Authorized,
    if_match: &Result<IfMatch, Problem>,
    present: &BudgetView,
) -> Result<(), Error> {
    may_set(authorized, &present.scope)?;
    let checked = if_match
        .clone()
        .and_then(|if_match| if_match.check(&tag(present)?));
    checked.map_err(|problem| Error::Precondition(Box::new(Refused(problem))))
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::NotFound => Self::not_found("budget"),
            Error::Invalid(field, message) => Self::invalid_field(field, message),
            Error::OperatorOnly => Self::new(::api::Code::PermissionDenied)
                .detail("a budget of the whole organization is the operator's to set"),
            Error::NameTaken => {
                Self::new(::api::Code::AlreadyExists).detail("another budget is called so")
            }
            Error::TooMany => Self::new(::api::Code::Conflict)
                .detail(format!("an organization has at most {BUDGETS_MAX} budgets")),
            Error::Precondition(refused) => refused.0,
            Error::OrganizationNotFound => Self::not_found("organization"),
            Error::Database(error) => error.into(),
        }
    }
}
