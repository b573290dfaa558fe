//! What an embedder promises whatever its model does: in time, in batches, and never an error that matters.

mod service;
