//! Answers a question with the answer to another one that asks the same, and knows how often that was wrong.
//!
//! [`Question`] is what may be looked up by meaning at all. A [`shard::Shard`] holds the questions of one partition,
//! that is, of one organization, one fingerprint and one embedder; the [`gate`] decides whether the nearest one's
//! answer may be given; [`calibration`] moves the gate's cut so that the promise holds; [`learner`] compares fresh
//! answers with the ones that would have been given. See `docs/cache.md`.

pub(crate) mod answers;
pub(crate) mod calibration;
mod dice;
pub(crate) mod discriminant;
pub(crate) mod equality;
pub(crate) mod gate;
mod learner;
pub(crate) mod question;
pub(crate) mod shard;
mod shards;
mod tier;
mod trace;
pub(crate) mod vectors;

pub use calibration::{Realised, lower_bound, upper_bound};
pub(crate) use learner::{Fresh, Learner, Lesson};
pub use question::Question;
pub(crate) use shard::Verdict;
pub(crate) use shards::Partition;
pub(crate) use tier::{Found, Promise, Tier};
pub use trace::{Trace, WouldBe};
