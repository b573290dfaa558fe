//! `DELETE /api/v1/routes/{alias}`: removes one of the organization's own routes.

use ::api::{Authorized, IfMatch, IfMatchHeader, Problem};
use axum::extract::State;
use database::Bulkhead;
use http::StatusCode;
use tenants::audit::{self, Actor, Entry};

use super::{Meant, RouteView, Routing, not_found, tag};
use crate::route::own::store;

/// Delete a route
///
/// The name means again what the operator configured, if anything.
#[utoipa::path(
    delete,
    path = "/api/v1/routes/{alias}",
    tag = "Routes",
    params(super::AliasPath, super::ActingFor, IfMatchHeader),
    responses(
        (status = NO_CONTENT, description = "The route is deleted"),
        (status = NOT_FOUND, description = "The organization has no such route"),
    ),
)]
pub(crate) async fn delete_route(
    State(routing): State<Routing>,
    authorized: Authorized,
    meant: Meant,
    if_match: Result<IfMatch, Problem>,
) -> Result<StatusCode, Problem> {
    let organization = authorized.organization(meant.acting_for.organization_id)?;
    let (now, alias) = (routing.clock.now(), meant.path.alias.as_str());
    let actor = &Actor::of(&authorized.0, meant.origin);
    let if_match = &if_match;
    let delete = routing.database.tenant::<_, Problem, _>(
        "routes: delete",
        Bulkhead::Control,
        organization,
        |tx| {
            Box::pin(async move {
                let stored = store::list(tx, Some(alias)).await?.pop();
                let stored = stored.ok_or_else(not_found)?;
                let entry = Entry {
                    organization,
                    action: "route.delete",
                    resource_type: "route",
                    resource: stored.id,
                    old: Some(stored.definition.clone()),
                    new: None,
                    at: now,
                };
                if_match
                    .clone()?
                    .check(&tag(&RouteView::try_from(stored)?)?)?;
                store::delete(tx, alias).await?;
                audit::record(tx.connection(), actor, &entry).await?;
                Ok(())
            })
        },
    );
    delete.await?;
    Ok(StatusCode::NO_CONTENT)
}
