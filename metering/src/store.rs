//! The SQL of this crate; nothing else here contains any.

pub(crate) mod leases;
pub(crate) mod ledger;
pub(crate) mod quotas;
pub(crate) mod reports;
pub(crate) mod totals;
pub(crate) mod watermarks;
