//! Anthropic's list of models.

use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use crate::wire::write;

#[derive(Serialize)]
struct List<'a> {
    data: Vec<Model<'a>>,
    has_more: bool,
    first_id: Option<&'a str>,
    last_id: Option<&'a str>,
}

#[derive(Serialize)]
struct Model<'a> {
    r#type: &'static str,
    id: &'a str,
    display_name: &'a str,
    created_at: String,
}

/// The body of `GET /v1/models`; all of them are on the first page.
pub(crate) fn list(names: &[&str], created: DateTime<Utc>) -> Bytes {
    write::json(&List {
        data: names.iter().map(|name| model(name, created)).collect(),
        has_more: false,
        first_id: names.first().copied(),
        last_id: names.last().copied(),
    })
}

/// The body of `GET /v1/models/{id}`.
pub(crate) fn one(name: &str, created: DateTime<Utc>) -> Bytes {
    write::json(&model(name, created))
}

fn model(name: &str, created: DateTime<Utc>) -> Model<'_> {
    Model {
        r#type: "model",
        id: name,
        display_name: name,
        created_at: created.to_rfc3339_opts(SecondsFormat::Secs, true),
    }
}
