//! OpenAI's dialect: chat completions, models and errors.
//!
//! Source: the provider's API reference (`openai-openapi`) and the official SDKs' types.

pub(crate) mod chunk;
pub(crate) mod completion;

pub(crate) mod embeddings;
pub(crate) mod error;
pub(crate) mod legacy;
pub(crate) mod message;
pub(crate) mod models;
pub(crate) mod request;
pub(crate) mod responses;
pub(crate) mod usage;
