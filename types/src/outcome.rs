//! How a request ended; every admitted request ends in exactly one way.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a request or one of its attempts ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The provider answered to the end.
    Completed,
    /// The cache answered.
    Replayed,
    /// Refused before a provider was asked.
    Rejected,
    /// The provider failed, or broke off.
    Failed,
    /// The caller went away.
    Cancelled,
    /// The process died while the provider was being asked.
    Unknown,
}

impl Outcome {
    /// The low-cardinality word for metrics and `usage_events.outcome`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Replayed => "replayed",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Unknown => "unknown",
        }
    }

    /// The word in `ai_requests.status`, whose list the specification fixes.
    pub const fn request_status(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Replayed => "cached",
            Self::Rejected | Self::Failed | Self::Unknown => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
