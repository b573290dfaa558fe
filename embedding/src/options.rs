//! How much embedding may cost.

use std::time::Duration;

/// The limits of an [`crate::Embedder`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Threads, each with a model of its own.
    pub threads: usize,
    /// Texts waiting for a thread; more are refused at once.
    pub queue_texts_max: usize,
    /// Texts embedded together; more of them share the cost of a call but wait for the longest one.
    pub batch_texts_max: usize,
    /// How long a text may take, with the waiting; later it is done without.
    pub budget: Duration,
    /// Texts whose vectors are remembered.
    pub remembered_texts_max: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            threads: 1,
            queue_texts_max: 256,
            batch_texts_max: 16,
            budget: Duration::from_millis(50),
            remembered_texts_max: 10_000,
        }
    }
}
