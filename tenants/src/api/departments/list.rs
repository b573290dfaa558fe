//! `GET /api/v1/departments`: the organization's departments by name.

use ::api::{Authorized, Page, PageQuery, Problem, Query};
use axum::Json;
use axum::extract::State;
use database::Bulkhead;

use crate::Tenants;
use crate::api::ActingFor;
use crate::departments::{self, Department, Error};

/// List departments
///
/// By name.
#[utoipa::path(
    get,
    path = "/api/v1/departments",
    tag = "Departments",
    params(PageQuery, ActingFor),
    responses((status = OK, description = "A page of departments", body = Page<Department>)),
)]
pub(crate) async fn list_departments(
    State(tenants): State<Tenants>,
    authorized: Authorized,
    page: PageQuery,
    Query(acting_for): Query<ActingFor>,
) -> Result<Json<Page<Department>>, Problem> {
    let organization = authorized.organization(acting_for.organization_id)?;
    let (after, limit) = (page.after::<String>()?, page.rows_to_fetch());
    let (database, after) = (&tenants.database, after.as_deref());
    let list = database.tenant("departments: list", Bulkhead::Control, organization, |tx| {
        Box::pin(async move { departments::list(tx, after, limit).await })
    });
    let rows = list.await.map_err(|error: Error| error)?;
    Ok(Json(Page::of(rows, &page, |row| row.name.clone())?))
}
