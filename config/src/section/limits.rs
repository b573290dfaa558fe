//! `[limits]`: how fast one key may go.

use std::num::NonZeroU32;

use serde::Deserialize;

use crate::report::Report;
use crate::unit;

/// How fast one key may go.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Requests per minute and key; none: no limit.
    #[serde(deserialize_with = "unit::limit")]
    pub requests_per_minute_per_key: Option<NonZeroU32>,
    /// Requests a key may send at once within that rate; none: a minute's worth.
    #[serde(deserialize_with = "unit::limit")]
    pub burst: Option<NonZeroU32>,
    /// Requests of one key being answered at once; none: no limit.
    #[serde(deserialize_with = "unit::limit")]
    pub concurrent_requests_per_key_max: Option<NonZeroU32>,
}

impl Limits {
    pub(crate) fn check(&self, report: &mut Report) {
        if self.burst.is_some() && self.requests_per_minute_per_key.is_none() {
            report.problem(
                "limits.burst",
                "has no meaning without requests_per_minute_per_key",
            );
        }
    }
}
