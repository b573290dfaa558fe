//! What the crate needs of the configuration.

use config::PriceList;
use config::section;
use rust_decimal::Decimal;
use types::Usd;

use crate::{journal, quota, shipper};

/// The sections of the configuration that metering reads.
#[derive(Debug, Clone)]
pub struct Options {
    /// `[metering]`.
    pub metering: section::Metering,
    /// `[quota]`.
    pub quota: section::Quota,
    /// The prices to begin with.
    pub prices: PriceList,
}

impl Options {
    pub(crate) fn journal(&self) -> journal::Options {
        let metering = &self.metering;
        journal::Options {
            folder: metering.journal_dir.clone(),
            durability: match metering.durability {
                section::Durability::Fsync => journal::Durability::Fsync,
                section::Durability::Strict => journal::Durability::Strict,
                section::Durability::Written => journal::Durability::Written,
            },
            segment_bytes_max: metering.segment_bytes_max,
            journal_bytes_max: metering.journal_bytes_max,
        }
    }

    pub(crate) fn shipper(&self) -> shipper::Options {
        shipper::Options {
            ship_rows_max: self.metering.ship_rows_max,
            ship_interval: self.metering.ship_interval,
        }
    }

    pub(crate) fn quota(&self) -> quota::Options {
        quota::Options {
            lease_tokens_max: self.quota.lease_tokens_max.into(),
            lease_calls_max: self.quota.lease_calls_max.into(),
            lease_usd_max: Usd::new(Decimal::new(self.quota.lease_usd_cents_max.into(), 2)),
            lease_idle_return: self.quota.lease_idle_return,
            no_quota: self.quota.no_quota,
        }
    }
}
