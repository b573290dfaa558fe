//! A template as it is held in memory: read, taken apart, and ready to be rendered.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Number;
use types::Id;
use types::call::Parameters;
use types::id::Template;
use utoipa::ToSchema;

use super::engine::{Budget, Plain};
use super::source::{self, Section};
use super::variables::Variable;

/// One version of a template.
#[derive(Debug)]
pub(crate) struct Stored {
    /// The template.
    pub(crate) id: Id<Template>,
    /// What it takes.
    pub(crate) variables: Vec<Variable>,
    /// The model of calls that name none.
    pub(crate) model: Option<String>,
    /// What calls get that do not set it.
    pub(crate) defaults: Defaults,
    /// The messages.
    pub(crate) sections: Arc<[Section]>,
    /// For a template of text and variables only.
    pub(crate) plain: Option<Plain>,
    /// The memory it takes, roughly, in bytes.
    pub(crate) bytes: u32,
}

/// One version of a template as the database has it.
#[derive(Debug, Clone)]
pub(crate) struct Version {
    /// The template.
    pub(crate) id: Id<Template>,
    /// Its source.
    pub(crate) template_text: String,
    /// What it takes.
    pub(crate) variables: Vec<Variable>,
    /// The model of calls that name none.
    pub(crate) model: Option<String>,
    /// What calls get that do not set it.
    pub(crate) defaults: Defaults,
}

/// Parameters that a template brings along; what a call sets itself wins.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Defaults {
    /// Sampling temperature.
    pub(crate) temperature: Option<Number>,
    /// Nucleus sampling.
    pub(crate) top_p: Option<Number>,
    /// Upper limit of output tokens.
    pub(crate) output_tokens_max: Option<u64>,
}

/// Those of them that have no column of their own.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OtherDefaults {
    /// Nucleus sampling, above 0 and at most 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>, example = 0.9)]
    pub(crate) top_p: Option<Number>,
    /// Upper limit of output tokens, reasoning included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = 500)]
    pub(crate) output_tokens_max: Option<u64>,
}

/// What a compiled text takes beside its bytes, roughly: the engine keeps an instruction of some 32 bytes per token.
const BYTES_PER_SOURCE_BYTE: usize = 4;
/// What every template takes: the structures around it.
const BYTES_BESIDE: usize = 1024;

impl Stored {
    /// Takes a version apart; `None` if its source cannot be read, which the database may hold but we never wrote.
    pub(crate) fn new(version: Version, budget: Budget) -> Option<Self> {
        let sections = source::split(&version.template_text).ok()?;
        let is_plain = sections.iter().all(|one| source::is_plain(&one.text));
        let plain = if is_plain {
            Some(Plain::new(&sections, budget).ok()?)
        } else {
            None
        };
        let bytes = version.template_text.len() * BYTES_PER_SOURCE_BYTE + BYTES_BESIDE;
        Some(Self {
            id: version.id,
            variables: version.variables,
            model: version.model,
            defaults: version.defaults,
            sections: sections.into(),
            plain,
            bytes: u32::try_from(bytes).unwrap_or(u32::MAX),
        })
    }
}

impl Defaults {
    /// From a row's columns.
    pub(crate) fn new(temperature: Option<f64>, others: OtherDefaults) -> Self {
        Self {
            temperature: temperature.and_then(Number::from_f64),
            top_p: others.top_p,
            output_tokens_max: others.output_tokens_max,
        }
    }

    /// Those that a call does not set itself.
    pub(crate) fn missing_in(&self, parameters: &Parameters) -> Self {
        let mut missing = self.clone();
        if parameters.temperature.is_some() {
            missing.temperature = None;
        }
        if parameters.top_p.is_some() {
            missing.top_p = None;
        }
        if parameters.output_tokens_max.is_some() {
            missing.output_tokens_max = None;
        }
        missing
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Puts them into a call's parameters.
    pub(crate) fn write(self, parameters: &mut Parameters) {
        parameters.temperature = self.temperature.or(parameters.temperature.take());
        parameters.top_p = self.top_p.or(parameters.top_p.take());
        parameters.output_tokens_max = self.output_tokens_max.or(parameters.output_tokens_max);
    }
}
