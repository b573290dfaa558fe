//! Embeddings: one content, or several in one request. SDKs send several even where there is only one.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use types::Usage;
use types::call::{Call, Delivery, Dialect, Endpoint, Message, Parameters, Role};
use types::reply::Answer;

use super::camel;
use super::part::{self, WireContent};
use super::usage::WireUsage;
use crate::error::Error;
use crate::wire::fields::Fields;
use crate::wire::read::{messages_within_limit, missing, not_json, parse};
use crate::wire::write;

/// The length of a vector, under the name that OpenAI's dialect has for it; the only wish that both have.
pub(crate) const DIMENSIONS: &str = "dimensions";

/// Reads the body of `:embedContent`.
pub(crate) fn decode(model: &str, body: &Bytes) -> Result<Call, Error> {
    let mut parameters = Parameters::default();
    let message = one(body, &mut parameters)?;
    Ok(call(model, vec![message], parameters, body))
}

/// Reads the body of `:batchEmbedContents`. All of its requests have to wish for the same.
pub(crate) fn decode_batch(model: &str, body: &Bytes) -> Result<Call, Error> {
    let fields = Fields::parse(body).map_err(|error| not_json(&error))?;
    let requests = fields.get("requests").ok_or_else(|| missing("requests"))?;
    let requests: Vec<&RawValue> = serde_json::from_str(requests.get())
        .map_err(|_| Error::invalid("'requests' must be a list", Some("requests")))?;
    let mut messages = Vec::with_capacity(requests.len());
    let mut common: Option<Parameters> = None;
    for request in requests {
        let mut parameters = Parameters::default();
        messages.push(one(request.get().as_bytes(), &mut parameters)?);
        if *common.get_or_insert_with(|| parameters.clone()) != parameters {
            let text = "all 'requests' must have the same options";
            return Err(Error::invalid(text, Some("requests")));
        }
    }
    if messages.is_empty() {
        return Err(Error::invalid("'requests' is empty", Some("requests")));
    }
    let messages = messages_within_limit(messages)?;
    Ok(call(model, messages, common.unwrap_or_default(), body))
}

/// Whether a body is one of `:batchEmbedContents`.
pub(crate) fn is_batch(body: &[u8]) -> bool {
    Fields::parse(body).is_ok_and(|fields| fields.get("requests").is_some())
}

fn call(model: &str, messages: Vec<Message>, parameters: Parameters, body: &Bytes) -> Call {
    Call {
        dialect: Dialect::Gemini,
        endpoint: Endpoint::Embeddings,
        model: model.to_owned(),
        messages,
        template: None,
        parameters,
        delivery: Delivery::Whole,
        version: None,
        body: body.clone(),
    }
}

fn one(body: &[u8], parameters: &mut Parameters) -> Result<Message, Error> {
    let fields = Fields::parse(body).map_err(|error| not_json(&error))?;
    let mut message = None;
    for (name, value) in fields.iter().filter(|(_, value)| value.get() != "null") {
        match &*camel(name) {
            "content" => {
                let content: WireContent = parse(name, value)?;
                let mut read = part::system(content);
                read.role = Role::User;
                message = Some(read);
            }
            "model" => {}
            "outputDimensionality" => {
                parameters
                    .extra
                    .insert(DIMENSIONS.to_owned(), parse(name, value)?);
            }
            known => drop(
                parameters
                    .extra
                    .insert(known.to_owned(), parse(name, value)?),
            ),
        }
    }
    message.ok_or_else(|| missing("content"))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Incoming {
    #[serde(default)]
    embedding: Option<Vector<Vec<f32>>>,
    #[serde(default)]
    embeddings: Vec<Vector<Vec<f32>>>,
    #[serde(default)]
    usage_metadata: Option<WireUsage>,
}

#[derive(Serialize, Deserialize)]
struct Vector<T> {
    values: T,
}

/// Reads a provider's answer to either request.
pub(crate) fn decode_answer(body: &[u8], model: &str) -> Result<Answer, serde_json::Error> {
    let incoming: Incoming = serde_json::from_slice(body)?;
    let vectors = incoming.embedding.into_iter().chain(incoming.embeddings);
    Ok(Answer {
        model: model.to_owned(),
        embeddings: vectors.map(|vector| vector.values).collect(),
        usage: incoming.usage_metadata.map(Usage::from),
        ..Answer::default()
    })
}

#[derive(Serialize)]
struct One<'a> {
    embedding: Vector<&'a [f32]>,
}

#[derive(Serialize)]
struct Several<'a> {
    embeddings: Vec<Vector<&'a [f32]>>,
}

/// Writes an answer for a client, in the form of its request.
pub(crate) fn encode(answer: &Answer, is_batch: bool) -> Bytes {
    let vectors = answer.embeddings.iter();
    let mut vectors = vectors.map(|values| Vector {
        values: values.as_slice(),
    });
    if is_batch {
        let embeddings = vectors.collect();
        return write::json(&Several { embeddings });
    }
    let embedding = vectors.next().unwrap_or(Vector { values: &[] });
    write::json(&One { embedding })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_and_several_are_understood_and_answered_in_their_form() {
        let one = r#"{"content":{"parts":[{"text":"a"}]},"output_dimensionality":2,"taskType":"RETRIEVAL_QUERY"}"#;
        let call = decode("m", &Bytes::from(one)).unwrap();
        assert_eq!(call.messages, [Message::text(Role::User, "a")]);
        assert_eq!(
            call.parameters.extra.keys().collect::<Vec<_>>(),
            ["dimensions", "taskType"]
        );
        let several = Bytes::from(format!(r#"{{"requests":[{one},{one}]}}"#));
        assert_eq!(decode_batch("m", &several).unwrap().messages.len(), 2);
        assert!(is_batch(&several) && !is_batch(one.as_bytes()));
        let answer = Answer {
            model: "m".to_owned(),
            embeddings: vec![vec![0.5], vec![1.5]],
            ..Answer::default()
        };
        assert_eq!(decode_answer(&encode(&answer, true), "m").unwrap(), answer);
        assert_eq!(encode(&answer, false), r#"{"embedding":{"values":[0.5]}}"#);
    }

    #[test]
    fn requests_that_differ_in_what_they_wish_are_refused() {
        let body = r#"{"requests":[{"content":{"parts":[{"text":"a"}]}},{"content":{"parts":[{"text":"b"}]},"taskType":"X"}]}"#;
        let error = decode_batch("m", &Bytes::from(body)).unwrap_err();
        assert!(error.to_string().contains("the same options"));
    }
}
