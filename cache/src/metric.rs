//! The names of this crate's metrics.

/// Look-ups, by `tier` (memory, exact) and `outcome` (hit, miss, bypass, skipped, timeout, error).
pub(crate) const LOOKUPS: &str = "flowpilot_cache_lookups_total";

/// Answers offered, by `outcome` (stored, failed, dropped, or why they are not kept).
pub(crate) const STORES: &str = "flowpilot_cache_stores_total";

/// Expired rows deleted.
pub(crate) const SWEPT: &str = "flowpilot_cache_swept_total";

/// What the answers in memory weigh, in bytes.
pub(crate) const MEMORY_BYTES: &str = "flowpilot_cache_memory_bytes";

/// Keys remembered of those that the table has.
pub(crate) const KNOWN_KEYS: &str = "flowpilot_cache_known_keys";
