//! `[providers.NAME]`: where a provider is, how to call it, and how long to wait.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use crate::report::Report;
use crate::secret::{self, Secret};
use crate::unit;

/// Where a provider is, how to call it, and how long to wait.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// The protocol it speaks.
    pub kind: Kind,
    /// Where it is, without a slash at the end: for Gemini and Anthropic without the version, for OpenAI including `/v1`, for
    /// Azure the resource, for Vertex down to the location; empty only for [`Kind::Demo`].
    #[serde(deserialize_with = "unit::base_url")]
    pub base_url: String,
    /// The key to call it with; none: it wants none.
    #[serde(deserialize_with = "secret::optional")]
    pub api_key: Option<Secret>,
    /// The key file of a service account, as its text; for [`Kind::Vertex`] alone.
    #[serde(deserialize_with = "secret::optional")]
    pub service_account: Option<Secret>,
    /// Its name in the price list: that of the preset or of the kind unless the file says otherwise.
    pub price_provider: String,
    /// The models that `/v1/models` offers; others can still be called by name.
    pub models: Vec<String>,
    /// How long a connection may take to open.
    #[serde(rename = "connect_timeout_ms", deserialize_with = "unit::milliseconds")]
    pub connect_timeout: Duration,
    /// How long until the answer begins; an answer in one piece begins when it is complete.
    #[serde(
        rename = "first_byte_timeout_ms",
        deserialize_with = "unit::milliseconds"
    )]
    pub first_byte_timeout: Duration,
    /// The longest silence within an answer.
    #[serde(rename = "chunk_timeout_ms", deserialize_with = "unit::milliseconds")]
    pub chunk_timeout: Duration,
    /// The longest answer.
    #[serde(rename = "total_timeout_ms", deserialize_with = "unit::milliseconds")]
    pub total_timeout: Duration,
    /// Idle connections kept open to it.
    pub connections_idle_max: usize,
    /// The largest answer, in bytes.
    pub response_bytes_max: usize,
}

/// The protocol a provider speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Gemini's `generateContent`.
    Gemini,
    /// OpenAI's, and everything compatible with it.
    Openai,
    /// Anthropic's messages.
    Anthropic,
    /// OpenAI's models at Azure.
    Azure,
    /// Gemini's models at Google Cloud.
    Vertex,
    /// Built in: answers without a network.
    Demo,
}

impl Kind {
    /// The word in the file; also the default name in the price list.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gemini => "gemini",
            Self::Openai => "openai",
            Self::Anthropic => "anthropic",
            Self::Azure => "azure",
            Self::Vertex => "vertex",
            Self::Demo => "demo",
        }
    }

    /// The name in the price list if nothing else is said: clouds that sell another's models are priced like it.
    pub(crate) fn price_provider(kind: &str) -> &str {
        match kind {
            "azure" => Self::Openai.as_str(),
            "vertex" => Self::Gemini.as_str(),
            own => own,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Provider {
    pub(crate) fn check(&self, path: &str, report: &mut Report) {
        self.check_base_url(&format!("{path}.base_url"), report);
        self.check_key(&format!("{path}.api_key"), report);
        self.check_service_account(&format!("{path}.service_account"), report);
        let timeouts = [
            ("connect_timeout_ms", self.connect_timeout),
            ("first_byte_timeout_ms", self.first_byte_timeout),
            ("chunk_timeout_ms", self.chunk_timeout),
            ("total_timeout_ms", self.total_timeout),
        ];
        for (key, timeout) in timeouts {
            let path = format!("{path}.{key}");
            report.duration(&path, timeout);
            if timeout > self.total_timeout {
                report.problem(
                    &path,
                    "is longer than total_timeout_ms, which would end the answer first",
                );
            }
        }
        report.positive(
            &format!("{path}.response_bytes_max"),
            self.response_bytes_max,
        );
    }

    fn check_base_url(&self, path: &str, report: &mut Report) {
        if self.kind == Kind::Demo {
            if !self.base_url.is_empty() {
                report.problem(path, "has no meaning for the kind demo");
            }
            return;
        }
        let url = match url::Url::parse(&self.base_url) {
            Ok(url) => url,
            Err(_) if self.base_url.is_empty() => return report.problem(path, "is missing"),
            Err(error) => return report.problem(path, format!("is not a URL: {error}")),
        };
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            report.problem(path, "must begin with http:// or https:// and a host");
        }
        if !url.username().is_empty() || url.password().is_some() {
            report.problem(path, "must not contain a password; use api_key");
        }
        if url.query().is_some() || url.fragment().is_some() {
            report.problem(path, "must end with the path, without ? or #");
        }
    }

    fn check_service_account(&self, path: &str, report: &mut Report) {
        let is_vertex = self.kind == Kind::Vertex;
        match &self.service_account {
            None if is_vertex => report.problem(
                path,
                "missing: set service_account_file to the key file of a service account",
            ),
            Some(_) if !is_vertex => report.problem(path, "has a meaning for the kind vertex only"),
            _ => {}
        }
    }

    /// A key becomes a header, and so has to be made of the characters of one.
    fn check_key(&self, path: &str, report: &mut Report) {
        let visible = |key: &Secret| key.expose().bytes().all(|byte| byte.is_ascii_graphic());
        if !self.api_key.as_ref().is_none_or(visible) {
            report.problem(path, "contains white space or characters outside ASCII");
        }
    }
}
