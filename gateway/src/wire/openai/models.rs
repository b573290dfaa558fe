//! OpenAI's list of models.

use bytes::Bytes;
use serde::Serialize;

use crate::route::Offer;
use crate::wire::write;

#[derive(Serialize)]
struct List<'a> {
    object: &'static str,
    data: Vec<Model<'a>>,
}

#[derive(Serialize)]
struct Model<'a> {
    id: &'a str,
    object: &'static str,
    created: i64,
    owned_by: &'a str,
}

/// The body of `GET /v1/models`.
pub(crate) fn list(offers: &[Offer], created: i64) -> Bytes {
    write::json(&List {
        object: "list",
        data: offers.iter().map(|offer| model(offer, created)).collect(),
    })
}

/// The body of `GET /v1/models/{id}`.
pub(crate) fn one(offer: &Offer, created: i64) -> Bytes {
    write::json(&model(offer, created))
}

fn model(offer: &Offer, created: i64) -> Model<'_> {
    Model {
        id: &offer.name,
        object: "model",
        created,
        owned_by: &offer.provider,
    }
}
