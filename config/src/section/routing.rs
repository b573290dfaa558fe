//! `[routing]`: how a request that fails before the first byte of its answer is attempted again.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::Deserialize;

use crate::report::Report;
use crate::unit;

/// How a request that fails before the first byte of its answer is attempted again.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Routing {
    /// Attempts of one request at most, the first included.
    pub attempts_max: NonZeroU32,
    /// How long a request may be attempted.
    #[serde(rename = "request_timeout_ms", deserialize_with = "unit::milliseconds")]
    pub request_timeout: Duration,
    /// The wait before a deployment is asked again is drawn between 0 and this, which doubles each time.
    #[serde(rename = "backoff_ms", deserialize_with = "unit::milliseconds")]
    pub backoff: Duration,
    /// The longest such wait.
    #[serde(rename = "backoff_max_ms", deserialize_with = "unit::milliseconds")]
    pub backoff_max: Duration,
    /// The longest wait that is kept when a provider asks for it.
    #[serde(rename = "retry_after_max_ms", deserialize_with = "unit::milliseconds")]
    pub retry_after_max: Duration,
    /// How often deployments are asked again that failed the same request, in percent of all requests.
    pub retry_budget_percent: u32,
    /// Such retries that a quiet gateway may save up.
    pub retry_budget_max: u32,
    /// How long a deployment's failures are remembered.
    #[serde(rename = "breaker_window_ms", deserialize_with = "unit::milliseconds")]
    pub breaker_window: Duration,
    /// Requests within that time before their failures mean anything.
    pub breaker_requests_min: u32,
    /// The share of failures among them at which a deployment is passed over, in percent.
    pub breaker_failures_percent: u32,
    /// How long it is passed over before one request tries it again.
    #[serde(rename = "breaker_open_ms", deserialize_with = "unit::milliseconds")]
    pub breaker_open: Duration,
}

impl Routing {
    /// A window is remembered in tenths, none of which may be shorter than a millisecond.
    const WINDOW_MIN: Duration = Duration::from_millis(10);
    /// More retries saved up would be an outage of their own when they are spent at once.
    const RETRY_BUDGET_MAX: u32 = 1_000_000;

    pub(crate) fn check(&self, report: &mut Report) {
        report.duration("routing.request_timeout_ms", self.request_timeout);
        report.duration("routing.breaker_open_ms", self.breaker_open);
        report.positive("routing.breaker_requests_min", self.breaker_requests_min);
        report.positive(
            "routing.breaker_failures_percent",
            self.breaker_failures_percent,
        );
        if self.breaker_window < Self::WINDOW_MIN {
            report.problem("routing.breaker_window_ms", "must be at least 10");
        }
        if self.retry_budget_max > Self::RETRY_BUDGET_MAX {
            let message = format!("must be at most {}", Self::RETRY_BUDGET_MAX);
            report.problem("routing.retry_budget_max", message);
        }
        let percentages = [
            ("routing.retry_budget_percent", self.retry_budget_percent),
            (
                "routing.breaker_failures_percent",
                self.breaker_failures_percent,
            ),
        ];
        for (path, percent) in percentages {
            if percent > 100 {
                report.problem(path, "must be at most 100");
            }
        }
    }
}
