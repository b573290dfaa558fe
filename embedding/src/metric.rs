//! The names of this crate's metrics.

/// Texts, by `outcome` (`embedded`, `remembered`, `too_long`, `late`, `full`, `paused`, `failed`, `absent`).
pub(crate) const TEXTS: &str = "flowpilot_embedding_texts_total";

/// How long one batch took, in seconds.
pub(crate) const BATCH_SECONDS: &str = "flowpilot_embedding_batch_seconds";

/// Texts of one batch.
pub(crate) const BATCH_TEXTS: &str = "flowpilot_embedding_batch_texts";
