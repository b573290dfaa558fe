//! `DELETE /api/v1/budgets/{id}`: ends a budget.

use ::api::{Authorized, IfMatch, IfMatchHeader, Problem};
use axum::extract::State;
use axum::http::StatusCode;
use database::Bulkhead;

use super::{BudgetPath, Meant, may_change};
use crate::api::ActingFor;
use crate::api::Finance;
use crate::budgets::{self, BudgetView};

/// Delete a budget
///
/// What it limited is limited no more, as soon as gateways notice: within two seconds.
#[utoipa::path(
    delete,
    path = "/api/v1/budgets/{id}",
    tag = "Budgets",
    params(BudgetPath, ActingFor, IfMatchHeader),
    responses(
        (status = NO_CONTENT, description = "The budget is gone"),
        (status = NOT_FOUND, description = "No such budget"),
    ),
)]
pub(crate) async fn delete_budget(
    State(finance): State<Finance>,
    authorized: Authorized,
    meant: Meant,
    if_match: Result<IfMatch, Problem>,
) -> Result<StatusCode, Problem> {
    let organization = authorized.organization(meant.acting_for.organization_id)?;
    let id = meant.path.id;
    let allowed = |present: &BudgetView| may_change(&authorized, &if_match, present);
    let allowed = &allowed;
    let delete =
        finance
            .database
            .tenant("budgets: delete", Bulkhead::Control, organization, |tx| {
                Box::pin(budgets::delete(tx, id, allowed))
            });
    delete.await?;
    Ok(StatusCode::NO_CONTENT)
}
