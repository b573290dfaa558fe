//! `[metering]`: how durable a record is, how fast it is shipped, and what it costs.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::report::Report;
use crate::unit;

/// How durable a record is, how fast it is shipped, and what it costs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metering {
    /// When a record is on disk.
    pub durability: Durability,
    /// The folder of the journal; already chosen where the file leaves it empty.
    pub journal_dir: PathBuf,
    /// The size at which a journal file is closed, in bytes.
    pub segment_bytes_max: u64,
    /// The size at which billable requests are refused, in bytes.
    pub journal_bytes_max: u64,
    /// The most records of one transaction to the database.
    pub ship_rows_max: usize,
    /// How often records are shipped.
    #[serde(rename = "ship_interval_ms", deserialize_with = "unit::milliseconds")]
    pub ship_interval: Duration,
    /// What happens to a model without a price.
    pub unpriced: Unpriced,
    /// Who issues the invoices, as the FOCUS export names it.
    pub operator_name: String,
    /// The user's own price list; it is already merged into `Config::prices`.
    #[serde(deserialize_with = "unit::path")]
    pub prices_file: Option<PathBuf>,
    /// How long after its end a month stays open for what comes late.
    #[serde(rename = "close_grace_hours", deserialize_with = "unit::hours")]
    pub close_grace: Duration,
    /// Whether a gateway closes months by itself.
    pub auto_close: bool,
    /// What becomes of an answer whose client left.
    pub on_disconnect: OnDisconnect,
    /// How long an answer is still read after its client left, to learn its cost.
    #[serde(rename = "drain_timeout_ms", deserialize_with = "unit::milliseconds")]
    pub drain_timeout: Duration,
    /// Answers read on at once after their clients left; beyond it they are cut and estimated.
    pub drains_max: usize,
}

/// When a record is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// The outcome before the last byte goes out.
    Fsync,
    /// The intention before the provider is called, too.
    Strict,
    /// Whenever the operating system likes: survives a crash of the process, not of the machine.
    Written,
}

/// What happens to a model without a price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unpriced {
    /// The call is refused.
    Refuse,
    /// It is booked at no cost, and flagged.
    Quarantine,
}

/// What becomes of an answer whose client left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDisconnect {
    /// It is read to its end, within limits, and booked as the provider reports it.
    Drain,
    /// The provider's connection is closed at once, and what passed is booked as an estimate.
    Abort,
}

impl Metering {
    /// A journal of fewer files could not be shipped and written at the same time.
    const SEGMENTS_MIN: u64 = 2;
    /// A longer transaction would hold up every quota row it touches.
    const SHIP_ROWS_MAX: usize = 10_000;

    /// A month.
    const CLOSE_GRACE_MAX: Duration = Duration::from_hours(744);

    pub(crate) fn check(&self, report: &mut Report) {
        report.positive("metering.segment_bytes_max", self.segment_bytes_max);
        report.positive("metering.ship_rows_max", self.ship_rows_max);
        report.duration("metering.ship_interval_ms", self.ship_interval);
        if self.journal_bytes_max < self.segment_bytes_max.saturating_mul(Self::SEGMENTS_MIN) {
            report.problem(
                "metering.journal_bytes_max",
                "must be at least twice segment_bytes_max",
            );
        }
        if self.close_grace > Self::CLOSE_GRACE_MAX {
            report.problem(
                "metering.close_grace_hours",
                "must be at most 744: a month would not close before the next one ends",
            );
        }
        if self.ship_rows_max > Self::SHIP_ROWS_MAX {
            report.problem(
                "metering.ship_rows_max",
                format!("must be at most {}", Self::SHIP_ROWS_MAX),
            );
        }
    }
}
