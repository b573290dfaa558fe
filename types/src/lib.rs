//! The words everyone shares: ids, money, tokens, clock, caller, call and reply.
//!
//! Nothing here does I/O or reads the world; a crate that needs the time takes a [`Clock`].

pub mod call;
pub mod caller;
pub mod clock;
pub mod id;
pub mod money;
pub mod outcome;
pub mod permission;
pub mod reply;
pub mod tokens;

pub use caller::{Caller, Principal};
pub use clock::{Clock, SystemClock, TestClock};
pub use id::Id;
pub use money::Usd;
pub use outcome::Outcome;
pub use permission::{Permission, Permissions};
pub use tokens::{Usage, UsageSource};
