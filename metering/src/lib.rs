//! Quotas, prices, journal, ledger, roll-ups and finance reports.
