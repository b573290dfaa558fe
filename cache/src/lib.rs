//! Answers again what was answered before.
//!
//! # The path of a look-up
//!
//! 1. [`Key::of`] hashes everything that can change the answer, the organization first of all.
//! 2. *memory*: answers given lately, without waiting. An answer stored here is found here at once.
//! 3. *known*: the keys that the table has. A key that is not among them is a miss without a round trip.
//! 4. *exact*: the row of the key, in a tenant transaction and within a time limit.
//!
//! What fails on the way is a miss that is counted, and logged at most once a minute; never an error.
//!
//! # The path of an answer
//!
//! [`Cache::store`] admits only a complete, plain answer whose usage the provider reported. It is in memory at
//! once and in a bounded queue, from which a writer takes batches to the table. Other machines see the new
//! key within about two seconds. Whatever is lost on the way costs one provider call.
//!
//! # Invariants
//!
//! * The organization comes from the authenticated [`types::Caller`], is part of every key, and is compared
//!   again at every step; in SQL row-level security stands behind it.
//! * Reading and writing are separate permissions: `cache:read`, `cache:write`.
//! * Memory, known keys, queue, hit counts and each statement have a limit with a name.

pub mod api;
mod control;
mod entry;
mod exact;
mod fault;
mod hits;
mod keeper;
pub mod key;
mod known;
mod memory;
mod metric;
mod options;
mod semantic;
mod service;
mod store;
#[cfg(test)]
mod testing;
mod text;
mod writer;

pub use control::{Control, HEADER, UnknownControl};
pub use entry::{Entry, Hit, Tier};
pub use key::Key;
pub use options::Options;
pub use semantic::{Question, Realised, Trace, WouldBe, lower_bound, upper_bound};
pub use service::{Alike, Cache, Resources};
pub use store::Which;
