//! `PUT /api/v1/routes/{alias}`: says what a model's name means to the organization.

use ::api::{Authorized, Code, ETag, IfMatch, IfMatchHeader, Json, Problem};
use axum::extract::State;
use database::{Bulkhead, TenantTransaction};
use serde_json::Value;
use tenants::audit::{self, Actor, Entry};
use types::Id;
use types::id::Route;

use super::{Meant, RouteSetting, RouteView, Routing, check_alias, not_found, tag};
use crate::route::own::store::{self, ROUTES_MAX};

/// Set a route
///
/// The name means this to the organization before anything the operator configured is asked; gateways notice within two
/// seconds. A route that is there already is changed only with `If-Match`; a new one needs none.
#[utoipa::path(
    put,
    path = "/api/v1/routes/{alias}",
    tag = "Routes",
    params(super::AliasPath, super::ActingFor, IfMatchHeader),
    request_body = RouteSetting,
    responses((status = OK, description = "The route", body = RouteView)),
)]
pub(crate) async fn put_route(
    State(routing): State<Routing>,
    authorized: Authorized,
    meant: Meant,
    if_match: Result<IfMatch, Problem>,
    Json(setting): Json<RouteSetting>,
) -> Result<(ETag, axum::Json<RouteView>), Problem> {
    let organization = authorized.organization(meant.acting_for.organization_id)?;
    let (now, alias) = (routing.clock.now(), meant.path.alias.as_str());
    check_alias(alias)?;
    setting.check(&routing.settings.load(), organization, now)?;
    let definition = &serde_json::to_value(&setting).map_err(Problem::internal)?;

    let new_id = Id::<Route>::new(routing.clock.as_ref()).uuid();
    let actor = &Actor::of(&authorized.0, meant.origin);
    let if_match = &if_match;
    let put = routing.database.tenant::<_, Problem, _>(
        "routes: put",
        Bulkhead::Control,
        organization,
        |tx| {
            Box::pin(async move {
                let present = present(tx, alias, if_match).await?;
                let (id, before) = present.map_or((new_id, None), |(id, old)| (id, Some(old)));
                store::put(tx, id, alias, definition).await?;
                let entry = Entry {
                    organization,
                    action: "route.put",
                    resource_type: "route",
                    resource: id,
                    old: before,
                    new: Some(definition.clone()),
                    at: now,
                };
                audit::record(tx.connection(), actor, &entry).await?;
                store::list(tx, Some(alias))
                    .await?
                    .pop()
                    .ok_or_else(not_found)
            })
        },
    );
    let view = RouteView::try_from(put.await?)?;
    Ok((tag(&view)?, axum::Json(view)))
}

/// The route that is there, if it is the one that is meant; none, if there is room for one more.
async fn present(
    tx: &mut TenantTransaction<'_>,
    alias: &str,
    if_match: &Result<IfMatch, Problem>,
) -> Result<Option<(uuid::Uuid, Value)>, Problem> {
    if let Some(stored) = store::list(tx, Some(alias)).await?.pop() {
        let (id, definition) = (stored.id, stored.definition.clone());
        if_match
            .clone()?
            .check(&tag(&RouteView::try_from(stored)?)?)?;
        return Ok(Some((id, definition)));
    }
    if store::count(tx).await? >= ROUTES_MAX {
        let detail = format!("an organization has at most {ROUTES_MAX} routes");
        return Err(Problem::new(Code::Conflict).detail(detail));
    }
    Ok(None)
}
