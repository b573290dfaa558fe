//! The SQL of this crate; nothing else here contains any.

pub(crate) mod leases;
