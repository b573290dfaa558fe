//! The names of this crate's metrics.

/// Look-ups, by `tier` (memory, exact, normalized, semantic) and `outcome` (hit, miss, bypass, skipped, timeout, error);
/// a miss of the semantic tier says why: passing, `no_vector`, loading, alone, disagreement, low, closed, audit, or the
/// guard's veto.
pub(crate) const LOOKUPS: &str = "flowpilot_cache_lookups_total";

/// Answers offered, by `outcome` (stored, failed, dropped, or why they are not kept).
pub(crate) const STORES: &str = "flowpilot_cache_stores_total";

/// Would-be hits of the semantic tier that were checked, by `outcome` (right, wrong).
pub(crate) const AUDITS: &str = "flowpilot_cache_audits_total";

/// How often the semantic tier closed itself, because more was wrong than promised.
pub(crate) const BREACHES: &str = "flowpilot_cache_breaches_total";

/// Questions held in memory to be compared with.
pub(crate) const QUESTIONS: &str = "flowpilot_cache_questions";

/// Expired rows deleted.
pub(crate) const SWEPT: &str = "flowpilot_cache_swept_total";

/// What the answers in memory weigh, in bytes.
pub(crate) const MEMORY_BYTES: &str = "flowpilot_cache_memory_bytes";

/// Keys remembered of those that the table has.
pub(crate) const KNOWN_KEYS: &str = "flowpilot_cache_known_keys";
