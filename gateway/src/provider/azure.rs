//! OpenAI's models at Azure: the same protocol, another address and another header.
//!
//! The model's name is the name of the deployment that was made at Azure, and part of the address. It is priced like
//! OpenAI's model of that name: where a deployment is called otherwise, its price has to be in `metering.prices_file`.
//! Source: the provider's REST reference (`learn.microsoft.com/azure/ai-services/openai/reference`).

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use types::call::Dialect;
use types::reply::Answer;

use super::openai::Openai;
use super::{Decoder, Provider, is_safe_path};
use crate::error::{Error, Rejection, UpstreamError};
use crate::prompt::Prompt;

/// The version of the protocol that is asked for: the newest that is generally available.
const API_VERSION: &str = "2024-10-21";

/// An Azure resource.
#[derive(Debug)]
pub(crate) struct Azure {
    /// Up to and without `/openai`.
    base_url: String,
    api_key: Option<HeaderValue>,
    openai: Openai,
}

impl Azure {
    /// A resource at a base URL such as `https://NAME.openai.azure.com`.
    pub(crate) fn new(base_url: &str, api_key: Option<&str>) -> anyhow::Result<Self> {
        let api_key = api_key.map(|key| {
            let mut value = HeaderValue::from_str(key)?;
            value.set_sensitive(true);
            anyhow::Ok(value)
        });
        Ok(Self {
            base_url: base_url.trim_end_matches('/').to_owned(),
            api_key: api_key.transpose()?,
            openai: Openai::new(base_url, None, true)?,
        })
    }

    fn url(&self, prompt: &Prompt) -> Result<http::Uri, Error> {
        let deployment = &prompt.deployment.model;
        if !is_safe_path(deployment) || deployment.contains('/') {
            return Err(Error::UnknownModel(prompt.call.model.clone()));
        }
        let url = format!(
            "{}/openai/deployments/{deployment}/{}?api-version={API_VERSION}",
            self.base_url,
            self.openai.path(prompt)
        );
        url.parse().map_err(Error::internal)
    }
}

impl Provider for Azure {
    fn dialect(&self) -> Dialect {
        Dialect::Openai
    }

    fn request(
        &self,
        prompt: &Prompt,
        output_tokens_max: Option<u64>,
    ) -> Result<Request<Bytes>, Error> {
        let mut request =
            Request::post(self.url(prompt)?).header(header::CONTENT_TYPE, "application/json");
        if let Some(key) = &self.api_key {
            request = request.header("api-key", key.clone());
        }
        request
            .body(self.openai.body(prompt, output_tokens_max)?)
            .map_err(Error::internal)
    }

    fn answer(&self, prompt: &Prompt, body: &[u8]) -> Result<Answer, UpstreamError> {
        self.openai.answer(prompt, body)
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        self.openai.decoder()
    }

    fn rejection(&self, status: StatusCode, headers: &HeaderMap, body: Bytes) -> Rejection {
        self.openai.rejection(status, headers, body)
    }
}
