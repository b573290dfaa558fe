//! `GET /api/v1/organizations`: one's own organization; for the operator, all.

use ::api::{Authorized, Page, PageQuery, Problem};
use axum::Json;
use axum::extract::State;
use database::Bulkhead;

use crate::Tenants;
use crate::organizations::{self, Error, Organization};

/// List organizations
///
/// A tenant's key sees its own organization; being above another one gives no access to it.
/// The operator sees all, newest first.
#[utoipa::path(
    get,
    path = "/api/v1/organizations",
    tag = "Organizations",
    params(PageQuery),
    responses((status = OK, description = "A page of organizations", body = Page<Organization>)),
)]
pub(crate) async fn list_organizations(
    State(tenants): State<Tenants>,
    authorized: Authorized,
    page: PageQuery,
) -> Result<Json<Page<Organization>>, Problem> {
    let rows = if authorized.0.is_operator() {
        all(&tenants, &page).await?
    } else {
        own(&tenants, &authorized, &page).await?
    };
    Ok(Json(Page::of(rows, &page, Organization::position)?))
}

async fn all(tenants: &Tenants, page: &PageQuery) -> Result<Vec<Organization>, Problem> {
    let (after, limit) = (page.after()?, page.rows_to_fetch());
    let database = &tenants.database;
    let list = database.worker("organizations: list", Bulkhead::Control, |tx| {
        Box::pin(async move { organizations::list(tx, after, limit).await })
    });
    Ok(list.await.map_err(|error: Error| error)?)
}

async fn own(
    tenants: &Tenants,
    authorized: &Authorized,
    page: &PageQuery,
) -> Result<Vec<Organization>, Problem> {
    if page.after::<organizations::Position>()?.is_some() {
        return Ok(Vec::new());
    }
    let (database, organization) = (&tenants.database, authorized.0.organization);
    let find = database.tenant(
        "organizations: find",
        Bulkhead::Control,
        organization,
        |tx| Box::pin(async move { organizations::find(tx).await }),
    );
    let found = find.await.map_err(|error: Error| error)?;
    Ok(found.into_iter().collect())
}
