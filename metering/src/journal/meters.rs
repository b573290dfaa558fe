//! The journal's metrics. Handles are looked up once, so the recorder has to be installed before the journal is opened.

use metrics::{Counter, Gauge, Histogram};

#[derive(Debug)]
pub(super) struct Meters {
    pub(super) records: Counter,
    pub(super) fsyncs: Counter,
    pub(super) failures: Counter,
    /// What a caller that waits for durability waited, from append to sync.
    pub(super) fsync_wait: Histogram,
    /// Whether new obligations are refused for lack of room.
    pub(super) full: Gauge,
    /// Hits that were served and not booked, because there was no room even in memory.
    pub(super) unbooked_hits: Counter,
    bytes: Gauge,
}

impl Default for Meters {
    fn default() -> Self {
        Self {
            records: metrics::counter!("flowpilot_journal_records_total"),
            fsyncs: metrics::counter!("flowpilot_journal_fsyncs_total"),
            failures: metrics::counter!("flowpilot_journal_failures_total"),
            fsync_wait: metrics::histogram!("flowpilot_journal_fsync_wait_seconds"),
            full: metrics::gauge!("flowpilot_journal_full"),
            unbooked_hits: metrics::counter!("flowpilot_journal_unbooked_hits_total"),
            bytes: metrics::gauge!("flowpilot_journal_bytes"),
        }
    }
}

impl Meters {
    /// Bytes the journal holds on disk.
    #[expect(
        clippy::cast_precision_loss,
        reason = "a gauge is a float, and an estimate"
    )]
    pub(super) fn set_bytes(&self, bytes: u64) {
        self.bytes.set(bytes as f64);
    }
}
