//! OpenAI's list of models.

use bytes::Bytes;
use serde::Serialize;

#[derive(Serialize)]
struct List<'a> {
    object: &'static str,
    data: Vec<Model<'a>>,
}

/// A model on the list.
#[derive(Debug, Serialize)]
pub(crate) struct Model<'a> {
    id: &'a str,
    object: &'static str,
    created: i64,
    owned_by: &'a str,
}

impl<'a> Model<'a> {
    /// A model that can be asked for by this name, served by this provider.
    pub(crate) const fn new(id: &'a str, owned_by: &'a str, created: i64) -> Self {
        Self {
            id,
            object: "model",
            created,
            owned_by,
        }
    }
}

/// The body of `GET /v1/models`.
pub(crate) fn list(models: Vec<Model<'_>>) -> Bytes {
    let list = List {
        object: "list",
        data: models,
    };
    serde_json::to_vec(&list).unwrap_or_default().into()
}

/// The body of `GET /v1/models/{id}`.
pub(crate) fn one(model: &Model<'_>) -> Bytes {
    serde_json::to_vec(model).unwrap_or_default().into()
}
