//! `GET /api/v1/routes/{alias}`: one of the organization's own routes.

use ::api::{Authorized, ETag, Path, Problem, Query};
use axum::Json;
use axum::extract::State;
use database::Bulkhead;

use super::{ActingFor, AliasPath, RouteView, Routing, not_found, tag};
use crate::route::own::store;

/// Get a route
#[utoipa::path(
    get,
    path = "/api/v1/routes/{alias}",
    tag = "Routes",
    params(AliasPath, ActingFor),
    responses(
        (status = OK, description = "The route", body = RouteView),
        (status = NOT_FOUND, description = "The organization has no such route"),
    ),
)]
pub(crate) async fn find_route(
    State(routing): State<Routing>,
    authorized: Authorized,
    Path(path): Path<AliasPath>,
    Query(acting_for): Query<ActingFor>,
) -> Result<(ETag, Json<RouteView>), Problem> {
    let organization = authorized.organization(acting_for.organization_id)?;
    let alias = path.alias.as_str();
    let find = routing.database.tenant::<_, Problem, _>(
        "routes: find",
        Bulkhead::Control,
        organization,
        |tx| Box::pin(async move { Ok(store::list(tx, Some(alias)).await?.pop()) }),
    );
    let view = RouteView::try_from(find.await?.ok_or_else(not_found)?)?;
    Ok((tag(&view)?, Json(view)))
}
