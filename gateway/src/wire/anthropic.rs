//! Anthropic's dialect: messages, the count of their tokens, models and errors.
//!
//! Source: the provider's API reference (`platform.claude.com/docs/en/api`) and the official SDKs' types.

mod block;
pub(crate) mod error;
pub(crate) mod message;
pub(crate) mod models;
pub(crate) mod request;
pub(crate) mod stream;
pub(crate) mod usage;

/// The header that says which version of the dialect is spoken.
pub(crate) const VERSION_HEADER: &str = "anthropic-version";

/// The header, and the name in [`types::call::Parameters::extra`], of the features asked for beyond that version.
pub(crate) const BETA_HEADER: &str = "anthropic-beta";
