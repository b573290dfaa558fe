//! `GET /v1/models` and `GET /v1/models/{id}`: what can be asked for.

use bytes::Bytes;
use http::HeaderMap;
use types::call::Dialect;
use types::id::Organization;
use types::{Id, Permission};

use super::chat::authenticate;
use crate::app::Shared;
use crate::error::Error;
use crate::pipeline::require;
use crate::route::Offer;
use crate::wire::client;

/// The list of models.
pub(crate) async fn list_models(
    shared: &Shared,
    dialect: Dialect,
    headers: &HeaderMap,
    query: Option<&str>,
) -> Result<Bytes, Error> {
    let organization = authorize(shared, headers, query).await?;
    let settings = shared.pipeline.settings.load();
    let now = shared.pipeline.clock.now();
    let offers = settings.routes.offers(organization, now);
    Ok(client::models(dialect, &offers, shared.started_at))
}

/// One model, listed or not, as long as it can be asked for.
pub(crate) async fn find_model(
    shared: &Shared,
    dialect: Dialect,
    (headers, query): (&HeaderMap, Option<&str>),
    name: &str,
) -> Result<Bytes, Error> {
    let organization = authorize(shared, headers, query).await?;
    let settings = shared.pipeline.settings.load();
    let now = shared.pipeline.clock.now();
    let deployment = settings.routes.resolve(organization, name, now)?;
    let offer = Offer {
        name: name.to_owned(),
        provider: deployment.provider.name.clone(),
    };
    Ok(client::model(dialect, &offer, shared.started_at))
}

async fn authorize(
    shared: &Shared,
    headers: &HeaderMap,
    query: Option<&str>,
) -> Result<Id<Organization>, Error> {
    let caller = authenticate(shared, headers, query).await?;
    require(&caller, Permission::AiInvoke)?;
    Ok(caller.organization)
}
