//! `[privacy]`: what is stored of prompts and answers.

use serde::Deserialize;

use crate::report::Report;

/// What is stored of prompts and answers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Privacy {
    /// What is stored of prompts and answers with a request.
    pub prompt_storage: PromptStorage,
    /// The length at which stored text is cut, in bytes.
    pub prompt_bytes_max: usize,
}

/// What is stored of prompts and answers with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromptStorage {
    /// The text.
    Text,
    /// Its SHA-256.
    Hash,
    /// Nothing.
    None,
}

impl Privacy {
    pub(crate) fn check(&self, report: &mut Report) {
        report.positive("privacy.prompt_bytes_max", self.prompt_bytes_max);
    }
}
