//! Why a quota said no, with what the caller's 429 has to say.

use std::fmt;

use chrono::{DateTime, Utc};
use thiserror::Error;

/// What a quota limits; `usage_quotas.resource_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Resource {
    /// Requests, answered from the cache or not.
    ApiCalls,
    /// Input and output tokens at providers.
    AiTokens,
}

/// Why a request may not go on.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The limit of the period is reached: 429.
    #[error("the quota of {limit} {resource} is used up")]
    Exceeded {
        /// Of what.
        resource: Resource,
        /// The limit of the period.
        limit: u64,
        /// Used and reserved of it, by all nodes.
        used: u64,
        /// When the next period begins.
        reset_at: Option<DateTime<Utc>>,
    },
    /// The quota could not be asked, and nothing is held: 503.
    #[error("the quota of {resource} cannot be checked now")]
    Unavailable {
        /// Of what.
        resource: Resource,
    },
}

impl Refusal {
    /// What was refused.
    pub const fn resource(&self) -> Resource {
        match self {
            Self::Exceeded { resource, .. } | Self::Unavailable { resource } => *resource,
        }
    }
}

impl Resource {
    /// Both, in the order in which they are taken.
    pub const ALL: [Self; 2] = [Self::ApiCalls, Self::AiTokens];

    /// The word in `usage_quotas.resource_type`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ApiCalls => "api_calls",
            Self::AiTokens => "ai_tokens",
        }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
