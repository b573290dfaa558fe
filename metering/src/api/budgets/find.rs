//! `GET /api/v1/budgets/{id}`: one budget and what is used of it.

use ::api::{Authorized, ETag, Problem};
use axum::Json;
use axum::extract::State;
use database::Bulkhead;

use super::{BudgetPath, Meant, tag};
use crate::api::ActingFor;
use crate::api::Finance;
use crate::budgets::{self, BudgetView};

/// Get a budget
///
/// The `ETag` stands for what can be changed.
#[utoipa::path(
    get,
    path = "/api/v1/budgets/{id}",
    tag = "Budgets",
    params(BudgetPath, ActingFor),
    responses(
        (status = OK, description = "The budget", body = BudgetView),
        (status = NOT_FOUND, description = "No such budget"),
    ),
)]
pub(crate) async fn find_budget(
    State(finance): State<Finance>,
    authorized: Authorized,
    meant: Meant,
) -> Result<(ETag, Json<BudgetView>), Problem> {
    let organization = authorized.organization(meant.acting_for.organization_id)?;
    let id = meant.path.id;
    let find = finance
        .database
        .tenant("budgets: find", Bulkhead::Control, organization, |tx| {
            Box::pin(budgets::find(tx, id))
        });
    let budget = find.await?;
    Ok((tag(&budget)?, Json(budget)))
}
