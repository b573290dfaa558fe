//! `GET /api/v1/budgets`: the organization's budgets and what is used of them.

use ::api::{Authorized, Page, PageQuery, Problem, Query};
use axum::Json;
use axum::extract::State;
use database::Bulkhead;
use uuid::Uuid;

use crate::api::ActingFor;
use crate::api::Finance;
use crate::budgets::{self, BudgetView, Error};

/// List budgets
///
/// Oldest first.
#[utoipa::path(
    get,
    path = "/api/v1/budgets",
    tag = "Budgets",
    params(PageQuery, ActingFor),
    responses((status = OK, description = "A page of budgets", body = Page<BudgetView>)),
)]
pub(crate) async fn list_budgets(
    State(finance): State<Finance>,
    authorized: Authorized,
    page: PageQuery,
    Query(acting_for): Query<ActingFor>,
) -> Result<Json<Page<BudgetView>>, Problem> {
    let organization = authorized.organization(acting_for.organization_id)?;
    let (after, limit) = (page.after::<Uuid>()?, page.rows_to_fetch());
    let list = finance
        .database
        .tenant("budgets: list", Bulkhead::Control, organization, |tx| {
            Box::pin(budgets::list(tx, after, limit))
        });
    let rows = list.await.map_err(|error: Error| error)?;
    Ok(Json(Page::of(rows, &page, |row| row.id.uuid())?))
}
