//! Why a limit said no, with what the caller's 429 has to say.

use chrono::{DateTime, Utc};
use rust_decimal::Decimal;
use thiserror::Error;

use super::limit::{Resource, Scope};

/// Why a request may not go on.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The limit of the period is reached: 429.
    #[error("the limit of {} {} of the {} is used up", .0.limit, .0.resource, .0.scope)]
    Exceeded(Box<Exceeded>),
    /// The limit could not be asked, and nothing is held: 503.
    #[error("the limit of {resource} cannot be checked now")]
    Unavailable {
        /// Of what.
        resource: Resource,
    },
}

/// A limit that is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exceeded {
    /// Whose.
    pub scope: Scope,
    /// Of what.
    pub resource: Resource,
    /// The limit of the period, in dollars, tokens or calls.
    pub limit: Decimal,
    /// Used and reserved of it, by all nodes.
    pub used: Decimal,
    /// When the next period begins, if one does.
    pub reset_at: Option<DateTime<Utc>>,
}

impl Refusal {
    /// What was refused.
    pub fn resource(&self) -> Resource {
        match self {
            Self::Exceeded(exceeded) => exceeded.resource,
            Self::Unavailable { resource } => *resource,
        }
    }
}
