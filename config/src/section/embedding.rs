//! `[embedding]`: the model that turns texts into vectors, and what it may cost.

use std::time::Duration;

use serde::Deserialize;

use crate::report::Report;
use crate::unit;

/// The model that turns texts into vectors, and what it may cost.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Embedding {
    /// `packaged`, `none`, or the path of a folder with a model.
    pub model: String,
    /// The path of the ONNX runtime's shared library; empty: the packaged one.
    pub runtime: String,
    /// Threads that embed.
    pub threads: usize,
    /// Texts waiting for a thread; more are not embedded.
    pub queue_texts_max: usize,
    /// Texts embedded together.
    pub batch_texts_max: usize,
    /// How long a look-up waits for its vector; later is a miss.
    #[serde(rename = "budget_ms", deserialize_with = "unit::milliseconds")]
    pub budget: Duration,
    /// Texts whose vectors are remembered.
    pub remembered_texts_max: u64,
}

impl Embedding {
    pub(crate) fn check(&self, report: &mut Report) {
        report.positive("embedding.threads", self.threads);
        report.positive("embedding.queue_texts_max", self.queue_texts_max);
        report.positive("embedding.batch_texts_max", self.batch_texts_max);
        report.duration("embedding.budget_ms", self.budget);
    }
}
