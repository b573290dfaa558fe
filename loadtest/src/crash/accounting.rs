//! What the gateway booked, and whether that is each of the provider's calls once.
//!
//! A call is booked as the provider reported it, or estimated, or, when the gateway was killed while it ran, unknown:
//! recovered from the record written before the provider was called. A record without a call is possible, since the
//! kill may fall between the two; so unknown ones may exceed the calls, and only they may.

use serde::Serialize;

use crate::gateway::Installation;
use crate::oracle::report::{self, Row};
use crate::provider::books::Call;

/// The two sides, and what does not match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Account {
    /// Calls that the provider charges for.
    pub provider_calls: u64,
    /// Of them, those that it completed.
    pub provider_completed: u64,
    /// Requests in the gateway's report, its cache's answers not counted.
    pub booked: u64,
    /// Of them, those whose usage is estimated.
    pub estimated: u64,
    /// Of them, those whose usage is unknown.
    pub unknown: u64,
    /// Calls of the provider that are not booked.
    pub lost: u64,
    /// Requests booked with a usage beyond the provider's calls.
    pub doubled: u64,
    /// Completely answered requests that are not booked with a usage, though that is on disk before the last byte is out.
    pub answered_unbooked: u64,
    /// Output tokens that the provider charges for.
    pub provider_output_tokens: u64,
    /// Output tokens in the gateway's report; unknown requests have none, so more than the provider's were booked twice.
    pub booked_output_tokens: u64,
}

/// The rows of the usage report of a gateway that has stopped.
pub async fn booked(installation: &Installation) -> anyhow::Result<Vec<Row>> {
    let printed = installation.report(&["usage", "--format", "json"]).await?;
    report::parse(&printed)
}

impl Account {
    /// Compares the provider's calls with the gateway's rows; of the calls, so many were seen answered by clients.
    pub fn new(calls: &[Call], rows: &[Row], answered: u64) -> Self {
        let charged = calls.iter().filter(|call| call.status == 200);
        let sum = |of: fn(&Row) -> u64| rows.iter().map(of).sum::<u64>();
        let provider_calls = charged.clone().count() as u64;
        let cached = sum(|row| row.hits);
        let booked = sum(|row| row.requests).saturating_sub(cached);
        let unknown = sum(|row| row.unknown_requests);
        let known = booked.saturating_sub(unknown);
        Self {
            provider_calls,
            provider_completed: charged.clone().filter(|call| call.completed).count() as u64,
            booked,
            estimated: sum(|row| row.estimated_requests),
            unknown,
            lost: provider_calls.saturating_sub(booked),
            doubled: known.saturating_sub(provider_calls),
            answered_unbooked: answered.saturating_sub(known),
            provider_output_tokens: charged.map(|call| call.output_tokens).sum(),
            booked_output_tokens: sum(|row| row.output_tokens),
        }
    }

    /// Whether every call is booked once. An estimate may differ from what the provider charges, so that tokens are
    /// compared only where there is none.
    pub const fn holds(&self) -> bool {
        let calls = self.provider_calls > 0 && self.lost == 0 && self.doubled == 0;
        let tokens = if self.unknown > 0 {
            self.booked_output_tokens <= self.provider_output_tokens
        } else {
            self.booked_output_tokens == self.provider_output_tokens
        };
        calls && self.answered_unbooked == 0 && (self.estimated > 0 || tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::plan::Tokens;

    /// Three calls of two output tokens each, two of them seen answered.
    fn account(report: &str) -> Account {
        let tokens = Tokens {
            output: 2,
            ..Tokens::default()
        };
        let calls = vec![Call::new(String::new(), "openai", "m", tokens); 3];
        let report = format!(r#"[{{"model": "m", {report}}}]"#);
        Account::new(&calls, &report::parse(&report).unwrap(), 2)
    }

    #[test]
    fn each_call_once_holds_also_when_a_kill_left_some_unknown() {
        assert!(account(r#""requests": 3, "output_tokens": 6"#).holds());
        assert!(account(r#""requests": 4, "unknown_requests": 2, "output_tokens": 4"#).holds());
    }

    #[test]
    fn a_lost_call_and_one_booked_twice_are_found() {
        let lost = account(r#""requests": 2, "output_tokens": 4"#);
        assert_eq!((lost.lost, lost.holds()), (1, false));
        let doubled = account(r#""requests": 4, "output_tokens": 8"#);
        assert_eq!((doubled.doubled, doubled.holds()), (1, false));
        let hidden = account(r#""requests": 4, "unknown_requests": 1, "output_tokens": 8"#);
        assert!(!hidden.holds(), "tokens tell what counts hide");
        let unsettled = account(r#""requests": 3, "unknown_requests": 2, "output_tokens": 2"#);
        assert_eq!((unsettled.answered_unbooked, unsettled.holds()), (1, false));
    }
}
