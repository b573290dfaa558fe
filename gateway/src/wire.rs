//! Request and response shapes of the dialects, and nothing else: no I/O, no decisions.
//!
//! # Adding a dialect
//! A folder beside [`openai`] that reads requests and writes answers, streams, errors and models; a variant of
//! [`types::call::Dialect`], which [`client`], [`crate::writer`] and [`crate::edge`] then do not compile without.

pub(crate) mod anthropic;
pub(crate) mod client;
mod content;
pub(crate) mod fields;
pub(crate) mod gemini;
pub(crate) mod openai;
mod read;
pub(crate) mod sse;
pub(crate) mod write;
