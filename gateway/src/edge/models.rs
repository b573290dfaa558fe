//! `GET /v1/models` and `GET /v1/models/{id}`: what can be asked for.

use bytes::Bytes;
use http::HeaderMap;
use types::Permission;
use types::call::Dialect;

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
    authorize(shared, headers, query).await?;
    let settings = shared.pipeline.settings.load();
    let offers = settings.routes.offers();
    Ok(client::models(dialect, &offers, shared.started_at))
}

/// One model, listed or not, as long as it can be asked for.
pub(crate) async fn find_model(
    shared: &Shared,
    dialect: Dialect,
    (headers, query): (&HeaderMap, Option<&str>),
    name: &str,
) -> Result<Bytes, Error> {
    authorize(shared, headers, query).await?;
    let settings = shared.pipeline.settings.load();
    let deployment = settings.routes.resolve(name, shared.pipeline.clock.now())?;
    let offer = Offer {
        name: name.to_owned(),
        provider: deployment.provider.name.clone(),
    };
    Ok(client::model(dialect, &offer, shared.started_at))
}

async fn authorize(shared: &Shared, headers: &HeaderMap, query: Option<&str>) -> Result<(), Error> {
    let caller = authenticate(shared, headers, query).await?;
    require(&caller, Permission::AiInvoke)
}
