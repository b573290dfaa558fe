//! `[quota]`: how large the slices are that a node takes of a quota.

use std::time::Duration;

use serde::Deserialize;

use crate::report::Report;
use crate::unit;

/// How large the slices are that a node takes of a quota.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// The largest slice of a token quota, in tokens.
    pub lease_tokens_max: u32,
    /// The largest slice of a call quota, in calls.
    pub lease_calls_max: u32,
    /// The largest slice of a budget in dollars, in cents.
    pub lease_usd_cents_max: u32,
    /// After how long without use a slice is given back.
    #[serde(
        rename = "lease_idle_return_ms",
        deserialize_with = "unit::milliseconds"
    )]
    pub lease_idle_return: Duration,
    /// What an organization without a quota may do.
    pub no_quota: NoQuota,
    /// What happens to a request of which a limit has less left than it may use.
    pub near_limit: NearLimit,
}

/// What happens to a request of which a limit has less left than it may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NearLimit {
    /// It is refused.
    Refuse,
    /// Its answer is capped at what is left.
    LowerCap,
}

/// What an organization without a quota may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoQuota {
    /// Everything.
    Allow,
    /// Nothing.
    Refuse,
}

impl Quota {
    pub(crate) fn check(&self, report: &mut Report) {
        report.positive("quota.lease_tokens_max", self.lease_tokens_max);
        report.positive("quota.lease_calls_max", self.lease_calls_max);
        report.positive("quota.lease_usd_cents_max", self.lease_usd_cents_max);
        report.duration("quota.lease_idle_return_ms", self.lease_idle_return);
    }
}
