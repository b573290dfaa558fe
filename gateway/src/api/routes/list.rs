//! `GET /api/v1/routes`: the organization's own routes.

use ::api::{Authorized, Page, Problem, Query};
use axum::Json;
use axum::extract::State;
use database::Bulkhead;

use super::{ActingFor, RouteView, Routing};
use crate::route::own::store;

/// List routes
///
/// The organization's own, by name. What the operator configured is not among them.
#[utoipa::path(
    get,
    path = "/api/v1/routes",
    tag = "Routes",
    params(ActingFor),
    responses((status = OK, description = "All routes", body = Page<RouteView>)),
)]
pub(crate) async fn list_routes(
    State(routing): State<Routing>,
    authorized: Authorized,
    Query(acting_for): Query<ActingFor>,
) -> Result<Json<Page<RouteView>>, Problem> {
    let organization = authorized.organization(acting_for.organization_id)?;
    let list = routing.database.tenant::<_, Problem, _>(
        "routes: list",
        Bulkhead::Control,
        organization,
        |tx| Box::pin(async move { Ok(store::list(tx, None).await?) }),
    );
    let data: Result<Vec<_>, _> = list.await?.into_iter().map(RouteView::try_from).collect();
    Ok(Json(Page {
        data: data?,
        next: None,
    }))
}
