//! Gemini's models at Google Cloud: the same protocol under another address, and tokens of a service account.
//!
//! The base URL goes down to the location: `https://HOST/v1/projects/PROJECT/locations/LOCATION`.
//! Source: the provider's REST reference (`cloud.google.com/vertex-ai/generative-ai/docs/reference/rest`).

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use types::call::{Dialect, Endpoint};
use types::reply::Answer;

use super::gemini::Gemini;
use super::{Decoder, Provider, is_safe_path};
use crate::error::{Error, Rejection, UpstreamError};
use crate::prompt::Prompt;

/// A location of a project.
#[derive(Debug)]
pub(crate) struct Vertex {
    base_url: String,
    gemini: Gemini,
}

impl Vertex {
    /// A location at its base URL.
    pub(crate) fn new(base_url: &str) -> anyhow::Result<Self> {
        Ok(Self {
            base_url: base_url.trim_end_matches('/').to_owned(),
            gemini: Gemini::new(base_url, None)?,
        })
    }

    fn post(&self, prompt: &Prompt, method: &str, body: Bytes) -> Result<Request<Bytes>, Error> {
        let model = &prompt.deployment.model;
        if !is_safe_path(model) || model.contains('/') {
            return Err(Error::UnknownModel(prompt.call.model.clone()));
        }
        let url = format!(
            "{}/publishers/google/models/{model}:{method}",
            self.base_url
        );
        Request::post(url)
            .header(header::CONTENT_TYPE, "application/json")
            .body(body)
            .map_err(Error::internal)
    }
}

impl Provider for Vertex {
    fn dialect(&self) -> Dialect {
        Dialect::Gemini
    }

    fn request(
        &self,
        prompt: &Prompt,
        output_tokens_max: Option<u64>,
    ) -> Result<Request<Bytes>, Error> {
        if prompt.call.endpoint == Endpoint::Embeddings {
            // Another method, with another form of its own.
            let text = "embeddings at Vertex are not served here yet";
            return Err(Error::NotSupported(text.to_owned()));
        }
        let body = self.gemini.body(prompt, output_tokens_max)?;
        self.post(prompt, Gemini::method(prompt), body)
    }

    fn answer(&self, prompt: &Prompt, body: &[u8]) -> Result<Answer, UpstreamError> {
        self.gemini.answer(prompt, body)
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        self.gemini.decoder()
    }

    fn rejection(&self, status: StatusCode, headers: &HeaderMap, body: Bytes) -> Rejection {
        self.gemini.rejection(status, headers, body)
    }
}
