//! `PUT /api/v1/budgets/{id}`: changes a budget.

use ::api::{Authorized, ETag, IfMatch, IfMatchHeader, Json, Problem};
use axum::extract::State;
use database::Bulkhead;

use super::{BudgetPath, Meant, may_change, tag};
use crate::api::ActingFor;
use crate::api::Finance;
use crate::budgets::{self, BudgetSetting, BudgetView};

/// Change a budget
///
/// Whose spending it counts, and what of it, stays; so does what is used of it. A limit below what is used refuses
/// everything until the period ends. Gateways spend what they hold already.
#[utoipa::path(
    put,
    path = "/api/v1/budgets/{id}",
    tag = "Budgets",
    params(BudgetPath, ActingFor, IfMatchHeader),
    request_body = BudgetSetting,
    responses(
        (status = OK, description = "The budget", body = BudgetView),
        (status = NOT_FOUND, description = "No such budget"),
        (status = CONFLICT, description = "The name is taken"),
    ),
)]
pub(crate) async fn put_budget(
    State(finance): State<Finance>,
    authorized: Authorized,
    meant: Meant,
    if_match: Result<IfMatch, Problem>,
    Json(setting): Json<BudgetSetting>,
) -> Result<(ETag, axum::Json<BudgetView>), Problem> {
    let organization = authorized.organization(meant.acting_for.organization_id)?;
    let change = (meant.path.id, &setting);
    let allowed = |present: &BudgetView| may_change(&authorized, &if_match, present);
    let (database, clock, allowed) = (&finance.database, finance.clock.as_ref(), &allowed);
    let put = database.tenant("budgets: put", Bulkhead::Control, organization, |tx| {
        Box::pin(budgets::put(tx, clock, change, allowed))
    });
    let budget = put.await?;
    Ok((tag(&budget)?, axum::Json(budget)))
}
