//! What a round of load saw, and sums of rounds.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Three digits: a thousandth is far below what runs differ by.
const PRECISION: u8 = 3;

/// Counts and latencies.
#[derive(Debug)]
pub struct Tally {
    /// Requests, failed ones included.
    pub requests: u64,
    /// Requests without the right answer.
    pub errors: u64,
    /// What was wrong with the first of them.
    pub first_error: Option<String>,
    /// From sending the request to the last byte, in microseconds; of right answers only.
    pub latency: Histogram<u64>,
    /// From sending the request to the first byte of the body, in microseconds.
    pub first_byte: Histogram<u64>,
    /// How long the rounds took.
    pub elapsed: Duration,
    /// Calls that reached the provider meanwhile.
    pub provider_calls: u64,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            requests: 0,
            errors: 0,
            first_error: None,
            latency: histogram(),
            first_byte: histogram(),
            elapsed: Duration::ZERO,
            provider_calls: 0,
        }
    }
}

impl Tally {
    /// Counts a right answer.
    pub fn answered(&mut self, latency: Duration, first_byte: Duration) {
        self.requests += 1;
        record(&mut self.latency, latency);
        record(&mut self.first_byte, first_byte);
    }

    /// Counts a failure.
    pub fn failed(&mut self, why: String) {
        self.requests += 1;
        self.errors += 1;
        self.first_error.get_or_insert(why);
    }

    /// Adds what another saw meanwhile; time passes once for both.
    pub fn join(&mut self, other: Self) {
        self.requests += other.requests;
        self.errors += other.errors;
        self.provider_calls += other.provider_calls;
        self.latency += other.latency;
        self.first_byte += other.first_byte;
        if let Some(error) = other.first_error {
            self.first_error.get_or_insert(error);
        }
    }
}

/// Grows as needed.
#[expect(
    clippy::expect_used,
    reason = "it fails for more than five digits only"
)]
fn histogram() -> Histogram<u64> {
    Histogram::new(PRECISION).expect("three digits are allowed")
}

fn record(histogram: &mut Histogram<u64>, duration: Duration) {
    let microseconds = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    // A histogram that grows has no value it cannot record.
    let _ = histogram.record(microseconds);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_rounds_keep_every_latency() {
        let mut sum = Tally::default();
        for milliseconds in [1, 2, 3] {
            let mut round = Tally::default();
            round.answered(Duration::from_millis(milliseconds), Duration::ZERO);
            sum.join(round);
        }
        sum.failed("gone".to_owned());
        assert_eq!((sum.requests, sum.errors), (4, 1));
        assert_eq!(sum.latency.value_at_quantile(0.5) / 10, 200);
    }
}
