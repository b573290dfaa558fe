//! `GET /v1/models` and `GET /v1/models/{id}`: what can be asked for.

use bytes::Bytes;
use http::HeaderMap;
use percent_encoding::percent_decode_str;
use types::Permission;

use super::request::presented_key;
use crate::app::Shared;
use crate::error::Error;
use crate::pipeline::require;
use crate::wire::openai::models::{self, Model};

/// The list of models.
pub(crate) async fn list_models(shared: &Shared, headers: &HeaderMap) -> Result<Bytes, Error> {
    authorize(shared, headers).await?;
    let settings = shared.pipeline.settings.load();
    let offers = settings.routes.offers(&settings.config.prices);
    let models = offers
        .iter()
        .map(|offer| Model::new(&offer.name, &offer.provider, shared.started_at.timestamp()));
    Ok(models::list(models.collect()))
}

/// One model, listed or not, as long as it can be asked for.
pub(crate) async fn find_model(
    shared: &Shared,
    headers: &HeaderMap,
    id: &str,
) -> Result<Bytes, Error> {
    authorize(shared, headers).await?;
    // SDKs encode the slash of `provider/model`.
    let id = &*percent_decode_str(id).decode_utf8_lossy();
    let settings = shared.pipeline.settings.load();
    let deployment = settings.routes.resolve(id, shared.pipeline.clock.now())?;
    let model = Model::new(id, &deployment.provider.name, shared.started_at.timestamp());
    Ok(models::one(&model))
}

async fn authorize(shared: &Shared, headers: &HeaderMap) -> Result<(), Error> {
    let caller = shared.auth.authenticate(presented_key(headers)?).await?;
    require(&caller, Permission::AiInvoke)
}
