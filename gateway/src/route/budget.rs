//! How many retries there may be: a share of all requests, so that an outage is not multiplied by those who meet it.

use std::sync::atomic::{AtomicU64, Ordering};

use config::section::Routing;

/// A retry, in the parts that the percentages are counted in.
const RETRY: u64 = 100;

/// The retries saved up. One for the whole gateway: a provider in need is asked less, whoever asks.
#[derive(Debug)]
pub(crate) struct Budget {
    saved: AtomicU64,
}

impl Budget {
    /// A full one.
    pub(crate) fn new(options: &Routing) -> Self {
        Self {
            saved: AtomicU64::new(most(options)),
        }
    }

    /// Saves a request's share. Costs a look while it is full, which is nearly always.
    pub(crate) fn earn(&self, options: &Routing) {
        let saved = self.saved.load(Ordering::Relaxed);
        if saved < most(options) {
            let share = u64::from(options.retry_budget_percent);
            self.saved.fetch_add(share, Ordering::Relaxed);
        }
    }

    /// Spends a retry, if there is one.
    pub(crate) fn spend(&self) -> bool {
        let spent = self
            .saved
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |saved| {
                saved.checked_sub(RETRY)
            });
        if spent.is_err() {
            metrics::counter!("flowpilot_retries_refused_total").increment(1);
        }
        spent.is_ok()
    }
}

fn most(options: &Routing) -> u64 {
    u64::from(options.retry_budget_max) * RETRY
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_what_was_saved_there_is_one_retry_for_ten_requests() {
        let text = "[routing]\nretry_budget_percent = 10\nretry_budget_max = 2";
        let options = config::Config::from_toml(text).unwrap().routing;
        let budget = Budget::new(&options);
        assert_eq!([0; 3].map(|_| budget.spend()), [true, true, false]);
        for _ in 0..9 {
            budget.earn(&options);
        }
        assert!(!budget.spend());
        budget.earn(&options);
        assert!(budget.spend());
        assert!(!budget.spend());
        for _ in 0..1_000 {
            budget.earn(&options);
        }
        assert_eq!([0; 3].map(|_| budget.spend()), [true, true, false]);
    }
}
