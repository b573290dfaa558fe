//! The SQL of this crate; nothing else here contains any.

/// Every row's value of one column.
macro_rules! column {
    ($rows:expr, $row:pat => $value:expr) => {
        $rows.iter().map(|$row| $value).collect::<Vec<_>>()
    };
}

pub(crate) mod adjustments;
pub(crate) mod budgets;
pub(crate) mod corrections;
pub(crate) mod events;
pub(crate) mod focus;
pub(crate) mod idempotency;
pub(crate) mod invoices;
pub(crate) mod leases;
pub(crate) mod ledger;
pub(crate) mod markups;
pub(crate) mod periods;
pub(crate) mod prices;
pub(crate) mod quotas;
pub(crate) mod reconcile;
pub(crate) mod reports;
pub(crate) mod rollups;
pub(crate) mod totals;
pub(crate) mod unknown;
pub(crate) mod watermarks;
