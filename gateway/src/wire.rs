//! Request and response shapes of the dialects, and nothing else: no I/O, no decisions.

pub(crate) mod fields;
pub(crate) mod openai;
mod read;
pub(crate) mod sse;
