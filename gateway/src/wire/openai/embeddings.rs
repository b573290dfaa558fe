//! Embeddings: the request, and the answer read from a provider or written to a client.
//!
//! SDKs ask for base64 unless told otherwise: the little-endian bytes of 32-bit numbers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use types::Usage;
use types::call::{Call, Delivery, Dialect, Endpoint, Message, Parameters, Part, Role};
use types::reply::Answer;

use super::usage::WireUsage;
use crate::error::Error;
use crate::wire::fields::Fields;
use crate::wire::read::{messages_within_limit, missing, not_json, parse};
use crate::wire::write;

/// The field that says how vectors are written; kept among the extra ones under its name.
const FORMAT: &str = "encoding_format";

/// Reads the body of `POST /v1/embeddings`. Every text is a message of the user's.
pub(crate) fn decode(body: &Bytes) -> Result<Call, Error> {
    let fields = Fields::parse(body).map_err(|error| not_json(&error))?;
    let mut parameters = Parameters::default();
    let (mut model, mut input) = (None, None);
    for (name, value) in fields.iter().filter(|(_, value)| value.get() != "null") {
        match name {
            "model" => model = Some(parse(name, value)?),
            "input" => input = Some(texts(value)?),
            "user" => {}
            _ => drop(
                parameters
                    .extra
                    .insert(name.to_owned(), parse(name, value)?),
            ),
        }
    }
    let messages = input.ok_or_else(|| missing("input"))?;
    if messages.is_empty() {
        return Err(Error::invalid("'input' is empty", Some("input")));
    }
    Ok(Call {
        dialect: Dialect::Openai,
        endpoint: Endpoint::Embeddings,
        model: model.ok_or_else(|| missing("model"))?,
        messages: messages_within_limit(messages)?,
        template: None,
        parameters,
        delivery: Delivery::Whole,
        version: None,
        body: body.clone(),
    })
}

/// Whether the client wants its vectors in base64.
pub(crate) fn wants_base64(call: &Call) -> bool {
    call.parameters.extra.get(FORMAT).and_then(Value::as_str) == Some("base64")
}

/// `input`: a text, several, or the tokens of one or of several.
#[derive(Deserialize)]
#[serde(untagged)]
enum WireInput {
    Text(String),
    Texts(Vec<String>),
    Tokens(Vec<u32>),
    SeveralTokens(Vec<Vec<u32>>),
}

fn texts(value: &RawValue) -> Result<Vec<Message>, Error> {
    let input: WireInput = parse("input", value).map_err(|_| {
        let text = "'input' must be a text, a list of texts, or tokens";
        Error::invalid(text, Some("input"))
    })?;
    let text = |text| Message::text(Role::User, text);
    Ok(match input {
        WireInput::Text(one) => vec![text(one)],
        WireInput::Texts(texts) => texts.into_iter().map(text).collect(),
        WireInput::Tokens(one) => vec![tokens(&one)],
        WireInput::SeveralTokens(several) => several.iter().map(|one| tokens(one)).collect(),
    })
}

/// Tokens mean something to the model alone that they were made for.
fn tokens(tokens: &[u32]) -> Message {
    let mut message = Message::text(Role::User, String::new());
    message.content = vec![Part::Other(
        serde_json::json!({ "type": "tokens", "tokens": tokens }),
    )];
    message
}

#[derive(Deserialize)]
struct Incoming<'a> {
    #[serde(default)]
    model: String,
    #[serde(borrow)]
    data: Vec<IncomingVector<'a>>,
    #[serde(default)]
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct IncomingVector<'a> {
    #[serde(default)]
    index: usize,
    #[serde(borrow)]
    embedding: &'a RawValue,
}

/// Reads a provider's answer; the vectors only where they are to be written anew.
pub(crate) fn decode_answer(body: &[u8], with_vectors: bool) -> Result<Answer, serde_json::Error> {
    let mut incoming: Incoming<'_> = serde_json::from_slice(body)?;
    let mut embeddings = Vec::new();
    if with_vectors {
        incoming.data.sort_by_key(|vector| vector.index);
        for vector in incoming.data {
            embeddings.push(read_vector(vector.embedding)?);
        }
    }
    Ok(Answer {
        model: incoming.model,
        usage: incoming.usage.map(Into::into),
        embeddings,
        ..Answer::default()
    })
}

/// In numbers, or in base64 where a provider prefers that.
fn read_vector(vector: &RawValue) -> Result<Vec<f32>, serde_json::Error> {
    use serde::de::Error as _;
    if !vector.get().starts_with('"') {
        return serde_json::from_str(vector.get());
    }
    let text: String = serde_json::from_str(vector.get())?;
    let bytes = STANDARD.decode(text).map_err(serde_json::Error::custom)?;
    let numbers = bytes
        .as_chunks()
        .0
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes));
    Ok(numbers.collect())
}

#[derive(Serialize)]
struct Outgoing<'a> {
    object: &'static str,
    data: Vec<OutgoingVector<'a>>,
    model: &'a str,
    usage: OutgoingUsage,
}

#[derive(Serialize)]
struct OutgoingVector<'a> {
    object: &'static str,
    index: usize,
    embedding: Written<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Written<'a> {
    Numbers(&'a [f32]),
    Base64(String),
}

#[derive(Serialize)]
struct OutgoingUsage {
    prompt_tokens: u64,
    total_tokens: u64,
}

/// Writes an answer for a client: under the model asked for, where the provider does not name one.
pub(crate) fn encode(answer: &Answer, (model, usage): (&str, Usage), in_base64: bool) -> Bytes {
    let vectors = answer.embeddings.iter().enumerate();
    let data = vectors.map(|(index, vector)| OutgoingVector {
        object: "embedding",
        index,
        embedding: if in_base64 {
            let bytes: Vec<u8> = vector
                .iter()
                .flat_map(|number| number.to_le_bytes())
                .collect();
            Written::Base64(STANDARD.encode(bytes))
        } else {
            Written::Numbers(vector)
        },
    });
    write::json(&Outgoing {
        object: "list",
        data: data.collect(),
        model: if answer.model.is_empty() {
            model
        } else {
            &answer.model
        },
        usage: OutgoingUsage {
            prompt_tokens: usage.input_tokens,
            total_tokens: usage.input_tokens,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_input_is_understood() {
        let count = |input: &str| {
            let body = Bytes::from(format!(r#"{{"model":"m","input":{input}}}"#));
            decode(&body).map(|call| call.messages.len())
        };
        for (input, texts) in [
            (r#""a""#, 1),
            (r#"["a","b"]"#, 2),
            ("[1,2]", 1),
            ("[[1],[2],[3]]", 3),
        ] {
            assert_eq!(count(input).unwrap(), texts, "{input}");
        }
        assert_eq!(count("[]").unwrap_err().to_string(), "'input' is empty");
        assert!(count("5").is_err());
    }

    #[test]
    fn vectors_survive_both_ways_of_writing_them() {
        let answer = Answer {
            model: "m".to_owned(),
            embeddings: vec![vec![0.5, -1.25], vec![3.0, f32::MIN_POSITIVE]],
            usage: Some(Usage {
                input_tokens: 4,
                ..Usage::default()
            }),
            ..Answer::default()
        };
        for in_base64 in [false, true] {
            let body = encode(&answer, ("x", answer.usage.unwrap()), in_base64);
            assert_eq!(decode_answer(&body, true).unwrap(), answer);
            assert!(decode_answer(&body, false).unwrap().embeddings.is_empty());
        }
    }
}
