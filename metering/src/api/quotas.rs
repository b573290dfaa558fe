//! The endpoints of quotas.

pub mod find;
pub mod list;
pub mod put;

use ::api::{ETag, Problem};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::quotas::{Error, QuotaSetting, QuotaView, RESOURCE_TYPES};

/// Which quota.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub struct ResourcePath {
    /// `ai_tokens`, `api_calls`, `executions`, `storage_gb` or `workflows`.
    pub resource_type: String,
}

/// The tag of what can be set; what is used of the quota changes all the time and is no part of it.
pub(crate) fn tag(quota: &QuotaView) -> Result<ETag, Problem> {
    ETag::of(&QuotaSetting {
        limit: quota.limit,
        period: quota.period,
        reset_at: quota.reset_at,
    })
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::UnknownResource => Self::new(::api::Code::NotFound)
                .detail(format!("a quota is one of {}", RESOURCE_TYPES.join(", "))),
            Error::NotFound => Self::new(::api::Code::NotFound)
                .detail("the organization has no quota of this resource"),
            Error::NegativeLimit => Self::invalid_field("limit", "must not be negative"),
            Error::PastReset => Self::invalid_field("reset_at", "must lie in the future"),
            Error::Precondition(refused) => refused.0,
            Error::OrganizationNotFound => Self::not_found("organization"),
            Error::Database(error) => error.into(),
        }
    }
}
