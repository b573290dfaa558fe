//! Gemini's list of models.

use bytes::Bytes;
use serde::Serialize;

use crate::wire::write;

#[derive(Serialize)]
struct List<'a> {
    models: Vec<Model<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Model<'a> {
    name: String,
    version: &'static str,
    display_name: &'a str,
    supported_generation_methods: [&'static str; 4],
}

/// What can be asked of a model; whether its provider has embeddings only the provider knows.
const METHODS: [&str; 4] = [
    "generateContent",
    "streamGenerateContent",
    "countTokens",
    "embedContent",
];

/// The body of `GET /v1beta/models`; all of them are on the first page.
pub(crate) fn list(names: &[&str]) -> Bytes {
    let models = names.iter().map(|name| model(name)).collect();
    write::json(&List { models })
}

/// The body of `GET /v1beta/models/{id}`.
pub(crate) fn one(name: &str) -> Bytes {
    write::json(&model(name))
}

fn model(name: &str) -> Model<'_> {
    Model {
        name: format!("models/{name}"),
        version: "001",
        display_name: name,
        supported_generation_methods: METHODS,
    }
}
