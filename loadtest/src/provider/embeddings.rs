//! Embeddings of OpenAI's and Gemini's dialects: vectors that are a function of the text, and nothing like a meaning.

use anyhow::{Context, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::dialect::Dialect;
use super::plan::{Prompt, fingerprint};

/// Numbers of a vector unless told otherwise; real ones have hundreds.
const DIMENSIONS: u64 = 8;
/// Numbers of a vector at most.
const DIMENSIONS_MAX: u64 = 4_096;

/// A request for vectors.
#[derive(Debug)]
pub struct Understood {
    /// As the client named it.
    pub model: String,
    /// What it says; for the directives and the tokens.
    pub prompt: Prompt,
    texts: Vec<String>,
    dimensions: u64,
    form: Form,
}

/// How the vectors are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Numbers,
    Base64,
    One,
    Several,
}

#[derive(Deserialize)]
struct OpenAiRequest {
    model: String,
    input: Value,
    dimensions: Option<u64>,
    encoding_format: Option<String>,
}

/// Reads a request in OpenAI's dialect.
pub fn openai(body: &[u8]) -> anyhow::Result<Understood> {
    let request: OpenAiRequest =
        serde_json::from_slice(body).context("the body is not a request for embeddings")?;
    let texts = match request.input {
        Value::String(text) => vec![text],
        // Tokens are told apart from each other, and that is all.
        Value::Array(texts) => texts.iter().map(text_of).collect(),
        _ => Vec::new(),
    };
    let form = match request.encoding_format.as_deref() {
        Some("base64") => Form::Base64,
        _ => Form::Numbers,
    };
    understood(request.model, texts, request.dimensions, form)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GeminiRequest {
    content: Content,
    #[serde(alias = "output_dimensionality")]
    output_dimensionality: Option<u64>,
    model: Option<String>,
}

#[derive(Deserialize)]
struct Content {
    parts: Vec<Part>,
}

#[derive(Deserialize)]
struct Part {
    text: String,
}

#[derive(Deserialize)]
struct GeminiBatch {
    requests: Vec<GeminiRequest>,
}

/// Reads a request in Gemini's dialect, for one vector or for several.
pub fn gemini(model: &str, is_batch: bool, body: &[u8]) -> anyhow::Result<Understood> {
    let (requests, form) = if is_batch {
        let batch: GeminiBatch =
            serde_json::from_slice(body).context("the body is not a BatchEmbedContentsRequest")?;
        (batch.requests, Form::Several)
    } else {
        let one = serde_json::from_slice(body).context("the body is not an EmbedContentRequest")?;
        (vec![one], Form::One)
    };
    let named = format!("models/{model}");
    let same = |request: &GeminiRequest| request.model.as_ref().is_none_or(|name| *name == named);
    ensure!(
        requests.iter().all(same),
        "the model of a request is not that of the path"
    );
    let dimensions = requests
        .first()
        .and_then(|first| first.output_dimensionality);
    let texts = requests.into_iter().map(|request| {
        let parts = request.content.parts.into_iter().map(|part| part.text);
        parts.collect::<Vec<_>>().join("\n")
    });
    understood(model.to_owned(), texts.collect(), dimensions, form)
}

fn understood(
    model: String,
    texts: Vec<String>,
    dimensions: Option<u64>,
    form: Form,
) -> anyhow::Result<Understood> {
    ensure!(!texts.is_empty(), "there is nothing to embed");
    let dimensions = dimensions.unwrap_or(DIMENSIONS);
    ensure!(
        (1..=DIMENSIONS_MAX).contains(&dimensions),
        "at most {DIMENSIONS_MAX} dimensions"
    );
    let mut prompt = Prompt::new(None, Some(0))?;
    for text in &texts {
        prompt.text(text)?;
    }
    Ok(Understood {
        model,
        prompt,
        texts,
        dimensions,
        form,
    })
}

fn text_of(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

impl Understood {
    /// Whose request it was.
    pub const fn dialect(&self) -> Dialect {
        match self.form {
            Form::Numbers | Form::Base64 => Dialect::OpenAi,
            Form::One | Form::Several => Dialect::Gemini,
        }
    }

    /// The answer.
    pub fn whole(&self, input_tokens: u64) -> Bytes {
        let vectors = self.texts.iter().map(|text| vector(text, self.dimensions));
        let body = match self.form {
            Form::Numbers | Form::Base64 => {
                let data = vectors.enumerate().map(|(index, vector)| {
                    let embedding = match self.form {
                        Form::Base64 => in_base64(&vector).into(),
                        _ => json!(vector),
                    };
                    json!({ "object": "embedding", "index": index, "embedding": embedding })
                });
                let usage = json!({ "prompt_tokens": input_tokens, "total_tokens": input_tokens });
                let data: Vec<_> = data.collect();
                json!({ "object": "list", "data": data, "model": self.model, "usage": usage })
            }
            Form::One => {
                json!({ "embedding": { "values": vectors.flatten().collect::<Vec<_>>() } })
            }
            Form::Several => {
                let embeddings = vectors.map(|vector| json!({ "values": vector }));
                json!({ "embeddings": embeddings.collect::<Vec<_>>() })
            }
        };
        Bytes::from(body.to_string())
    }
}

fn vector(text: &str, dimensions: u64) -> Vec<f32> {
    let numbers = (0..dimensions).map(|place| {
        let hash = fingerprint(&[text, &place.to_string()]);
        let digits = hash.get(..4).unwrap_or_default();
        let number = u16::from_str_radix(digits, 16).unwrap_or_default();
        // An eighth of a small number is exact, however it is written.
        f32::from(number % 64) / 8.0
    });
    numbers.collect()
}

fn in_base64(vector: &[f32]) -> String {
    let bytes: Vec<u8> = vector
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect();
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_text_has_the_same_vector_in_every_form() {
        let numbers = vector("a", 3);
        let body = openai(br#"{"model":"m","input":["a"],"dimensions":3}"#).unwrap();
        let answer: Value = serde_json::from_slice(&body.whole(1)).unwrap();
        assert_eq!(answer["data"][0]["embedding"], json!(numbers));
        let body = br#"{"content":{"parts":[{"text":"a"}]},"outputDimensionality":3}"#;
        let answer: Value =
            serde_json::from_slice(&gemini("m", false, body).unwrap().whole(1)).unwrap();
        assert_eq!(answer["embedding"]["values"], json!(numbers));
        assert_ne!(numbers, vector("b", 3));
    }
}
