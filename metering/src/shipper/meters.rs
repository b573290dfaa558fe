//! The shipper's metrics.

use std::time::Duration;

use metrics::{Counter, Gauge, Histogram};

#[derive(Debug)]
pub(super) struct Meters {
    shipped: Counter,
    failures: Counter,
    parked: Counter,
    post: Histogram,
    unshipped_bytes: Gauge,
    unshipped_records: Gauge,
    oldest: Gauge,
}

impl Default for Meters {
    fn default() -> Self {
        Self {
            shipped: metrics::counter!("flowpilot_shipper_events_total"),
            failures: metrics::counter!("flowpilot_shipper_failures_total"),
            parked: metrics::counter!("flowpilot_shipper_dead_letters_total"),
            post: metrics::histogram!("flowpilot_shipper_post_seconds"),
            unshipped_bytes: metrics::gauge!("flowpilot_shipper_unshipped_bytes"),
            unshipped_records: metrics::gauge!("flowpilot_shipper_unshipped_records"),
            oldest: metrics::gauge!("flowpilot_shipper_oldest_unshipped_seconds"),
        }
    }
}

impl Meters {
    /// A transaction booked so many events.
    pub(super) fn shipped(&self, events: usize, took: Duration) {
        self.shipped.increment(events as u64);
        self.post.record(took);
    }

    pub(super) fn failed(&self) {
        self.failures.increment(1);
    }

    pub(super) fn parked(&self) {
        self.parked.increment(1);
    }

    /// What is in the journal and not yet booked: bytes not read, records read and settled, age of the oldest of them.
    #[expect(
        clippy::cast_precision_loss,
        reason = "gauges are floats, and estimates"
    )]
    pub(super) fn unshipped(&self, bytes: u64, records: usize, oldest: Duration) {
        self.unshipped_bytes.set(bytes as f64);
        self.unshipped_records.set(records as f64);
        self.oldest.set(oldest.as_secs_f64());
    }
}
