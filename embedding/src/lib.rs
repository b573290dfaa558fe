//! Text to a unit vector, on this machine.
//!
//! [`Embedder`] is the handle that everybody shares: it has threads of its own, a bounded queue, a time budget, a
//! breaker and a small memory of texts. What it cannot do in time is [`Unavailable`], which its callers count and
//! live without; nobody waits for a model that is loading, stalled or absent.
//!
//! # Adding a …
//!
//! * **model**: `[embedding] model_dir` names a folder with `model.onnx` and its tokenizer files; nothing else changes.
//! * **kind of model**: implement [`Model`].

mod breaker;
pub mod fixed;
pub mod local;
mod metric;
mod options;
mod queue;
mod service;
mod vector;
mod worker;

pub use options::Options;
pub use service::{Embedder, Unavailable};
pub use vector::{DIMENSIONS, Vector};

use std::collections::HashSet;
use std::sync::Arc;

/// Something that turns texts into vectors; each worker thread has one of its own.
pub trait Model: Send {
    /// Name and version: vectors of different ones are never compared.
    fn id(&self) -> &str;

    /// One result per text, in order; `None` where a text is longer than the model's window.
    fn embed(&mut self, texts: &[Arc<str>]) -> Result<Vec<Option<Vector>>, Error>;

    /// The whole words that the model has a token for, in lower case; empty where it does not tell.
    fn words(&self) -> HashSet<Box<str>> {
        HashSet::new()
    }
}

/// What a model could not do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file of the model could not be read.
    #[error("a file of the embedding model could not be read")]
    Read(#[from] std::io::Error),
    /// A file of the model is not there.
    #[error("a file of the embedding model is missing")]
    Missing(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The shared library could not be loaded.
    #[error("the ONNX runtime could not be loaded: {0}")]
    Runtime(String),
    /// The model's files do not fit together.
    #[error("the embedding model could not be loaded")]
    Load(#[source] fastembed::Error),
    /// The model failed at its work.
    #[error("a text could not be embedded")]
    Embed(#[source] fastembed::Error),
    /// Its vectors are longer than the database's columns.
    #[error("the model gives {0} dimensions, and at most {DIMENSIONS} can be stored")]
    Dimensions(usize),
}
