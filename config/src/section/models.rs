//! `[models]`: what the names that clients use mean.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use crate::report::Report;

/// What the names that clients use mean.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Models {
    /// The most output tokens of a call that sets no limit of its own.
    pub default_output_tokens_max: u32,
    /// What each alias means; `default` is always there, and `*` takes every model that is not known otherwise.
    pub aliases: BTreeMap<String, Alias>,
}

/// What an alias means.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Alias {
    /// One model of one provider.
    Target(Target),
    /// The name of an entry in `[routes]`.
    Route(String),
}

/// A model of a provider: `provider/model`, where the model's name may contain slashes of its own.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Target {
    /// The name of the entry in `[providers]`.
    pub provider: String,
    /// The model, as the provider calls it.
    pub model: String,
}

impl Models {
    /// The alias that stands for every model that is not known otherwise.
    pub const WILDCARD: &str = "*";

    pub(crate) fn check(&self, report: &mut Report) {
        report.positive(
            "models.default_output_tokens_max",
            self.default_output_tokens_max,
        );
    }
}

impl Target {
    /// Reads `provider/model`.
    pub fn parse(text: &str) -> Option<Self> {
        let (provider, model) = text.split_once('/')?;
        let complete = !provider.is_empty() && !model.is_empty();
        complete.then(|| Self {
            provider: provider.to_owned(),
            model: model.to_owned(),
        })
    }
}

impl TryFrom<String> for Alias {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.is_empty() {
            return Err("is empty: write \"provider/model\" or the name of a route".to_owned());
        }
        if !text.contains('/') {
            return Ok(Self::Route(text));
        }
        Target::try_from(text).map(Self::Target)
    }
}

impl fmt::Display for Alias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Target(target) => target.fmt(f),
            Self::Route(name) => f.write_str(name),
        }
    }
}

impl TryFrom<String> for Target {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
            .ok_or_else(|| format!("`{text}` names no model: write \"provider/model\""))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.provider, self.model)
    }
}
