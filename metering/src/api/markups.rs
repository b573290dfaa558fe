//! The endpoints of mark-ups, all of them the operator's.

pub mod list;
pub mod put;
