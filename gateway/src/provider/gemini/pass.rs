//! What is changed in a body that is passed on in this dialect: a limit, or a model's name, and nothing else.

use bytes::Bytes;
use serde_json::value::{RawValue, to_raw_value};

use crate::error::Error;
use crate::wire::fields::Fields;
use crate::wire::gemini::camel;

/// The client's own body, capped where it set no limit itself.
pub(super) fn capped(body: &Bytes, output_tokens_max: Option<u64>) -> Result<Bytes, Error> {
    let Some(limit) = output_tokens_max else {
        return Ok(body.clone());
    };
    let mut fields = Fields::parse(body).map_err(Error::internal)?;
    let name = spelling(&fields, "generationConfig");
    let config = fields
        .get(&name)
        .map(RawValue::get)
        .filter(|it| *it != "null");
    let config = config.unwrap_or("{}").to_owned();
    let mut config = Fields::parse(config.as_bytes()).map_err(Error::internal)?;
    let limit_name = spelling(&config, "maxOutputTokens");
    config.set(&limit_name, to_raw_value(&limit).map_err(Error::internal)?);
    let config = to_raw_value(&config).map_err(Error::internal)?;
    fields.set(&name, config);
    let body = serde_json::to_vec(&fields).map_err(Error::internal)?;
    Ok(body.into())
}

/// The client's own body; a request within it names the model once more.
pub(super) fn counted(body: &Bytes, model: &str) -> Result<Bytes, Error> {
    let mut fields = Fields::parse(body).map_err(Error::internal)?;
    let name = spelling(&fields, "generateContentRequest");
    let Some(request) = fields.get(&name).map(|request| request.get().to_owned()) else {
        return Ok(body.clone());
    };
    let mut request = Fields::parse(request.as_bytes()).map_err(Error::internal)?;
    let model = format!("models/{}", model.strip_prefix("models/").unwrap_or(model));
    request.set("model", to_raw_value(&model).map_err(Error::internal)?);
    let request = to_raw_value(&request).map_err(Error::internal)?;
    fields.set(&name, request);
    let body = serde_json::to_vec(&fields).map_err(Error::internal)?;
    Ok(body.into())
}

/// The client's own request for vectors; every one within it names the model once more.
pub(super) fn renamed(body: &Bytes, model: &str, is_batch: bool) -> Result<Bytes, Error> {
    let model = format!("models/{}", model.strip_prefix("models/").unwrap_or(model));
    let model = to_raw_value(&model).map_err(Error::internal)?;
    let mut fields = Fields::parse(body).map_err(Error::internal)?;
    if is_batch {
        let requests = fields.get("requests").map_or("[]", RawValue::get);
        let mut requests: Vec<Fields<'_>> =
            serde_json::from_str(requests).map_err(Error::internal)?;
        for request in &mut requests {
            request.set("model", model.clone());
        }
        let requests = to_raw_value(&requests).map_err(Error::internal)?;
        fields.set("requests", requests);
    } else if fields.get("model").is_some() {
        fields.set("model", model);
    }
    let body = serde_json::to_vec(&fields).map_err(Error::internal)?;
    Ok(body.into())
}

/// The name under which a field is there, or else that under which it is documented.
fn spelling(fields: &Fields<'_>, documented: &str) -> String {
    let known = fields.iter().find(|(name, _)| camel(name) == documented);
    known.map_or(documented, |(name, _)| name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cap_goes_where_the_limit_would_be_and_everything_else_stays() {
        let cap =
            |body: &'static str| capped(&Bytes::from_static(body.as_bytes()), Some(9)).unwrap();
        assert_eq!(
            cap(r#"{"contents":[ 1.50 ],"generation_config":{"future": 1,"temperature":0.1}}"#),
            r#"{"contents":[ 1.50 ],"generation_config":{"future":1,"temperature":0.1,"maxOutputTokens":9}}"#
        );
        assert_eq!(cap("{}"), r#"{"generationConfig":{"maxOutputTokens":9}}"#);
        let body = Bytes::from_static(b"{ }");
        assert_eq!(capped(&body, None).unwrap(), body);
    }

    #[test]
    fn a_request_within_a_count_names_the_provider_own_model() {
        let body = br#"{"generateContentRequest":{"model":"models/alias","contents":[]}}"#;
        assert_eq!(
            counted(&Bytes::from_static(body), "gemini-2.5-flash").unwrap(),
            r#"{"generateContentRequest":{"model":"models/gemini-2.5-flash","contents":[]}}"#
        );
    }
}
